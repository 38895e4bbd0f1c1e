"""A run keeps each result at once, stops so that it can go on, and goes on without repeating anything."""

import io
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lab import crash, tiny_study
from livepapers.core.errors import InputError, Interrupted
from livepapers.lab import machine, runner
from livepapers.lab.engines.local import InlineEngine
from livepapers.lab.estimating import estimate, published_walls
from livepapers.lab.progress import LiveProgress, PlainProgress
from livepapers.lab.runner import Listener, Silent, run_study
from livepapers.lab.store import Store
from livepapers.lab.study import Cell, Study, from_module


class Stopper(Silent):
    """Sends this process a signal when the given cell begins, or after it has ended."""

    def __init__(self, *, after: int) -> None:
        self.after, self.ended = after, 0

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        self.ended += 1
        if self.ended == self.after:
            os.kill(os.getpid(), signal.SIGINT)


def run_tiny(study: Study, store: Store, **options) -> str:
    options = {"preset": "smoke", "workers": 0, "settings": ["short"]} | options
    if options.get("resume"):
        options = {name: value for name, value in options.items() if name not in {"preset", "settings"}}
    return run_study("tiny", study=study, store=store, **options)


def test_a_run_measures_every_cell_and_keeps_what_it_was_measured_on(study: Study, store: Store) -> None:
    run = run_tiny(study, store)
    record = store.run(run)
    assert (record.status, record.cells) == ("finished", {"finished": 5})
    assert record.machine["cores"] >= 1
    assert record.machine["memory bytes"] > 2**20
    assert record.versions["torch"].startswith("2")
    assert store.prepared(run).keys() == {"base"}
    cells = store.cells(run)
    assert cells.seeds(setting="short", arms=["walk", "drift"]) == [0, 1]
    assert cells.value("world", arm="walk", setting="short", seed=0) == cells.value(
        "world", arm="drift", setting="short", seed=0
    )
    assert not (store.folder(run) / "checkpoints" / "short").exists() or not any(
        (store.folder(run) / "checkpoints").rglob("*.safetensors")
    ), "a finished cell keeps no checkpoints"


@pytest.mark.slow
def test_two_workers_measure_the_same_bits_as_this_process(study: Study, store: Store) -> None:
    here, there = run_tiny(study, store), run_tiny(study, store, workers=2)
    assert crash.digest(store, here) == crash.digest(store, there)


def test_a_cell_that_fails_is_recorded_and_the_others_go_on(study: Study, store: Store) -> None:
    run = run_tiny(study, store, preset="paper", settings=["broken"])
    (record,) = store.cell_records(run)
    assert store.run(run).status == "failed"
    assert record.status == "failed"
    assert "measurement 'distance' of walk/broken/0 is nan" in (record.error or "")
    assert store.curve(run, record.cell, "before")[1].tolist() == [1.0]


@pytest.mark.slow
def test_a_cell_that_kills_its_worker_fails_after_three_times(study: Study, store: Store) -> None:
    run = run_tiny(study, store, preset="paper", settings=["deadly"], workers=1)
    (record,) = store.cell_records(run)
    assert record.error is not None
    assert record.error.startswith("its worker process ended 3 times (signal SIGKILL")


def test_an_interrupted_run_says_how_to_go_on_and_repeats_nothing(study: Study, store: Store) -> None:
    with pytest.raises(Interrupted, match=r"go on with: livepapers resume tiny-\d+-\w+") as caught:
        run_tiny(study, store, listener=Stopper(after=2))
    run = store.runs()[0].id
    assert str(caught.value).endswith(f"livepapers resume {run} --store {store.home / 'store.sqlite3'}")
    assert store.run(run).status == "interrupted"
    walls = {record.cell: record.wall for record in store.cell_records(run) if record.status == "finished"}
    assert len(walls) == 2
    assert run_tiny(study, store, resume=run) == run
    after = {record.cell: record.wall for record in store.cell_records(run)}
    assert all(after[cell] == wall for cell, wall in walls.items())
    assert len(after) == 5
    assert crash.digest(store, run) == crash.digest(store, run_tiny(study, store))


def test_a_signal_in_mid_cell_saves_the_workers_state_and_the_resumed_run_is_bit_equal(
    study: Study, store: Store
) -> None:
    class AtProgress(Silent):
        def cell_progress(self, cell: Cell, share: float) -> None:
            if share > 0:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        run_tiny(study, store, preset="paper", settings=["slow"], workers=1, listener=AtProgress())
    run = store.runs()[0].id
    (record,) = store.cell_records(run)
    assert record.status == "interrupted"
    assert 0 < record.progress < 1
    assert list((store.folder(run) / "checkpoints").rglob("*.safetensors")), "the worker saved its learner"
    run_tiny(study, store, resume=run)
    setting = replace(study.settings["slow"], parameters={"updates": 100, "pause": 0.0})
    at_once = replace(study, settings={"slow": setting})
    calm = run_tiny(at_once, store, preset="paper", settings=["slow"])
    assert crash.digest(store, run) == crash.digest(store, calm)


def test_resume_may_add_seeds_and_arms(study: Study, store: Store) -> None:
    run = run_tiny(study, store, arms=["walk"], seeds=1)
    assert store.run(run).cells == {"finished": 1}
    run_study("tiny", study=study, store=store, workers=0, resume=run, seeds=3, settings=["short"])
    assert store.cells(run).seeds(setting="short", arms=["walk", "drift"]) == [0, 1, 2]


def test_resume_refuses_what_does_not_belong_together(study: Study, store: Store) -> None:
    run = run_tiny(study, store, arms=["zero"])
    with pytest.raises(InputError, match="preset: got paper, expected smoke"):
        run_study("tiny", study=study, store=store, preset="paper", resume=run)
    newer = replace(study, version=2)
    with pytest.raises(
        InputError, match=r"of study version 1, expected version 2 \(the study changed since; start anew"
    ):
        run_tiny(newer, store, resume=run)
    other = replace(study, slug="other")
    with pytest.raises(InputError, match="expected a run of other"):
        run_study("other", study=other, store=store, resume=run)
    smaller = replace(study, arms={})
    with pytest.raises(InputError, match="is not in the study any more"):
        run_tiny(smaller, store, resume=run)
    with pytest.raises(InputError, match="expected the id of a run"):
        run_tiny(study, store, resume="tiny-none")


def test_a_run_that_is_under_way_cannot_be_resumed_beside_it(study: Study, store: Store) -> None:
    class Intruder(Silent):
        refused = ""

        def run_started(self, run: str, cells: Sequence[Cell], *, finished: Sequence[Cell], workers: int) -> None:
            with pytest.raises(InputError) as caught:
                run_tiny(study, store, resume=run)
            self.refused = str(caught.value)

    intruder = Intruder()
    run_tiny(study, store, arms=["zero"], listener=intruder)
    assert "drives it; stop that one first" in intruder.refused


def test_a_driver_that_lost_its_run_stops(study: Study, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BEAT", 0.01)

    class Thief(Silent):
        def cell_started(self, cell: Cell) -> None:
            with sqlite3.connect(store.home / "store.sqlite3") as raw:
                raw.execute("UPDATE runs SET lease = 'another'")
            raw.close()
            threading.Event().wait(0.2)

    with pytest.raises(Interrupted, match=r"another process has taken tiny-.* over"):
        run_tiny(study, store, listener=Thief())
    assert store.runs()[0].status == "running", "the run is the other's now"


def test_a_stop_while_the_study_is_loaded_says_that_nothing_is_lost(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(slug: str) -> Study:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "load_study", load)
    with pytest.raises(Interrupted, match="before the first cell was begun: nothing is lost"):
        run_study("tiny", store=store)
    assert store.runs() == []


class Recorder(InlineEngine):
    """Two workers, so to say; remembers which items it was handed together."""

    workers = 2

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def run(self, function: Any, items: Sequence[Any], **calls: Any) -> None:
        self.batches.append([item.cell.key for item in items])
        super().run(function, items, **calls)


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_cells_that_measure_time_run_with_no_other_beside_them(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    recorder = Recorder()
    monkeypatch.setattr(runner, "make_engine", lambda name, **_: recorder)
    timed = replace(study.settings["short"], name="timed", arms=("walk", "zero"), alone=True)
    both = replace(study, settings={"timed": timed, "short": replace(study.settings["short"], arms=("drift",))})
    run = run_tiny(both, store, settings=None, engine=engine, workers=2)
    assert recorder.batches == [
        ["drift/short/0", "drift/short/1"], ["walk/timed/0"], ["zero/timed/0"], ["walk/timed/1"],
    ]  # fmt: skip
    assert store.run(run).cells == {"finished": 5}
    assert pickle.loads(pickle.dumps(timed)).alone, "the flag crosses process borders"


def test_wrong_options_make_no_run(study: Study, store: Store) -> None:
    for wrong in (
        {"preset": "huge"},
        {"arms": ["nobody"]},
        {"seeds": 0},
        {"settings": ["short", "x"]},
        {"engine": "x"},
    ):
        with pytest.raises(InputError):
            run_tiny(study, store, **wrong)
    assert store.runs() == []


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    assert crash.harness(tmp_path, kills=3, seed=1).kills == 3


def test_the_estimate_uses_the_arms_own_times_and_the_workers() -> None:
    walls = {Cell("a", "s", 0): 10.0, Cell("a", "t", 0): 30.0, Cell("b", "s", 0): 1.0}
    assert estimate({Cell("a", "s", 1): 0.5}, walls, workers=4, published={}) == 5.0
    assert estimate({Cell("a", "u", 1): 0.0}, walls, workers=1, published={}) == 20.0
    assert estimate({Cell("b", "s", 1): 0.0, Cell("a", "s", 1): 0.0}, walls, workers=2, published={}) == 5.5
    assert estimate({Cell("c", "s", 1): 0.0}, {}, workers=2, published={}) is None
    assert estimate({}, walls, workers=2, published={}) == 0.0


def test_before_an_arm_has_run_the_estimate_is_that_of_the_published_run_at_this_machines_pace() -> None:
    published = {"a": 5.0, "c": 8.0}
    assert estimate({Cell("a", "s", 0): 0.0, Cell("c", "s", 0): 0.5}, {}, workers=1, published=published) == 9.0
    walls = {Cell("a", "s", 0): 10.0}  # twice as long as then
    assert estimate({Cell("c", "s", 0): 0.0}, walls, workers=1, published=published) == 16.0
    assert estimate({Cell("a", "s", 1): 0.0}, walls, workers=1, published=published) == 10.0
    assert estimate({Cell("d", "s", 0): 0.0}, {}, workers=1, published=published) == 6.5


def test_what_was_published_is_told_for_its_own_preset_only() -> None:
    walls = published_walls("hdpo", "laptop")
    assert walls["hdpo"] > 1.0
    assert published_walls("hdpo", "smoke") == published_walls("nobody", "laptop") == {}


def test_plain_progress_is_one_line_a_cell_and_no_control_characters(study: Study, store: Store) -> None:
    out = io.StringIO()
    run = run_tiny(study, store, arms=["walk", "zero"], listener=PlainProgress(out))
    lines = out.getvalue().splitlines()
    assert lines[0] == f"run {run}: 3 cells, 1 at a time"
    assert [line[:5] for line in lines[1:-1]] == ["[1/3]", "[2/3]", "[3/3]"]
    assert "zero/short/0" in lines[2]
    assert "distance 0" in lines[2]
    assert lines[-1] == f"run {run}: finished"
    assert "\x1b" not in out.getvalue()


def test_live_progress_shows_cells_and_survives_names_that_look_like_markup() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    display: Listener = LiveProgress(console)
    cells = [Cell("arm [bold]", "s", 0), Cell("b", "s", 0)]
    display.run_started("r", cells, finished=[], workers=1)
    display.cell_started(cells[0])
    display.cell_progress(cells[0], 0.5)
    display.estimate(65.0)
    display.cell_started(cells[0])
    display.cell_finished(cells[0], wall=1.0, measurements={"cost [x]": 1.0})
    display.cell_started(cells[1])
    display.cell_failed(cells[1], error="Traceback\nValueError: [red]\n")
    display.run_ended("r", status="failed")
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for text in ("arm [bold]/s/0", "cost [x] 1", "ValueError: [red]", "1 min 5 s"):
        assert text in shown


def test_the_commit_is_known_in_a_checkout_and_nothing_breaks_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.git_commit() is None or re.fullmatch(r"[0-9a-f]{40}(\+changes)?", machine.git_commit() or "")
    monkeypatch.setenv("PATH", "")
    assert machine.git_commit() is None


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_commit_is_marked_when_the_code_differs_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "livepapers"
    source = package / "lab" / "machine.py"
    source.parent.mkdir(parents=True)
    (package / "results").mkdir()
    source.write_text("")
    (tmp_path / "README.md").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    monkeypatch.setattr(machine, "__file__", str(source))

    def marked() -> bool:
        return (machine.git_commit() or "").endswith(machine.CHANGED)

    assert re.fullmatch(r"[0-9a-f]{40}", machine.git_commit() or "")
    (package / "results" / "new.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("not code")
    assert not marked()
    (package / "methods.py").write_text("")
    assert marked()
    (package / "methods.py").unlink()
    (tmp_path / "README.md").write_text("changed")
    assert marked()


def test_a_run_that_goes_on_with_changed_code_is_marked(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "git_commit", lambda: "abc")
    with pytest.raises(Interrupted):
        run_tiny(study, store, listener=Stopper(after=2))
    run = store.runs()[0].id
    monkeypatch.setattr(runner, "git_commit", lambda: "abc+changes")
    run_tiny(study, store, resume=run)
    assert store.run(run).git_commit == "abc+changes"
    whole = run_tiny(study, store)
    monkeypatch.setattr(runner, "git_commit", lambda: "abc")
    run_tiny(study, store, resume=whole)
    assert store.run(whole).git_commit == "abc+changes"


@pytest.mark.parametrize(("name", "value"), [("git_commit", "def"), ("versions", {"torch": "9"}), ("git_commit", None)])
def test_a_run_that_goes_on_with_other_code_or_packages_is_marked(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    monkeypatch.setattr(runner, "git_commit", lambda: "abc")
    with pytest.raises(Interrupted):
        run_tiny(study, store, listener=Stopper(after=2))
    run = store.runs()[0].id
    monkeypatch.setattr(runner, name, lambda: value)
    run_tiny(study, store, resume=run)
    assert store.run(run).git_commit == "abc+changes"


def test_code_is_the_same_at_two_commits_that_differ_outside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "livepapers"
    (package / "lab").mkdir(parents=True)
    monkeypatch.setattr(machine, "__file__", str(package / "lab" / "machine.py"))

    def commit(path: Path, text: str) -> str:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for command in (["add", "-A"], [*who, "commit", "-qm", text]):
            subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
        head = subprocess.run(
            ["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        return head.stdout.strip()

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    first = commit(package / "lab" / "machine.py", "one")
    second = commit(tmp_path / "README.md", "two")
    third = commit(package / "results" / "hdpo.json", "three")
    fourth = commit(package / "lab" / "machine.py", "four")
    assert machine.same_code(first, second)
    assert machine.same_code(first, third)
    assert not machine.same_code(third, fourth)
    assert not machine.same_code(first, "0" * 40)
    assert not machine.same_code(first, first + machine.CHANGED)


def test_an_extended_run_is_repeated_by_all_that_was_asked_for(study: Study, store: Store) -> None:
    settings = list(study.settings)
    run = run_tiny(study, store, settings=settings[:1], seeds=1)
    run_study("tiny", study=study, store=store, workers=0, resume=run, settings=settings[1:2])
    assert store.run(run).options == {"seeds": 1, "arms": None, "settings": settings[:2], "extended": True}
    run_study("tiny", study=study, store=store, workers=0, resume=run, seeds=2)
    assert store.run(run).options == {"seeds": 2, "arms": None, "settings": None, "extended": True}


def test_a_run_is_not_extended_by_asking_for_cells_that_it_has(study: Study, store: Store) -> None:
    run = run_tiny(study, store, seeds=2)
    run_study("tiny", study=study, store=store, workers=0, resume=run, seeds=2, settings=["short"])
    assert "extended" not in store.run(run).options


def test_driving_a_run_from_the_shell_ends_well_on_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(crash.__file__)), "--drive", str(tmp_path), "--workers", "0", "--quick"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].endswith(": finished")
    with Store(tmp_path, create=False) as store:
        assert store.runs()[0].cells == {"finished": 5}
    assert np.isfinite(store.cells(store.runs()[0].id).values("distance", arm="walk", setting="short")).all()
    assert from_module(tiny_study, "tiny").version == 1


def test_an_arm_that_trains_as_another_takes_its_training_over(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates: list[float] = []
    update = tiny_study.Walk.update

    def counted(walk: tiny_study.Walk) -> dict[str, float]:
        updates.append(walk.momentum)
        return update(walk)

    monkeypatch.setattr(tiny_study.Walk, "update", counted)
    run = run_tiny(study, store, settings=["shared"])
    assert len(updates) == 2 * 2 * 30  # of two arms, two seeds and two learners, one arm trains
    cells = store.cells(run)
    for seed in (0, 1):
        walk, rest = (cells.value("distance", arm=arm, setting="shared", seed=seed) for arm in ("walk", "rest"))
        assert rest == walk + 1.0
        curves = [store.curve(run, Cell(arm, "shared", seed), "noisy") for arm in ("walk", "rest")]
        assert np.array_equal(curves[0], curves[1])
    works = {record.cell.arm: record.work for record in store.cell_records(run)}
    assert works["walk"] == works["rest"]  # what it would have cost without the other
    assert not list((store.folder(run) / "checkpoints").rglob("*.safetensors"))


def test_an_arm_that_trains_as_another_is_the_same_where_it_has_to_train_itself(study: Study, store: Store) -> None:
    both = store.cells(run_tiny(study, store, settings=["shared"]))
    alone = store.cells(run_tiny(study, store, settings=["shared"], arms=["rest"]))
    at = {"arm": "rest", "setting": "shared", "seed": 1}
    assert [both.value(name, **at) for name in ("distance", "between")] == [
        alone.value(name, **at) for name in ("distance", "between")
    ]


def test_a_training_is_kept_over_a_stop_until_the_arm_that_takes_it_over_is_measured(
    study: Study, store: Store
) -> None:
    with pytest.raises(Interrupted):
        run_tiny(study, store, settings=["shared"], listener=Stopper(after=2))
    run = store.runs()[0].id
    checkpoints = store.folder(run) / "checkpoints"
    assert list(checkpoints.rglob("*.safetensors"))
    run_tiny(study, store, resume=run)
    assert not list(checkpoints.rglob("*.safetensors"))
    assert store.run(run).cells == {"finished": 4}


@pytest.mark.parametrize(
    ("arms", "told"),
    [
        ({"rest": "nobody"}, "rest trains as nobody, no arm with its own training"),
        ({"rest": "drift", "drift": "walk"}, "rest trains as drift, no arm with its own training"),
        ({"rest": "zero"}, r"setting shared has arms that train as \['zero'\], not them"),
    ],
)
def test_an_arm_can_only_train_as_one_that_is_measured_beside_it(arms: dict[str, str], told: str) -> None:
    changed = tuple(replace(arm, trains_as=arms.get(arm.name, "")) for arm in tiny_study.ARMS)
    module = SimpleNamespace(**{**vars(tiny_study), "ARMS": changed})
    with pytest.raises(ValueError, match=told):
        from_module(module, "tiny")
