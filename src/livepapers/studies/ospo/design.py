"""Arms, budgets and settings of the ospo study, and where it deviates from the paper."""

from dataclasses import dataclass, field
from typing import Any

from livepapers.lab import tuning
from livepapers.lab.study import Arm, Setting

EQUAL = "same network, episodes, orders, gradient steps, batches and starting weights"
SAME = f"{EQUAL} and number of tuning trials"
LENT = f"{EQUAL}; rates and exploration of ospo, not its own"

ARMS = (
    Arm("ospo", "method", f"advantage: immediate reward against the mean of the minute; {SAME}"),
    Arm("grpo", "baseline", f"the paper's own baseline: returns of rewards standardised over the episode; {SAME}"),
    Arm(
        "ippo", "baseline", f"a shared critic of vehicle, open orders and free vehicles, generalised advantages; {SAME}"
    ),
    Arm(
        "ddqn", "baseline", f"independent double Q-learning on 50,000 remembered decisions, matching on values; {SAME}"
    ),
    Arm("return, minute", "ablation", f"returns against the mean of the minute, as the paper writes GRPO; {LENT}"),
    Arm("one step, episode", "ablation", f"immediate rewards standardised over the episode; {LENT}"),
    Arm("ospo, no baseline", "ablation", f"the bare immediate reward, nothing taken away; {LENT}"),
    Arm("ospo, fairness", "ablation", f"ospo with the released fairness penalty of weight 1; {LENT}"),
    Arm("ospo, width 32", "ablation", "ospo with hidden layers of 32 instead of 128; all else the same"),
    Arm("ospo, width 256", "ablation", "ospo with hidden layers of 256 instead of 128; all else the same"),
    Arm("one-step greedy", "baseline", "matching of the largest true immediate reward, which learners must find out"),
    Arm("nearest vehicle", "baseline", "matching of as many pairs as can be at the least total pick-up time"),
    Arm("random", "floor", "a matching drawn uniformly among those of most pairs"),
)

LEARNERS: dict[str, dict[str, Any]] = {
    "ospo": {},
    "grpo": {"horizon": "return", "group": "episode"},
    "ippo": {"horizon": "critic", "group": "episode"},
    "ddqn": {},
    "return, minute": {"horizon": "return", "group": "minute"},
    "one step, episode": {"horizon": "one step", "group": "episode"},
    "ospo, no baseline": {"group": "none"},
    "ospo, fairness": {"fairness": 1.0},
    "ospo, width 32": {"hidden": (32, 32)},
    "ospo, width 256": {"hidden": (256, 256)},
}
"""What sets the trained arms apart; everything else is the budget."""

RULES = ("one-step greedy", "nearest vehicle", "random")
MAIN = ("ospo", "grpo", "ippo", "ddqn")
ABLATIONS = ("return, minute", "one step, episode", "ospo, no baseline", "ospo, fairness")
WIDTHS = ("ospo, width 32", "ospo, width 256")

FIRST_SEED = 10
"""Version 2 was planned after version 1's figures, of seeds 0 to 9, had been seen."""

GRID = {"learning_rate": (3e-3, 1e-2, 3e-2), "explore": (0.02, 0.2)}
"""What each of `MAIN` tries; exploration is that of the first episode."""
LAST_RATE = 0.3
"""The learning rate at the end, as a share of the first."""


@dataclass(frozen=True)
class Budget:
    """The fleet, what each trained arm gets, and on how much it is judged."""

    vehicles: int
    rate: float  # orders a minute
    tests: int  # episodes
    learning: dict[str, Any] = field(default_factory=dict)  # settings of `ospo.Config`, equal for all arms
    trials: tuple[dict[str, float], ...] = ()  # points of `GRID` that each of `MAIN` tries; variants get what ospo gets


POINTS = tuple(tuning.combinations(GRID))
BUDGETS = {
    "smoke": Budget(40, 5.0, 2, {"episodes": 4, "steps": 2, "batch": 32, "check_every": 2, "check_episodes": 1},
                    POINTS[:2]),
    "laptop": Budget(200, 24.7, 16, {"episodes": 120, "check_every": 10, "check_episodes": 4}, POINTS),
    "paper": Budget(1000, 123.0, 16, {"episodes": 1000, "learning_rate": 1e-5, "last_rate": 1e-6, "kl": 0.5,
                                      "explore": 1.0, "explore_decay": 0.99, "check_episodes": 1}),
}  # fmt: skip


def _setting(
    name: str, about: str, arms: tuple[str, ...], seeds: tuple[int, int, int], *, part: str, first_bin: int,
    origins: float = 1.0, fleet: float = 1.0,
) -> Setting:  # fmt: skip
    counts = {p: n for p, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n}
    parameters = {"first_bin": first_bin, "origins": origins, "fleet": fleet}
    return Setting(name, about, arms, counts, parameters, part, first_seed=FIRST_SEED)


DEAD_ZONES = "dead zones"
SCENARIOS = ("evening", "morning", "late")
SETTINGS = (
    _setting(
        "evening", "19:00 to 19:30, the paper's own time of the day; the variants are measured here",
        (*MAIN, *ABLATIONS, *WIDTHS, *RULES), (1, 10, 10), part="scenarios", first_bin=76,
    ),
    _setting(
        "morning", "8:00 to 8:30, demand runs towards midtown", (*MAIN, *RULES), (0, 2, 10), part="scenarios",
        first_bin=32,
    ),
    _setting(
        "late", "22:00 to 22:30, longer trips at higher speeds", (*MAIN, *RULES), (0, 2, 10), part="scenarios",
        first_bin=88,
    ),
    _setting(
        DEAD_ZONES, "8:00 to 8:30 with half the fleet, and orders only from the busiest third of the zones: a trip to "
        "any other leaves a vehicle where nobody wants one",
        ("ospo", "grpo", *RULES), (0, 10, 10), part="stress", first_bin=32, origins=1.0 / 3.0, fleet=0.5,
    ),
)  # fmt: skip

DEVIATIONS = (
    "Data: paper taxi trips of July 2024 with routes and whole-minute times of a routing server; ours counts and mean "
    "speeds of business days of 2018 between 61 zones (pyhailing), street distances, real-valued minutes. Orders are "
    "Poisson draws from the counts; the paper thins one recorded half hour to 95 %.",
    "Fleet: paper 1,000 vehicles, about 123 orders a minute; laptop 200 and 24.7, the same orders a vehicle, and more "
    "than 20 decisions in a group.",
    "Training: paper at least 1,000 episodes at learning rate 1e-5; laptop 120 episodes at a tuned rate that falls to "
    "0.3 of it, ten steps of 256 decisions each as in the paper, for every trained arm. Version 1 had 60 episodes, "
    "after which ospo, ippo and the ablations still rose; Q8 asks whether ospo still does. Tried once each after the "
    "cells had been measured, on the tuning's seed (`tuning.try_values`), where 120 episodes give ospo 3,244: 480 "
    "episodes 3,267, at rate 3e-3 3,301, four side by side in each update 3,220; 960 episodes 3,193. The nearest "
    "vehicle earns 3,475 in the cells: as far as one training each tells, more episodes would hardly have changed Q2.",
    "C2: in the released logs (paper: at least 1,000 episodes) ospo is 3.4 % above grpo. The direction can be "
    "compared, the size cannot: after few episodes much of it may be that grpo learns more slowly.",
    "Claims: those of version 1, whose figures had been seen when Q8 was added and the training made longer; seeds are "
    "fresh.",
    "Exploration: released, a random share of 1 that falls by a hundredth an episode; laptop a tuned share, times "
    "0.95 an episode: at 0.02, one random pair in eighty decides most of a matching already.",
    "Tuning: six whole trainings for each of ospo, grpo, ippo and ddqn (rates 3e-3, 1e-2 and 3e-2, exploration 0.02 "
    "and 0.2), in the evening, with weights and orders of a seed that no cell has, each judged as cells are, on 16 "
    "fresh episodes. One seed each: arms' settings are good ones, not surely their best. grpo and ippo chose the "
    "least rate; lower ones, 1e-3 and 3e-4, were tried in the same way after the cells had been measured "
    "(`tuning.try_values`) and did worse: grpo 2,424 at best where it has 2,694, ippo 2,753 where it has 2,855. "
    "Variants and widths of ospo have its settings, not their own. The paper preset keeps the paper's.",
    "Fairness penalty: released 1, ours 0 for every arm but its own ablation; see the method's deviations.",
    "Judged is the network that did best in greedy checks on four dev episodes (every ten episodes), on 16 other "
    "episodes that are the same for all arms of a seed; paper: the latest network, every ten episodes.",
    "IPPO and DDQN are ours: which rivals the paper used was not found.",
    "Seeds: ten in the evening, where the variants and widths are measured too, and ten with dead zones, so that each "
    "claim could be decided by itself beside all others; two in the morning and late, so that claims over scenarios "
    "pool 14 pairs.",
)
