"""Randomness checks: same seed same bytes, in one process and in two, and nothing global is touched."""

import functools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from livepapers.battery.check import check, require
from livepapers.battery.subject import Subject

_OTHER_HASH_SEED = "4242"


@functools.cache
def _fresh(module: str) -> dict[str, object]:
    """What `battery.probe` says of a method in a fresh interpreter with another hash seed."""
    # The file, not the module: importing the battery's package would load what the probe has to find unloaded.
    probe = Path(__file__).with_name("probe.py")
    command = [sys.executable, "-P", "-W", "error", str(probe), module, "0"]
    environment = {**os.environ, "PYTHONHASHSEED": _OTHER_HASH_SEED, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    require(done.returncode == 0, f"a fresh interpreter fails: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout)


@check(1, slow=True)
def importable_alone(subject: Subject) -> None:
    """A fresh interpreter can import and run the method by itself, without warnings."""
    _fresh(subject.method.__name__)


@check(2, slow=True)
def the_package_is_light(subject: Subject) -> None:
    """Importing the package and its catalogue loads no heavy library."""
    heavy = _fresh(subject.method.__name__)["heavy"]
    require(not heavy, f"importing livepapers loads {heavy}")


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
    require(here == _fresh(subject.method.__name__)["trace"], "this process and a fresh one differ")


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
