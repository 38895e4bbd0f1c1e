"""Arms and settings of the drl-diagnosis study."""

from livepapers.lab.study import Arm, Setting
from livepapers.methods.drl_diagnosis import ALL_CHANGES

SAME = "same network, starting weights, steps, gradient steps, replay and exploration as every trained arm"

ARMS = (
    Arm("plain", "method", f"the direction of an agent by double dueling Q-learning; {SAME}"),
    Arm("robust", "method", f"the same of one whose loss holds the regulariser, bounded by intervals; {SAME}"),
    Arm("gradient", "baseline", f"the same of one whose regulariser is sought by five gradient steps; {SAME}"),
    Arm("untrained", "floor", "the direction of the network that all arms of a seed begin with"),
)
REGIMES = {"plain": "plain", "robust": "interval", "gradient": "gradient"}
"""Arm -> `Config.regime`."""
CHANGES = {"plain": ALL_CHANGES}
FEW_CHANGES = ("nesterov", "rotation", "blur")
"""Changes of each arm, and of arms left out: claims about changes are about plain agents, as the paper's are, and the
attacks that search for the smallest change take most of a cell's time."""
WORLDS = ("minatar-breakout", "minatar-space-invaders")
KAPPAS = {"smoke": (0.002, 0.01), "laptop": (0.002, 0.004, 0.008, 0.016), "paper": (0.005, 0.01, 0.02)}
"""Weights of the regulariser that are tried in each game; the paper's own at the paper preset."""
PILOTS = {"smoke": 1, "laptop": 2, "paper": 1}
"""Trainings with each of them."""
HORIZON = {"smoke": 60, "laptop": 500, "paper": 2500}
"""Steps of an episode in training."""
RADIUS = 0.025
"""Of the attack that tells whether an agent is robust."""

SETTINGS = (
    Setting(
        "breakout", "Breakout of MinAtar: four planes of 10 x 10 pixels, three actions, sticky with probability 0.1",
        ("plain", "robust", "untrained"), {"smoke": 1, "laptop": 5, "paper": 10}, {"world": WORLDS[0]},
        "breakout",
    ),
    Setting(
        "space invaders", "Space Invaders of MinAtar: six planes of 10 x 10 pixels, four actions, sticky likewise",
        ("plain", "robust", "untrained"), {"laptop": 5, "paper": 10}, {"world": WORLDS[1]},
        "space invaders",
    ),
    Setting(
        "breakout, gradient", "Breakout again, for the arm that is costly and that no claim asks for",
        ("gradient",), {"smoke": 1, "laptop": 2, "paper": 10}, {"world": WORLDS[0]}, "breakout",
        fixed_seeds=True,
    ),
)  # fmt: skip
