"""Arms and settings of the fl-gfn study."""

from collections.abc import Mapping
from typing import Any

from livepapers.lab.study import Arm, Setting

SAME = "same network, batch and number of updates as every trained arm"
ARMS = (
    Arm("fl-db", "method", f"forward-looking detailed balance, equation (1); {SAME}"),
    Arm("fl-subtb", "method", f"forward-looking sub-trajectory balance, lambda 0.9; {SAME}"),
    Arm("db", "baseline", f"detailed balance; {SAME}"),
    Arm("tb", "baseline", f"trajectory balance, log Z with learning rate 0.1; {SAME}"),
    Arm("subtb", "baseline", f"sub-trajectory balance, lambda 0.9; {SAME}"),
    Arm("db-complete", "baseline", "detailed balance that drops truncated trajectories whole"),
    Arm(
        "metropolis", "baseline", "16 Metropolis chains with as many energy evaluations as fl-db, half of them burn-in"
    ),
    Arm("uniform", "floor", "uniform choice among the allowed moves, no training"),
    Arm(
        "fl-db-unanchored", "ablation", "fl-db with the network's own log F~ at finished objects, as the official code"
    ),
    Arm(
        "fl-db-shuffled",
        "ablation",
        "fl-db told energies of partial objects with noise of 1 nat that cancels at the end",
    ),
    Arm("exact", "optimum", "the closed-form flows and policy put into each objective", seeded=False),
)
TRAINED = ("fl-db", "fl-subtb", "db", "tb", "subtb")
MAIN = ("fl-db", "db", "tb")
REFERENCES = ("uniform", "metropolis")

PUBLISHED = {
    "small": {"fl-db": 1.0, "db": 1.0, "tb": 0.0, "subtb": 0.5, "fl-subtb": 0.5},
    "medium": {"fl-db": 0.5, "db": 1.0, "tb": 0.0625, "subtb": 0.5, "fl-subtb": 0.5},
    "large": {"fl-db": 0.5, "db": 1.0, "tb": 0.0, "subtb": 0.5, "fl-subtb": 0.5},
}
"""Uniform share of the behaviour policy, as the official code has it per method; sub-trajectory arms: ours."""
COMMON: dict[str, float] = dict.fromkeys(TRAINED, 0.5)
THRESHOLD = {"tiny": 0.05, "small": 0.1, "medium": 6.0, "large": 8.0, "florentine": 0.1, "karate": 0.5}
"""ELBO gaps, nats, that count as reached; set from one pilot seed that is not among the study's. For the long
instances a tenth of a nat a move: no detailed-balance arm comes near 1 nat within the budget."""


def _budget(updates: int, every: int, *, smoke: int = 10) -> dict[str, dict[str, int]]:
    return {
        "smoke": {"updates": smoke, "every": smoke // 2, "samples": 64},
        "laptop": {"updates": updates, "every": every, "samples": 4096},
        "paper": {"updates": 10_000, "every": 100, "samples": 16_384},
    }


def _setting(
    name: str,
    about: str,
    arms: tuple[str, ...],
    *,
    part: str,
    instance: str,
    seeds: tuple[int, int, int],
    budget: dict[str, dict[str, int]],
    epsilon: Mapping[str, float],
    truncate: float = 0.0,
) -> Setting:
    given: dict[str, Any] = {
        "instance": instance, "budget": budget, "epsilon": dict(epsilon), "threshold": THRESHOLD[instance],
        "truncate": truncate,
    }  # fmt: skip
    counts = {preset: n for preset, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n}
    return Setting(name, about, arms, counts, given, part)


SETTINGS = (
    Setting(
        "identities-small", "30 items, S = 20: the closed-form solution in every objective", ("exact",),
        {"smoke": 1, "laptop": 1, "paper": 1}, {"instance": "small"}, "identities", fixed_seeds=True,
    ),
    Setting(
        "identities-large", "100 items, S = 80: the closed-form solution in every objective", ("exact",),
        {"laptop": 1, "paper": 1}, {"instance": "large"}, "identities", fixed_seeds=True,
    ),
    _setting(
        "set-tiny", "5 of 10 items, 252 sets: exact total variation, and the ablations",
        (*TRAINED, "fl-db-unanchored", "fl-db-shuffled", *REFERENCES),
        part="sets", instance="tiny", seeds=(1, 10, 10), budget=_budget(1000, 50), epsilon=PUBLISHED["small"],
    ),
    _setting(
        "set-small", "20 of 30 items, the paper's energies, exploration per arm as published", (*TRAINED, *REFERENCES),
        part="sets", instance="small", seeds=(1, 6, 6), budget=_budget(2000, 50), epsilon=PUBLISHED["small"],
    ),
    _setting(
        "set-large", "80 of 100 items, the paper's energies, exploration per arm as published",
        (*MAIN, *REFERENCES),
        part="sets", instance="large", seeds=(1, 4, 6), budget=_budget(2500, 100, smoke=2),
        epsilon=PUBLISHED["large"],
    ),
    _setting(
        "set-medium", "60 of 80 items, the paper's energies, exploration per arm as published", (*MAIN, *REFERENCES),
        part="sets", instance="medium", seeds=(0, 4, 6), budget=_budget(1500, 100), epsilon=PUBLISHED["medium"],
    ),
    _setting(
        "truncated-half", "20 of 30 items; half of the trajectories are cut at a random length",
        ("fl-db", "db", "db-complete", "tb"),
        part="truncation", instance="small", seeds=(1, 6, 6), budget=_budget(1000, 50), epsilon=PUBLISHED["small"],
        truncate=0.5,
    ),
    _setting(
        "truncated-most", "20 of 30 items; nine in ten trajectories are cut at a random length",
        ("fl-db", "db", "db-complete", "tb", "uniform"),
        part="truncation", instance="small", seeds=(0, 6, 6), budget=_budget(1000, 50), epsilon=PUBLISHED["small"],
        truncate=0.9,
    ),
    _setting(
        "truncated-most-medium", "60 of 80 items; nine in ten trajectories are cut at a random length",
        ("fl-db", "db", "db-complete", "tb", "uniform"),
        part="truncation", instance="medium", seeds=(0, 4, 6), budget=_budget(1000, 100), epsilon=PUBLISHED["medium"],
        truncate=0.9,
    ),
    _setting(
        "graph-florentine", "independent sets of the Florentine families' marriages: 15 vertices, 1,216 sets",
        (*TRAINED, *REFERENCES),
        part="graphs", instance="florentine", seeds=(1, 6, 6), budget=_budget(1500, 50), epsilon=COMMON,
    ),
    _setting(
        "set-small-common", "as set-small, half of all moves uniform in every arm", MAIN,
        part="common exploration", instance="small", seeds=(0, 6, 6), budget=_budget(1200, 50), epsilon=COMMON,
    ),
    _setting(
        "set-medium-common", "as set-medium, half of all moves uniform in every arm", MAIN,
        part="common exploration", instance="medium", seeds=(0, 3, 6), budget=_budget(1000, 100), epsilon=COMMON,
    ),
    _setting(
        "graph-karate", "independent sets of Zachary's karate club: 34 vertices, 13,393,054 sets",
        (*TRAINED, *REFERENCES),
        part="graphs", instance="karate", seeds=(0, 3, 6), budget=_budget(1000, 100), epsilon=COMMON,
    ),
    _setting(
        "set-large-subtrajectory", "as set-large, the sub-trajectory objectives", ("fl-subtb", "subtb"),
        part="sets", instance="large", seeds=(0, 0, 6), budget=_budget(2500, 100), epsilon=PUBLISHED["large"],
    ),
)  # fmt: skip
