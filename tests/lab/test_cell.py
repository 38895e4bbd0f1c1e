"""A cell that is interrupted anywhere ends bitwise as one that was not; what a study does wrong is said by name."""

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lab import tiny_study
from livepapers.core.artifact import Artifact
from livepapers.lab import cell as cells
from livepapers.lab.cell import CellRun, CellSpec, execute
from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell, Run, Setting, Study


@pytest.fixture
def spec(tmp_path: Path, study: Study) -> CellSpec:
    cell = Cell("walk", "short", 1)
    return CellSpec(
        "tiny", 1, "smoke", "tiny-run", cell, study.settings["short"], study.measure, dict(study.prepare),
        home=str(tmp_path),
    )  # fmt: skip


def same(left: CellResult, right: CellResult) -> bool:
    """Bitwise equality of all that was measured; time is not measured."""
    assert left.measurements == right.measurements
    assert np.array([p[2] for p in left.points]).tobytes() == np.array([p[2] for p in right.points]).tobytes()
    assert [p[:2] for p in left.points] == [p[:2] for p in right.points]
    assert left.samples.keys() == right.samples.keys()
    assert all(left.samples[name].tobytes() == right.samples[name].tobytes() for name in left.samples)
    assert left.artifacts == right.artifacts
    assert left.work == right.work
    return True


def using(spec: CellSpec, measure: Callable[[str, Setting, int, str, Run], object]) -> CellSpec:
    return replace(spec, measure=measure)  # type: ignore[arg-type]


def test_a_cell_hands_back_all_it_logged_kept_and_spent(spec: CellSpec) -> None:
    result = execute(spec)
    assert result.status == "finished"
    assert result.work == {"evaluations": 40, "steps": 80}
    assert set(result.samples) == {"at 10", "at 20", "at 30", "at 40", "final"}
    assert {name for name, _, _ in result.points} == {"noisy", "undefined", "second"}
    assert [step for name, step, _ in result.points if name == "noisy"] == list(range(41))
    assert 0.1 <= result.prepared["base"] < 5
    assert result.wall is not None
    assert set(result.artifacts["end"]) == {"artifact.json", "weights.safetensors"}


def test_an_artifact_kept_while_a_learner_is_driven_is_refused(spec: CellSpec) -> None:
    def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
        learner = tiny_study.Walk(run.generator("x"), momentum=0.0, pause=0.0)
        made = Artifact("network", "hdpo", "", {}, {})
        run.drive(learner, 3, evaluate=lambda step: run.artifact("early", made))
        return {"distance": 0.0}

    result = execute(using(spec, measure))
    assert result.status == "failed"
    assert "after `drive`" in result.error


@pytest.mark.parametrize("updates_done", [1, 7, 39, 40, 41, 79])
def test_a_cell_interrupted_anywhere_ends_bitwise_as_if_it_had_not_been(
    spec: CellSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates_done: int
) -> None:
    calm = execute(replace(spec, home=str(tmp_path / "calm")))
    update, count = tiny_study.Walk.update, 0

    def interrupted_update(self: tiny_study.Walk) -> dict[str, float]:
        nonlocal count
        count += 1
        if count == updates_done:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self)

    monkeypatch.setattr(tiny_study.Walk, "update", interrupted_update)
    broken = execute(spec)
    # SIGTERM during the last update of a learner does not stop the driving loop: there is nothing left to stop
    assert broken.status == ("finished" if updates_done == 40 else "interrupted")
    made_before, count = count, 1000
    resumed = execute(spec)
    assert same(resumed, calm)
    assert count - 1000 == 80 - (40 if updates_done == 40 else made_before) - (40 if updates_done == 40 else 0)


def test_a_killed_cell_goes_on_from_its_checkpoint(
    spec: CellSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = execute(replace(spec, home=str(tmp_path / "calm")))
    update = tiny_study.Walk.update

    def failing_update(self: tiny_study.Walk) -> dict[str, float]:
        if self.steps == 25 and self.momentum == 0.5:  # in the second learner, after checkpoints of both
            raise MemoryError("as good as a kill: nothing is saved on the way out")
        return update(self)

    with monkeypatch.context() as patch:
        patch.setattr(tiny_study.Walk, "update", failing_update)
        failed = execute(replace(spec, save_every=0.0))
    assert failed.status == "failed"
    assert "as good as a kill" in failed.error
    resumed = execute(spec)
    assert same(resumed, calm)


def test_a_checkpoint_of_other_parameters_is_not_taken_up(spec: CellSpec, tmp_path: Path) -> None:
    execute(spec)
    changed = Setting("short", "another", spec.setting.arms, {"smoke": 2}, {"updates": 30, "pause": 0.0})
    other = execute(replace(spec, setting=changed))
    assert same(other, execute(replace(spec, setting=changed, home=str(tmp_path / "fresh"))))


def test_arms_share_their_world_and_nothing_else(spec: CellSpec) -> None:
    walk, drift = (CellRun(replace(spec, cell=Cell(arm, "short", 3))) for arm in ("walk", "drift"))
    other = CellRun(replace(spec, cell=Cell("walk", "short", 4)))
    draw = lambda generator: torch.rand(4, generator=generator).tolist()  # noqa: E731 - three times in one test
    assert draw(walk.generator("world")) == draw(drift.generator("world"))
    assert draw(walk.generator("world")) != draw(walk.generator("noise"))
    assert draw(walk.generator("world")) != draw(other.generator("world"))
    assert draw(walk.private_generator("world")) != draw(drift.private_generator("world"))
    assert draw(walk.private_generator("world")) != draw(walk.generator("world"))


def test_a_part_asked_for_by_many_at_once_is_prepared_once(spec: CellSpec, tmp_path: Path) -> None:
    runs = [CellRun(replace(spec, cell=Cell("walk", "short", seed))) for seed in range(4)]
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda run=run: folders.append(run.prepared("base"))) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(folders)) == 1
    assert (folders[0] / "base.txt").read_text() == "0.25"
    assert (tmp_path / "prepared" / "prepared.log").read_text() == "smoke\n"
    assert all(run.seconds() < 0.1 for run in runs), "waiting for a part is not the cell's time"
    assert len({json.dumps(run.result("finished").prepared) for run in runs}) == 1


def test_a_preparation_that_fails_leaves_nothing_behind(spec: CellSpec, tmp_path: Path) -> None:
    def fail(folder: Path, preset: str) -> None:
        (folder / "half").touch()
        raise OSError("no more room")

    result = execute(replace(spec, prepare={"base": fail}))
    assert result.status == "failed"
    assert "no more room" in result.error
    assert [path.name for path in (tmp_path / "prepared" / "tiny").iterdir() if path.is_dir()] == []
    assert execute(spec).status == "finished"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"cost": float("nan")}, "measurement 'cost' of walk/short/1 is nan"),
        ({"cost": float("-inf"), "gap": 1.0}, "measurement 'cost' of walk/short/1 is -inf"),
        (None, "measure returned NoneType"),
        ({"cost": "dear"}, "could not convert string to float"),
    ],
)
def test_a_measurement_that_is_no_finite_number_fails_the_cell(spec: CellSpec, returned: object, message: str) -> None:
    result = execute(using(spec, lambda *_: returned))
    assert result.status == "failed"
    assert message in result.error


def test_a_learner_that_diverges_fails_the_cell(spec: CellSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_study.Walk, "update", lambda self: {"distance": float("nan")})
    assert "step 1: distance is nan" in execute(spec).error


def test_what_a_study_does_wrong_is_said_by_name(spec: CellSpec) -> None:
    def twice(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
        for _ in range(2):
            run.drive(tiny_study.Walk(run.private_generator("a"), momentum=0.0, pause=0.0), 1)
        return {}

    assert "driven as 'learner'" in execute(using(spec, twice)).error
    assert "prepares no 'other'" in execute(using(spec, lambda *a: a[4].prepared("other"))).error
    assert "expected numbers" in execute(using(spec, lambda *a: a[4].samples("x", np.array(["text"])))).error
    assert "this worker has version 1" in execute(replace(spec, version=2)).error


def test_curves_and_progress_reach_the_store_while_the_cell_runs(
    spec: CellSpec, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = store.create_run("tiny", 1, preset="smoke", options={}, machine={}, versions={}, git_commit=None)
    store.add_cells(run, [spec.cell])
    store.start_cell(run, spec.cell)
    monkeypatch.setattr(cells, "FLUSH_EVERY", 0.0)
    seen: list[float] = []
    update = tiny_study.Walk.update

    def watched(self: tiny_study.Walk) -> dict[str, float]:
        seen.append(store.progress(run)[spec.cell])
        return update(self)

    monkeypatch.setattr(tiny_study.Walk, "update", watched)
    result = execute(replace(spec, run=run, store=store.url))
    assert seen[:3] == [0.0, 1 / 40, 2 / 40]
    steps, values = store.curve(run, spec.cell, "noisy")
    assert list(zip(steps.tolist(), values.tolist(), strict=True)) == [
        (step, value) for name, step, value in result.points if name == "noisy"
    ]


def test_a_learner_driven_inside_an_evaluation_resumes_too(spec: CellSpec, tmp_path: Path) -> None:
    stop = {"at": 0}

    def nested(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
        outer = tiny_study.Walk(run.private_generator("outer"), momentum=0.5, pause=0.0)

        def probe(step: int) -> dict[str, float] | None:
            if step % 5:
                return None
            inner = tiny_study.Walk(run.private_generator(f"inner {step}"), momentum=0.5, pause=0.0)
            if step == stop["at"]:
                raise KeyboardInterrupt
            run.drive(inner, 3, name=f"inner {step}")
            return {"inner": float(inner.place.norm())}

        run.drive(outer, 20, name="outer", evaluate=probe)
        return {"distance": float(outer.place.norm())}

    calm = execute(using(replace(spec, home=str(tmp_path / "calm")), nested))
    stop["at"] = 15
    assert execute(using(spec, nested)).status == "interrupted"
    stop["at"] = 0
    assert same(execute(using(spec, nested)), calm)
    assert calm.work == {"steps": 20 + 4 * 3}
