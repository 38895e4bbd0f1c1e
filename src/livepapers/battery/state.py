"""State checks: save, load, go on; refuse what does not fit; grow no memory."""

import copy
import ctypes
import gc
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from livepapers.battery.check import CheckFailedError, NotApplicable, check, require
from livepapers.battery.numerics import _learner
from livepapers.battery.subject import Subject, state_digest
from livepapers.core.checkpoint import load_state, save_state
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import Learner

CUTS = (0, 1, 3)
MOST_GROWTH_BYTES = 24 << 20


@check(24)
def resumed_runs_are_bitwise_equal(subject: Subject) -> None:
    """Save, load into a fresh learner and go on equals the uninterrupted run, bit for bit, at three cut points."""
    whole = _learner(subject)
    digests = [state_digest(whole.state_dict())]
    for _ in range(CUTS[-1] + 2):
        whole.update()
        digests.append(state_digest(whole.state_dict()))
    for cut in CUTS:
        first = _learner(subject)
        for _ in range(cut):
            first.update()
        resumed = subject.learner()
        resumed.load_state_dict(_through_a_file(first))
        require(state_digest(resumed.state_dict()) == digests[cut], f"loading at step {cut} changes the state")
        for step in (cut + 1, cut + 2):
            resumed.update()
            require(state_digest(resumed.state_dict()) == digests[step], f"cut at {cut}: step {step} differs")


@check(25)
def work_survives_a_checkpoint(subject: Subject) -> None:
    """The budget already spent is part of the state."""
    learner = _learner(subject)
    learner.update()
    other = subject.learner()
    other.load_state_dict(_through_a_file(learner))
    require(other.work() == learner.work(), f"work {learner.work()} became {other.work()}")


@check(26)
def states_that_do_not_fit_are_refused(subject: Subject) -> None:
    """A state with a missing, extra or misshapen tensor raises CorruptFileError and changes nothing."""
    learner = _learner(subject)
    learner.update()
    before = state_digest(learner.state_dict())
    good = _through_a_file(learner)
    holder, key = _first_tensor(good)
    for what, spoil in (
        ("missing", lambda group: group.pop(key)),
        ("misshapen", lambda group: group.update({key: torch.zeros(3, 1, 4, 1, 5)})),
        ("extra", lambda group: group.update({"no_such_tensor": torch.zeros(2)})),
    ):
        bad = copy.deepcopy(good)
        group = bad
        for step in holder:
            group = group[step]
        spoil(group)
        try:
            learner.load_state_dict(bad)
        except CorruptFileError:
            require(state_digest(learner.state_dict()) == before, f"the refusal of a {what} tensor changed the learner")
        else:
            raise CheckFailedError(f"a state with a {what} tensor at {'/'.join([*holder, key])} is accepted")


@check(27)
def altered_files_are_refused(subject: Subject) -> None:
    """A checkpoint that was truncated or had one bit flipped raises CorruptFileError."""
    learner = _learner(subject)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, learner.state_dict())
        data = path.read_bytes()
        for name, bad in (
            ("truncated", data[: len(data) // 2]),
            ("bit-flipped", data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]),
            ("empty", b""),
        ):
            path.write_bytes(bad)
            try:
                load_state(path)
            except CorruptFileError:
                continue
            raise CheckFailedError(f"a {name} checkpoint is accepted")


@check(28)
def loading_does_not_tie(subject: Subject) -> None:
    """Updates after loading do not change the state that was loaded."""
    learner = _learner(subject)
    learner.update()
    given = _through_a_file(learner)
    before = state_digest(given)
    other = subject.learner()
    other.load_state_dict(given)
    other.update()
    require(state_digest(given) == before, "the learner went on writing into the state it was given")


@check(29, slow=True)
def memory_stays_flat(subject: Subject) -> None:
    """Two hundred updates (or two seconds of them) do not grow the process."""
    learner = _learner(subject)
    _update(learner, most=20, seconds=1.0)  # buffers fill, caches settle
    before = _resident_bytes()
    _update(learner, most=200, seconds=2.0)
    growth = _resident_bytes() - before
    require(growth <= MOST_GROWTH_BYTES, f"memory grew by {growth >> 20} MiB")


def _update(learner: Learner, *, most: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    for _ in range(most):
        learner.update()
        if time.monotonic() > until:
            return


def _through_a_file(learner: Learner) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, learner.state_dict())
        return load_state(path)


def _first_tensor(state: dict[str, Any]) -> tuple[list[str], str]:
    """Where the first float tensor of a state stands: (keys to its group, its key)."""
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return [], key
        if isinstance(value, dict):
            try:
                path, name = _first_tensor(value)
            except NotApplicable:
                continue
            return [key, *path], name
    raise NotApplicable("the state holds no float tensor")


def _resident_bytes() -> int:
    """Memory in use now; where the system tells no such figure, the peak, which earlier work may have set higher.

    What is free goes back to the system first: a heap left half empty by earlier work would swallow what a learner
    hoards without a trace.
    """
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's; other C libraries give memory back at once
        trim(0)
    told = Path("/proc/self/statm")
    if told.exists():
        return int(told.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
