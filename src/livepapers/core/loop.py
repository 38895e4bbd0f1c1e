"""The one driving loop: progress, metrics, checkpoints, stop and resume, for studies and for `apply`."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from livepapers.core import checkpoint
from livepapers.core.errors import CorruptFileError, Diverged, Interrupted
from livepapers.core.learner import Learner

T = TypeVar("T")
Log = Callable[[int, dict[str, float]], None]
"""Receives (step, metrics) after each update; steps count from 1."""
MOST_SAVING = 10
"""Checkpoints wait so many times as long as the last one took: a learner that remembers gigabytes shall learn, too."""


@dataclass
class Progress:
    """Where a driven learner, or other long work, stands; handed to `on_progress` after each step."""

    step: int
    updates: int
    learner: Learner | None  # which one: a method may drive several, one after the other; None: the work is no training
    name: str = ""  # what its caller calls it
    metrics: dict[str, float] = field(default_factory=dict)


_watcher: ContextVar[Callable[[Progress], None] | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(on_progress: Callable[[Progress], None]) -> Iterator[None]:
    """Let `on_progress` see every `drive` inside the block that names no listener of its own; results do not change."""
    token = _watcher.set(on_progress)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(name: str, step: int, steps: int) -> None:
    """Let the listener that `watching` has set know how far work is that drives no learner; results do not change.

    Args:
        name: What is done: "tuning mortality", "hindsight bounds" ...
        step: How many steps are done, from 1.
        steps: Of how many.
    """
    listener = _watcher.get()
    if listener is not None:
        listener(Progress(step, steps, None, name))


def counted(items: Sequence[T], *, name: str) -> Iterator[T]:
    """The items, one after the other; once one is done with, the listener is told as by `tell`."""
    for done, item in enumerate(items, 1):
        yield item
        tell(name, done, len(items))


def drive(
    learner: Learner,
    updates: int,
    *,
    name: str = "",
    folder: Path | None = None,
    fingerprint: str = "",
    log: Log | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    evaluate: Callable[[int], None] | None = None,
    memory: Callable[[], Any] | None = None,
    recall: Callable[[Any], None] | None = None,
    save_every: float = 20.0,
) -> None:
    """Update `learner` until it has made `updates` steps, from its newest checkpoint if there is one.

    Args:
        learner: What to drive.
        updates: The total number of steps, those before an interruption included.
        name: What progress calls the learner: "hdpo", "base-stock rival" ...
        folder: Where checkpoints go; None keeps nothing on disk.
        fingerprint: What the work is made of (slug, config, data hash ...); a checkpoint of other work is refused.
        log: Receives each step's metrics. A metric that is not finite stops the run with `Diverged`.
        on_progress: Receives each step's progress; None leaves it to the listener that `watching` has set, if any.
        evaluate: Called with the step number after each update, for periodic evaluation by the caller.
        memory: Returns JSON the caller wants kept in the checkpoint (what it logged so far, its best so far).
        recall: Receives that JSON on resume, before the first update.
        save_every: Seconds between checkpoints, more where saving takes over a tenth of them; 0: every step. The last
            step is always saved.

    Raises:
        Diverged: A metric is not finite.
        Interrupted: SIGINT or SIGTERM came; the state was saved first, if there is a folder.
        CorruptFileError: The checkpoint in `folder` belongs to other work.
    """
    on_progress = on_progress or _watcher.get()
    step = _resume(learner, folder, fingerprint, recall)
    due = time.monotonic() + save_every

    def save() -> float:
        """When the next one is due."""
        begun = time.monotonic()
        if folder is not None:
            kept = memory() if memory else None
            state = {"step": step, "fingerprint": fingerprint, "learner": learner.state_dict(), "memory": kept}
            checkpoint.save_step(folder, step, state)
        done = time.monotonic()
        return done + (max(save_every, MOST_SAVING * (done - begun)) if save_every else 0.0)

    with stop_signals() as stopped:
        while step < updates:
            metrics = learner.update()
            step += 1
            _require_finite(step, metrics)
            if log is not None:
                log(step, metrics)
            if evaluate is not None:
                evaluate(step)
            if on_progress is not None:
                on_progress(Progress(step, updates, learner, name, metrics))
            if stopped.is_set() and step < updates:
                save()
                kept = "the state was saved, and the same work goes on from there" if folder else "nothing was kept"
                raise Interrupted(f"stopped after step {step} of {updates}; {kept}")
            if step == updates or time.monotonic() >= due:
                due = save()


def _require_finite(step: int, metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"the training diverged at step {step}: {name} is {value}")


def _resume(learner: Learner, folder: Path | None, fingerprint: str, recall: Callable[[Any], None] | None) -> int:
    state = checkpoint.load_newest(folder) if folder is not None and folder.is_dir() else None
    if state is None:
        return 0
    if state["fingerprint"] != fingerprint:
        raise CorruptFileError(
            f"{folder}: the checkpoint there belongs to other work; go on with the same options and files as then, "
            "delete that folder, or choose another --output"
        )
    learner.load_state_dict(state["learner"])
    if recall is not None and state["memory"] is not None:
        recall(state["memory"])
    return int(state["step"])


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second SIGINT interrupts at once. Outside the main thread: never set."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
