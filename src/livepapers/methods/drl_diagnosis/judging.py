"""Whether a policy learned, and whether it is robust: what has to be known before its direction means anything."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from livepapers.blocks.policy_door import AnyPolicy
from livepapers.core.rng import derive
from livepapers.methods.drl_diagnosis.attacks import steepest
from livepapers.methods.drl_diagnosis.collecting import Environment, walk
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.diagnosing import Diagnosis, diagnose, differentiable

KEPT = 0.7
"""Of what a policy has above random play, a robust one keeps at least this share under the attack."""


@dataclass(frozen=True)
class Judged:
    """A policy's diagnosis, and whether it is one of an agent that learned.

    Attributes:
        about: What the policy is.
        found: The diagnosis.
        void: Why nothing should be concluded; empty where something can.
        kept: Share of its advantage over random play that it keeps under the attack; NaN where it was not attacked.
    """

    about: str
    found: Diagnosis
    void: str
    kept: float


def judge_policy(
    policy: AnyPolicy, world: Environment, config: Config, names: tuple[str, ...], *, seed: int, radius: float,
    relabel: bool,
) -> Judged:  # fmt: skip
    """Diagnose a policy, and tell whether it learned and what an attack leaves of it.

    Args:
        policy: The policy.
        world: Where it plays.
        config: Settings of the diagnosis.
        names: Of the changes.
        seed: Of all episodes.
        radius: Of the attack by gradient steps, in shares of the observations' range; 0: none.
        relabel: Change the states that the unchanged policy visits.
    """
    mode = "relabel" if relabel else "act"
    found = diagnose(policy, world, config=config, changes=names, seed=seed, mode=mode)
    count = config.episodes * config.repeats
    random = walk(
        None,
        world,
        episodes=count,
        seed=derive(seed, "random") >> 32,
        horizon=config.horizon,
        told_as="episodes of random play",
    )
    own = found.returns.flatten()
    p = _p_better(own, random)
    void = ""
    if not p <= 0.05:  # a p that is no number shows nothing
        void = (
            f"{policy.about} did not learn: its mean return is {own.mean():.4g}, random play has "
            f"{random.mean():.4g} (p = {p:.2g})"
        )
    kept = math.nan
    if radius:
        values, limits = differentiable(policy), found.limits
        reach = radius * limits.span
        attacked = walk(
            policy, world, episodes=count, seed=derive(seed, "attacked") >> 32, horizon=config.horizon,
            change=lambda seen: steepest(values, seen, radius=reach, limits=limits),
            told_as="episodes under attack",
        )  # fmt: skip
        above = max(float(own.mean() - random.mean()), 1e-12)
        kept = float(attacked.mean() - random.mean()) / above
    return Judged(policy.about, found, void, kept)


def _p_better(own: np.ndarray, random: np.ndarray) -> float:
    """One-sided Welch test that a policy's returns are above those of random play."""
    parts = [(float(each.var(ddof=1)) / len(each), len(each) - 1) for each in (own, random)]
    square = sum(part for part, _ in parts)
    if square == 0.0:
        return 0.0 if own.mean() > random.mean() else 1.0
    freedom = square**2 / sum(part**2 / count for part, count in parts)
    return float(stats.t.sf((own.mean() - random.mean()) / math.sqrt(square), freedom))


def kept_of_robust(plain: float) -> float:
    """Share of its score above random play that a policy has to keep under the attack, to be called robust.

    It has also to keep more than the policy beside it.

    Args:
        plain: The share that the policy beside it keeps; a robust one loses at most half as much.
    """
    return max(KEPT, (1.0 + min(plain, 1.0)) / 2.0)


def not_robust(first: Judged, second: Judged) -> str:
    """Why the second policy cannot stand for a robust one; empty where it can."""
    asked = kept_of_robust(first.kept)
    if second.kept >= asked and second.kept > first.kept:
        return ""
    return (
        f"the second policy is not robust: under the attack it keeps {100 * second.kept:.0f} % of its score above "
        f"random play, the first one {100 * first.kept:.0f} %; {100 * asked:.0f} % and more than the first asked for"
    )
