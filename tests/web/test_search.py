"""Search: any query is answered, full text follows the table on both databases, and paraphrases find their paper."""

import difflib
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.papers import catalogue
from livepapers.papers.search import words
from livepapers.web import fulltext, ideas, search, tables
from livepapers.web.ideas import Index, Text, lexicon
from livepapers.web.store import PAGE, PageStore
from web.test_home import PAYLOADS, Shape, add, titles

PARAPHRASES = tomllib.loads(Path(__file__).with_name("paraphrases.toml").read_text(encoding="utf-8"))
NATURAL = (
    "it's", '"quoted', "C++", "50 %", "state-of-the-art", "NEAR(a b)", "title:x", "a AND", "NOT", "OR OR", "*", "^a",
    "(", "a\x00b", "🙂", "强化学习", "обучение", "تعلم", "한국어", "हिन्दी", "が",
    "'; DROP TABLE papers; --", "!?&|:<->", "x" * 500,
    "\\", "'", "stock:*", "e\u0301", "²", "a" * 3 + " " + "ab " * 160,
)  # fmt: skip


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageStore]:
    with PageStore(tmp_path_factory.mktemp("search") / "store.sqlite3") as store:
        store.sync(catalogue.load().values())
        yield store


@pytest.fixture
def store(place: str) -> Iterator[PageStore]:
    with PageStore(place) as made:
        yield made


def found(store: PageStore, query: str) -> list[str]:
    return [paper.slug for paper in search.find(store, query, limit=1000).papers]


def by_words(store: PageStore, query: str) -> list[str]:
    with store.reading() as connection:
        return fulltext.matching(connection, query)


@pytest.mark.parametrize("query", NATURAL)
def test_every_natural_query_is_answered_by_both_databases(store: PageStore, query: str) -> None:
    add(store, title="Learning a thing", summary="a b c x")
    papers, total, _ = search.find(store, query)
    assert len(papers) == total <= 1


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_answered(catalogued: PageStore, query: str) -> None:
    papers, total, _ = search.find(catalogued, query, limit=5)
    assert len(papers) == min(5, total)


def test_the_page_answers_every_natural_query(client: TestClient) -> None:
    assert {client.get("/search", params={"q": query}).status_code for query in NATURAL} == {200}


def test_a_query_stays_text_on_the_page(client: TestClient) -> None:
    def shape(query: str) -> set[tuple[str, ...]]:
        return Shape(client.get("/search", params={"q": query}).text).found

    # with results, with pages of them, with none: together every element that the template has
    plain = set().union(*map(shape, ("inventory", "learning", "xqzxq", "")))
    for payload in PAYLOADS:
        assert shape(payload) | shape(f"{payload} inventory") <= plain, payload


def test_full_text_follows_the_table_on_both_databases(store: PageStore) -> None:
    p = tables.papers.c
    add(store, slug="one", title="Zebrafish", authors=["Łukasz Bölcskei"], tags=["strasse"])
    assert by_words(store, "zebrafish") == by_words(store, "ZEBRA") == by_words(store, "lukasz") == ["one"]
    assert by_words(store, "bolcskei") == by_words(store, "Bölcskei") == by_words(store, "straße") == ["one"]
    with store.writing() as connection:
        connection.execute(sa.update(tables.papers).where(p.slug == "one").values(title="Okapi"))
    assert (by_words(store, "zebrafish"), by_words(store, "okapi")) == ([], ["one"])
    with store.writing() as connection:
        connection.execute(sa.delete(tables.papers))
    assert by_words(store, "okapi") == []


def test_other_alphabets_are_found(store: PageStore) -> None:
    add(store, slug="one", title="한국어 강화학습", summary="обучение с подкреплением")
    assert by_words(store, "한국어") == by_words(store, "обучение") == ["one"]


def test_ideas_follow_the_table_and_votes_do_not_touch_them(store: PageStore) -> None:
    add(store, slug="one", title="Taxi drivers", summary="Passengers wait for cars.")
    assert found(store, "ride hailing") == ["one"]
    with store.reading() as connection:
        before = fulltext.revision(connection)
    store.vote("one", "reader", up=True)
    with store.reading() as connection:
        assert fulltext.revision(connection) == before
    add(store, slug="two", title="Uber dispatching", summary="Riders and vehicles.")
    assert set(found(store, "ride hailing")) == {"one", "two"}


def test_a_store_made_before_there_was_a_search_gets_one(tmp_path: Path) -> None:
    with PageStore(tmp_path / "store.sqlite3") as store:
        add(store, slug="one", title="Zebrafish")
        with store.writing() as connection:
            for name in ("insert", "update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER papers_text_{name}")
            for name in ("text", "revision"):
                connection.exec_driver_sql(f"DROP TABLE papers_{name}")
    with PageStore(tmp_path / "store.sqlite3") as store:
        assert by_words(store, "zebrafish") == ["one"]


@pytest.mark.parametrize("slug", sorted(catalogue.load()))
def test_a_paper_is_found_first_by_its_slug_and_by_its_title(catalogued: PageStore, slug: str) -> None:
    assert found(catalogued, slug)[0] == slug
    assert found(catalogued, catalogue.load()[slug].title)[0] == slug


@pytest.mark.parametrize("part", ["tuning", "held_out"])
def test_every_paper_has_a_paraphrase(part: str) -> None:
    assert PARAPHRASES[part].keys() == catalogue.load().keys()


def quality(store: PageStore, part: str) -> tuple[float, float]:
    """Recall at 5 and mean reciprocal rank over the paraphrases of a part."""
    places = []
    for slug, queries in PARAPHRASES[part].items():
        for query in queries:
            listed = found(store, query)
            places.append(listed.index(slug) + 1 if slug in listed else float("inf"))
    return sum(place <= 5 for place in places) / len(places), sum(1 / place for place in places) / len(places)


def test_paraphrases_find_their_paper(catalogued: PageStore) -> None:
    recall, reciprocal = quality(catalogued, "tuning")
    assert recall >= 0.9
    assert reciprocal >= 0.75


def test_paraphrases_that_nothing_was_tuned_to_find_their_paper(catalogued: PageStore) -> None:
    """Measured 1.0 and 0.793; 0.821 and 0.592 before the cards had questions."""
    recall, reciprocal = quality(catalogued, "held_out")
    assert recall >= 0.9
    assert reciprocal >= 0.75


def test_no_paraphrase_is_a_question_of_a_card() -> None:
    """Whoever wrote the cards' questions had not seen the paraphrases."""
    asked = {frozenset(words(question)) for card in catalogue.load().values() for question in card.questions}
    queries = [query for part in PARAPHRASES.values() for of_paper in part.values() for query in of_paper]
    assert not [query for query in queries if frozenset(words(query)) in asked]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("inventroy", "inventory"), ("hypergrpah links", "hypergraphs links"), ("Fishery harvst", "fishery harvest"),
     ("inventory", "inventory"), ("Taxi", "Taxi"), ("xqzxq", "xqzxq"), ("", ""), ("optimis", "optimis")],
)  # fmt: skip
def test_misspelt_words_are_replaced_and_others_left_alone(catalogued: PageStore, typed: str, meant: str) -> None:
    assert search.find(catalogued, typed).meant == meant


def test_a_paste_of_unknown_words_is_left_as_it_is_and_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    letters = random.Random(0)
    rare = list(lexicon().rows)[:20_000]
    index = Index.of([Text(f"p{number}", " ".join(rare[number::200]), (), "", "") for number in range(200)])
    paste = " ".join("".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(62))
    compared: list[int] = []
    matches = difflib.get_close_matches
    monkeypatch.setattr(difflib, "get_close_matches", lambda *a, **k: compared.append(len(a[1])) or matches(*a, **k))
    assert index.corrected(paste) == paste
    assert compared == []
    few = " ".join(paste.split()[: ideas.REPAIRED])
    index.corrected(few)
    assert len(compared) == ideas.REPAIRED
    assert max(compared) < 100, "of the thousands of words that begin like it"


@pytest.mark.parametrize("known", ["inventory", "hypergraphs", "réseau", "обучение"])
@pytest.mark.parametrize(
    "change", [lambda w: w[:3] + w[4:], lambda w: w[:4] + w[3:], lambda w: w[:3] + w[4] + w[3] + w[5:]]
)
def test_what_is_compared_first_loses_no_word_that_is_near(known: str, change: Callable[[str], str]) -> None:
    index = Index.of([Text("p", f"{known} and other things", (), "", "")])
    [word] = words(known)
    assert index._spelt.closest(change(word)) == word


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_correcting_twice_changes_nothing_more(catalogued: PageStore, query: str) -> None:
    once = search.find(catalogued, query).meant
    assert search.find(catalogued, once).meant == once


def test_similar_papers_are_of_the_same_kind_and_never_the_paper_itself(catalogued: PageStore) -> None:
    for slug in catalogue.load():
        alike = [paper.slug for paper in search.similar(catalogued, slug, n=5)]
        assert len(alike) == 5
        assert slug not in alike
    assert {"oc-gfn", "gflowvlm"} & {paper.slug for paper in search.similar(catalogued, "fl-gfn", n=3)}
    assert "simq-nas" in [paper.slug for paper in search.similar(catalogued, "apq", n=3)]
    assert search.similar(catalogued, "nobody", n=3) == []


def test_results_come_page_by_page(client: TestClient, store: PageStore) -> None:
    for number in range(PAGE + 5):
        add(store, slug=f"p{number}", title=f"Zebrafish {number}")
    first, total, _ = search.find(store, "zebrafish")
    second, _, _ = search.find(store, "zebrafish", offset=PAGE)
    assert (len(first), len(second), total) == (PAGE, 5, PAGE + 5)
    assert not {p.slug for p in first} & {p.slug for p in second}
    assert client.get("/search?q=inventory&page=2").status_code == 404


def test_every_paper_that_has_the_word_is_counted_and_on_a_page(store: PageStore) -> None:
    for number in range(345):
        add(store, slug=f"p{number}", title=f"Zebrafish {number}", summary="and more " * (number % 7))
    pages = [search.find(store, "zebrafish", offset=offset) for offset in range(0, 345 + PAGE, PAGE)]
    assert {page.total for page in pages} == {345}
    listed = [paper.slug for page in pages for paper in page.papers]
    assert len(listed) == len(set(listed)) == 345


def test_a_paper_that_has_all_words_is_found_however_much_better_others_are(store: PageStore) -> None:
    add(store, slug="best", title="Okapi zebrafish", summary="Okapi zebrafish.", tags=["okapi", "zebrafish"])
    add(store, slug="long", summary=f"An okapi {'and many other things ' * 60} one zebrafish.")
    add(store, slug="half", summary=f"An okapi {'and many other things ' * 60}.")
    for number in range(20):
        add(store, slug=f"p{number}", title="Nothing of that")
    assert by_words(store, "okapi zebrafish") == ["best", "long"]


def test_names_of_a_letter_and_signs_are_searched_as_they_are_typed(store: PageStore) -> None:
    add(store, slug="letter", title="A letter C", authors=["C. Nobody"], summary="c c c")
    add(store, slug="tag", title="Fast code", tags=["c++"])
    add(store, slug="both", title="Inventories in C++", submitted="2025-01-01")
    add(store, slug="sharp", title="Inventories in C#")
    assert found(store, "C++") == found(store, "c++") == ["both", "tag"]
    assert found(store, "F#") == []
    assert found(store, "C# and C++")[0] == "both"
    assert set(found(store, "C# and C++")) == {"both", "sharp", "tag"}
    assert found(store, "C++ inventories")[0] == "both"
    assert set(found(store, "C++ inventories")) == {"both", "sharp", "tag"}
    assert "letter" in found(store, "C")
    assert search.find(store, "C++ inventroies").meant == "inventories C++"


def test_the_page_lists_cards_says_how_many_and_helps_where_nothing_matches(client: TestClient) -> None:
    text = client.get("/search?q=inventory+lead+times").text
    assert titles(text)[0] == "hdpo"
    assert "best match first" in text
    assert "No paper matches" in client.get("/search?q=qxzqxz").text
    misspelt = client.get("/search?q=inventroy").text
    assert titles(misspelt) == titles(client.get("/search?q=inventory").text)
    assert 'These papers are for "inventory"' in misspelt.replace("&#34;", '"')
    assert "Say in the box above" in client.get("/search?q=").text
    assert client.get("/search", params={"q": "x" * 501}).status_code == 422


def test_every_phrase_of_the_glossary_speaks_of_its_idea() -> None:
    known = lexicon()
    groups = tomllib.loads((Path(search.__file__).parent / "vectors" / "glossary.toml").read_text("utf-8")).values()
    for name, phrases in ((name, phrases) for group in groups for name, phrases in group.items()):
        for phrase in phrases:
            assert known.ideas.index(name) in known.found(phrase.split()), (name, phrase)


def test_searching_loads_no_torch() -> None:
    code = (
        "import sys; from livepapers.web import ideas, routes, search; ideas.lexicon(); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert told.stdout == "False\n"


@pytest.mark.parametrize(
    "query",
    ["2306.11246", "arXiv:2306.11246v2", "https://arxiv.org/abs/2306.11246", "10.48550/arXiv.2306.11246"],
)
def test_an_arxiv_identifier_finds_its_paper(client: TestClient, query: str) -> None:
    assert titles(client.get("/search", params={"q": query}).text) == ["hdpo"]
    assert [found["slug"] for found in client.get("/api/search", params={"q": query}).json()["papers"]] == ["hdpo"]
    assert client.get("/feeds/search.atom", params={"q": query}).text.count("<entry>") == 1


@pytest.mark.parametrize("query", ["10.1162/Neat_1", "doi:10.1162/neat_1", "https://doi.org/10.1162/NEAT_1"])
def test_a_doi_finds_its_paper_and_one_that_nobody_has_is_a_question(store: PageStore, query: str) -> None:
    add(store, slug="neat", title="Networks", doi="10.1162/neat_1")
    add(store, slug="other", title="Other")
    assert found(store, query) == ["neat"]
    assert "neat" not in found(store, "10.9999/nothing")


def test_programs_get_misspelt_words_replaced_and_are_told(client: TestClient) -> None:
    answer = client.get("/api/search?q=inventroy").json()
    assert answer["meant"] == "inventory"
    assert answer["papers"] == client.get("/api/search?q=inventory").json()["papers"]
    assert client.get("/feeds/search.atom?q=inventroy").text.count("<entry>") > 0
