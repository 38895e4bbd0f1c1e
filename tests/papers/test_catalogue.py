"""The catalogue: every card is valid, its file rules hold, and reading it is light."""

import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livepapers.core.errors import CorruptFileError, InputError
from livepapers.papers import catalogue

SLUGS = sorted(path.stem for path in catalogue.CARDS.glob("*.toml"))
HDPO = (catalogue.CARDS / "hdpo.toml").read_text()


def changed(line: str, new: str) -> str:
    """The card of hdpo with one line exchanged; the line must be there."""
    assert line in HDPO
    return HDPO.replace(line, new)


def test_there_are_39_papers() -> None:
    assert len(catalogue.load()) == len(SLUGS) == 39


@pytest.mark.parametrize("slug", SLUGS)
class TestEachCard:
    def test_is_valid_and_named_after_its_file(self, slug: str) -> None:
        card = catalogue.parse((catalogue.CARDS / f"{slug}.toml").read_text(), slug)
        assert card.slug == slug
        assert card == catalogue.card(slug)

    def test_has_a_summary_of_60_to_120_words_that_says_what_to_measure(self, slug: str) -> None:
        summary = catalogue.card(slug).summary
        assert 60 <= len(summary.split()) <= 120
        assert "To measure:" in summary
        assert summary.endswith(".")

    def test_has_questions_that_it_answers_each_short_and_its_own(self, slug: str) -> None:
        questions = catalogue.card(slug).questions
        others = {question for card in catalogue.load().values() if card.slug != slug for question in card.questions}
        assert len(questions) >= 8
        assert all(5 <= len(question.split()) <= 15 for question in questions)
        assert not others & set(questions)

    def test_was_submitted_about_when_its_arxiv_number_was_given(self, slug: str) -> None:
        card = catalogue.card(slug)
        year, month = int(card.submitted[:4]), int(card.submitted[5:7])
        given_in = (2000 + int(card.arxiv[:2])) * 12 + int(card.arxiv[2:4])
        assert 0 <= given_in - (year * 12 + month) <= 2  # moderation may hold a paper back, never forward

    def test_names_a_known_field_and_at_least_three_tags(self, slug: str) -> None:
        card = catalogue.card(slug)
        assert card.field in catalogue.FIELDS
        assert len(card.tags) >= 3

    def test_types_no_status(self, slug: str) -> None:
        keys = tomllib.loads((catalogue.CARDS / f"{slug}.toml").read_text())
        assert "status" not in keys

    def test_computes_its_status_from_the_files(self, slug: str) -> None:
        files = (catalogue.method_module(slug), catalogue.study_module(slug))
        measured = catalogue.results_path(slug).is_file()
        expected = "listed" if None in files else "measured" if measured else "runs"
        assert catalogue.status(slug) == expected

    def test_becomes_json(self, slug: str) -> None:
        values = json.loads(json.dumps(catalogue.as_dict(catalogue.card(slug))))
        assert values["slug"] == slug
        assert values["link"].startswith("https://")


def test_every_field_holds_a_paper() -> None:
    assert {card.field for card in catalogue.load().values()} == set(catalogue.FIELDS)


def test_arxiv_numbers_titles_and_slugs_are_unique() -> None:
    cards = catalogue.load().values()
    assert len({card.arxiv for card in cards}) == len({card.title for card in cards}) == 39


def test_load_gives_the_newest_paper_first_and_a_copy() -> None:
    first = catalogue.load()
    dates = [card.submitted for card in first.values()]
    assert dates == sorted(dates, reverse=True)
    first.clear()
    assert len(catalogue.load()) == 39


def test_no_two_summaries_share_a_phrase_of_nine_words() -> None:
    seen: dict[tuple[str, ...], str] = {}
    for card in catalogue.load().values():
        words = card.summary.split()
        for phrase in zip(*(words[start:] for start in range(9)), strict=False):
            assert seen.setdefault(phrase, card.slug) == card.slug


def test_an_unknown_slug_names_close_ones() -> None:
    with pytest.raises(InputError, match=r"slug: got fl_gfn, expected one of the 39 papers \(did you mean fl-gfn"):
        catalogue.card("fl_gfn")


@pytest.mark.parametrize("slug", ["", "../core/errors", "hdpo/", "HDPO", "zzzzzz", "h\0dpo", "x" * 10_000])
def test_only_slugs_of_cards_reach_the_file_system(slug: str) -> None:
    for ask in (catalogue.method_module, catalogue.study_module, catalogue.results_path, catalogue.results):
        with pytest.raises(InputError):
            ask(slug)


@pytest.mark.parametrize("file", ["methods/fl_gfn.py", "methods/fl_gfn/__init__.py"])
def test_a_method_is_found_as_a_file_or_a_package(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path / "livepapers")
    assert catalogue.method_module("fl-gfn") is None
    path = tmp_path / "livepapers" / file
    path.parent.mkdir(parents=True)
    path.touch()
    assert catalogue.method_module("fl-gfn") == "livepapers.methods.fl_gfn"


def test_status_rises_with_method_study_and_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    seen = [catalogue.status("hdpo")]
    for file in ("methods/hdpo.py", "studies/hdpo.py", "results/hdpo.json"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{}")
        seen.append(catalogue.status("hdpo"))
    assert seen == ["listed", "listed", "runs", "measured"]


def test_results_are_none_an_object_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    assert catalogue.results("hdpo") is None
    path = catalogue.results_path("hdpo")
    path.parent.mkdir()
    path.write_text('{"claims": []}')
    assert catalogue.results("hdpo") == {"claims": []}
    for broken in ("", "[1]", '{"claims"', "[" * 100_000, "\ud83d".encode("utf-8", "surrogatepass")):
        path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())
        with pytest.raises(CorruptFileError, match=r"hdpo\.json"):
            catalogue.results("hdpo")


BAD: dict[str, tuple[str, str]] = {
    "unknown key": (
        changed('venue = ""', 'venue = ""\nvenu = "x"'),
        "got 'venu', expected a key that cards have .did you mean venue",
    ),
    "typed status": (HDPO + 'status = "measured"\n', "computed, never typed"),
    "missing key": (changed('venue = ""\n', ""), "venue: got nothing"),
    "wrong type": (changed('venue = ""', "venue = 3"), "venue: got a value of type int, expected text"),
    "authors as text": (changed('authors = ["Matias Alvo", "', 'authors = "'), "not TOML"),
    "empty list": (changed('tags = ["inventory", ', 'tags = []\nother = ["'), "tags|not TOML"),
    "mixed list": (changed('tags = ["inventory"', "tags = [1"), "tags: got a value of type int"),
    "repeated tag": (changed('tags = ["inventory"', 'tags = ["newsvendor"'), "each name once"),
    "tag with a space": (changed('"supply-chain"', '"supply chain"'), "tags: got supply chain"),
    "bad date": (changed('"2023-06-20"', '"2023-06-31"'), "submitted: got 2023-06-31, expected a day"),
    "month 13": (changed('"2023-06-20"', '"2023-13"'), "submitted: got 2023-13"),
    "date as prose": (changed('"2023-06-20"', '"June 2023"'), "expected a date as YYYY-MM-DD, or YYYY-MM"),
    "date unquoted": (changed('"2023-06-20"', "2023-06-20"), "submitted: got a value of type date"),
    "year 3023": (changed('"2023-06-20"', '"3023-06-20"'), "a year between 1950 and 2100"),
    "unknown field": (changed('"operations"', '"cooking"'), "field: got cooking, expected one of operations"),
    "bad slug": (changed('slug = "hdpo"', 'slug = "HDPO 2"'), "slug: got HDPO 2"),
    "bad arXiv number": (changed('"2306.11246"', '"2306.1"'), "arxiv: got 2306.1"),
    "no way to the paper": (changed('arxiv = "2306.11246"\n', ""), "an arXiv identifier, or a doi or url"),
    "script for an address": (changed('"https://github.com', '"javascript:'), "begins with https://"),
    "code without licence": (changed('code_licence = "MIT"', 'code_licence = ""'), "both or neither"),
    "empty title": (changed('title = "Deep', 'title = " "\nx = "Deep'), "title: got an empty text|x"),
    "control character": (changed('venue = ""', 'venue = "\\u0007"'), "without control characters"),
    "checks as text": (HDPO + 'checks_expected_to_fail = "all"\n', "a table: check = reason"),
    "check without reason": (HDPO + '[checks_expected_to_fail]\ntrace = ""\n', "'trace': got an empty text"),
    "huge number": (changed('venue = ""', "venue = 0x" + "f" * 300), "venue: got a value of type int"),
    "deep nesting": ("\n".join(["x = " + "[" * 390, *["[" * 390] * 30]), "not TOML"),
    "long line": ("x." * 300 + "x = 1", "a line of 605 characters"),
    "too long": ("# comment\n" * 7000, "at most 65536 bytes"),
    "not TOML": ("<html>", "not TOML"),
    "empty": ("", "slug: got nothing"),
    "line break in a key": (HDPO + '"a\\nb" = 1\n', "got 'a.+b', expected a key"),
    "line break in a check": (HDPO + '[checks_expected_to_fail]\n"a\\nb" = 1\n', "a value of type int"),
    "half a character": (changed('venue = ""', 'venue = "\ud83d"'), "without control characters"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_card_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        catalogue.parse(text, "hdpo.toml")
    assert str(raised.value).startswith("hdpo.toml")
    assert "\n" not in str(raised.value)


def test_a_card_must_have_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(HDPO)
    with pytest.raises(InputError, match=r"other\.toml: slug: got hdpo, expected other"):
        catalogue._read(path)


def test_a_card_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "hdpo.toml"
    path.write_bytes(HDPO.encode("utf-16"))
    with pytest.raises(InputError, match=r"hdpo\.toml: got byte 0, expected UTF-8"):
        catalogue._read(path)


def test_the_battery_keys_are_read() -> None:
    text = (
        HDPO + 'invariances = "store order"\nreduction = "one store: newsvendor"\n[checks_expected_to_fail]\na = "b"\n'
    )
    card = catalogue.parse(text, "hdpo")
    assert (card.invariances, card.reduction) == ("store order", "one store: newsvendor")
    assert card.checks_expected_to_fail == {"a": "b"}
    assert hash(card) != hash(catalogue.card("hdpo"))


def test_a_doi_or_an_address_replaces_an_arxiv_number() -> None:
    with_doi = catalogue.parse(changed('arxiv = "2306.11246"', 'doi = "10.1073/pnas.1800683115"'), "x")
    assert with_doi.link == "https://doi.org/10.1073/pnas.1800683115"
    with_url = catalogue.parse(changed('arxiv = "2306.11246"', 'url = "https://example.org/p"'), "x")
    assert with_url.link == "https://example.org/p"


def card_or_message(text: str) -> catalogue.Card | str:
    try:
        return catalogue.parse(text, "fuzz")
    except InputError as error:
        return str(error)


def is_card_or_line(found: catalogue.Card | str) -> bool:
    if isinstance(found, str):
        return "\n" not in found
    return found.field in catalogue.FIELDS and 1950 <= found.year <= 2100 and found.summary.isprintable()


@given(st.text(max_size=400))
@example("\ud800")
@example('slug = "\\ud800"')
def test_any_text_is_a_card_or_an_input_error(text: str) -> None:
    assert is_card_or_line(card_or_message(text))


@given(st.data())
def test_a_damaged_card_is_a_card_or_an_input_error(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(HDPO)))
    stop = data.draw(st.integers(start, min(len(HDPO), start + 40)))
    assert is_card_or_line(card_or_message(HDPO[:start] + data.draw(st.text(max_size=20)) + HDPO[stop:]))


KEYS = st.sampled_from([*catalogue._REQUIRED, *catalogue._OPTIONAL]) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(KEYS, VALUES))
def test_any_table_is_a_card_or_an_input_error(values: dict[str, Any]) -> None:
    try:
        found = catalogue._card(tomllib.loads(HDPO) | values, "fuzz")
    except InputError as error:
        found = str(error)
    assert is_card_or_line(found)


@settings(max_examples=10)
@given(st.integers(1, 199), st.sampled_from(["x", '""', "a b"]))
def test_parsing_the_worst_keys_takes_seconds_at_most(parts: int, part: str) -> None:
    line = ".".join([part] * parts)[:380]
    text = "\n".join(f"[k{number}.{line}]" for number in range(60_000 // (len(line) + 8)))
    started = time.perf_counter()
    card_or_message(text)
    assert time.perf_counter() - started < 5


def test_the_catalogue_imports_no_heavy_library() -> None:
    code = (
        "import sys; from livepapers.papers import catalogue, citation, search; cards = catalogue.load(); "
        "search.search('graph', cards); citation.bibtex(cards['hdpo']); catalogue.status('hdpo'); "
        "heavy = ('torch', 'numpy', 'matplotlib', 'pandas', 'scipy', 'pydantic', 'sqlalchemy'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_loading_all_cards_takes_a_fraction_of_a_second() -> None:
    best = 1.0
    for _ in range(5):
        catalogue._cards.cache_clear()
        started = time.process_time()
        catalogue.load()
        best = min(best, time.process_time() - started)
    assert best < 0.04
