"""Fished ecosystems as a batched simulator (fishery).

One step t (populations N `[B, S]`, all increments at the post-harvest N):
    1. The policy sees N / scale; neither t nor any drifting parameter.
    2. `decide`: catch = M N of the fished species, M in [0, 1]; reward price catch - cost M; N <- N - catch.
    3. `resolve`: N <- N + growth(N, t) + sigma N noise, at least 0. If a species that counts is at or below the
       threshold the episode ends and penalty / (t + 1) is lost.
Noise is multiplicative. Source: Montealegre-Mora and others, arXiv 2308.13654; the terms are those of
`tasks.ecosystem_model`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.ecosystem_model import Ecosystem, Species

LEAST_CAPACITY = 0.01
"""Competition never takes more than all but this share of a capacity: growth stays finite."""


HIGHEST = 1e12
"""No observation is higher: Gymnasium asks for a finite bound."""


class EcosystemState(NamedTuple):
    """B independent ecosystems; also the post-decision state."""

    population: Tensor  # [B, S] >= 0
    time: Tensor  # [B] int64, steps since the start of the episode


HarvestPolicy: TypeAlias = Callable[[Tensor], Tensor]
"""Observations `[B, S]` (populations that are seen / scale) -> mortalities `[B, fisheries]`; clipped to [0, 1]."""


class Episodes(NamedTuple):
    """What B episodes gave; nothing is discounted."""

    reward: Tensor  # [B] float64, penalty included
    catch: Tensor  # [B, fisheries] float64
    length: Tensor  # [B] int64 steps
    extinct: Tensor  # [B] int64, the species that was lowest when the episode ended early; -1: it did not
    yearly: Tensor | None  # [B, T] reward of each step without penalties, 0 after the end; None unless asked for
    visited: Tensor | None  # [T, B, S] populations before each harvest, NaN after the end; None unless asked for

    @property
    def survived(self) -> Tensor:
        """`[B]` bool: the episode lasted to the horizon."""
        return self.extinct < 0


class EcosystemSimulator:
    """A `Simulator` of one ecosystem. Reward = price times catch, minus cost, minus the penalty of an early end.

    Args:
        model: What is simulated.
        seen: The species that are observed; None: all.
        clip: Whether mortalities outside [0, 1] are clipped; otherwise they raise `InputError`.
        dtype: Float type of all states.
    """

    def __init__(
        self,
        model: Ecosystem,
        *,
        seen: Sequence[str] | None = None,
        clip: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.model, self.clip, self.dtype, self.horizon = model, clip, dtype, model.horizon
        count, fisheries = len(model.species), len(model.fisheries)
        self._seen = _positions(model, model.names if seen is None else seen)
        self.observation_space = gymnasium.spaces.Box(0.0, HIGHEST, (len(self._seen),), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (fisheries,), np.float32)
        self._start, self._spread = (self._row([getattr(s, f) for s in model.species]) for f in ("start", "spread"))
        self._counts = torch.tensor([one.counts for one in model.species])
        self._price, self._cost = (self._row([getattr(f, name) for f in model.fisheries]) for name in ("price", "cost"))
        self._fished = torch.zeros(fisheries, count, dtype=dtype)
        self._fished[torch.arange(fisheries), torch.tensor(model.harvested)] = 1.0
        self._catches = self._fished.T.contiguous()
        self._terms = _Terms(model, dtype)

    def initial(self, batch: int, generator: torch.Generator) -> EcosystemState:
        """Start populations, `start` plus `spread` times standard normals."""
        noise = torch.randn(batch, len(self._start), generator=generator, dtype=self.dtype)
        population = (self._start + self._spread * noise).clamp(min=0.0)
        return EcosystemState(population, torch.zeros(batch, dtype=torch.int64))

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        """Standard normals `[batch, S]`."""
        del t
        return torch.randn(batch, len(self._start), generator=generator, dtype=self.dtype)

    def observe(self, state: EcosystemState) -> Tensor:
        """Populations of the species that are seen, divided by the model's scale, `[B, S]`."""
        return state.population[:, self._seen] / self.model.scale

    def mask(self, state: EcosystemState) -> Tensor | None:
        """Actions are real numbers."""
        del state
        return None

    def decide(self, state: EcosystemState, action: Tensor) -> tuple[EcosystemState, Tensor]:
        """Harvest; `action` `[B, fisheries]`."""
        mortality = action.to(self.dtype)
        if self.clip:
            mortality = mortality.clamp(0.0, 1.0)
        elif bool(((mortality < 0.0) | (mortality > 1.0)).any()):
            worst = float(mortality.flatten()[(mortality.flatten() - 0.5).abs().argmax()])
            raise InputError.of("mortality", worst, expected="a number from 0 to 1", cause="clipping is off")
        catch = (state.population @ self._catches) * mortality
        left = state.population * (1.0 - mortality @ self._fished)
        return EcosystemState(left, state.time), catch @ self._price - mortality @ self._cost

    def resolve(self, post: EcosystemState, noise: Tensor) -> tuple[EcosystemState, Tensor, Tensor]:
        """Growth and noise; penalty and end near extinction."""
        population = self._terms.grown(post.population, post.time, noise)
        terminated = ((population <= self.model.threshold) & self._counts).any(1)
        lost = self.model.penalty / (post.time + 1).to(self.dtype)
        return EcosystemState(population, post.time + 1), -lost * terminated, terminated

    def noise(self, episodes: int, generator: torch.Generator) -> tuple[EcosystemState, Tensor]:
        """Start states of episodes and their whole noise `[T, B, S]`: what rules are compared on."""
        start = self.initial(episodes, generator)
        shape = (self.horizon, episodes, len(self._start))
        return start, torch.randn(shape, generator=generator, dtype=self.dtype)

    @torch.no_grad()
    def run(
        self,
        policy: HarvestPolicy,
        *,
        start: EcosystemState,
        noise: Tensor,
        copies: int = 1,
        visited: bool = False,
        yearly: bool = False,
    ) -> Episodes:
        """Whole episodes under a policy.

        Args:
            policy: Mortalities for observations.
            start: E start states.
            noise: `[T, E, S]`.
            copies: The same E episodes so many times, one behind the other, as B = copies * E lanes; the noise is
                shared (common random numbers), the policy sees all lanes and may treat each copy in its own way.
            visited: Whether to keep the populations.
            yearly: Whether to keep the reward of each step.

        Raises:
            InputError: Populations or rewards are no longer finite.
        """
        population, time = start.population.repeat(copies, 1), start.time.repeat(copies)
        state, lanes = EcosystemState(population, time), len(time)
        alive = torch.ones(lanes, dtype=torch.bool)
        reward = torch.zeros(lanes, dtype=torch.float64)
        caught = torch.zeros(lanes, len(self._price), dtype=torch.float64)
        length, extinct = torch.zeros(lanes, dtype=torch.int64), torch.full((lanes,), -1)
        gains, seen = [], []
        for t in range(self.horizon):
            if visited:
                seen.append(torch.where(alive[:, None], state.population, torch.nan))
            post, gained = self.decide(state, policy(self.observe(state)))
            after, lost, dead = self.resolve(post, noise[t].repeat(copies, 1))
            gained = gained * alive
            reward += gained + lost * alive
            caught += (state.population @ self._catches - post.population @ self._catches) * alive[:, None]
            length += alive
            ends = dead & alive
            if bool(ends.any()):
                lowest = torch.where(self._counts, after.population, torch.inf).argmin(1)
                extinct = torch.where(ends, lowest, extinct)
                alive = alive & ~dead
            if yearly:
                gains.append(gained)
            state = EcosystemState(torch.where(alive[:, None], after.population, self._start), after.time)
        if not bool(torch.isfinite(reward).all() & torch.isfinite(state.population).all()):
            raise InputError.of(
                "model", "populations that are not finite", expected="populations that stay bounded",
                cause="is a rate or a gain too large?",
            )  # fmt: skip
        kept = torch.stack(seen) if visited else None
        return Episodes(reward, caught, length, extinct, torch.stack(gains, 1) if yearly else None, kept)

    def _row(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=self.dtype)


def fished_ecosystem(*, model: Mapping[str, Any], seen: Sequence[str] | None = None) -> EcosystemSimulator:
    """The world that artifacts of harvest rules name: `model` is `Ecosystem.to_json()`."""
    return EcosystemSimulator(Ecosystem.from_json(dict(model)), seen=seen)


def _positions(model: Ecosystem, seen: Sequence[str]) -> list[int]:
    unknown = [name for name in seen if name not in model.names]
    if unknown or not seen:
        raise InputError.of("seen", ", ".join(unknown) or "none", expected=f"some of {', '.join(model.names)}")
    return [model.names.index(name) for name in seen]


_Table: TypeAlias = Callable[[list[tuple[str, float]]], Tensor]
"""Parameters by name, with their values -> columns `[T, parameter]` of them over time."""


class _Terms:
    """The growth terms of a model as tables over time: one row where nothing drifts, else one a step."""

    def __init__(self, model: Ecosystem, dtype: torch.dtype) -> None:
        species = model.species
        self._times = model.horizon
        self._seasonal = any(one.growth in {"cycle", "forced"} for one in species)
        steps = torch.arange(model.horizon if model.drift or self._seasonal else 1, dtype=torch.float64)
        factor = {drift.parameter: drift.factor(steps) for drift in model.drift}

        def table(values: list[tuple[str, float]]) -> Tensor:
            """Columns `[T, len(values)]` of parameters by name."""
            columns = [value * factor.get(name, torch.ones_like(steps)) for name, value in values]
            made = torch.stack(columns, 1) if columns else torch.zeros(len(steps), 0, dtype=torch.float64)
            constant = bool((made == made[:1]).all())
            return (made[:1] if constant else made).to(dtype)

        self._set_growth(species, steps, table, dtype)
        self._set_pairs(model, table, dtype)
        self._set_eaten(model, table, dtype)

    def _set_growth(self, species: Sequence[Species], steps: Tensor, table: _Table, dtype: torch.dtype) -> None:
        """What each species does by itself."""
        rate = table([(f"{one.name}.rate", one.rate) for one in species])
        kinds = {
            kind: torch.tensor([one.growth == kind for one in species]) for kind in ("logistic", "cycle", "forced")
        }
        sign = torch.tensor([{"logistic": 1.0, "decline": -1.0, "cycle": 1.0}.get(one.growth, 0.0) for one in species])
        turn = 2.0 * torch.pi * steps[:, None] / torch.tensor([one.period for one in species], dtype=torch.float64)
        season = torch.where(kinds["cycle"], turn.cos(), 1.0).to(dtype)
        self._base = rate * sign.to(dtype) * (season if bool(kinds["cycle"].any()) else 1.0)
        self._crowding = rate * kinds["logistic"]
        self._capacity = table([(f"{one.name}.capacity", one.capacity) for one in species])
        self._noise = table([(f"{one.name}.noise", one.noise) for one in species])
        self._forced = kinds["forced"] if bool(kinds["forced"].any()) else None
        self._level = (self._capacity + rate * turn.sin().to(dtype)).clamp(min=0.0)

    def _set_pairs(self, model: Ecosystem, table: _Table, dtype: torch.dtype) -> None:
        """What is linear in another species: competition, and what predators gain."""
        names = list(model.names)
        loss: list[tuple[int, int, str, float]] = []  # (who, because of whom, parameter, effect on growth per head)
        taken: list[tuple[int, int, str, float]] = []  # (who, because of whom, parameter, capacity taken)
        for pair in model.competition:
            first, second = names.index(pair.first), names.index(pair.second)
            into, value = (loss, -pair.rate) if pair.limits == "growth" else (taken, pair.rate)
            into += [(a, b, f"{pair.first}-{pair.second}.rate", value) for a, b in ((first, second), (second, first))]
        for pair in model.predation:
            if pair.predator is not None and pair.gain:
                name = f"{pair.predator}>{pair.prey}.gain"
                loss.append((names.index(pair.predator), names.index(pair.prey), name, pair.gain))
        self._linear = _Pairs(loss, table, len(names), dtype)
        self._taken = _Pairs(taken, table, len(names), dtype)

    def _set_eaten(self, model: Ecosystem, table: _Table, dtype: torch.dtype) -> None:
        """What predators take, which saturates."""
        names = list(model.names)
        eaten = [(pair, f"{pair.predator or ''}>{pair.prey}") for pair in model.predation]
        self._prey = torch.tensor([names.index(pair.prey) for pair, _ in eaten], dtype=torch.int64)
        self._predator = torch.tensor(
            [len(names) if pair.predator is None else names.index(pair.predator) for pair, _ in eaten],
            dtype=torch.int64,
        )
        self._lonely = any(pair.predator is None for pair, _ in eaten)
        self._eaten_by = torch.zeros(len(eaten), len(names), dtype=dtype)
        self._eaten_by[torch.arange(len(eaten)), self._prey] = -1.0
        self._squared = torch.tensor([pair.exponent == 2 for pair, _ in eaten], dtype=torch.bool)
        self._take = table([(f"{name}.rate", pair.rate) for pair, name in eaten])
        half = table([(f"{name}.half_saturation", pair.half_saturation) for pair, name in eaten])
        self._half = torch.where(self._squared, half * half, half)

    def grown(self, population: Tensor, time: Tensor, noise: Tensor) -> Tensor:
        """Populations a step later, `[B, S]` >= 0."""
        time = time.clamp(max=self._times - 1)
        capacity = _at(self._capacity, time)
        if self._taken:
            capacity = torch.maximum(capacity - self._taken(population, time), LEAST_CAPACITY * capacity)
        per_head = _at(self._base, time) - _at(self._crowding, time) * population / capacity
        if self._linear:
            per_head = per_head + self._linear(population, time)
        per_head = per_head + _at(self._noise, time) * noise
        after = torch.addcmul(population, population, per_head)
        if len(self._prey):
            after = after + self._eaten(population, time)
        after = after.clamp(min=0.0)
        return after if self._forced is None else torch.where(self._forced, _at(self._level, time), after)

    def _eaten(self, population: Tensor, time: Tensor) -> Tensor:
        prey = population[:, self._prey]
        crowd = torch.cat([population, torch.ones_like(population[:, :1])], 1) if self._lonely else population
        seen = torch.where(self._squared, prey * prey, prey)
        taken = _at(self._take, time) * crowd[:, self._predator] * seen / (_at(self._half, time) + seen)
        return taken @ self._eaten_by


class _Pairs:
    """Effects that are linear in another species: sum over pairs of coefficient times its population, `[B, S]`."""

    def __init__(
        self,
        pairs: list[tuple[int, int, str, float]],
        table: _Table,
        species: int,
        dtype: torch.dtype,
    ) -> None:
        self._count = len(pairs)
        self._values = table([(name, value) for _, _, name, value in pairs])
        self._other = torch.tensor([other for _, other, _, _ in pairs], dtype=torch.int64)
        self._into = torch.zeros(len(pairs), species, dtype=dtype)
        for row, (who, _, _, _) in enumerate(pairs):
            self._into[row, who] = 1.0
        self._matrix = torch.zeros(species, species, dtype=dtype)  # used where nothing drifts
        if len(self._values) == 1:
            for row, (who, other, _, _) in enumerate(pairs):
                self._matrix[other, who] += self._values[0, row]

    def __bool__(self) -> bool:
        return self._count > 0

    def __call__(self, population: Tensor, time: Tensor) -> Tensor:
        if len(self._values) == 1:
            return population @ self._matrix
        return (_at(self._values, time) * population[:, self._other]) @ self._into


def _at(table: Tensor, time: Tensor) -> Tensor:
    """The row of each lane's time; one row serves all."""
    return table if len(table) == 1 else table[time]
