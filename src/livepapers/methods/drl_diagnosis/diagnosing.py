"""The whole diagnosis of one policy: its direction, an independent run of it, and what changes make of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepapers.blocks.policy_door import AnyPolicy, PolicySource, as_policy
from livepapers.core.errors import InputError
from livepapers.core.rng import derive
from livepapers.methods.drl_diagnosis import measures
from livepapers.methods.drl_diagnosis.attacks import Limits
from livepapers.methods.drl_diagnosis.collecting import (
    ATTACKS,
    Environment,
    Mode,
    change_called,
    limits_of,
    picture_of,
    task_of,
    walk,
)
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.direction import (
    Direction,
    Gathering,
    Values,
    quotient,
    squared_cosine,
    subspace_quotient,
)
from livepapers.tasks import worlds

INDEPENDENT = "independent run"
ALL_CHANGES = (*ATTACKS, "brightness", "rotation", "perspective", "blur", "compression")
SUBSPACE = 3  # directions of the quotient that is asked for where the leading one is not alone


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        figures: Name -> one value a repeat, `[repeat]`: of the policy itself.
        table: Name of a set of states -> name of a figure -> `[repeat]`: quotient, cosine, subspace, return, size.
        direction: G of the first repeat, in the observation's shape.
        others: Name of a set of states -> its G, of the first repeat.
        series: |w(s_t)| along the first episode, `[step]`.
        returns: Of the reference episodes, `[repeat, episode]`.
        limits: What attacks were allowed.
        state: The first one that was visited.
    """

    figures: dict[str, np.ndarray]
    table: dict[str, dict[str, np.ndarray]]
    direction: Tensor
    others: dict[str, Tensor]
    series: np.ndarray
    returns: np.ndarray
    limits: Limits
    state: Tensor


def diagnose(
    policy: PolicySource, env: Environment, *, config: Config, changes: Sequence[str] = ALL_CHANGES, seed: int,
    mode: Mode = "act",
) -> Diagnosis:  # fmt: skip
    """Collect sets of states and compare their directions with that of the policy's own states.

    Each repeat has a reference set, an independent run, and for each change a run that starts like the independent one.

    Args:
        policy: One with differentiable preferences, of whatever kind `blocks.policy_door` lets in.
        env: Where it acts.
        config: Settings.
        changes: Names of attacks and natural changes.
        seed: Of all episodes.
        mode: See `collect`.

    Raises:
        InputError: The policy has no preferences to differentiate, does not fit the environment, or nothing moves it.
    """
    acting = as_policy(policy)
    values = differentiable(acting)
    with worlds.closing(task_of(env, 1)) as task:
        space = task.observation_space

    def sets(name: str, **given: Any) -> _Sets:
        """All repeats side by side: a step of many lanes costs little more."""
        start, made = derive(seed, "drl-diagnosis", name) >> 32, _Sets(values, config)
        count = config.episodes * config.repeats
        made.returns = walk(
            acting, env, episodes=count, seed=start, horizon=config.horizon, take=made.take, **given
        ).reshape(config.repeats, config.episodes)
        return made

    plain = sets("reference")
    references = plain.directions()
    limits = limits_of(space, plain.range, config.attack_size)
    table: dict[str, dict[str, np.ndarray]] = {}
    others: dict[str, Tensor] = {}
    for name in (INDEPENDENT, *changes):
        change = None if name == INDEPENDENT else change_called(name, values, limits, space.shape or ())
        seen = sets(INDEPENDENT, change=change, mode=mode, unit=limits.unit, told_as=f"episodes of {name}")
        moved = seen.directions()
        rows = [_compared(*each) for each in zip(references, moved, strict=True)]
        table[name], others[name] = _columns(rows), moved[0].direction
        table[name] |= {"return": seen.returns.mean(1), "size": limits.shares(seen.sizes())}
    episodes = plain.episodes()
    figures = _columns([_figures(*each) for each in zip(references, episodes, plain.returns, strict=True)])
    series = references[0].norms[episodes[0] == episodes[0][0]]
    return Diagnosis(
        figures, table, references[0].direction, others, series.numpy(), plain.returns, limits, plain.first
    )  # fmt: skip


class _Sets:
    """The repeats of one set of states while they are visited; the states themselves are let go."""

    def __init__(self, values: Values, config: Config) -> None:
        self._values, self._config = values, config
        self._gathered: list[Gathering] = []
        self._episodes: list[Tensor] = []
        self._sizes: list[Tensor] = []
        self.range, self.first = (torch.tensor(math.inf), torch.tensor(-math.inf)), torch.zeros(0)
        self.returns = np.zeros((0, 0))  # [repeat, episode]

    def take(self, states: Tensor, episode: Tensor, sizes: Tensor) -> None:
        """See `collecting.Take`."""
        config = self._config
        if not self._gathered:
            self.first = states[0].clone()
            self._gathered = [
                Gathering(
                    self._values, tuple(states.shape[1:]), temperature=config.temperature, loss=config.loss,
                    unit=config.unit,
                )
                for _ in range(config.repeats)
            ]  # fmt: skip
        self._episodes.append(episode)
        self._sizes.append(sizes)
        self.range = (torch.minimum(self.range[0], states.amin(0)), torch.maximum(self.range[1], states.amax(0)))
        repeat = episode // config.episodes
        for index in repeat.unique().tolist():
            self._gathered[index].update(states[repeat == index])

    def directions(self) -> list[Direction]:
        """One a repeat."""
        return [each.direction() for each in self._gathered]

    def episodes(self) -> list[Tensor]:
        """Of each state of a repeat, in the order in which it was visited, the number of its episode."""
        whole = torch.cat(self._episodes)
        return [whole[whole // self._config.episodes == index] for index in range(self._config.repeats)]

    def sizes(self) -> np.ndarray:
        """Mean l2 norm of the change, `[repeat]`, in the units that it was measured in."""
        repeat, sizes = torch.cat(self._episodes) // self._config.episodes, torch.cat(self._sizes)
        return np.array([float(sizes[repeat == index].mean()) for index in range(self._config.repeats)])


def _columns(rows: Sequence[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def differentiable(policy: AnyPolicy) -> Values:
    """The preferences of a policy; raises `InputError` where it has none."""
    values = policy.values
    if values is None:
        cause = "gradients need a torch network with preferences of discrete actions; an ONNX file has none"
        raise InputError.of("policy", policy.about, expected="Q values or logits", cause=cause)
    return values


def of_random_direction(reference: Direction) -> float:
    """The quotient that a random direction is expected to have: the mean eigenvalue over the largest one."""
    return 1.0 / (reference.moments.width * reference.share)


def _compared(reference: Direction, moved: Direction) -> dict[str, float]:
    count = min(SUBSPACE, len(moved.vectors), len(reference.vectors))
    return {
        "quotient": quotient(reference, moved.direction),
        "cosine": squared_cosine(reference.direction, moved.direction),
        "subspace": subspace_quotient(reference, moved.vectors[:count]),
    }


def _figures(reference: Direction, episode: Tensor, returns: np.ndarray) -> dict[str, float]:
    picture = picture_of(reference.direction)
    spectrum = measures.spectrum(picture)
    series = [measures.bursts(reference.norms[episode == one]) for one in episode.unique().tolist()]
    return {
        "return": float(returns.mean()),
        "states": float(len(episode)),
        "share": reference.share,
        "gap": reference.gap,
        "certainty": reference.certainty,
        "participation": measures.participation_ratio(picture),
        "top_energy": measures.top_energy(picture),
        "entropy": spectrum.entropy,
        "radius_50": spectrum.radius_50,
        "radius_90": spectrum.radius_90,
        "variation": float(np.mean([each.variation for each in series])),
        "peak": float(np.mean([each.peak for each in series])),
        "length": float(reference.norms.mean()),
        "random_quotient": of_random_direction(reference),
        "mean_quotient": quotient(reference, reference.mean) if float(reference.mean.norm()) else 0.0,
        "lost": reference.moments.lost / float(reference.eigenvalues[0]),
    }
