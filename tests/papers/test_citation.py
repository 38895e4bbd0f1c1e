"""Citations: what BibTeX and RIS readers can read, whatever a card says."""

import dataclasses
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livepapers.papers import catalogue
from livepapers.papers.citation import bibtex, escape, key, ris

CARDS = catalogue.load()
HDPO = CARDS["hdpo"]


def depth_never_negative_and_zero_at_the_end(text: str) -> bool:
    """Count braces as BibTeX does: a backslash before one changes nothing."""
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        if depth < 0:
            return False
    return depth == 0


def unescape(text: str) -> str:
    """What LaTeX would print for the output of `escape`."""
    names = {
        r"\textbackslash{}": "\\",
        r"\textbraceleft{}": "{",
        r"\textbraceright{}": "}",
        r"\textasciitilde{}": "~",
        r"\textasciicircum{}": "^",
    }
    pattern = "|".join(map(re.escape, names)) + r"|\\([#$%&_])"
    return re.sub(pattern, lambda match: match[1] or names[match[0]], text)


def test_the_entry_of_a_known_paper_reads_as_expected() -> None:
    assert bibtex(CARDS["fl-gfn"]) == (
        "@misc{pan2023better,\n"
        "  title         = {{Better Training of GFlowNets with Local Credit and Incomplete Trajectories}},\n"
        "  author        = {Pan, Ling and Malkin, Nikolay and Zhang, Dinghuai and Bengio, Yoshua},\n"
        "  year          = {2023},\n"
        "  month         = feb,\n"
        "  eprint        = {2302.01687},\n"
        "  archiveprefix = {arXiv},\n"
        "  url           = {https://arxiv.org/abs/2302.01687},\n"
        "  note          = {ICML 2023},\n"
        "}\n"
    )


def test_the_record_of_a_known_paper_reads_as_expected() -> None:
    lines = ris(CARDS["simplicial-closure"]).split("\r\n")
    assert lines[:3] == [
        "TY  - GEN",
        "TI  - Simplicial closure and higher-order link prediction",
        "AU  - Benson, Austin R.",
    ]
    assert "DA  - 2018/02/20/" in lines
    assert "DO  - 10.1073/pnas.1800683115" in lines
    assert lines[-2:] == ["ER  - ", ""]


@pytest.mark.parametrize("slug", sorted(CARDS))
def test_each_paper_has_a_balanced_entry_and_a_well_formed_record(slug: str) -> None:
    entry = bibtex(CARDS[slug])
    assert depth_never_negative_and_zero_at_the_end(entry)
    assert f"eprint        = {{{CARDS[slug].arxiv}}}" in entry
    assert entry.count(" and ") >= len(CARDS[slug].authors) - 1
    record = ris(CARDS[slug])
    assert all(re.match(r"[A-Z][A-Z0-9]  - ", line) for line in record.split("\r\n")[:-1])
    assert record.count("AU  - ") == len(CARDS[slug].authors)


def test_keys_are_unique_and_plain() -> None:
    keys = [key(card) for card in CARDS.values()]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", one) for one in keys)


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("Hal Daumé III", "Daumé, III, Hal"),
        ("Andre C. P. L. F. de Carvalho", "de Carvalho, Andre C. P. L. F."),
        ("Ludwig van der Rohe", "van der Rohe, Ludwig"),
        ("Plato", "Plato"),
        ("van Gogh", "Gogh, van"),
        ("Rock and Roll", "{and Roll}, Rock"),
        ("A {B} & C_1", r"C\_1, A \textbraceleft{}B\textbraceright{} \&"),
    ],
)
def test_names_are_split_as_bibtex_needs_them(author: str, expected: str) -> None:
    entry = bibtex(dataclasses.replace(HDPO, authors=(author,)))
    assert f"author        = {{{expected}}},\n" in entry


@given(st.text())
@example("50 % of {x_1} & \\alpha^2 ~ #1 $")
def test_escaped_text_is_balanced_and_prints_as_itself(text: str) -> None:
    escaped = escape(text)
    assert depth_never_negative_and_zero_at_the_end(escaped)
    assert "\n" not in escaped
    assert unescape(escaped) == " ".join("".join(c if c.isprintable() else " " for c in text).split())


NAME = st.text(min_size=1, max_size=30).map(lambda text: " ".join(text.split())).filter(bool)


@given(title=NAME, authors=st.lists(NAME, min_size=1, max_size=3), venue=st.text(max_size=20), url=st.text(max_size=20))
def test_any_card_gives_a_balanced_entry_and_a_record_of_known_lines(
    title: str, authors: list[str], venue: str, url: str
) -> None:
    card = dataclasses.replace(HDPO, title=title, authors=tuple(authors), venue=venue, arxiv="", url=f"https://{url}")
    entry = bibtex(card)
    assert depth_never_negative_and_zero_at_the_end(entry)
    assert re.match(r"@misc\{[a-z0-9]+,\n", entry)
    assert all(re.fullmatch(r"  [a-z]+ += .*,|@misc\{.*|\}|", line) for line in entry.split("\n"))
    assert all(re.match(r"[A-Z][A-Z0-9]  - ", line) for line in ris(card).split("\r\n")[:-1])
