"""Arms and settings of the yann-rl study."""

from typing import Any

from livepapers.lab.study import Arm, Setting

FIRST_SEED = 10
"""Version 2 was planned after version 1's figures, of seeds 0 to 9, had been seen."""
BUDGET = "50 episodes of training, learning rates and factor on costs from one grid of eight, by whole trainings"
ARMS = (
    Arm("yann", "method", f"YANN-DDPG: exact actor and critic, corrections that start at zero, no noise; {BUDGET}"),
    Arm("ddpg", "baseline", f"DDPG from random 256-256 networks, Gaussian noise of a tenth of the range; {BUDGET}"),
    Arm(
        "linear-mpc",
        "baseline",
        "the linear MPC by its quadratic program; clipped feedback where it has none",
        seeded=False,
    ),
    Arm(
        "clipped-lqr", "baseline", "the regulator for the plant's own cost weights, clipped; no training", seeded=False
    ),
    Arm("no-control", "floor", "the input rests at its set point", seeded=False),
    Arm("cloned", "ablation", "a 256-256 actor fitted to the same law by regression; critic, rates and budget of yann"),
    Arm("yann-noise", "ablation", "yann with DDPG's Gaussian noise; rates and budget of yann"),
    Arm("yann-random-critic", "ablation", "yann with a random 256-256 critic; rates and budget of yann"),
    Arm("exact-network", "method", "the literal network of five layers against the quadratic program", seeded=False),
    Arm("timed", "method", "the network and sequential point location, one state at a time, in turns"),
)
TRAINED = ("yann", "ddpg", "cloned", "yann-noise", "yann-random-critic")
UNTRAINED = ("linear-mpc", "clipped-lqr", "no-control")
POINTS = {"smoke": 2000, "laptop": 100_000, "paper": 100_000}


def _exact(name: str, about: str, *, design: str, nodes: int) -> Setting:
    parameters: dict[str, Any] = {"design": design, "points": POINTS, "nodes": nodes}
    counts = {"laptop": 1, "paper": 1} | ({"smoke": 1} if design == "pendulum" else {})
    return Setting(name, about, ("exact-network",), counts, parameters, "exactness", fixed_seeds=True)


SETTINGS = (
    _exact("exact-pendulum", "the pendulum's law, N = 2: 9 regions", design="pendulum", nodes=16),
    _exact("exact-integrator", "double integrator, N = 10: 43 regions", design="double integrator", nodes=16),
    _exact(
        "exact-published-reactor",
        "the paper's linear reactor model, N = 2: 7 regions",
        design="published reactor",
        nodes=8,
    ),
    _exact("exact-reactor", "the textbook reactor, N = 3: 15 regions", design="reactor", nodes=8),
    Setting(
        "timing-small",
        "the pendulum's 9 regions, one state at a time",
        ("timed",),
        {"smoke": 1, "laptop": 10, "paper": 10},
        {"design": "pendulum"},
        "timing",
        alone=True,
        first_seed=FIRST_SEED,
    ),
    Setting(
        "timing-large",
        "two masses, N = 8: 2,858 regions, one state at a time",
        ("timed",),
        {"laptop": 10, "paper": 10},
        {"design": "two masses"},
        "timing",
        alone=True,
        first_seed=FIRST_SEED,
    ),
    Setting(
        "pendulum",
        "Gymnasium's pendulum from near upright, ten fixed test starts, two beyond the motor's strength",
        ("yann", "ddpg", "yann-random-critic", *UNTRAINED),
        {"smoke": 1, "laptop": 10, "paper": 20},
        {"plant": "pendulum", "updates": {"smoke": 10}},
        "pendulum",
        first_seed=FIRST_SEED,
    ),
    Setting(
        "reactor",
        "an unstable exothermic reactor with a safety stop at 365 K, ten fixed test starts",
        ("yann", "ddpg", "cloned", "yann-noise", *UNTRAINED),
        {"smoke": 1, "laptop": 10, "paper": 20},
        {"plant": "reactor", "updates": {"smoke": 10}},
        "reactor",
        first_seed=FIRST_SEED,
    ),
)
