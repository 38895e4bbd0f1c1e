"""Runs on the page: started with checked options, watched, cancelled, resumed, compared, their reports saved."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from livepapers.lab import schema
from livepapers.lab.machine import process
from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell
from livepapers.web import guard, running, watching
from livepapers.web.app import create_app
from livepapers.web.settings import Settings

HERE = {"Sec-Fetch-Site": "same-origin"}
CELLS = [Cell("method", "easy", seed) for seed in range(3)]
PYTHON = sys.executable  # `stub` puts something else in its place
DRIVER = """
import sys, time
from livepapers.lab.store import Store
from livepapers.lab.study import Cell
with Store(sys.argv[1]) as store:
    run, lease = store.create_run("hdpo", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None)
    store.add_cells(run, [Cell("method", "easy", seed) for seed in range(3)])
    store.start_cell(run, Cell("method", "easy", 0))
    print(run, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def store(app: FastAPI) -> Iterator[Store]:
    with Store(app.state.settings.store) as opened:
        yield opened


@pytest.fixture
def driver(app: FastAPI) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that drives a run, as the page finds one that the command line started."""
    command = [sys.executable, "-c", DRIVER, app.state.settings.store]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    yield child, child.stdout.readline().strip()
    child.kill()
    child.communicate()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """What is started in the place of Python: it notes its arguments and secrets, says why it fails, and ends."""
    script = tmp_path / "python"
    note = tmp_path / "arguments"
    script.write_text(
        f'#!/bin/sh\necho "$@ [$LIVEPAPERS_TOKEN$LIVEPAPERS_SMTP_PASSWORD]" > {note}\n'
        'echo "Error: <b>no</b> study" >&2\nexit 2\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(running.sys, "executable", str(script))
    yield note
    assert until(ended)


@pytest.fixture
def working(stub: Path, tmp_path: Path) -> Iterator[Path]:
    """As `stub`, but it does not end by itself; a line in the file is a start."""
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$@" >> {stub}\nexec sleep 60\n')
    yield stub
    for child in running._children:
        child.kill()


def made(store: Store, slug: str = "hdpo", *, status: str = "finished", **about: Any) -> str:
    values = {
        "preset": "smoke",
        "options": {"seeds": 3},
        "machine": {"cpu": "x", "cores": 2},
        "versions": {"numpy": "2"},
    }
    run, lease = store.create_run(slug, 1, git_commit="abc", **{**values, **about})  # type: ignore[arg-type]
    store.add_cells(run, CELLS)
    for cell in CELLS if status == "finished" else CELLS[:1]:
        store.start_cell(run, cell)
        store.finish_cell(run, CellResult(cell, "finished", {"cost": 1.0}, wall=2.0))
    store.end_run(run, lease, status=status)
    return run


def judged(store: Store, run: str, verdict: str = "reproduced") -> None:
    """Evidence as a driver of the page would have printed it."""
    claim = {
        "id": "C1", "statement": "It <i>works</i>.", "where": "table 1", "published": "1.0", "unit": "seed",
        "direction": "less", "reference": 2.0, "margin": 0.0, "margin_why": "none", "scale": "small", "headline": True,
        "needs": "", "effect_name": "cost", "arms": ["method"], "settings": ["easy"], "verdict": verdict, "reason": "p",
        "effect": 1.25, "interval": [1.0, 1.5], "n": 3, "p": 0.01, "p_holm": 0.01, "iqm": 1.2, "on_side": 1.0,
        "units_needed": None, "indicative": False, "dots": [1.0, 1.25, 1.5], "effects": {"0": 1.0, "1": 1.25, "2": 1.5},
    }  # fmt: skip
    record = store.run(run)
    found = {
        "format": 1, "slug": record.slug, "verdicts": [claim], "settings": [], "curves": [], "arms": [], "prepared": {},
        "deviations": [], "card": {"title": "T", "authors": ["A"], "venue": "", "submitted": "2020", "arxiv": "",
        "link": "https://example.org"},
        "run": {"id": run, "status": record.status, "preset": "smoke", "date": "2026-01-01T00:00:00", "machine": {},
                "study_version": 1, "claims_version": 1, "git_commit": "abc", "versions": {}, "command": "livepapers",
                "cells": dict(record.cells), "statistics_seed": 0},
    }  # fmt: skip
    driver = store.driver(run)
    folder, name = store.home / running.FOLDER, driver.identity.replace(":", "-")
    folder.mkdir(exist_ok=True)
    for path in folder.glob(f"{name}.*"):
        path.unlink()
    name = f"{os.getpid() + 1_000_000}-{len(list(folder.iterdir()))}"  # of a report that has ended
    (folder / f"{name}.out").write_text(json.dumps(found))
    about = {"kind": "report", "slug": record.slug, "run": run, "host": socket.gethostname(), "began": 0.0}
    (folder / f"{name}.json").write_text(json.dumps(about))
    (folder / f"{run}.report").write_text(name)


def until(true: Any, seconds: float = 20.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < ends:
        time.sleep(0.1)
    return found


def landmarks(text: str) -> list[str]:
    """What the sections and regions of a page are called; one name for two of them leads nowhere."""
    tags = re.findall(r"<section[^>]*>|<[^>]* role=.region.[^>]*>", text)
    return [name for tag in tags for name in re.findall(r'aria-label(?:ledby)?="([^"]+)"', tag)]


def ended() -> bool:
    """Whether all that was started has ended."""
    running._reap()
    return not running._children


# ---- starting ----


def test_a_token_is_guessed_a_few_times_only(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "right")
    monkeypatch.setitem(guard.RATES, "token", (2.0, 0.001))
    client = TestClient(app, base_url="http://localhost:8765", headers=HERE)
    codes = [client.post("/papers/hdpo/run", data={"token": token}).status_code for token in ("a", "b", "right")]
    assert codes == [403, 403, 429]


def test_a_token_that_is_set_is_asked_for_also_where_the_address_was_forgotten(
    client: TestClient, stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "right")
    assert 'name="token"' in client.get("/papers/hdpo").text
    assert client.post("/papers/hdpo/run", data={"preset": "smoke"}).status_code == 403
    assert client.post("/papers/hdpo/apply").status_code == 403
    assert not stub.exists()


def test_the_starting_page_knows_its_run_also_when_another_process_went_on_with_it(
    client: TestClient, app: FastAPI, store: Store
) -> None:
    run, folder = made(store), app.state.store.home / running.FOLDER
    name = store.driver(run).identity.replace(":", "-")
    folder.mkdir(exist_ok=True)
    about = {"kind": "run", "slug": "hdpo", "run": "", "host": socket.gethostname(), "began": 0.0}
    (folder / f"{name}.json").write_text(json.dumps(about))
    assert client.get(f"/runs/starting/{name}", follow_redirects=False).headers["location"] == f"/runs/{run}"
    with store._write() as connection:
        connection.execute(sa.update(schema.runs).values(process="1:1"))
    assert client.get(f"/runs/starting/{name}", follow_redirects=False).headers["location"] == f"/runs/{run}"


def test_the_answer_to_a_refused_change_is_loaded_again_as_the_page_it_was_on(client: TestClient, store: Store) -> None:
    run = made(store)
    for change in ("cancel", "resume", "judge"):
        answer = client.get(f"/runs/{run}/{change}", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{run}")
    assert client.get("/papers/hdpo/run", follow_redirects=False).headers["location"] == "/papers/hdpo"
    refused = client.post(f"/runs/{run}/cancel", headers={"Referer": f"{client.base_url}/runs/{run}"})
    assert refused.status_code == 409
    assert f'<a href="/runs/{run}">Back</a>' in refused.text


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"preset": "huge"}, "preset"), ({"preset": "smoke --seeds 3"}, "preset"), ({"seeds": "0"}, "seeds"),
        ({"seeds": "51"}, "seeds"), ({"seeds": "-1"}, "seeds"), ({"seeds": "1e1"}, "seeds"), ({"seeds": "٣"}, "seeds"),
        ({"seeds": "3;ls"}, "seeds"),
    ],
)  # fmt: skip
def test_a_wrong_option_starts_nothing_and_is_one_line(
    client: TestClient, app: FastAPI, form: dict[str, str], told: str
) -> None:
    answer = client.post("/papers/hdpo/run", data={"preset": "smoke", **form})
    assert answer.status_code == 422
    assert f"<p>{told}: got" in answer.text
    assert not (app.state.store.home / running.FOLDER).exists()


def test_a_paper_is_run_under_capital_letters_too(client: TestClient, stub: Path) -> None:
    answer = client.post("/papers/HDPO/run", data={"preset": "smoke"}, follow_redirects=False)
    assert answer.status_code == 303
    assert until(ended)
    assert "run hdpo --preset smoke" in stub.read_text()


def test_only_papers_with_a_study_can_be_run(client: TestClient) -> None:
    assert client.post("/papers/alpine/run", data={"preset": "smoke"}).status_code == 422
    for slug in ("nope", "os", "hdpo%20--engine%20ray", "..%2F..%2Fetc"):
        assert client.post(f"/papers/{slug}/run", data={"preset": "smoke"}).status_code == 404


def test_a_start_is_one_command_without_secrets_and_its_failure_is_told(
    client: TestClient, app: FastAPI, stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "secret")
    monkeypatch.setenv("LIVEPAPERS_SMTP_PASSWORD", "secret")
    form = {"preset": "smoke", "seeds": "3", "token": "secret"}
    answer = client.post("/papers/hdpo/run", data=form, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/runs/starting/")
    assert until(lambda: "did not start" in client.get(answer.headers["location"]).text)
    place = app.state.settings.store
    expected = f"-m livepapers run hdpo --preset smoke --seeds 3 --json --store {place} --engine local []"
    assert stub.read_text().strip() == expected
    monkeypatch.delenv("LIVEPAPERS_TOKEN")  # only this machine reads the page again, so it says why
    text = client.get(answer.headers["location"]).text
    assert "&lt;b&gt;no&lt;/b&gt; study" in text


def test_no_more_runs_at_once_than_there_is_room_for(
    client: TestClient, stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(running.AT_ONCE, "run", 0)
    answer = client.post("/papers/hdpo/run", data={"preset": "smoke"})
    assert answer.status_code == 409
    assert not stub.exists()


def test_a_public_page_starts_and_stops_nothing_without_its_token(
    tmp_path: Path, stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(store=str(tmp_path / "public.sqlite3"), host="0.0.0.0"))
    client = TestClient(app, base_url="http://localhost:8765", headers=HERE, follow_redirects=False)
    with Store(app.state.settings.store) as store:
        run = made(store, status="interrupted")
    paths = ("/papers/hdpo/run", f"/runs/{run}/cancel", f"/runs/{run}/resume", f"/runs/{run}/judge")
    for token in ("", "guess"):
        assert [client.post(path, data={"token": token}).status_code for path in paths] == [403] * 4
    assert "is not set" in client.post(paths[0], data={"token": "guess"}).text
    assert "<button>Run</button>" not in client.get("/papers/hdpo").text
    monkeypatch.setenv("LIVEPAPERS_TOKEN", "right")
    assert "runs need its token" in client.post(paths[0]).text
    assert "not the token of this page" in client.post(paths[0], data={"token": "guess"}).text
    assert [client.post(path, data={"token": "guess"}).status_code for path in paths] == [403] * 4
    assert not stub.exists()
    assert 'name="token"' in client.get("/papers/hdpo").text
    answer = client.post("/papers/hdpo/run", data={"preset": "smoke", "token": "right"})
    assert answer.status_code == 303
    assert until(lambda: "did not start" in client.get(answer.headers["location"]).text)
    assert "study</p>" not in client.get(answer.headers["location"]).text  # what it said may name folders


# ---- seeing ----


def test_the_list_is_newest_first_in_pages_and_of_one_paper(client: TestClient, store: Store) -> None:
    first = made(store)
    for _ in range(30):
        made(store, "fl-gfn")
    text = client.get("/runs").text
    assert "31 runs" in text
    assert text.count('<a href="/runs/fl-gfn-') == 30
    assert first not in text
    assert first in client.get("/runs?page=2").text
    assert client.get("/runs?page=3").status_code == 404
    assert "1 run," in client.get("/runs?slug=hdpo").text
    assert "1 run," in client.get("/runs?slug=HDPO").text
    for nobody in ("%00", "nosuch"):
        assert client.get(f"/runs?slug={nobody}").status_code == 404
        assert client.get(f"/api/runs?slug={nobody}").status_code == 404
    assert client.get("/api/runs?slug=HDPO").json()["total"] == 1
    assert client.get("/api/runs?slug=alpine").json()["total"] == 0


def test_a_finished_run_shows_cells_verdicts_and_report(client: TestClient, store: Store) -> None:
    run = made(store)
    text = client.get(f"/runs/{run}").text
    assert "data-status>finished<" in text
    assert text.count("data-cell=") == 3
    assert "Judge what is measured" in text
    assert len(landmarks(text)) == len(set(landmarks(text))) > 2
    assert client.get(f"/runs/{run}/report").status_code == 404
    judged(store, run)
    text = client.get(f"/runs/{run}").text
    assert "<b>reproduced</b>" in text
    assert "It &lt;i&gt;works" in text
    answer = client.get(f"/runs/{run}/report")
    assert answer.headers["content-disposition"] == f'attachment; filename="{run}.html"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "C1" in answer.text


def test_verdicts_of_fewer_cells_are_not_shown(client: TestClient, store: Store) -> None:
    run = made(store, status="interrupted")
    judged(store, run)
    assert "<b>reproduced</b>" in client.get(f"/runs/{run}").text
    store.finish_cell(run, CellResult(CELLS[1], "finished", {"cost": 1.0}))
    assert "<b>reproduced</b>" not in client.get(f"/runs/{run}").text


@pytest.mark.parametrize("run", ["nope", "..%2F..%2Fpage.secret", "%00", "a" * 200, "hdpo-%F0%9F", "C:%5Cx"])
@pytest.mark.parametrize("what", ["", "/report", "/events"])
def test_an_unknown_run_is_not_found(client: TestClient, run: str, what: str) -> None:
    assert client.get(f"/runs/{run}{what}").status_code == 404


def test_looking_at_runs_changes_nothing(client: TestClient, store: Store, app: FastAPI, driver: Any) -> None:
    driver[0].kill()
    driver[0].wait()
    run = made(store)
    with app.state.store.reading() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        for path in ("/runs", f"/runs/{run}", f"/runs/{driver[1]}", f"/runs/compare?a={run}&b={driver[1]}",
                     f"/runs/{driver[1]}/events", "/papers/hdpo"):  # fmt: skip
            client.get(path)
        assert connection.exec_driver_sql("PRAGMA data_version").scalar_one() == before
    assert "data-status>interrupted<" in client.get(f"/runs/{driver[1]}").text


def test_events_end_with_the_run(client: TestClient, store: Store, driver: Any) -> None:
    child, run = driver
    told = []
    with client.stream("GET", f"/runs/{run}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers  # what is held back to be compressed comes too late
        for line in answer.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line[6:]))
                if len(told) == 1:
                    store.finish_cell(run, CellResult(CELLS[0], "finished", {"cost": 1.0}, wall=2.0))
                if told[-1]["finished"] == 1:
                    child.kill()
                    child.wait()
    assert told[0]["status"] == "running"
    assert len(told[0]["cells"]) == 3
    assert [0, "finished", 1.0, "2 s"] in [cell for each in told for cell in each["cells"]]
    assert (told[-1]["status"], told[-1]["phase"]) == ("interrupted", "")
    assert not watching.listeners._now


def test_there_is_room_for_so_many_watchers_only(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(store)
    monkeypatch.setattr(watching, "listeners", watching.Listeners(1, 1))
    assert client.get(f"/runs/{run}/events").status_code == 200
    assert client.get("/runs/nope/events").status_code == 404  # which gives its place back
    assert client.get(f"/runs/{run}/events").status_code == 200
    monkeypatch.setattr(watching, "listeners", watching.Listeners(0, 1))
    assert client.get(f"/runs/{run}/events").status_code == 503


def test_one_network_does_not_take_every_place() -> None:
    listeners = watching.Listeners(5, 2)
    assert [listeners.enter("here") for _ in range(3)] == [True, True, False]
    assert listeners.enter("there")
    listeners.leave("here")
    assert listeners.enter("here")


def test_watchers_are_let_go_when_the_server_ends(
    client: TestClient, driver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.closing, "is_set", lambda: True)
    assert client.get(f"/runs/{driver[1]}/events").text.count("data: ") == 1


def test_without_a_script_a_page_of_a_run_under_way_loads_itself_again(client: TestClient, driver: Any) -> None:
    text = client.get(f"/runs/{driver[1]}").text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    assert f'action="/runs/{driver[1]}/cancel"' in text


# ---- cancelling and going on ----


def test_cancel_stops_the_process_that_drives_the_run(client: TestClient, driver: Any) -> None:
    child, run = driver
    assert client.post(f"/runs/{run}/cancel", follow_redirects=False).status_code == 303
    assert child.wait(10) == -signal.SIGTERM
    assert "data-status>interrupted<" in client.get(f"/runs/{run}").text
    assert client.post(f"/runs/{run}/cancel").status_code == 409


def test_a_process_with_another_start_time_is_never_signalled(store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        here = process(child.pid)
        for identity in (f"{child.pid}:1", f"{child.pid}:", "0:1", "-1:1", "1:1", ":"):
            with pytest.raises(Exception, match="409"):
                running.stop(type(here)(here.host, identity))
        with pytest.raises(Exception, match="stop it there"):
            running.stop(type(here)("elsewhere", here.identity))
        assert child.poll() is None
        running.stop(here)
        assert child.wait(10) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


def test_resume_and_judge_are_the_same_commands_as_on_the_command_line(
    client: TestClient, store: Store, app: FastAPI, stub: Path
) -> None:
    run = made(store, status="interrupted")
    for what, words in (("resume", f"resume {run}"), ("judge", f"report {run}")):
        assert client.post(f"/runs/{run}/{what}", follow_redirects=False).status_code == 303
        assert until(lambda: 'data-phase=""' in client.get(f"/runs/{run}").text)
        assert stub.read_text().startswith(f"-m livepapers {words} --json --store {app.state.settings.store}")
    text = client.get(f"/runs/{run}").text
    assert "It was not resumed: Error: &lt;b&gt;no&lt;/b&gt; study" in text
    assert client.post(f"/runs/{made(store)}/resume").status_code == 409


def test_a_run_under_way_is_neither_resumed_nor_judged(client: TestClient, driver: Any, stub: Path) -> None:
    assert client.post(f"/runs/{driver[1]}/resume").status_code == 409
    assert client.post(f"/runs/{driver[1]}/judge").status_code == 409
    assert not stub.exists()


@pytest.mark.parametrize(("what", "status"), [("resume", "interrupted"), ("judge", "finished")])
def test_of_two_that_go_on_with_a_run_at_once_one_does(
    client: TestClient, store: Store, app: FastAPI, working: Path, monkeypatch: pytest.MonkeyPatch,
    what: str, status: str,
) -> None:  # fmt: skip
    run, codes, limit = made(store, status=status), [], guard.limit

    def overtaken(*given: Any) -> None:
        """Another request, whole, between the first look of this one and its start."""
        monkeypatch.setattr(guard, "limit", limit)
        codes.append(client.post(f"/runs/{run}/{what}", follow_redirects=False).status_code)

    monkeypatch.setattr(guard, "limit", overtaken)
    codes.append(client.post(f"/runs/{run}/{what}", follow_redirects=False).status_code)
    assert codes == [303, 409]
    assert working.read_text().count("\n") == 1
    assert len(list(running.started(app.state.store.home))) == 1  # no other has a place


def test_a_run_that_was_finished_elsewhere_is_not_said_to_be_not_resumed(
    client: TestClient, store: Store, app: FastAPI, stub: Path
) -> None:
    run = made(store, status="interrupted")
    client.post(f"/runs/{run}/resume")
    assert until(lambda: "It was not resumed" in client.get(f"/runs/{run}").text)
    with store._write() as connection:
        connection.execute(sa.update(schema.runs).values(status="finished"))
    assert "It was not resumed" not in client.get(f"/runs/{run}").text


def test_two_servers_over_one_store_share_its_places(
    client: TestClient, app: FastAPI, stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import sys, time, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    monkeypatch.setattr(running, "LOCKED", 0.2)
    command = [PYTHON, "-c", code, str(app.state.store.home / "page-runs.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        answer = client.post("/papers/hdpo/run", data={"preset": "smoke"})
        other.kill()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert not stub.exists()
    assert client.post("/papers/hdpo/run", data={"preset": "smoke"}, follow_redirects=False).status_code == 303


def test_what_ended_processes_left_is_deleted_when_no_page_shows_it(
    client: TestClient, store: Store, app: FastAPI, working: Path
) -> None:
    run, home = made(store), store.home
    judged(store, run)
    first = running.for_run(home, run, "report")
    judged(store, run, "inconclusive")
    last = running.for_run(home, run, "report")
    assert first is not None
    assert last is not None
    driver = store.driver(run).identity.replace(":", "-")  # this process: it is at work
    failed = "999999-1"
    for name in (driver, failed):
        about = {"kind": "run", "slug": "hdpo", "run": "", "host": socket.gethostname(), "began": 0.0}
        (home / running.FOLDER / f"{name}.json").write_text(json.dumps(about))
        (home / running.FOLDER / f"{name}.out").touch()
    (home / running.FOLDER / f"{failed}.made").write_text("x")
    (home / running.FOLDER / f"{last.name}.log").write_text("done")
    client.post("/papers/hdpo/run", data={"preset": "smoke"})
    [under_way] = [each.name for each in running.started(home) if each.name != driver]
    running.tidy(home, store, time.time() + running.KEPT / 2)
    assert (home / running.FOLDER / f"{failed}.made").exists()
    running.tidy(home, store, time.time() + running.KEPT + 60)
    left = {path.name for path in (home / running.FOLDER).glob("*-*.*")} - {f"{run}.report"}
    expected = {f"{name}{ending}" for name in (driver, last.name, under_way) for ending in (".json", ".out")}
    assert left == {*expected, f"{under_way}.log"}
    assert "<b>inconclusive</b>" in client.get(f"/runs/{run}").text


def test_verdicts_that_the_driver_of_a_run_printed_stay(store: Store) -> None:
    run, folder = made(store), store.home / running.FOLDER
    judged(store, run)
    report = running.for_run(store.home, run, "report")
    assert report is not None
    (folder / f"{run}.report").unlink()
    with store._write() as connection:
        connection.execute(sa.update(schema.runs).values(process=report.process.identity))
    about = {"kind": "run", "slug": "hdpo", "run": "", "host": socket.gethostname(), "began": 0.0}
    (folder / f"{report.name}.json").write_text(json.dumps(about))
    running.tidy(store.home, store, time.time() + running.KEPT + 60)
    assert running.evidence(store.home, store.run(run), store.driver(run)) is not None


# ---- comparing ----


def test_two_runs_are_compared_claim_by_claim(client: TestClient, store: Store) -> None:
    a, b = made(store), made(store, versions={"numpy": "3"})
    judged(store, a)
    text = client.get(f"/runs/compare?a={a}&b={b}").text
    assert f'There are no verdicts on <a href="/runs/{b}">' in text
    judged(store, b, "inconclusive")
    text = client.get(f"/runs/compare?a={a}&b={b}").text
    assert "<b>reproduced</b>" in text
    assert "<b>inconclusive</b>" in text
    assert 'numpy <span class="differs">differs</span>' in text
    assert client.get(f"/runs/compare?a={a}&b=nope").status_code == 404
    assert client.get(f"/runs/compare?a={a}").status_code == 422
    assert "another run" in client.get(f"/runs/compare?a={a}&b={a}").text
    other = client.get(f"/runs/compare?a={a}&b={made(store, 'fl-gfn')}")
    assert other.status_code == 422
    assert "expected a run of hdpo" in other.text


# ---- the whole way ----


@pytest.mark.slow
def test_a_run_is_started_survives_its_server_and_is_judged(tmp_path: Path) -> None:
    """A real study: started by one page, finished while there is none, read on the next."""
    settings = Settings(store=str(tmp_path / "store.sqlite3"))
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8765", headers=HERE) as client:
        started = client.post("/papers/simplicial-closure/run", data={"preset": "smoke"}, follow_redirects=False)
        place = started.headers["location"]
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8765", headers=HERE) as client:
        assert until(lambda: client.get(place, follow_redirects=False).status_code == 303, 120)
        run = client.get(place, follow_redirects=False).headers["location"]
        last = client.get(f"{run}/events").text.strip().splitlines()[-1]
        assert json.loads(last.removeprefix("data: "))["status"] == "finished"
        assert until(lambda: 'data-phase=""' in client.get(run).text, 60)
        assert "indicative only" in client.get(run).text
        assert client.get(f"{run}/report").status_code == 200
        assert until(ended)
        assert run.removeprefix("/runs/") in client.get("/papers/simplicial-closure").text
