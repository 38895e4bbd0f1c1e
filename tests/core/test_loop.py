"""The driving loop: whatever interrupts it, the end is the same to the last bit."""

import os
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from livepapers.core.errors import CorruptFileError, Diverged, Interrupted
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.loop import Progress, drive, watching
from livepapers.core.rng import generator


class Noisy(Learner):
    """Adam on a noisy parabola: weights, moments and a stream make up its state."""

    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.optimizer = torch.optim.Adam([self.weight], lr=0.1)
        self.stream = generator(0, "noise")
        self.updates = 0

    def update(self) -> dict[str, float]:
        loss = ((self.weight - torch.randn(3, generator=self.stream)) ** 2).sum()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        return {"loss": loss.item()}

    def state_dict(self) -> State:
        return {
            "weight": self.weight,
            "optimizer": optimizer_state(self.optimizer),
            "stream": self.stream.get_state(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: State) -> None:
        with torch.no_grad():
            self.weight.copy_(state["weight"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.stream.set_state(state["stream"])
        self.updates = state["updates"]

    def work(self) -> dict[str, int]:
        return {"updates": self.updates}


def collect(rows: list[tuple[int, float]]):
    def log(step: int, metrics: dict[str, float]) -> None:
        rows.append((step, metrics["loss"]))

    return log


def test_an_interrupted_run_ends_like_one_that_was_not(tmp_path: Path):
    whole, rows = Noisy(), []
    drive(whole, 20, log=collect(rows))
    again: list[tuple[int, float]] = []
    for stop in (3, 11, None):

        def interrupt(progress: Progress, stop: int | None = stop) -> None:
            if progress.step == stop:
                os.kill(os.getpid(), signal.SIGINT if stop == 3 else signal.SIGTERM)

        learner = Noisy()
        kept: list[tuple[int, float]] = []
        options = {
            "folder": tmp_path,
            "log": collect(kept),
            "memory": lambda kept=kept: [list(row) for row in kept],
            "recall": lambda rows, kept=kept: kept.extend((int(s), float(v)) for s, v in rows),
        }
        with pytest.raises(Interrupted, match=rf"step {stop} of 20") if stop else nullcontext():
            drive(learner, 20, on_progress=interrupt, **options)
        again = kept
    assert again == rows
    assert torch.equal(learner.weight, whole.weight)
    assert learner.work() == whole.work()


def test_a_finished_run_is_not_repeated(tmp_path: Path):
    drive(Noisy(), 5, folder=tmp_path)
    learner = Noisy()
    drive(learner, 5, folder=tmp_path, log=lambda *_: pytest.fail("an update was repeated"))
    assert learner.updates == 5


def test_other_work_in_the_folder_is_refused(tmp_path: Path):
    drive(Noisy(), 2, folder=tmp_path, fingerprint="a")
    with pytest.raises(CorruptFileError, match=r"other work.*or choose another --output"):
        drive(Noisy(), 2, folder=tmp_path, fingerprint="b")


def test_a_torn_checkpoint_falls_back_to_the_one_before(tmp_path: Path):
    whole = Noisy()
    drive(whole, 12)
    drive(Noisy(), 5, folder=tmp_path, save_every=0.0)
    newest = max(tmp_path.glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:100])
    resumed = Noisy()
    drive(resumed, 12, folder=tmp_path)
    assert torch.equal(resumed.weight, whole.weight)


def test_slow_checkpoints_become_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An update takes a second, a checkpoint five: after the first one, ten times as long passes until the next."""
    clock, saves = [0.0], []

    class Timed(Noisy):
        def update(self) -> dict[str, float]:
            clock[0] += 1.0
            return super().update()

    def save_step(folder: Path, step: int, state: State) -> None:
        clock[0] += 5.0
        saves.append(step)

    monkeypatch.setattr("livepapers.core.loop.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("livepapers.core.loop.checkpoint.save_step", save_step)
    drive(Timed(), 120, folder=tmp_path, save_every=2.0)
    assert saves == [2, 52, 102, 120]


def test_metrics_that_are_not_finite_stop_the_run():
    class Broken(Noisy):
        def update(self) -> dict[str, float]:
            return {"loss": float("nan")}

    with pytest.raises(Diverged, match=r"diverged at step 1: loss is nan"):
        drive(Broken(), 3)


def test_a_watcher_sees_every_step_of_loops_that_have_no_listener_of_their_own():
    seen: list[int] = []
    own: list[int] = []
    with watching(lambda progress: seen.append(progress.step)):
        drive(Noisy(), 2)
        drive(Noisy(), 3, on_progress=lambda progress: own.append(progress.step))
    drive(Noisy(), 2)
    assert (seen, own) == ([1, 2], [1, 2, 3])
