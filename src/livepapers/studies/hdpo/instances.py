"""What the hdpo study is measured on, and with what: instances, rates, sizes, variants, budgets, networks."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

from livepapers.baselines import reinforce
from livepapers.methods import hdpo
from livepapers.tasks.inventory import InventoryNetwork

FIRST_SEED = 10
"""Seeds 0 to 9 were seen before the claims of version 5 were fixed."""

SWEEP_PROBLEM = "S2-L4-p9"
ONE_STORE = ("S1-L4-p9", "S2-L4-p9", "S2-L2-p39")
KNOWN = (*ONE_STORE, "S3-L2-p9")
"""The instances with an exact optimum: C1 is about the worst of them."""

RATES = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
TRAIN_SIZES = (4, 16, 64, 256)
VARIANTS: dict[str, tuple[reinforce.Variant, float]] = {
    "reinforce fixed sigma 0.5": ("fixed", 0.5),
    "reinforce fixed sigma 1": ("fixed", 1.0),
    "reinforce fixed sigma 2": ("fixed", 2.0),
    "reinforce learned sigma": ("learned", 0.5),
    "reinforce clipped sigma 0.5": ("clipped", 0.5),
    "reinforce clipped sigma 1": ("clipped", 1.0),
    "reinforce clipped sigma 2": ("clipped", 2.0),
    "reinforce paired sigma 0.5": ("paired", 0.5),
    "reinforce paired sigma 1": ("paired", 1.0),
    "reinforce paired sigma 2": ("paired", 2.0),
    "reinforce critic sigma 0.5": ("critic", 0.5),
    "reinforce critic sigma 1": ("critic", 1.0),
    "reinforce critic sigma 2": ("critic", 2.0),
}
FINALISTS = ("reinforce clipped sigma 1", "reinforce clipped sigma 2")
"""Who stands for the family in C2: the best of version 4's nine arms, and the next sigma, which it had not tried."""

STRUCTURED: dict[str, Callable[[InventoryNetwork, list[float]], hdpo.Policy]] = {
    "base-stock": hdpo.BaseStockPolicy,
    "capped base-stock": functools.partial(hdpo.BaseStockPolicy, capped=True),
    "echelon-stock": hdpo.EchelonStockPolicy,
}

NETWORKS: dict[str, tuple[float, tuple[int, ...], float]] = {
    "mlp": (3e-3, (128, 128, 128), 1.0),
    "gnn": (3e-3, (32, 32), 1.0),
    "base-stock": (0.1, (), 1.0),
    "hdpo": (3e-3, (64, 64), 1.0),
}
"""Learning rate, hidden widths and gradient clipping of the arms of parts B and C."""


@dataclass(frozen=True)
class Budget:
    """What each trained arm of a part gets at a preset."""

    updates: int
    batch: int
    dev: int  # scenarios of the dev set
    test: int  # fresh test traces
    test_periods: int
    ignore: int  # test periods at the start that do not count
    forecaster: int = 0  # gradient steps of the newsvendors' forecaster
    base: hdpo.Config = field(default_factory=hdpo.Config)  # what the budget and the setting leave open


BUDGETS: dict[tuple[str, str], Budget] = {
    ("A", "smoke"): Budget(60, 64, 64, 256, 120, 40),
    ("A", "laptop"): Budget(500, 128, 256, 4096, 300, 100),
    ("A", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000, base=hdpo.Config.paper()),
    ("A serial", "smoke"): Budget(60, 64, 64, 256, 120, 40),
    ("A serial", "laptop"): Budget(1200, 128, 256, 4096, 300, 100),
    ("A serial", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000, base=hdpo.Config.paper()),
    ("A sweep", "smoke"): Budget(10, 32, 32, 256, 120, 40),
    ("A sweep", "laptop"): Budget(600, 128, 128, 4096, 300, 100),
    ("A sweep", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000, base=hdpo.Config.paper()),
    ("A family", "smoke"): Budget(10, 32, 32, 256, 120, 40),
    ("A family", "laptop"): Budget(600, 128, 128, 4096, 300, 100),
    ("A family", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000, base=hdpo.Config.paper()),
    ("B", "smoke"): Budget(5, 16, 16, 64, 120, 40),
    ("B", "laptop"): Budget(400, 32, 0, 1024, 200, 60),
    ("B", "paper"): Budget(80_000, 1024, 0, 32_768, 5000, 3000, base=hdpo.Config.paper()),
    ("C", "smoke"): Budget(20, 64, 0, 0, 0, 16, forecaster=60),
    ("C", "laptop"): Budget(800, 240, 0, 0, 0, 16, forecaster=1500),
    ("C", "paper"): Budget(80_000, 8192, 0, 0, 0, 16, forecaster=80_000, base=hdpo.Config.paper()),
}
