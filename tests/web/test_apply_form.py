"""Applying a method from the page: the form, what it refuses, and what comes back."""

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from livepapers import samples
from livepapers.cli.signature import fields as cli_fields
from livepapers.cli.signature import options
from livepapers.papers import catalogue
from livepapers.web import applying, guard, running
from web.test_runs_pages import ended, landmarks, until

OPTIONS = [
    {"name": "sets", "flag": "--sets", "kind": "file", "choices": [], "required": True, "multiple": False,
     "default": None, "help": "CSV <b>x</b>"},
    {"name": "git", "flag": "--git", "kind": "file", "choices": [], "required": False, "multiple": False,
     "default": None, "help": "A folder"},
    {"name": "env", "flag": "--env", "kind": "text", "choices": [], "required": False, "multiple": False,
     "default": "", "help": "module:id"},
    {"name": "output", "flag": "--output", "kind": "file", "choices": [], "required": False, "multiple": False,
     "default": None, "help": "Folder"},
    {"name": "score", "flag": "--score", "kind": "choice", "choices": ["a", "b"], "required": False, "multiple": False,
     "default": "a", "help": "Which"},
    {"name": "top", "flag": "--top", "kind": "integer", "choices": [], "required": False, "multiple": False,
     "default": 20, "help": "How many"},
    {"name": "split", "flag": "--split", "kind": "number", "choices": [], "required": False, "multiple": False,
     "default": 80.0, "help": "Percentile"},
]  # fmt: skip
SLUG = "simplicial-closure"
GOOD = {"sets": ("../../x.CSV", b"time,members\n1,a;b\n", "text/csv")}
ANSWER = {
    "slug": SLUG, "headline": "<i>three</i> groups", "tables": {"Groups": [{"group": "<b>a</b>", "score": 1.25}]},
    "notes": ["a <note>"], "files": {"groups.csv": "the groups", "../job.json": "x", "link.csv": "x", "gone.csv": "x"},
    "output": None,
}  # fmt: skip


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A method in the place of the real one: it notes its arguments and writes a result."""
    script, note = tmp_path / "python", tmp_path / "arguments"
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    script.write_text(
        f'#!/bin/sh\necho "$@" > {note}\n'
        'for word in "$@"; do case $word in --output=*) out=${word#--output=};; esac; done\n'
        f"mkdir $out; echo a,b > $out/groups.csv; ln -s /etc/passwd $out/link.csv; cat {tmp_path}/answer.json\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(applying, "fields", _form)
    monkeypatch.setattr(running.sys, "executable", str(script))
    yield note
    assert until(ended)


def _form(slug: str) -> tuple[applying.Field, ...]:
    return tuple(field for option in OPTIONS if (field := applying._field(slug, option)) is not None)


def test_the_form_has_files_numbers_and_choices_and_never_what_could_load_code(
    client: TestClient, method: Path
) -> None:
    text = client.get(f"/papers/{SLUG}/apply").text
    form = text.split('enctype="multipart/form-data"')[1]
    assert re.findall(r' name="(\w+)"', form) == ["sets", "score", "top", "split"]
    assert "CSV &lt;b&gt;x&lt;/b&gt;" in text
    assert f'href="/papers/{SLUG}/apply"' in client.get(f"/papers/{SLUG}").text


def test_a_form_says_what_it_leaves_out_and_takes_several_names(
    client: TestClient, method: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"name": "models", "flag": "--models", "kind": "text", "choices": [], "required": False, "multiple": True,
             "default": None, "help": "Which. May be repeated."}  # fmt: skip
    field = applying._field("gnn-graph-level", names)
    monkeypatch.setattr(applying, "fields", lambda slug: () if field is None else (field,))
    text = client.get("/papers/gnn-graph-level/apply").text
    assert "Folders of TUDataset cannot be uploaded" in text
    assert "Which. Several are separated by commas." in text
    client.post("/papers/gnn-graph-level/apply", data={"models": "gin, prior,"}, follow_redirects=False)
    assert until(ended)
    assert "gnn-graph-level --models=gin --models=prior --output=output" in method.read_text()


def test_papers_without_a_form_say_so(client: TestClient) -> None:
    for slug in ("alpine", "deep-ga", "nope"):
        assert client.get(f"/papers/{slug}/apply").status_code == 404
        assert client.post(f"/papers/{slug}/apply", files=GOOD).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [("score", "c"), ("top", "1.5"), ("top", "1000001"), ("top", "9" * 30), ("split", "nan"), ("split", "1e999"),
     ("split", "x"), ("top", "--git=/")],
)  # fmt: skip
def test_a_wrong_value_is_one_line_and_starts_nothing(
    client: TestClient, app: FastAPI, method: Path, field: str, value: str
) -> None:
    answer = client.post(f"/papers/{SLUG}/apply", data={field: value}, files=GOOD)
    assert answer.status_code == 422
    assert f'role="alert">{field}: got ' in answer.text
    assert not method.exists()
    assert not list((app.state.store.home / applying.FOLDER).glob("*"))


@pytest.mark.parametrize(
    "sets", [("x.csv", b"", "text/csv"), ("x.exe", b"x", "text/csv"), ("csv", b"x", "text/csv"), None]
)
def test_a_wrong_file_is_one_line(client: TestClient, method: Path, sets: tuple[str, bytes, str] | None) -> None:
    files = {"sets": sets} if sets else {"other": ("x.csv", b"x", "text/csv")}
    answer = client.post(f"/papers/{SLUG}/apply", files=files)
    assert answer.status_code == 422
    assert 'role="alert">sets: got ' in answer.text
    assert not method.exists()


def test_of_inputs_that_stand_for_each_other_one_is_asked_for_before_anything_starts(
    client: TestClient, app: FastAPI
) -> None:
    text = client.get("/papers/fl-gfn/apply").text
    for name in ("items", "graph"):
        assert f"<label>{name} (one of items, graph is needed)" in text
    assert "columns <code>item</code> (a name)" in text
    answer = client.post("/papers/fl-gfn/apply", data={"size": "3"})
    assert answer.status_code == 422
    assert 'role="alert">items or graph: got nothing, expected one of them<' in answer.text
    assert "sets (may be left out)" not in client.get(f"/papers/{SLUG}/apply").text  # nothing else is on that form
    assert not (app.state.store.home / applying.FOLDER).exists()


def test_an_empty_file_is_named_as_empty_whatever_its_name(client: TestClient) -> None:
    answer = client.post("/papers/fl-gfn/apply", files={"items": ("null", b"", "application/octet-stream")})
    assert answer.status_code == 422
    assert 'role="alert">items: got null, expected a file that is not empty<' in answer.text


def test_what_a_method_refuses_is_told_in_the_words_of_the_form(
    client: TestClient, method: Path, tmp_path: Path
) -> None:
    told = "Error: --top: got 300, expected 1 to 6, the sets in $PWD/input/sets.csv or input/sets.csv without --git"
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "{told}" >&2\nexit 2\n')
    files = {"sets": ("<b>my --top\u202e sets.csv", b"time,members\n1,a;b\n", "text/csv")}
    place = client.post(f"/papers/{SLUG}/apply", files=files, follow_redirects=False).headers["location"]
    assert until(lambda: "data-starting" not in client.get(place).text)
    name = "&lt;b&gt;my --top sets.csv"
    assert f">top: got 300, expected 1 to 6, the sets in {name} or {name} without --git<" in client.get(place).text


def test_unknown_fields_reach_no_command_line_and_the_name_of_a_file_is_not_used(
    client: TestClient, app: FastAPI, method: Path
) -> None:
    given = {"top": "5", "score": "b", "git": "/", "env": "os:system", "output": "/tmp/x", "debug": "1"}
    answer = client.post(f"/papers/{SLUG}/apply", data=given, files=GOOD, follow_redirects=False)
    assert answer.status_code == 303
    job = answer.headers["location"].removeprefix("/applied/")
    assert until(lambda: "data-starting" not in client.get(f"/applied/{job}").text)
    folder = app.state.store.home / applying.FOLDER / job
    words = [
        "--sets=input/sets.csv",
        "--score=b",
        "--top=5",
        "--output=output",
        "--json",
    ]  # no path is shown to anybody
    limited = f"-P -m livepapers.web.limited {running.APPLY_SECONDS} apply {SLUG}"
    assert method.read_text().strip() == f"{limited} {' '.join(words)}"
    assert (folder / "input" / "sets.csv").read_bytes() == GOOD["sets"][1]


def test_the_result_is_text_and_its_files_are_saved_by_number(client: TestClient, method: Path) -> None:
    place = client.post(f"/papers/{SLUG}/apply", files=GOOD, follow_redirects=False).headers["location"]
    assert until(lambda: "data-starting" not in client.get(place).text)
    answer = client.get(place)
    assert answer.headers["cache-control"] == "no-store"
    assert len(landmarks(answer.text)) == len(set(landmarks(answer.text))) == 2
    for told in ("&lt;i&gt;three&lt;/i&gt; groups", "&lt;b&gt;a&lt;/b&gt;", "a &lt;note&gt;", "1.25", "groups.csv"):
        assert told in answer.text
    assert re.findall(r"/files/(\d+)", answer.text) == [
        "0"
    ]  # neither the link, nor what lies outside, nor what is gone
    saved = client.get(f"{place}/files/0")
    assert saved.text == "a,b\n"
    assert saved.headers["content-disposition"] == 'attachment; filename="groups.csv"'
    assert saved.headers["x-content-type-options"] == "nosniff"
    for other in ("1", "-1", "99"):
        assert client.get(f"{place}/files/{other}").status_code == 404
    assert client.get(f"{place}/files/..%2Fjob.json").status_code in {404, 422}


@pytest.mark.parametrize("job", ["0" * 32, "%2E%2E", "..%2F..", "%00", "a" * 31, "A" * 32, "0" * 31 + "%E2%85%A0"])
def test_a_result_that_nobody_asked_for_is_not_found(client: TestClient, job: str) -> None:
    assert client.get(f"/applied/{job}").status_code == 404
    assert client.get(f"/applied/{job}/files/0").status_code == 404


def test_old_results_are_deleted(client: TestClient, app: FastAPI, method: Path) -> None:
    place = client.post(f"/papers/{SLUG}/apply", files=GOOD, follow_redirects=False).headers["location"]
    assert until(ended)
    applying.tidy(app.state.store.home, time.time() + applying.KEPT / 2)
    assert client.get(place).status_code == 200
    applying.tidy(app.state.store.home, time.time() + applying.KEPT + 60)
    assert client.get(place).status_code == 404
    assert not list((app.state.store.home / applying.FOLDER).iterdir())
    assert not list((app.state.store.home / running.FOLDER).iterdir())  # the result was printed there


def test_only_the_form_takes_more_than_64_kilobytes(client: TestClient, method: Path) -> None:
    def post(path: str, size: int) -> int:
        return client.post(path, files={"sets": ("x.csv", b"x" * size, "text/csv")}, follow_redirects=False).status_code

    assert post(f"/papers/{SLUG}/apply", 1_000_000) == 303
    assert post(f"/papers/{SLUG}/apply", guard.UPLOAD_LIMIT + 1) == 413
    for path in (f"/papers/{SLUG}/vote", f"/papers/{SLUG}/apply/", f"/x/papers/{SLUG}/apply", "/papers//apply"):
        assert post(path, 70_000) == 413
    pieces = (b"x" * 60_000 for _ in range(50))  # chunked: no length is said beforehand
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post(f"/papers/{SLUG}/apply", content=pieces, headers=kind).status_code in {400, 413}


def test_a_process_ends_when_its_time_is_over() -> None:
    command = [sys.executable, "-m", "livepapers.web.limited", "0.5", "apply", "hdpo", "--help"]  # PyTorch takes longer
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGALRM
    assert not done.stderr


@pytest.mark.parametrize("slug", sorted(applying.FILES))
def test_every_form_has_what_its_method_needs(slug: str) -> None:
    apply = importlib.import_module(str(catalogue.method_module(slug))).apply
    found = {option["name"]: option for option in cli_fields(options(apply))}
    shown = {name for name, option in found.items() if applying._field(slug, option) is not None}
    assert {name for name, option in found.items() if option["required"]} <= shown
    assert {*applying.FILES[slug], *applying.TEXTS.get(slug, ())} <= shown
    needed = {name for group in applying.NEEDED.get(slug, ()) for name in group}
    assert needed <= shown
    assert needed or any(option["required"] for option in found.values())
    assert applying.ELSEWHERE.get(slug, frozenset()) <= set(found)
    assert not [field.help for field in applying.fields(slug) if "--" in field.help]  # nobody types options there
    assert not shown & {"env", "output", "git", "hypergraph"}
    for option, name in applying.SAMPLES.get(slug, {}).items():
        assert Path(name).suffix in applying.FILES[slug][option]
        assert samples.path(name).is_file()


@pytest.mark.slow
def test_a_real_method_is_applied(client: TestClient) -> None:
    files = {
        name: (sample, client.get(f"/papers/hdpo/samples/{name}").content, "text/plain")
        for name, sample in applying.SAMPLES["hdpo"].items()
    }
    assert 'name="network"' in client.get("/papers/hdpo/apply").text
    given = {"policy": "base-stock", "updates": "10"}
    place = client.post("/papers/hdpo/apply", data=given, files=files, follow_redirects=False).headers["location"]
    assert until(lambda: "data-starting" not in client.get(place).text, 120)
    assert "Orders now" in client.get(place).text
    assert until(ended)


def test_what_was_typed_comes_back_whatever_was_wrong(
    client: TestClient, method: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(status: int, **more: str) -> str:
        answer = client.post(f"/papers/{SLUG}/apply", data={"top": "7", **more}, files=GOOD)
        assert answer.status_code == status
        assert 'name="top" step="1" value="7"' in answer.text
        return answer.text

    with monkeypatch.context() as change:
        change.setitem(running.AT_ONCE, "apply", 0)
        assert "are at work" in refused(409)
    with monkeypatch.context() as change:
        change.setenv("LIVEPAPERS_TOKEN", "right")
        text = refused(403, token="wr0ng")
        assert "not the token of this page" in text
        assert "wr0ng" not in text
        change.setitem(guard.RATES, "token", (0.0, 0.001))
        assert "try again in" in refused(429)
    assert not method.exists()


def test_a_reader_ends_the_work_that_takes_too_long(client: TestClient, method: Path, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 60\n")
    place = client.post(f"/papers/{SLUG}/apply", files=GOOD, follow_redirects=False).headers["location"]
    assert f'action="{place}/stop"' in client.get(place).text
    assert client.get(f"{place}/stop").status_code == 405
    assert client.post(f"{place}/stop", follow_redirects=False).headers["location"] == place
    assert until(lambda: "it was stopped" in client.get(place).text)
    assert client.post(f"{place}/stop", follow_redirects=False).status_code == 303  # nothing is left to end
    assert client.post(f"/applied/{'0' * 32}/stop").status_code == 404
