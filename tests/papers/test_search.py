"""Search: any query is answered, and the answer is the paper one meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.papers import catalogue
from livepapers.papers.search import fold, search, words

CARDS = catalogue.load()


@pytest.mark.parametrize("slug", sorted(CARDS))
def test_a_paper_is_found_first_by_its_slug_and_by_its_title(slug: str) -> None:
    assert search(slug, CARDS)[0][1].slug == slug
    assert search(CARDS[slug].title, CARDS)[0][1].slug == slug


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("how much stock to order", "hdpo"),
        ("match riders to vehicles", "ospo"),
        ("shrink a mixture of experts", "mc-smoe"),
        ("certify a policy", "policy-smoothing"),
        ("BOLCSKEI", "scattering"),
        ("Munos", "alignment-gap"),
        ("hyperg", "simplicial-closure"),
        ("flgfn", "fl-gfn"),
        ("federat", "fedtiny"),
    ],
)
def test_a_question_finds_its_paper(query: str, slug: str) -> None:
    assert slug in [card.slug for _, card in search(query, CARDS)[:3]]


@pytest.mark.parametrize("query", ["", "  ", "\n\t\u3000"])
def test_a_blank_query_gives_all_papers_newest_first(query: str) -> None:
    found = search(query, CARDS)
    assert [card for _, card in found] == list(CARDS.values())
    assert {score for score, _ in found} == {0.0}


@pytest.mark.parametrize("query", ["???", "🦊", "zzzzqqqq", "\ud800", "\0"])
def test_a_query_without_a_match_gives_nothing(query: str) -> None:
    assert search(query, CARDS) == []


def test_common_words_count_only_alone() -> None:
    assert search("the inventory", CARDS) == search("inventory", CARDS)
    assert search("the", CARDS)


def test_cards_may_be_any_collection_and_none() -> None:
    assert search("graph", list(CARDS.values())) == search("graph", CARDS)
    assert search("graph", {}) == []
    assert search("", []) == []


@given(st.text())
def test_every_query_is_answered_in_order_of_score(query: str) -> None:
    found = search(query, CARDS)
    scores = [score for score, _ in found]
    assert scores == sorted(scores, reverse=True)
    assert len({card.slug for _, card in found}) == len(found)
    assert all(score > 0 for score in scores) or not query.strip()


@given(st.lists(st.sampled_from(["graph", "pruning", "Benson", "policy", "reward"]), min_size=1))
def test_case_repetition_and_order_of_words_do_not_matter(terms: list[str]) -> None:
    def ranking(query: str) -> dict[str, float]:
        return {card.slug: round(score, 9) for score, card in search(query, CARDS)}

    assert ranking(" ".join(terms)) == ranking(" ".join(reversed(terms)).upper())


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert words(text) == words(fold(text))


def test_accents_ligatures_and_strokes_are_folded() -> None:
    assert fold("Bölcskei Ávila Łukasz ﬁsh Straße Ørsted") == "bolcskei avila lukasz fish strasse orsted"
