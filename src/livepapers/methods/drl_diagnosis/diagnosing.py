"""The whole diagnosis of one policy: its direction, an independent run of it, and what changes make of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepapers.blocks.policy_door import AnyPolicy
from livepapers.core.errors import InputError
from livepapers.core.rng import derive
from livepapers.methods.drl_diagnosis import measures
from livepapers.methods.drl_diagnosis.collecting import (
    ATTACKS,
    Environment,
    Mode,
    Visited,
    change_called,
    collect,
    limits_of,
    picture_of,
    task_of,
)
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.direction import (
    Direction,
    Values,
    decision_gradient,
    principal_direction,
    quotient,
    squared_cosine,
    subspace_quotient,
)

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
    """

    figures: dict[str, np.ndarray]
    table: dict[str, dict[str, np.ndarray]]
    direction: Tensor
    others: dict[str, Tensor]
    series: np.ndarray
    returns: np.ndarray


def diagnose(
    policy: AnyPolicy, env: Environment, *, config: Config, changes: Sequence[str] = ALL_CHANGES, seed: int,
    mode: Mode = "act",
) -> Diagnosis:  # fmt: skip
    """Collect sets of states and compare their directions with that of the policy's own states.

    Each repeat has a reference set, an independent run, and for each change a run that starts like the independent one.

    Args:
        policy: One with differentiable preferences.
        env: Where it acts.
        config: Settings.
        changes: Names of attacks and natural changes.
        seed: Of all episodes.
        mode: See `collect`.

    Raises:
        InputError: The policy has no preferences to differentiate, does not fit the environment, or nothing moves it.
    """
    values = differentiable(policy)
    space = task_of(env, 1).observation_space
    episodes = config.episodes * config.repeats  # all repeats side by side: a step of many lanes costs little more

    def sets(name: str, **given: Any) -> list[Visited]:
        start = derive(seed, "drl-diagnosis", name) >> 32
        seen = collect(policy, env, episodes=episodes, seed=start, horizon=config.horizon, **given)
        return seen.parts(config.episodes)

    plain = sets("reference")
    references = [directed(values, part.states, config) for part in plain]
    limits = limits_of(space, plain[0].states, config.attack_size)
    shape = tuple(plain[0].states.shape[1:])
    table: dict[str, dict[str, np.ndarray]] = {}
    others: dict[str, Tensor] = {}
    for name in (INDEPENDENT, *changes):
        change = None if name == INDEPENDENT else change_called(name, values, limits, shape)
        seen = sets(INDEPENDENT, change=change, mode=mode)
        moved = [directed(values, part.states, config) for part in seen]
        rows = [_compared(*each) for each in zip(references, moved, seen, strict=True)]
        table[name], others[name] = _columns(rows), moved[0].direction
    figures = _columns([_figures(values, *each, config) for each in zip(references, plain, strict=True)])
    series = references[0].norms[plain[0].episode == plain[0].episode[0]]
    returns = np.stack([part.returns for part in plain])
    return Diagnosis(figures, table, references[0].direction, others, series.numpy(), returns)


def _columns(rows: Sequence[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def directed(values: Values, states: Tensor, config: Config) -> Direction:
    """G of a set of states with the settings' temperature and loss."""
    return principal_direction(values, states, temperature=config.temperature, loss=config.loss, unit=config.unit)


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


def _compared(reference: Direction, moved: Direction, seen: Visited) -> dict[str, float]:
    count = min(SUBSPACE, len(moved.vectors), len(reference.vectors))
    return {
        "quotient": quotient(reference, moved.direction),
        "cosine": squared_cosine(reference.direction, moved.direction),
        "subspace": subspace_quotient(reference, moved.vectors[:count]),
        "return": float(seen.returns.mean()),
        "size": seen.size,
    }


def _figures(values: Values, reference: Direction, plain: Visited, config: Config) -> dict[str, float]:
    picture = picture_of(reference.direction)
    spectrum = measures.spectrum(picture)
    series = [measures.bursts(reference.norms[plain.episode == episode]) for episode in plain.episode.unique().tolist()]
    mean = _mean_gradient(values, plain.states, config)
    return {
        "return": float(plain.returns.mean()),
        "states": float(len(plain.states)),
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
        "mean_quotient": 0.0 if float(mean.norm()) == 0.0 else quotient(reference, mean),
        "lost": reference.moments.lost / math.fabs(float(reference.eigenvalues[0])),
    }


def _mean_gradient(values: Values, states: Tensor, config: Config) -> Tensor:
    """First moment of w(s), `[d]`: what is left out of account is that directions may cancel."""
    total = torch.zeros(math.prod(states.shape[1:]), dtype=torch.float64)
    for part in states.split(256):
        total += decision_gradient(
            values, part, temperature=config.temperature, loss=config.loss, unit=config.unit
        ).rows.sum(0)
    return total / len(states)
