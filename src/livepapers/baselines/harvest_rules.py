"""Rules that fisheries use, tuned on the simulator itself (fishery).

mortality   M_i, whatever the stocks are: "fish F % every year"
escapement  M_i = max(1 - S_i / N_i, 0): "fish what is above S, nothing below"
linear      the same with S_i = a_i + sum over other species j of b_ij N_j: how much is gained by looking at the others

All are tuned on one set of episodes (common random numbers), the first two on a grid, the third by differential
evolution that starts from the tuned constant escapement. The score of a winner on the episodes that chose it is
flattering: evaluate it on fresh ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import differential_evolution
from torch import Tensor, nn

from livepapers.core import loop
from livepapers.core.errors import InputError
from livepapers.core.rng import derive
from livepapers.tasks.ecosystem import EcosystemSimulator, EcosystemState
from livepapers.tasks.ecosystem_model import Ecosystem

Kind = Literal["mortality", "escapement", "linear"]
LANES = 16_384  # episodes simulated side by side while a rule is tuned
MOST_MORTALITY = 0.5  # of the grid at first; a winner there lets it grow to 1
POPULATION, GENERATIONS = 60, 40  # of differential evolution


class HarvestRule(nn.Module):
    """A rule as a policy: observations `[B, species]` -> mortalities `[B, fisheries]` in [0, 1].

    Args:
        kind: Which rule.
        harvested: The position of each fished species.
        scale: Populations are observations times this.
        parameters: `[P]`, or `[G, P]` for G rules at once, which then act on G equal shares of the batch. P is the
            number of fisheries F; of linear rules F x S: in row i, column j the weight b_ij, at j = i the constant a_i.
    """

    takes = "observation"
    values: Tensor

    def __init__(
        self,
        kind: Kind,
        harvested: Sequence[int],
        scale: float,
        parameters: Sequence[float] | Tensor,
    ) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.harvested, self.scale = tuple(int(i) for i in harvested), float(scale)
        values = torch.as_tensor(parameters, dtype=torch.float32)
        self.register_buffer("values", values)
        self.arguments: dict[str, Any] = {
            "kind": kind, "harvested": list(self.harvested), "scale": self.scale, "parameters": values.tolist(),
        }  # fmt: skip

    def forward(self, observation: Tensor) -> Tensor:
        """Mortalities for observations."""
        fisheries = len(self.harvested)
        values = self.values if self.values.dim() == 2 else self.values[None]
        rules = len(values)
        if self.kind == "mortality":
            chosen = values.clamp(0.0, 1.0)
            return chosen[:, None].expand(rules, len(observation) // rules, fisheries).reshape(-1, fisheries)
        population = (self.scale * observation).view(rules, -1, observation.shape[1])
        stock = population[..., list(self.harvested)]
        if self.kind == "escapement":
            kept = values[:, None]
        else:
            weights = values.view(rules, fisheries, -1)
            own = torch.arange(fisheries), torch.tensor(self.harvested)
            constant = weights[:, own[0], own[1]]
            others = weights.clone()
            others[:, own[0], own[1]] = 0.0
            kept = (constant[:, None] + population @ others.transpose(1, 2)).clamp(min=0.0)
        return (1.0 - kept / stock.clamp(min=1e-9)).clamp(0.0, 1.0).reshape(-1, fisheries)

    def times(self, share: float) -> "HarvestRule":
        """The rule with its parameters multiplied: 0.8 times a mortality is the precautionary practice."""
        return HarvestRule(self.kind, self.harvested, self.scale, self.values * share)


ARCHITECTURES: dict[str, type[nn.Module]] = {"HarvestRule": HarvestRule}
"""What an artifact may name."""


@dataclass(frozen=True)
class Tuned:
    """The best rule of its kind on the tuning episodes."""

    rule: HarvestRule
    score: float  # mean reward on the episodes that chose it: flattering
    tried: int  # rules simulated on the way to it, in all grids and generations
    steps: int  # simulated steps that they took


def tune(
    simulator: EcosystemSimulator,
    kind: Kind,
    *,
    points: int,
    episodes: int,
    generator: torch.Generator,
    generations: int = GENERATIONS,
) -> Tuned:
    """The best rule of a kind.

    Args:
        simulator: Where rules are tried.
        kind: Which rule; "linear" first tunes "escapement" and goes on from there.
        points: Grid points a fishery; with more than two fisheries differential evolution searches instead.
        episodes: Tuning episodes, the same for all rules.
        generator: Of the tuning episodes, and of the search.
        generations: Of differential evolution.
    """
    if points < 2 or episodes < 1:
        raise InputError.of("points, episodes", (points, episodes), expected="at least 2 and at least 1")
    trial = _Trial(simulator, kind, *simulator.noise(episodes, generator), generations)
    seed = derive(int(torch.randint(2**31, (), generator=generator)), kind) % 2**32
    model, fisheries = simulator.model, len(simulator.model.fisheries)
    if kind == "linear" and len(model.species) == 1:
        raise InputError.of("kind", kind, expected="mortality or escapement", cause="there is no other species")
    if kind == "linear":
        start = _tune_constants(replace(trial, kind="escapement"), points, seed)
        population, tried = _evolve(trial, _linear_bounds(model), seed, begin=_as_linear(model, start.rule))
        return trial.best(population, tried=start.tried + tried)
    tuned = _tune_constants(trial, points, seed)
    edge = kind == "mortality" and float(tuned.rule.values.max()) >= MOST_MORTALITY
    if edge and fisheries <= 2:
        return trial.best(_grid([1.0] * fisheries, points), tried=tuned.tried)
    return tuned


def textbook(model: Ecosystem) -> HarvestRule:
    """The floor: each stock is fished as if it lived alone and grew logistically, at its maximum sustainable yield.

    What is left should be K / 2, which grows by r K / 4 in a step, so M = (r / 4) / (1 / 2 + r / 4) = r / (r + 2).
    """
    rates = [model.species[i].rate for i in model.harvested]
    return HarvestRule("mortality", model.harvested, model.scale, [rate / (rate + 2.0) for rate in rates])


@dataclass(frozen=True)
class _Trial:
    """One kind of rule on one set of episodes."""

    simulator: EcosystemSimulator
    kind: Kind
    start: EcosystemState
    noise: Tensor
    generations: int

    @property
    def name(self) -> str:
        """What a listener of `core.loop` sees."""
        return f"tuning {self.kind}"

    def scores(self, parameters: Tensor) -> Tensor:
        """Mean reward of G rules, `[G]` float64; of many, a listener sees how far they are."""
        model, episodes = self.simulator.model, self.noise.shape[1]
        found = []
        pieces = parameters.to(torch.float32).split(max(1, LANES // episodes))
        for piece in loop.counted(pieces, name=self.name) if len(pieces) > 1 else pieces:
            rule = HarvestRule(self.kind, model.harvested, model.scale, piece)
            done = self.simulator.run(rule, start=self.start, noise=self.noise, copies=len(piece))
            found.append(done.reward.view(len(piece), episodes).mean(1))
        return torch.cat(found)

    def best(self, parameters: Tensor, *, tried: int = 0) -> Tuned:
        """The best of G rules, the first of equals, after so many others that were tried to find them."""
        scores, model = self.scores(parameters), self.simulator.model
        index = int(scores.argmax())
        rule = HarvestRule(self.kind, model.harvested, model.scale, parameters[index])
        tried += len(parameters)
        return Tuned(rule, float(scores[index]), tried, tried * self.noise.shape[0] * self.noise.shape[1])


def _tune_constants(trial: _Trial, points: int, seed: int) -> Tuned:
    model = trial.simulator.model
    sizes = [model.sizes[i] for i in model.harvested]
    if len(sizes) <= 2:
        highest = [MOST_MORTALITY] * len(sizes) if trial.kind == "mortality" else sizes
        return trial.best(_grid(highest, points))
    bounds = [(0.0, 1.0)] * len(sizes) if trial.kind == "mortality" else [(0.0, size) for size in sizes]
    population, tried = _evolve(trial, bounds, seed)
    return trial.best(population, tried=tried)


def _grid(highest: Sequence[float], points: int) -> Tensor:
    axes = [torch.linspace(0.0, top, points) for top in highest]
    return torch.cartesian_prod(*axes).reshape(-1, len(highest))


def _evolve(
    trial: _Trial, bounds: Sequence[tuple[float, float]], seed: int, *, begin: Tensor | None = None
) -> tuple[Tensor, int]:
    """The last population of differential evolution, with its best in front, `[G, P]`; the rules tried so far."""
    sizes: list[int] = []  # of the first population, and of each generation's; a search may end before the last

    def loss(values: np.ndarray) -> np.ndarray:
        found = -trial.scores(torch.from_numpy(values.T.copy())).numpy()
        sizes.append(len(found))
        loop.tell(trial.name, len(sizes), trial.generations + 1)
        return found

    found = differential_evolution(
        loss, bounds, maxiter=trial.generations, popsize=max(5, POPULATION // len(bounds)), init="sobol", tol=1e-6,
        rng=np.random.default_rng(seed), polish=False, vectorized=True, updating="deferred",
        x0=None if begin is None else begin.numpy(),
    )  # fmt: skip
    return torch.from_numpy(np.vstack([found.x[None], found.population])).to(torch.float32), sum(sizes)


def _linear_bounds(model: Ecosystem) -> list[tuple[float, float]]:
    """Constants from -1 to 2 sizes of the stock, weights up to two of its sizes for one of the other species."""
    bounds = []
    for own in model.harvested:
        size = model.sizes[own]
        for other, reach in enumerate(model.sizes):
            bounds.append((-size, 2.0 * size) if other == own else (-2.0 * size / reach, 2.0 * size / reach))
    return bounds


def _as_linear(model: Ecosystem, rule: HarvestRule) -> Tensor:
    """A constant escapement as a linear one, `[F * S]`."""
    weights = torch.zeros(len(model.harvested), len(model.species))
    weights[torch.arange(len(model.harvested)), torch.tensor(model.harvested)] = rule.values
    return weights.flatten()
