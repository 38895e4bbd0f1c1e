"""Arms and settings of the hdpo study."""

from collections.abc import Mapping, Sequence
from typing import Any

from livepapers.lab.study import Arm, Setting, Table
from livepapers.studies.hdpo.instances import FINALISTS, FIRST_SEED, KNOWN, RATES, TRAIN_SIZES, VARIANTS

ARMS = (
    Arm("hdpo", "method", "The method: the policy network trained by the gradient through the simulator."),
    Arm("optimum", "optimum", "The exact optimum; its policy is simulated on the test traces too.", seeded=False),
    Arm(
        "base-stock",
        "baseline",
        "One order-up-to level a node, same gradient; a quarter of the updates, Adam 0.5 (S5: all, 0.1).",
    ),
    Arm("capped base-stock", "baseline", "Base-stock with a cap on orders, trained likewise."),
    Arm("echelon-stock", "baseline", "Echelon order-up-to levels, trained likewise."),
    Arm("floor", "floor", "Order up to the mean demand over lead time + 1, without any safety stock.", seeded=False),
    *(
        Arm(
            name,
            "baseline",
            f"REINFORCE, variant {variant}, exploration {sigma}: same network, start weights, "
            "simulated periods, learning rates and choice on the dev set as hdpo.",
        )
        for name, (variant, sigma) in VARIANTS.items()
    ),
    Arm("gnn", "method", "hdpo with the graph network, 32-wide, Adam 3e-3, gradient norm clipped at 1."),
    Arm("mlp", "baseline", "hdpo with the vanilla network 128-128-128; same traces and updates as gnn."),
    Arm("just in time", "optimum", "Perfect foresight: the profit that all others are measured by.", seeded=False),
    Arm(
        "quantile newsvendor", "baseline", "Order up to the p / (p + h) quantile of a forecast, pinball loss, 128-128."
    ),
    Arm("fixed newsvendor", "baseline", "Order up to one quantile of the forecast, the best on the dev weeks."),
    Arm(
        "transformed newsvendor",
        "baseline",
        "Order up to a learned map of p / (p + h), trained through the simulator on the dev weeks.",
    ),
    Arm("returns newsvendor", "baseline", "The quantile newsvendor, may send stock back: not admissible."),
)

_NET = {"hidden": (32, 32, 32), "learning_rate": 3e-3}
_LOST = {**_NET, "learning_rate": 1e-2}
_SERIAL = {"hidden": (32, 32), "learning_rate": 1e-2, "starts": 3}
_EVERY = {"smoke": 1, "laptop": 8, "paper": 10}
_NEWSVENDORS = ("quantile newsvendor", "fixed newsvendor", "transformed newsvendor", "returns newsvendor")


def _setting(
    name: str, about: str, arms: Sequence[str], part: str, seeds: Mapping[str, int], parameters: Mapping[str, Any],
    *, fixed: bool = False,
) -> Setting:  # fmt: skip
    return Setting(name, about, tuple(arms), seeds, parameters, part, fixed_seeds=fixed, first_seed=FIRST_SEED)


def _sweep(rate: float) -> Setting:
    """C2's contestants at one learning rate."""
    about = f"S2-L4-p9 at learning rate {rate:g}: hdpo against the best of the REINFORCE family, equal budget."
    seeds = _EVERY if rate == 3e-3 else {name: count for name, count in _EVERY.items() if name != "smoke"}
    return _setting(f"lr {rate:g}", about, ("hdpo", *FINALISTS), "A sweep", seeds, {**_NET, "learning_rate": rate})


def _family(rate: float) -> Setting:
    """The rest of the family at one learning rate, to show that C2's rival is its best."""
    about = f"S2-L4-p9 at learning rate {rate:g}: the other members of the REINFORCE family, one training each."
    seeds = {**({"smoke": 1} if rate == 3e-3 else {}), "laptop": 1, "paper": 3}
    others = [name for name in VARIANTS if name not in FINALISTS]
    return _setting(
        f"family lr {rate:g}", about, others, "A family", seeds, {**_NET, "learning_rate": rate}, fixed=True
    )


def _few_traces(size: int) -> Setting:
    about = f"One warehouse, ten stores, lost sales; {size} fixed training and dev traces."
    arms = ("gnn", "mlp", "base-stock") if size < TRAIN_SIZES[-1] else ("mlp", "base-stock")
    seeds = {**({"smoke": 1} if size <= 16 else {}), "laptop": 3, "paper": 3}
    return _setting(f"S5 train {size}", about, arms, "B", seeds, {"scenarios": size}, fixed=True)


SETTINGS = (
    _setting(
        "S2-L4-p9", "One store, lost sales, Poisson(5), lead time 4, p = 9; optimum by value iteration.",
        ("optimum", "hdpo", "capped base-stock", "base-stock", "floor"), "A", _EVERY, _LOST,
    ),
    _setting(
        "S2-L2-p39", "One store, lost sales, Poisson(5), lead time 2, p = 39; optimum by value iteration.",
        ("optimum", "hdpo", "capped base-stock", "floor"), "A", _EVERY, _LOST,
    ),
    _setting(
        "S1-L4-p9", "One store, backlog, N(5, 1.6), lead time 4, p = 9; optimum in closed form.",
        ("optimum", "hdpo", "base-stock", "floor"), "A", _EVERY, _NET,
    ),
    _setting(
        "S3-L2-p9", "Four echelons, backlog, N(5, 2), lead times 2, 4, 3, 2, p = 9; optimum by Clark-Scarf.",
        ("optimum", "hdpo", "echelon-stock", "floor"), "A serial", _EVERY, _SERIAL,
    ),
    *(_sweep(rate) for rate in RATES),
    *(_family(rate) for rate in RATES),
    *(_few_traces(size) for size in TRAIN_SIZES),
    _setting(
        "chicago", "20 stations, 814 weeks of riders as demand; lead times 1, 2, 3, four prices each.",
        ("hdpo", *_NEWSVENDORS, "just in time", "floor"), "C", {"smoke": 1, "laptop": 3, "paper": 10}, {},
    ),
)  # fmt: skip

TABLES = (
    Table("gap_percent", "Gap to the exact optimum, %", KNOWN),
    Table("gap_percent_unrounded", "The same without rounding orders, %", ("S2-L4-p9", "S2-L2-p39")),
    Table("gap_percent", "Gap to the optimum by learning rate, %", tuple(f"lr {rate:g}" for rate in RATES)),
    Table(
        "gap_percent", "The rest of the REINFORCE family, gap by learning rate, %",
        tuple(f"family lr {rate:g}" for rate in RATES),
    ),
    Table("cost", "Cost a store and period by number of traces", tuple(f"S5 train {size}" for size in TRAIN_SIZES)),
    Table("profit_percent", "Profit on real series, % of perfect foresight", ("chicago",)),
)  # fmt: skip
