"""Populations evaluated elsewhere: what travels are lists of seeds and returns, never weights (section 3).

Whoever evaluates a share of the population rebuilds its networks, and keeps their parents' weights, so that the next
generation costs one mutation each.
"""

import functools
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from livepapers.core.application import Spread
from livepapers.core.errors import InputError, Interrupted
from livepapers.methods.deep_ga.evaluation import Evaluated, Evaluator, world_of
from livepapers.methods.deep_ga.genomes import Decoder, Genome
from livepapers.methods.deep_ga.networks import Layout

Found: TypeAlias = "tuple[np.ndarray, int, np.ndarray] | InputError"
"""`Evaluated` as arrays, or what was wrong."""


@dataclass(frozen=True)
class Share:
    """Some members of a population, for a process that may have seen nothing of it."""

    place: str  # world and network as JSON, equal for all shares of a search
    members: range  # of the population
    genomes: tuple[bytes, ...]
    episodes: int
    seed: int


class Crew:
    """Evaluates genomes by the `map` of an engine, to the same bits as `Evaluator` does here.

    Args:
        spread: Such as `lab.engines.make_engine("ray").map`.
        world: Its name, as in `world_of`.
        arguments: Its arguments.
        evaluator: Of the search: network, share and cap.
    """

    def __init__(self, spread: Spread, world: str, arguments: dict[str, Any], evaluator: Evaluator) -> None:
        self.spread, self.evaluator = spread, evaluator
        self._world = [world, arguments, evaluator.layout.arguments, evaluator.most, evaluator.cap]

    def __call__(self, genomes: list[Genome], *, episodes: int, seed: int) -> Evaluated:
        """Evaluate them all.

        Raises:
            InputError: As in this process.
            Interrupted: A share was lost, because its worker died again and again.
        """
        self.evaluator.settle()
        compiled = "always" if self.evaluator.compiler.on else "never"  # workers do as the search, which may be resumed
        place = json.dumps([*self._world, compiled], sort_keys=True)
        shares = [
            Share(place, who, tuple(genomes[i].to_bytes() for i in who), episodes, seed)
            for who in self.evaluator.shares(len(genomes), episodes)
        ]
        try:
            found = list(self.spread(evaluate, shares))
        except RuntimeError as error:
            raise Interrupted(f"a share of the population was lost: {error}") from None
        return Evaluated.together([_as_evaluated(one) for one in found])


def evaluate(share: Share) -> Found:
    """Rebuild the members of a share from their seeds and run their episodes; what a worker is called with."""
    try:
        evaluator, decoder = _workplace(share.place)
        genomes = [Genome.from_bytes(one) for one in share.genomes]
        decoder.remember(list(dict.fromkeys(genome.parent or genome for genome in genomes)))
        first = share.members.start
        done = evaluator.share(
            lambda i: decoder(genomes[i - first]), share.members, episodes=share.episodes, seed=share.seed
        )
    except InputError as error:
        return error
    return done.returns.numpy(), done.steps, done.behaviour.numpy()


@functools.lru_cache(2)
def _workplace(place: str) -> tuple[Evaluator, Decoder]:
    """World and network of a search, made once a process."""
    world, arguments, network, most, cap, compiled = json.loads(place)
    layout = Layout.from_arguments(network)
    evaluator = Evaluator(world_of(world, arguments)[0], layout, side_by_side=most, cap=cap, compiled=compiled)
    return evaluator, Decoder(layout.scale(), layout.signature, keep=most)


def _as_evaluated(found: Found) -> Evaluated:
    if isinstance(found, InputError):
        raise found
    returns, steps, behaviour = found
    return Evaluated(torch.tensor(returns), steps, torch.tensor(behaviour))  # copies: Ray's arrays are read-only
