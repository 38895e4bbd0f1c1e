"""The page in a real browser: search, vote and undo, a run watched to its end, accessibility, no outside request."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell
from web.browser import DESKTOP, PHONE, chromium, served, watched

pytestmark = pytest.mark.slow
PAGES = (
    "/",
    "/?sort=newest&page=2",
    "/search?q=inventory",
    "/papers/hdpo",
    "/papers/fl-gfn",
    "/runs",
    "/subscribe",
    "/api",
    "/nope",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page keeps its things."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=address, viewport=DESKTOP)  # type: ignore[arg-type]
    made.set_default_timeout(30_000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def test_a_search_leads_to_the_paper(page: Page) -> None:
    page.goto("/")
    page.get_by_role("searchbox", name="Search papers").fill("how much stock should my shops order")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("heading", name="Deep Reinforcement Learning for Inventory Networks").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Deep Reinforcement Learning for Inventory Networks")
    expect(page.locator("main")).to_contain_text("reproduced")


def test_a_vote_is_cast_without_leaving_the_page_kept_and_taken_back(page: Page) -> None:
    page.goto("/?sort=newest")
    button = page.locator("article.card").nth(3).get_by_role("button")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_contain_text("1")
    page.reload()
    button = page.locator("article.card").nth(3).get_by_role("button")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(button).to_contain_text("0")


def test_a_vote_by_keyboard_keeps_the_focus_and_is_taken_back_by_the_same_key(page: Page) -> None:
    page.goto("/?sort=newest")
    button = page.locator("article.card").nth(4).get_by_role("button")
    button.focus()
    for pressed in ("true", "false"):
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", pressed)
        expect(button).to_be_focused()


def test_a_refused_vote_is_told_where_it_was_cast_and_not_sent_again(page: Page) -> None:
    posts: list[str] = []

    def refuse(route: Route) -> None:
        posts.append(route.request.url)
        route.fulfill(status=429, json={"error": "try <b>later</b>"})

    page.route("**/vote", refuse)
    page.goto("/?sort=newest")
    button = page.locator("article.card").first.get_by_role("button")
    for _ in range(2):
        button.click()
        expect(page.get_by_role("alert")).to_have_text("The vote was not taken: try <b>later</b>")
    assert len(posts) == 2
    expect(button).to_have_attribute("aria-pressed", "false")
    page.unroute("**/vote")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("alert")).to_have_count(0)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_votes_and_filters_work_without_a_script(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Field").select_option("samplers")
    page.get_by_role("button", name="Show").click()
    assert "field=samplers" in page.url
    button = page.locator("article.card").first.get_by_role("button")
    button.click()
    assert "field=samplers" in page.url
    expect(page.locator("article.card").first.get_by_role("button")).to_have_attribute("aria-pressed", "true")
    context.close()


def test_the_keyboard_reaches_everything_from_the_top(page: Page) -> None:
    page.goto("/")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.name"))
    assert reached[0] == "Skip to the content"
    assert {"livepapers", "q", "Search", "Papers", "Runs", "Subscribe"} <= set(reached)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_fault_or_asks_elsewhere(browser: Browser, address: str, path: str, scheme: str) -> None:
    context = browser.new_context(
        base_url=address,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport=PHONE if scheme == "dark" else DESKTOP,
    )
    page = context.new_page()
    asked, wrong = watched(page)
    page.goto(path)
    assert all(url.startswith((address, "data:")) for url in asked), asked
    assert [told for told in wrong if "404" not in told] == []
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, "the page is wider than the screen"
    found = Axe().run(page).response["violations"]
    serious = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found
               if each["impact"] in {"serious", "critical"} or each["id"] == "landmark-unique"]  # fmt: skip
    assert serious == []
    context.close()


def test_a_run_is_started_watched_and_read(page: Page) -> None:
    """The whole way: press the button on a paper, watch it to its end, read the verdict."""
    page.goto("/papers/simplicial-closure")
    page.get_by_label("Preset").select_option("smoke")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("main")).to_contain_text("simplicial-closure-", timeout=60_000)
    expect(page.locator("[data-status]")).to_have_text("finished", timeout=240_000)
    page.reload()
    expect(page.locator("main")).to_contain_text("Verdicts")


def test_a_run_is_cancelled_and_goes_on(page: Page) -> None:
    page.goto("/papers/hdpo")
    page.get_by_label("Preset").select_option("smoke")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("button", name="Cancel").click(timeout=60_000)
    expect(page.locator("[data-status]")).to_have_text("interrupted", timeout=60_000)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("[data-status]")).to_have_text("running", timeout=60_000)
    page.get_by_role("button", name="Cancel").click(timeout=60_000)
    expect(page.locator("[data-status]")).to_have_text("interrupted", timeout=60_000)


def test_a_page_that_watches_goes_on_after_a_server_in_front_had_no_answer(page: Page, folder: Path) -> None:
    refusals = iter([502, 503])

    def answered(route: Route) -> None:
        if refusal := next(refusals, None):
            route.fulfill(status=refusal)
        else:
            route.continue_()

    page.route("**/events", answered)
    with Store(str(folder / "store.sqlite3")) as store:
        run, lease = store.create_run(
            "hdpo", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None
        )  # fmt: skip
        cells = [Cell("method", "easy", seed) for seed in range(2)]
        store.add_cells(run, cells)
        page.goto(f"/runs/{run}")
        expect(page.locator("[data-left]")).to_contain_text("trying again")
        store.start_cell(run, cells[0])
        store.finish_cell(run, CellResult(cells[0], "finished", {"cost": 1.0}, wall=2.0))
        expect(page.locator("[data-finished]")).to_have_text("1", timeout=30_000)
        store.end_run(run, lease, status="interrupted")


def test_an_address_subscribes_and_confirms(page: Page, address: str, folder: Path) -> None:
    page.goto("/subscribe")
    page.get_by_label("Your mail address").first.fill("reader@example.org")
    page.get_by_role("button", name="Subscribe").click()
    expect(page.locator("main")).to_contain_text("mail")
    until = time.monotonic() + 30.0
    while not (mails := list((folder / "outbox").glob("*.eml"))):  # it is written after the answer
        assert time.monotonic() < until
        time.sleep(0.1)
    [mail] = (path.read_text() for path in mails)
    link = next(word for word in mail.replace("=\n", "").split() if word.startswith(f"{address}/subscri"))
    page.goto(link)
    page.get_by_role("button", name="Yes, begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are subscribed")
