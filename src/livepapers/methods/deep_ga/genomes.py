"""Genomes as lists of seeds: a network of any size in a few bytes, rebuilt to the same bits on any machine.

Weights come from a counter-based generator (Philox, key = seed) whose raw integers are specified to the bit; each 16 of
them pick one of 65,536 equally likely quantiles of the normal law, a table whose checksum is asserted. Products and
sums are single float32 operations in a fixed order, so nothing depends on a machine's libraries or vector units. Calls
to a library's own normal generator would: theirs round logarithms and cosines as the machine does.
"""

import functools
import hashlib
import math
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from scipy.special import ndtri

from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.learner import JSON

VERSION = 1
MOST_SEED = 2**32
_LEVELS = 65_536
_TABLE_SHA256 = "8babbcaf96568f10165a1eab530c0e5c92d04de96761b6dbb3dadfa94baba37f"
_HEAD = struct.Struct("<4sI8sII")  # magic, version, signature, seeds, runs of equal sigmas
_RUN = struct.Struct("<If")
_MAGIC = b"DGA1"


@functools.cache
def normal_table() -> np.ndarray:
    """65,536 equally likely values of mean 0 and variance 1, float32, ascending: midpoint quantiles, rescaled.

    Raises:
        RuntimeError: This machine computes another table, so its genomes would be other networks.
    """
    values = ndtri((np.arange(_LEVELS // 2, _LEVELS) + 0.5) / _LEVELS)  # the upper half, so that it is symmetric
    values = np.concatenate([-values[::-1], values])
    table = (values / np.sqrt(np.square(values).mean())).astype("<f4")
    if hashlib.sha256(table.tobytes()).hexdigest() != _TABLE_SHA256:
        raise RuntimeError("the table of normal quantiles has other bits than genomes of version 1 are made of")
    table.flags.writeable = False
    return table


class _Stream(threading.local):
    """A generator that is set to a seed's first number: making one asks the system for entropy that no key needs."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)
        self.begin: Any = self.philox.state


_stream = _Stream()


def noise(seed: int, size: int) -> np.ndarray:
    """`size` normal numbers of one seed, float32: the same bits everywhere.

    The published code cuts a slice at index `seed` from one shared array of 2.5e8 numbers (1 GB); a counter-based
    generator needs no such array and no seed's numbers overlap another's.
    """
    _stream.begin["state"]["key"][0] = seed
    _stream.philox.state = _stream.begin
    raw = _stream.philox.random_raw(-(-size // 4))
    return normal_table().take(raw.astype("<u8", copy=False).view("<u2")[:size])


@dataclass(frozen=True)
class Genome:
    """An individual: the seed of its ancestor's initial weights, and of each mutation since.

    theta_0 = scale * noise(s_0); theta_i = theta_(i-1) + sigma_i * noise(s_i).

    Attributes:
        seeds: s_0 ... s_g, 0 <= s < 2^32.
        sigmas: sigma_1 ... sigma_g, float32 values.
        signature: Of the architecture, see `networks.Layout.signature`.
    """

    seeds: tuple[int, ...]
    sigmas: tuple[float, ...]
    signature: str

    def __post_init__(self) -> None:
        """Refuse what no network can be rebuilt from."""
        whole = set(map(type, self.seeds)) == {int} and min(self.seeds) >= 0 and max(self.seeds) < MOST_SEED
        if not whole:
            raise InputError.of("seeds", self.seeds, expected="whole numbers from 0 to 2^32 - 1, at least one")
        if len(self.sigmas) != len(self.seeds) - 1 or not self._positive():
            expected = f"{len(self.seeds) - 1} numbers > 0, one for each mutation"
            raise InputError.of("sigmas", self.sigmas, expected=expected)

    def _positive(self) -> bool:
        """Whether all sigmas are; like the check of seeds, without a step of Python for each."""
        return all(map(math.isfinite, self.sigmas)) and min(self.sigmas, default=1.0) > 0.0

    @property
    def generation(self) -> int:
        """Mutations since the initial weights."""
        return len(self.sigmas)

    @property
    def parent(self) -> "Genome | None":
        """What it was mutated from; None for initial weights."""
        return Genome(self.seeds[:-1], self.sigmas[:-1], self.signature) if self.sigmas else None

    def mutated(self, seed: int, sigma: float) -> "Genome":
        """A child."""
        return Genome((*self.seeds, seed), (*self.sigmas, float(np.float32(sigma))), self.signature)

    def lineage(self) -> list["Genome"]:
        """All its ancestors, the initial weights first, itself last."""
        return [Genome(self.seeds[: n + 1], self.sigmas[:n], self.signature) for n in range(len(self.seeds))]

    def decode(self, scale: np.ndarray) -> np.ndarray:
        """The weights, `[parameter]` float32, in the order of the seeds; `scale` is that of the initial weights."""
        theta = initial_weights(self.seeds[0], scale)
        for seed, sigma in zip(self.seeds[1:], self.sigmas, strict=True):
            theta = mutation(theta, seed, sigma)
        return theta

    def to_bytes(self) -> bytes:
        """4 bytes a seed, 8 bytes a run of equal sigmas, 24 bytes of head."""
        runs = [(len(list(group)), sigma) for sigma, group in groupby(self.sigmas)]
        head = _HEAD.pack(_MAGIC, VERSION, bytes.fromhex(self.signature), len(self.seeds), len(runs))
        return head + np.array(self.seeds, "<u4").tobytes() + b"".join(_RUN.pack(*run) for run in runs)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Genome":
        """The inverse of `to_bytes`; raises `CorruptFileError`."""
        try:
            magic, version, signature, seeds, runs = _HEAD.unpack_from(data)
            if magic != _MAGIC or version != VERSION or len(data) != _HEAD.size + 4 * seeds + _RUN.size * runs:
                raise CorruptFileError("genome: not one of version 1, or cut short")
            values = np.frombuffer(data, "<u4", seeds, _HEAD.size).tolist()
            pairs = list(_RUN.iter_unpack(data[_HEAD.size + 4 * seeds :]))
            if sum(count for count, _ in pairs) != seeds - 1:
                raise CorruptFileError("genome: another number of sigmas than of mutations")
            sigmas = [sigma for count, sigma in pairs for _ in range(count)]
            return cls(tuple(values), tuple(sigmas), signature.hex())
        except (struct.error, InputError) as error:
            raise CorruptFileError(f"genome: not readable ({error})") from None

    def to_json(self) -> dict[str, JSON]:
        """JSON-ready values."""
        return {"seeds": list(self.seeds), "sigmas": list(self.sigmas), "signature": self.signature}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Genome":
        """The inverse of `to_json`; raises `CorruptFileError`."""
        try:
            return cls(tuple(values["seeds"]), tuple(float(s) for s in values["sigmas"]), str(values["signature"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"genome: not readable ({plainly(error)})") from None


def initial_weights(seed: int, scale: np.ndarray) -> np.ndarray:
    """theta_0 = scale * noise(seed), `[parameter]` float32; biases have scale 0."""
    return scale * noise(seed, len(scale))


def mutation(theta: np.ndarray, seed: int, sigma: float) -> np.ndarray:
    """The child of theta, theta + sigma * noise(seed): the same sigma for all weights and biases; two roundings."""
    return theta + np.float32(sigma) * noise(seed, len(theta))


_Key: TypeAlias = "tuple[tuple[int, ...], tuple[float, ...]]"
"""All seeds and all sigmas: whoever shares only the last ones is another individual."""


class Decoder:
    """Weights of genomes, with those of the last parents kept: a child then costs one mutation.

    Args:
        scale: Of the initial weights, `[parameter]` float32.
        signature: Of the architecture; genomes of another one are refused.
        keep: Most weight vectors kept.
    """

    def __init__(self, scale: np.ndarray, signature: str, *, keep: int) -> None:
        self.scale, self.signature, self.keep = scale, signature, keep
        self._kept: dict[_Key, np.ndarray] = {}

    def __call__(self, genome: Genome) -> np.ndarray:
        """The weights of one genome, `[parameter]` float32.

        Raises:
            InputError: The genome belongs to another architecture.
        """
        if genome.signature != self.signature:
            cause = "it was made for another architecture"
            raise InputError.of("genome", genome.signature, expected=f"signature {self.signature}", cause=cause)
        seeds, sigmas = genome.seeds, genome.sigmas
        kept = self._kept.get((seeds, sigmas))
        if kept is not None:
            return kept
        theta = self._kept.get((seeds[:-1], sigmas[:-1]))
        return genome.decode(self.scale) if theta is None else mutation(theta, seeds[-1], sigmas[-1])

    def remember(self, genomes: Sequence[Genome]) -> None:
        """Keep the weights of these (the next parents) and forget all others."""
        self._kept = {(one.seeds, one.sigmas): self(one) for one in genomes[: self.keep]}
