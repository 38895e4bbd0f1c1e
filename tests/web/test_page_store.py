"""What `web.store.PageStore` promises, on each database: papers in their order, votes that count once, rate limits."""

import itertools
import math
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.papers import catalogue
from livepapers.web import tables
from livepapers.web.store import COLD, HALF_LIFE, PageStore, Sort, heat, refuse_unknown

NOW = 1_790_000_000.0
DAY = 86_400.0


@pytest.fixture
def store(place: str) -> Iterator[PageStore]:
    with PageStore(place) as made:
        yield made


def add(store: PageStore, slug: str, **values: Any) -> None:
    """Enter a paper as an import does."""
    row = {
        "slug": slug, "title": slug.title(), "authors": ["Ada Example"], "submitted": "2026-01-01", "field": "",
        "tags": [], "summary": "", "link": "https://example.org/", "arxiv": "", "doi": "", "code_url": "",
        "source": "bibtex", "status": "listed", "claims": 0, "added": NOW, "votes": 0, "heat": COLD,
    }  # fmt: skip
    with store.writing() as connection:
        connection.execute(sa.insert(tables.papers).values(row | values))


def slugs(store: PageStore, sort: Sort = "newest", **wanted: Any) -> list[str]:
    return [paper.slug for paper in store.papers(sort, **wanted)[0]]


def at_once(function: Callable[[int], Any], number: int) -> list[Any]:
    start = threading.Barrier(number)

    def begin(index: int) -> Any:
        start.wait()
        return function(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


# ---- papers ----


def test_a_store_made_before_an_index_was_invented_gets_it(store: PageStore, place: str) -> None:
    def indexes() -> set[str | None]:
        with store.reading() as connection:
            return {index["name"] for index in sa.inspect(connection).get_indexes("papers")}

    all_of_them = indexes()
    with store.writing() as connection:
        connection.exec_driver_sql("DROP INDEX papers_of_status")
    assert indexes() == all_of_them - {"papers_of_status"}
    PageStore(place).close()
    assert indexes() == all_of_them


def test_the_catalogue_comes_in_once_and_keeps_votes_and_other_papers(store: PageStore) -> None:
    cards = list(catalogue.load().values())[:5]
    add(store, "imported")
    store.sync(cards, now=NOW)
    store.vote(cards[0].slug, "ada", up=True, now=NOW)
    store.vote("imported", "ada", up=True, now=NOW)
    before = store.papers("trending", size=100)
    with store.writing() as connection:  # as if the card had been another one before
        connection.execute(sa.update(tables.papers).where(tables.papers.c.source == "catalogue").values(title="old"))
    store.sync(cards, now=NOW + DAY)
    assert store.papers("trending", size=100) == before
    paper = store.paper(cards[0].slug)
    assert paper is not None
    assert (paper.title, paper.authors, paper.votes, paper.added) == (cards[0].title, cards[0].authors, 1, NOW)
    assert before[1] == 6


def test_a_paper_that_was_imported_before_the_catalogue_had_it_becomes_the_catalogue_s(store: PageStore) -> None:
    card, *others = catalogue.load().values()
    add(store, "imported-1", arxiv=card.arxiv, doi="")
    add(store, "imported-2", arxiv="", doi="10.1/other")
    store.vote("imported-1", "ada", up=True, now=NOW)
    store.sync([card, *others], now=NOW)
    paper = store.paper(card.slug)
    assert paper is not None
    assert (paper.title, paper.source, paper.votes) == (card.title, "catalogue", 1)
    assert store.paper("imported-1") is None
    assert store.paper("imported-2") is not None


def test_nothing_to_sync_is_nothing_to_do(store: PageStore) -> None:
    store.sync([])
    assert store.papers("newest") == ([], 0)


def test_papers_have_three_orders_and_ties_go_by_slug_letter_by_letter(store: PageStore) -> None:
    add(store, "b", submitted="2026-03-01", claims=1)
    add(store, "a-z", submitted="2026-02", claims=7)  # the day is not known
    add(store, "aa", submitted="2026-02", claims=7)  # people would sort it before a-z
    add(store, "c", submitted="2026-02-05", claims=0)
    store.vote("c", "ada", up=True, now=NOW)
    assert slugs(store, "newest") == ["b", "c", "a-z", "aa"]
    assert slugs(store, "measured") == ["a-z", "aa", "b", "c"]
    assert slugs(store, "trending") == ["c", "b", "a-z", "aa"]


def test_lists_are_narrowed_by_field_status_and_date(store: PageStore) -> None:
    for number, (field, status) in enumerate(itertools.product(("graphs", "images"), ("listed", "runs"))):
        add(store, f"p{number}", field=field, status=status, submitted=f"2026-0{number + 1}-10")
    assert slugs(store, field="graphs") == ["p1", "p0"]
    assert slugs(store, status="runs") == ["p3", "p1"]
    assert slugs(store, field="images", status="runs") == ["p3"]
    assert slugs(store, since="2026-02-10") == ["p3", "p2", "p1"]
    assert slugs(store, since="2026-02-11", status="runs") == ["p3"]
    assert store.papers("newest", field="' OR 1=1 --") == ([], 0)


def test_a_paper_of_which_the_month_is_known_is_of_this_week_too(store: PageStore) -> None:
    for slug, submitted in (("day", "2026-11-20"), ("month", "2026-11"), ("year", "2026"), ("before", "2026-10")):
        add(store, slug, submitted=submitted)
    assert set(slugs(store, since="2026-11-21")) == {"month", "year"}
    assert set(slugs(store, since="2026-11-20")) == {"day", "month", "year"}


def test_pages_hold_every_paper_once(store: PageStore) -> None:
    for number in range(23):
        add(store, f"p{number:02}", submitted=f"2026-01-{number % 5 + 1:02}")
    pages = [store.papers("newest", page=page, size=10) for page in (1, 2, 3, 4)]
    assert [(len(papers), total) for papers, total in pages] == [(10, 23), (10, 23), (3, 23), (0, 23)]
    whole = [paper.slug for papers, _ in pages for paper in papers]
    assert whole == slugs(store, size=100)
    assert sorted(whole) == [f"p{number:02}" for number in range(23)]


def test_papers_are_found_by_slug_in_the_order_asked_for(store: PageStore) -> None:
    for slug in ("a", "b", "c"):
        add(store, slug)
    assert [paper.slug for paper in store.by_slug(["c", "none", "a"])] == ["c", "a"]
    assert store.by_slug([]) == []
    assert store.paper("none") is None
    assert store.paper("' OR ''='") is None


def test_any_text_comes_back_as_it_was(store: PageStore) -> None:
    text = "<b>50 %</b> \\ 'quote' \"漢字\" %s :x ?\n🦆"
    add(store, "odd", title=text, authors=[text, ""], tags=[text], summary=text)
    paper = store.paper("odd")
    assert paper is not None
    assert (paper.title, paper.authors, paper.tags, paper.summary) == (text, (text, ""), (text,), text)


def test_a_store_opened_again_or_by_many_at_once_has_the_same_papers(store: PageStore, place: str) -> None:
    add(store, "kept")

    def look(_: int) -> list[str]:
        with PageStore(place) as other:
            return slugs(other)

    assert at_once(look, 4) == [["kept"]] * 4


# ---- votes ----


def test_a_reader_votes_once_and_may_take_it_back(store: PageStore) -> None:
    add(store, "paper")
    assert [store.vote("paper", "ada", up=True) for _ in range(2)] == [1, 1]
    assert store.vote("paper", "bob", up=True) == 2
    papers, _ = store.papers("newest")
    assert store.voted("ada", papers) == {"paper"}
    assert store.voted("eve", papers) == set()
    assert store.voted("", papers) == set()
    assert store.voted("ada", []) == set()
    assert [store.vote("paper", "ada", up=False) for _ in range(2)] == [1, 1]
    assert store.vote("paper", "eve", up=False) == 1, "what was never cast cannot be taken back"
    assert store.voted("ada", papers) == set()


def test_without_votes_a_paper_is_as_cold_as_at_first(store: PageStore) -> None:
    add(store, "a")
    add(store, "b")
    store.vote("b", "ada", up=True)
    assert slugs(store, "trending") == ["b", "a"]
    store.vote("b", "ada", up=False)
    assert slugs(store, "trending") == ["a", "b"]


def test_a_vote_for_no_paper_is_none(store: PageStore) -> None:
    assert store.vote("none", "ada", up=True) is None
    assert store.vote("none", "ada", up=False) is None


def test_votes_cast_at_the_same_moment_all_count(store: PageStore) -> None:
    add(store, "paper")
    counts = at_once(lambda index: store.vote("paper", f"reader {index}", up=True, now=NOW + index), 12)
    assert sorted(counts) == list(range(1, 13))
    (paper,), _ = store.papers("trending")
    assert paper.votes == 12
    with store.reading() as connection:
        kept = connection.execute(sa.select(tables.papers.c.heat)).scalar_one()
    assert kept == pytest.approx(heat([NOW + index for index in range(12)]), abs=1e-12)


def test_one_reader_at_many_windows_has_one_vote(store: PageStore) -> None:
    add(store, "paper")
    assert at_once(lambda _: store.vote("paper", "ada", up=True), 12) == [1] * 12
    at_once(lambda index: store.vote("paper", "ada", up=index % 2 == 0), 12)
    with store.reading() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(tables.votes)).scalar_one()
    (paper,), _ = store.papers("newest")
    assert paper.votes == rows <= 1


def test_a_sync_during_votes_loses_none(store: PageStore) -> None:
    cards = list(catalogue.load().values())[:3]
    store.sync(cards)

    def act(index: int) -> None:
        if index < 2:
            store.sync(cards if index else cards[::-1])
        else:
            store.vote(cards[index % 3].slug, f"reader {index}", up=True)

    at_once(act, 11)
    assert sum(paper.votes for paper in store.papers("newest")[0]) == 9


# ---- heat ----


def weight(times: list[float], now: float) -> float:
    """What the votes of a paper count at a time: each half as much after a half-life."""
    return math.fsum(2.0 ** (-(now - at) / HALF_LIFE) for at in times)


def test_trending_is_the_order_of_faded_votes_at_any_time(store: PageStore) -> None:
    draw = random.Random(1)
    cast: dict[str, list[float]] = {}
    for number in range(12):
        slug = f"p{number:02}"
        add(store, slug)
        cast[slug] = [NOW - draw.uniform(0, 60) * DAY for _ in range(draw.randrange(1, 9))]
        for voter, at in enumerate(cast[slug]):
            store.vote(slug, f"reader {voter}", up=True, now=at)
    listed = slugs(store, "trending")
    for later in (0.0, 1.0, 100.0, 1000.0):
        assert listed == sorted(cast, key=lambda slug: -weight(cast[slug], NOW + later * DAY))


times = st.lists(st.floats(NOW - 400 * DAY, NOW), min_size=1, max_size=20)


@given(times, st.floats(0.0, 400 * DAY))
def test_heat_is_the_logarithm_of_the_faded_votes_whatever_the_clock(cast: list[float], later: float) -> None:
    now = NOW + later
    assert heat(cast) - now / HALF_LIFE == pytest.approx(math.log2(weight(cast, now)), abs=1e-9)


@given(times, st.floats(NOW - 400 * DAY, NOW))
def test_a_vote_more_is_never_colder(cast: list[float], at: float) -> None:
    assert heat([*cast, at]) >= heat(cast) > COLD


def test_heat_of_old_and_far_votes_is_a_number() -> None:
    assert heat([]) == COLD
    assert heat([0.0]) == 0.0
    assert heat([NOW, NOW]) == NOW / HALF_LIFE + 1.0
    assert math.isfinite(heat([0.0, NOW, NOW * 1000]))


# ---- rate limits ----


def test_a_bucket_is_emptied_and_fills_as_time_passes(store: PageStore) -> None:
    def take(now: float, key: str = "vote ada") -> bool:
        return store.take(key, capacity=3, per_second=0.5, now=now)

    assert [take(NOW) for _ in range(4)] == [True, True, True, False]
    assert take(NOW, "vote bob"), "each key has a bucket of its own"
    assert not take(NOW + 1.0)
    assert take(NOW + 2.0), "half a token a second, kept although a request was refused in between"
    assert not take(NOW + 3.9)
    assert [take(NOW + 1e6) for _ in range(4)] == [True, True, True, False], "it holds no more than its capacity"
    assert not take(NOW), "a clock that is put back fills nothing"


def test_requests_at_the_same_moment_share_a_new_bucket(store: PageStore) -> None:
    taken = at_once(lambda _: store.take("flood", capacity=4, per_second=1.0, now=NOW), 12)
    assert taken.count(True) == 4


# ---- what is refused ----


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("hottest", "", ""), "sort: got hottest, expected one of trending, newest, measured"),
        (("newest", "x", ""), "field: got x, expected one of operations"),
        (("newest", "", "x"), "status: got x, expected one of listed, runs, measured"),
    ],
)
def test_an_order_or_filter_that_does_not_exist_is_named(wrong: tuple[str, str, str], message: str) -> None:
    refuse_unknown("newest", "graphs", "runs")
    with pytest.raises(InputError, match=message):
        refuse_unknown(*wrong)


def test_a_zero_byte_in_a_slug_is_no_fault_of_the_page(store: PageStore) -> None:
    assert store.paper("a\0b") is None  # PostgreSQL is not asked: it holds no such text
