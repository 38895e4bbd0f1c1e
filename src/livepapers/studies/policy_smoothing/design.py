"""Arms and settings of the policy-smoothing study."""

from typing import Any

from livepapers.lab.study import Arm, Setting

ARMS = (
    Arm(
        "smoothed", "method", "trained, certified and attacked with noise on every observation; five frames (car: one)"
    ),
    Arm("undefended", "baseline", "the same training without noise, attacked without noise; no certificate"),
    Arm("single-frame", "baseline", "as smoothed, but the policy sees one noisy observation at a time; same budget"),
    Arm("lipschitz", "baseline", "the Lipschitz bound of a Gaussian mean, from the same episodes of the same agent"),
    Arm(
        "action-certificate",
        "baseline",
        "the same agent by majority votes of 500 noises a step, certified step by step",
    ),
    Arm("perfect", "optimum", "the certificate if every episode had the highest return: the ceiling", seeded=False),
    Arm("constant", "floor", "always pushes right; certified like the others", seeded=False),
    Arm("games", "method", "the bound on games whose worst adversary is known exactly", seeded=False),
)
BUDGETS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Of certificates; cart-pole in its own units, the car in standard deviations of its numbers."""
ATTACKED = {"smoke": (0.4,), "laptop": (0.2, 0.4, 0.6, 0.8, 1.0), "paper": (0.2, 0.4, 0.6, 0.8, 1.0)}
ATTACKED_DQN = {"smoke": (0.4,), "laptop": (0.2, 0.4, 0.6), "paper": (0.2, 0.4, 0.6, 0.8, 1.0)}
GAPS = {
    "linear": {"smoke": (0.0,), "laptop": (0.0, 0.25, 0.5, 0.75), "paper": (0.0, 0.25, 0.5, 0.75, 0.9)},
    "dqn": {"smoke": (0.0,), "laptop": (0.0, 0.5, 0.75), "paper": (0.0, 0.25, 0.5, 0.75, 0.9)},
}
"""Quantiles of each agent's own gaps between the values of its actions."""
VOTES = {"smoke": (8, 50), "laptop": (100, 500), "paper": (500, 1000)}
"""Episodes, and votes a step, of per-step certificates."""
MONTE_CARLO = {"smoke": 100_000, "laptop": 1_000_000, "paper": 1_000_000}
SWEEP = {"laptop": 3, "paper": 5}
FIRST_SEED = 10
"""Version 1 was measured on seeds 0 to 9."""


def _cart_pole(
    kind: str, sigma: float, arms: tuple[str, ...], seeds: dict[str, int], *, fixed: bool = False
) -> Setting:
    given: dict[str, Any] = {
        "kind": kind, "sigma": sigma, "frames": 5, "attacked": ATTACKED if kind == "linear" else ATTACKED_DQN,
    }  # fmt: skip
    what = {"linear": "linear policies by cross-entropy search", "dqn": "DQN of two hidden layers"}[kind]
    about = f"cart-pole of 200 steps, {what}, noise of {sigma:g} on every observation"
    return Setting(
        f"{kind}-{sigma:g}", about, arms, seeds, given, f"cart-pole-{kind}", fixed_seeds=fixed, first_seed=FIRST_SEED
    )  # fmt: skip


SETTINGS = (
    Setting(
        "games", "seven threshold games, budgets from 0 to 4 sigma, worst adversary by dynamic programming", ("games",),
        {"smoke": 1, "laptop": 1, "paper": 1}, {"episodes": MONTE_CARLO}, "games", fixed_seeds=True,
    ),
    _cart_pole(
        "linear", 0.2,
        ("smoothed", "undefended", "single-frame", "lipschitz", "action-certificate", "perfect", "constant"),
        {"smoke": 1, "laptop": 10, "paper": 20},
    ),
    _cart_pole("linear", 0.4, ("smoothed", "single-frame", "lipschitz", "perfect"), {"laptop": 10, "paper": 20}),
    _cart_pole("linear", 0.6, ("smoothed", "perfect"), SWEEP, fixed=True),
    _cart_pole("linear", 0.8, ("smoothed", "perfect"), SWEEP, fixed=True),
    _cart_pole("dqn", 0.2, ("smoothed", "undefended", "perfect"), {"smoke": 1, "laptop": 10, "paper": 20}),
    _cart_pole("dqn", 0.4, ("smoothed", "perfect"), SWEEP, fixed=True),
    Setting(
        "mountain-car-0.2", "continuous mountain car, DDPG; success is reaching the flag within 999 steps",
        ("smoothed", "undefended", "perfect"), {"smoke": 1, "laptop": 10, "paper": 20},
        {"kind": "car", "sigma": 0.2, "frames": 1,
         "attacked": {"smoke": (0.4,), "laptop": (0.2, 0.4), "paper": (0.2, 0.4, 0.6)}},
        "mountain-car", first_seed=FIRST_SEED,
    ),
)  # fmt: skip
