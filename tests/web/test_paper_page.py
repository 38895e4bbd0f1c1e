"""A paper's page: its claims with verdicts, how it is used and cited; imported papers show what is known of them."""

import subprocess
import sys

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from livepapers.lab.words import estimate
from livepapers.papers import catalogue
from livepapers.web import running, sources, verdicts
from livepapers.web.routes import paper
from web.test_home import PAYLOADS, Shape, add
from web.test_runs_pages import landmarks

MEASURED = [slug for slug in catalogue.load() if catalogue.status(slug) == "measured"]


@pytest.mark.parametrize("slug", MEASURED)
def test_a_measured_paper_shows_every_claim_with_both_values(client: TestClient, slug: str) -> None:
    text = client.get(f"/papers/{slug}").text
    current = (catalogue.results(slug) or {})["current"]
    for claim in current["verdicts"]:
        piece = text.split(f'<article class="claim" id="{claim["id"]}">')[1].split("</article>")[0]
        assert f"<b>{claim['verdict']}</b>" in piece
        if claim["effect"] is not None:
            assert f"<b>{estimate(claim['effect'], claim['interval'])[0]}</b>" in piece
            assert (piece.count('class="dot"') > 0) == bool(claim["dots"])
    for told in (
        current["run"]["id"],
        current["run"]["date"][:10],
        current["run"]["git_commit"][:12],
        "livepapers run",
    ):
        assert told in text
    assert len(text.encode()) < 150_000
    assert " style=" not in text


def test_every_paper_of_the_catalogue_has_a_page(client: TestClient) -> None:
    for slug, card in catalogue.load().items():
        answer = client.get(f"/papers/{slug}")
        assert answer.status_code == 200
        listed = catalogue.status(slug) == "listed"
        assert ("nothing is claimed about it" in answer.text) == listed
        assert (f'action="/papers/{slug}/run"' in answer.text) != listed
        assert f'href="{card.link}" rel="noopener nofollow"' in answer.text
        assert len(landmarks(answer.text)) == len(set(landmarks(answer.text)))
    assert client.get("/papers/nope").status_code == 404
    assert client.get("/papers/a%00b").status_code == 404


def test_the_sections_a_reader_looks_for_are_there(client: TestClient) -> None:
    text = client.get("/papers/hdpo").text
    for heading in ("verdicts", "run", "curves", "use", "deviations", "peers", "cite", "similar"):
        assert f'<h2 id="{heading}">' in text
    assert "hdpo.apply(" in text
    assert "stockpyl" in text
    assert client.get("/papers/fl-gfn/curves").text.count("<figure") == len(
        (catalogue.results("fl-gfn") or {})["current"]["curves"]
    )
    assert client.get("/papers/alpine/curves").status_code == 404


@pytest.mark.parametrize(("kind", "begins"), [("bib", "@misc{alvo2023deep,"), ("ris", "TY  - GEN\r\nTI  - Deep")])
def test_a_citation_is_a_file_to_save(client: TestClient, kind: str, begins: str) -> None:
    answer = client.get(f"/papers/hdpo/cite.{kind}")
    assert answer.text.startswith(begins)
    assert answer.headers["content-disposition"] == f'attachment; filename="hdpo.{kind}"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.get("/papers/hdpo/cite.exe").status_code == 404


def test_an_imported_paper_shows_what_is_known_and_nothing_else(client: TestClient, app: FastAPI) -> None:
    add(app.state.store, slug="other", title="Other", authors=[], submitted="2020", code_url="")
    text = client.get("/papers/other").text
    assert "Authors not known" in text
    assert "Imported" in text
    assert "/run" not in text.replace('href="/runs"', "")
    for section in ("verdicts", "use", "peers"):
        assert f'<h2 id="{section}">' not in text
    assert client.get("/papers/other/cite.bib").status_code == 404
    assert client.post("/papers/other/run", data={"preset": "smoke"}).status_code == 422
    add(app.state.store, slug="dated", title="A {B} title", authors=["Ada Lovelace"], submitted="2020-02")
    assert client.get("/papers/dated/cite.bib").text.startswith("@misc{lovelace2020b,")


def test_a_year_is_enough_to_cite_a_paper(client: TestClient, app: FastAPI) -> None:
    add(app.state.store, slug="neat", title="Networks", authors=["Ada Lovelace"], submitted="2002")
    assert "cite.bib" in client.get("/papers/neat").text
    bib = client.get("/papers/neat/cite.bib").text
    assert "= {2002}" in bib
    assert "month" not in bib
    assert "\nPY  - 2002\n" in client.get("/papers/neat/cite.ris").text.replace("\r", "")


def test_a_paper_that_was_not_measured_is_not_measured_again(client: TestClient) -> None:
    for slug in filter(running.runs_here, catalogue.load()):
        said = "Measure it again" if verdicts.published(slug) else "Measure it"
        assert f'<h2 id="run">{said}</h2>' in client.get(f"/papers/{slug}").text
    assert not [slug for slug in catalogue.load() if "(none stated)" in client.get(f"/papers/{slug}").text]


def test_what_is_shown_runs_on_the_file_that_ships() -> None:
    commands, python = (code for _, code in sources.usage("pdppo"))
    file = 'samples.path("bakery_plant.yml")'
    assert f"--plant \"$(python -c 'from livepapers import samples; print({file})')\" --output result" in commands
    assert f"pdppo.apply(plant={file})" in python
    compile(python, "usage", "exec")


def test_other_peoples_text_adds_no_element_and_no_attribute(client: TestClient, app: FastAPI) -> None:
    def shape(slug: str) -> set[tuple[str, ...]]:
        return Shape(client.get(f"/papers/{slug}").text).found

    add(
        app.state.store, slug="plain", title="x", authors=["A B"], summary="x", tags=["x"], submitted="2020-01",
        link="https://example.org", code_url="https://example.org",
    )  # fmt: skip
    allowed = shape("plain")
    for i, payload in enumerate(PAYLOADS):
        add(
            app.state.store, slug=f"p{i}", title=payload, authors=[payload], summary=payload, tags=[payload],
            link=payload, code_url=payload, arxiv=payload, doi=payload, submitted="2020-01",
        )  # fmt: skip
        assert shape(f"p{i}") <= allowed


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x", "vbscript:x"])
def test_only_web_addresses_become_links(client: TestClient, app: FastAPI, link: str) -> None:
    add(app.state.store, slug="linked", link=link, code_url=link)
    assert f'href="{link}' not in client.get("/papers/linked").text


def test_sources_are_read_not_imported() -> None:
    for slug in catalogue.load():
        found = sources.method(slug)
        assert (found is None) == (catalogue.status(slug) == "listed")
        if found is not None:
            assert f"({slug})" in found.about.splitlines()[0]
            assert found.application
            assert found.deviations
            assert not any(">>>" in deviation for deviation in found.deviations), slug
            assert sources.usage(slug)


def test_the_pages_of_papers_and_runs_need_no_torch(tmp_path: object) -> None:
    code = (
        "import sys; from fastapi.testclient import TestClient; from livepapers.web.app import create_app;"
        "from livepapers.web.settings import Settings;"
        f"client = TestClient(create_app(Settings(store={str(tmp_path)!r} + '/s.sqlite3')), base_url='http://127.0.0.1');"
        "print([client.get(p).status_code for p in ('/papers/hdpo', '/papers/pdppo', '/runs')], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[200, 200, 200] False"


def test_what_is_given_by_its_place_stands_before_the_options() -> None:
    commands, python = (code for _, code in sources.usage("policy-smoothing"))
    assert commands == "livepapers apply policy-smoothing ARTIFACT --sigma SIGMA --output result"
    assert "policy_smoothing.apply(artifact, sigma=...)" in python


def test_curves_on_which_all_seeds_agree_come_last() -> None:
    def curve(about: str, high: float) -> dict[str, object]:
        line = {"arm": "ours", "n": 2, "steps": [0, 1], "mean": [1.0, 2.0], "low": [1.0, 2.0], "high": [1.0, high]}
        return {"setting": "plant", "about": about, "axis": "updates", "arms": [line]}

    arms = [{"arm": "ours", "kind": "method"}]
    drawn = paper.drawn_curves({"arms": arms, "curves": [
        curve("steps", 2.0), curve("cost", 3.0), curve("advantage", 3.0)
    ]})  # fmt: skip
    assert [each.about for each in drawn] == ["cost", "advantage", "steps"]
