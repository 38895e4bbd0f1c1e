"""Arms, budgets and settings of the pdppo study."""

from dataclasses import dataclass, field
from typing import Any

from livepapers.lab.study import Arm, Setting

SAME = "same networks, steps, window, gradient steps, learning rates, worlds and starting weights as every trained arm"

ARMS = (
    Arm("pdppo", "method", f"the larger of two advantages, two critics; {SAME}"),
    Arm("ppo", "baseline", f"fair PPO: one critic of the state, returns of the whole reward; {SAME}"),
    Arm("two critics", "baseline", f"PPO with two critics of the state, the larger advantage, no post state; {SAME}"),
    Arm("one critic", "ablation", f"pdppo with one critic for both states, linear at its end; {SAME}"),
    Arm("sum", "ablation", f"both advantages added; {SAME}"),
    Arm("min", "ablation", f"the authors' earlier code: standardised returns, smaller value, entropy 0.012; {SAME}"),
    Arm("afterstate", "ablation", f"a critic of the post state only, against 8 (lake: all 4) other actions; {SAME}"),
    Arm("pdppo released", "ablation", "pdppo as released: values of the window stay stale, open ends are cut off"),
    Arm(
        "ppo released", "ablation", "PPO as released for the lake: keeps its first collection for ever, stale, cut off"
    ),
    Arm("pdppo last layer", "ablation", "pdppo whose actor trains its last layer only, as released for plants"),
    Arm("ppo last layer", "ablation", "PPO whose actor trains its last layer only, as released for plants"),
    Arm("look-ahead rule", "baseline", "greedy in machine order, look-ahead tuned on other paths", seeded=False),
    Arm("myopic rule", "baseline", "greedy in machine order, one period ahead", seeded=False),
    Arm("idle", "floor", "no machine ever runs", seeded=False),
    Arm("uniform", "floor", "any choice, all equally likely"),
    Arm("hindsight bound", "optimum", "mixed-integer program that knows all demand; its dual bound", seeded=False),
    Arm("optimum", "optimum", "exact backward induction over the steps of an episode; of the seed's map"),
)

LEARNERS: dict[str, dict[str, Any]] = {
    "pdppo": {"aggregate": "max"},
    "ppo": {"aggregate": "ppo"},
    "two critics": {"aggregate": "ppo2"},
    "one critic": {"aggregate": "one_critic"},
    "sum": {"aggregate": "sum"},
    "min": {"aggregate": "min", "entropy": 0.012, "weight_decay": 1e-3, "clip_norm": 1.0},
    "afterstate": {"aggregate": "afterstate"},
    "pdppo released": {"aggregate": "max", "refresh": False, "bootstrap": False},
    "ppo released": {"aggregate": "ppo", "refresh": False, "bootstrap": False, "keep": "first"},
    "pdppo last layer": {"aggregate": "max", "train": "last"},
    "ppo last layer": {"aggregate": "ppo", "train": "last"},
}
"""What sets the trained arms apart; everything else is the setting's budget."""

RULES = ("look-ahead rule", "myopic rule", "idle", "uniform", "hindsight bound")
ABLATIONS = ("two critics", "one critic", "sum", "min", "afterstate", "pdppo last layer", "ppo last layer")


@dataclass(frozen=True)
class Budget:
    """What each trained arm gets, and on how much it is judged."""

    lanes: int
    steps: int  # a lane and update
    updates: int
    paths: int  # of the test; the curve has a quarter
    bounds: int  # paths for which the hindsight bound is solved
    bound_periods: int  # of each of these paths, from its start
    bound_nodes: int  # of branch and bound, each; 1 is the root
    learning: dict[str, Any] = field(default_factory=dict)  # settings of `pdppo.Config`, equal for all arms


PLANT: dict[str, Any] = {"actor_rate": 1e-3, "critic_rate": 1e-3}
LAKE: dict[str, Any] = {"actor_rate": 2e-3, "critic_rate": 2e-3}
AS_RELEASED: dict[str, Any] = {"actor_rate": 5.5e-4, "critic_rate": 1e-3, "minibatch": 0}

BUDGETS: dict[tuple[str, str], Budget] = {
    ("plant", "smoke"): Budget(8, 25, 4, 8, 1, 8, 1, PLANT),
    ("plant", "laptop"): Budget(32, 50, 188, 100, 10, 30, 1, PLANT),
    ("plant", "paper"): Budget(4, 100, 2500, 1000, 20, 30, 100, {**AS_RELEASED, "epochs": 40}),
    ("lake", "smoke"): Budget(5, 20, 4, 0, 0, 0, 0, LAKE),
    ("lake", "laptop"): Budget(25, 20, 400, 0, 0, 0, 0, LAKE),
    ("lake", "paper"): Budget(5, 100, 400, 0, 0, 0, 0, {**AS_RELEASED, "epochs": 50}),
}


def _plant(
    items: int, machines: int, arms: tuple[str, ...], seeds: tuple[int, int, int], *, part: str, setups: bool = False
) -> Setting:
    name = f"plant {items}x{machines}" + (" set-ups shown" if setups else "")
    about = f"{items} items on {machines} machines, 100 periods, discount 0.9; " + (
        "inventories and set-ups are observed, useless pairs masked"
        if setups
        else "only inventories are observed, as in the released code"
    )
    return Setting(
        name, about, arms, {p: n for p, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n},
        {"world": "plant", "items": items, "machines": machines, "observe_setup": setups, "discount": 0.9}, part,
    )  # fmt: skip


def _lake(name: str, about: str, arms: tuple[str, ...], seeds: tuple[int, int, int], *, discount: float) -> Setting:
    return Setting(
        name, about, arms, {p: n for p, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n},
        {"world": "lake", "size": 10, "discount": discount}, "lake",
    )  # fmt: skip


MAIN = ("pdppo", "ppo")
SHOWN = "plant 15x5 set-ups shown"
PLANTS = ("plant 6x3", "plant 15x5", "plant 20x10", "plant 25x10")
LAKES = ("lake", "lake, discount 0.99")
SETTINGS = (
    _plant(15, 5, (*MAIN, *ABLATIONS, *RULES), (1, 10, 20), part="variants"),
    _plant(6, 3, (*MAIN, *RULES), (1, 10, 20), part="plants"),
    _plant(20, 10, (*MAIN, *RULES), (0, 10, 20), part="plants"),
    _plant(25, 10, (*MAIN, *RULES), (0, 10, 20), part="plants"),
    _plant(15, 5, (*MAIN, *RULES), (1, 10, 20), part="set-ups shown", setups=True),
    _lake(
        "lake", "10 x 10, a new map with every seed, discount 0.9, at most 100 steps",
        (*MAIN, "pdppo released", "ppo released", "uniform", "optimum"), (1, 10, 30), discount=0.9,
    ),
    _lake(
        "lake, discount 0.99", "the same maps, discount 0.99, nearer to what an episode is judged by",
        (*MAIN, "uniform", "optimum"), (0, 10, 30), discount=0.99,
    ),
)  # fmt: skip
