"""Randomness checks: same seed same bytes, in one process and in two, and nothing global is touched."""

import atexit
import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch

from livepapers.battery.check import check, require
from livepapers.battery.subject import Subject

_OTHER_HASH_SEED = "4242"
_LONGEST = 300.0
"""Seconds that one answer may take."""


class _Probe:
    """A fresh interpreter with another hash seed that runs `battery.probe` as long as this process lives."""

    def __init__(self) -> None:
        # The file, not the module: importing the battery's package would load what the probe has to find unloaded.
        command = [sys.executable, "-P", "-W", "error", str(Path(__file__).with_name("probe.py"))]
        environment = {**os.environ, "PYTHONHASHSEED": _OTHER_HASH_SEED, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        atexit.register(self._end)
        self.heavy: list[str] = self._answer()["heavy"]

    def trace(self, module: str) -> str:
        """The trace of a method that was imported there alone."""
        assert self._process.stdin is not None
        self._process.stdin.write(module + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        require("trace" in answer, f"a fresh interpreter fails: {answer.get('error')}")
        return answer["trace"]

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(_LONGEST, os.killpg, (self._process.pid, signal.SIGKILL))  # its forks with it
        watch.start()
        line = self._process.stdout.readline()
        watch.cancel()
        if not line:
            _probe.cache_clear()  # the next method gets one that lives
        require(bool(line), "a fresh interpreter ends before it answers")
        return json.loads(line)

    def _end(self) -> None:
        with self._process:
            pass  # its input is closed, so it ends


_probe = functools.cache(_Probe)


@functools.cache
def _fresh_trace(module: str) -> str:
    return _probe().trace(module)


@check(1, slow=True)
def importable_alone(subject: Subject) -> None:
    """A fresh interpreter can import and run the method by itself, without warnings."""
    _fresh_trace(subject.method.__name__)


@check(2, slow=True)
def the_package_is_light(subject: Subject) -> None:
    """Importing the package and its catalogue loads no heavy library."""
    del subject  # one package, whatever the paper
    require(not _probe().heavy, f"importing livepapers loads {_probe().heavy}")


@check(18)
def same_seed_same_bits(subject: Subject) -> None:
    """Two runs with one seed in one process agree bit for bit."""
    require(subject.trace() == subject.trace(), "two runs with the same seed differ")


@check(19, slow=True)
def same_seed_same_bits_in_two_processes(subject: Subject) -> None:
    """A run here and one in a fresh interpreter with another hash seed agree bit for bit.

    Here other methods may have run before; there none has.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        here = subject.trace()
    finally:
        torch.set_num_threads(threads)
    require(here == _fresh_trace(subject.method.__name__), "this process and a fresh one differ")


@check(20)
def different_seeds_differ(subject: Subject) -> None:
    """Another seed gives another run."""
    require(subject.trace(0) != subject.trace(1), "seeds 0 and 1 give the same run: is the seed ignored?")


@check(21)
def global_streams_are_untouched(subject: Subject) -> None:
    """A run draws nothing from the global streams of random, numpy and torch."""
    legacy = np.random.get_state  # the global stream is what is being watched
    before = (random.getstate(), str(legacy()), torch.get_rng_state().tolist())
    subject.trace()
    after = (random.getstate(), str(legacy()), torch.get_rng_state().tolist())
    touched = [name for name, a, b in zip(("random", "numpy", "torch"), before, after, strict=True) if a != b]
    require(not touched, f"the run drew from the global stream of {', '.join(touched)}")


@check(22)
def global_seeds_do_not_matter(subject: Subject) -> None:
    """Seeding the global streams differently changes nothing."""
    state = torch.get_rng_state()
    try:
        torch.manual_seed(1)
        first = subject.trace()
        torch.manual_seed(2)
        second = subject.trace()
    finally:
        torch.set_rng_state(state)
    require(first == second, "the run depends on torch's global seed")
