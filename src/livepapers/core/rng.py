"""Randomness as an argument.

Every stream is derived from a seed and a path of names, so adding a study, an arm or a stream never shifts the
numbers of another one, and two arms that ask for the same path face the very same world (common random numbers).
"""

import hashlib
from typing import TYPE_CHECKING, Annotated

import numpy as np

if TYPE_CHECKING:
    import torch

Seed = Annotated[int, ">= 0"]
"""A seed that a user gives: the command line refuses others by this annotation."""


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for the stream at `path` below `seed`; independent of PYTHONHASHSEED, platform and call order."""
    text = "\x1f".join([str(int(seed)), *(f"{type(part).__name__}:{part}" for part in path)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *path: str | int) -> "torch.Generator":
    """A CPU `torch.Generator` for the stream at `path` below `seed`."""
    import torch  # judging a run needs streams of NumPy only, and answers two seconds sooner without it

    return torch.Generator().manual_seed(derive(seed, *path))


def numpy_generator(seed: int, *path: str | int) -> np.random.Generator:
    """A NumPy `Generator` for the stream at `path` below `seed`."""
    return np.random.default_rng(derive(seed, *path))
