"""Study of hdpo: gaps to exact optima, the learning-rate sweep against REINFORCE, data needed, real series."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines import newsvendors, reinforce
from livepapers.baselines.inventory_settings import Chicago, Problem, chicago, few_traces_problem, make_problem
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.lab.study import Arm, Cells, Claim, Run, Setting
from livepapers.methods import hdpo
from livepapers.tasks.inventory import (
    InventoryNetwork,
    InventoryPolicy,
    InventorySimulator,
)
from livepapers.tasks.scenarios import Scenarios, draw, fixed, fresh, mean_cost

VERSION = 2

SWEEP_PROBLEM = "S2-L4-p9"

RATES = (1e-4, 1e-3, 3e-3, 1e-2)
TRAIN_SIZES = (4, 16, 64, 256)
VARIANTS: dict[str, tuple[reinforce.Variant, float]] = {
    "reinforce fixed sigma 0.5": ("fixed", 0.5),
    "reinforce fixed sigma 1": ("fixed", 1.0),
    "reinforce learned sigma": ("learned", 0.5),
    "reinforce clipped sigma 0.5": ("clipped", 0.5),
    "reinforce clipped sigma 1": ("clipped", 1.0),
    "reinforce paired sigma 0.5": ("paired", 0.5),
    "reinforce paired sigma 1": ("paired", 1.0),
}


@dataclass(frozen=True)
class Budget:
    """What each trained arm of a part gets at a preset."""

    updates: int
    batch: int
    dev: int  # scenarios of the dev set
    test: int  # fresh test traces
    test_periods: int
    ignore: int  # test periods at the start that do not count


BUDGETS: dict[tuple[str, str], Budget] = {
    ("A", "smoke"): Budget(60, 64, 64, 256, 120, 40),
    ("A", "laptop"): Budget(500, 128, 256, 4096, 300, 100),
    ("A", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000),
    ("A serial", "smoke"): Budget(60, 64, 64, 256, 120, 40),
    ("A serial", "laptop"): Budget(800, 256, 256, 4096, 300, 100),
    ("A serial", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000),
    ("A sweep", "smoke"): Budget(10, 32, 32, 256, 120, 40),
    ("A sweep", "laptop"): Budget(300, 128, 128, 4096, 300, 100),
    ("A sweep", "paper"): Budget(80_000, 8192, 32_768, 32_768, 5000, 3000),
    ("B", "smoke"): Budget(5, 16, 16, 64, 120, 40),
    ("B", "laptop"): Budget(250, 32, 0, 1024, 200, 60),
    ("B", "paper"): Budget(80_000, 1024, 0, 32_768, 5000, 3000),
    ("C", "smoke"): Budget(20, 64, 0, 0, 0, 16),
    ("C", "laptop"): Budget(600, 240, 0, 0, 0, 16),
    ("C", "paper"): Budget(80_000, 8192, 0, 0, 0, 16),
}


def measure(
    arm: str,
    setting: Setting,
    seed: int,  # noqa: ARG001 - the run's streams are keyed by it
    preset: str,
    run: Run,
) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    measurers: dict[str, Callable[..., dict[str, float]]] = {
        "A": _near_known_optimum, "B": _on_few_traces, "C": _on_real_series,
    }  # fmt: skip
    return measurers[setting.part[0]](arm, setting, BUDGETS[setting.part, preset], run)


def _near_known_optimum(arm: str, setting: Setting, budget: Budget, run: Run) -> dict[str, float]:
    """Train on fresh traces, test against the optimal policy on the same test traces."""
    problem = make_problem(SWEEP_PROBLEM if setting.part == "A sweep" else setting.name)
    simulator = problem.simulator
    test = draw(simulator, budget.test, periods=budget.test_periods, generator=run.generator("test"))
    if arm == "optimum":
        policy: InventoryPolicy = problem.policy
    elif arm == "floor":
        policy = hdpo.BaseStockPolicy(simulator.network, simulator.demand.mean[0].tolist())
    else:
        trained = _train(arm, problem, setting, budget, run)
        policy = hdpo.Rounded(trained) if problem.rounded else trained
    cost = mean_cost(simulator, policy, scenarios=test, ignore=budget.ignore)
    if not problem.exact:
        return {"cost": cost, "gap_percent": 100.0 * (cost / problem.optimum - 1.0)}
    reached = mean_cost(simulator, problem.policy, scenarios=test, ignore=budget.ignore)
    run.spend(test_periods=2 * budget.test * budget.test_periods)
    return {"cost": cost, "gap_percent": 100.0 * (cost - reached) / problem.optimum, "optimum": problem.optimum}


def _train(arm: str, problem: Problem, setting: Setting, budget: Budget, run: Run) -> hdpo.Policy:
    """Train an arm's policy on fresh traces; all arms see the same ones and start from equal weights."""
    simulator, p = problem.simulator, setting.parameters
    mean = simulator.demand.mean[0].tolist()
    config = hdpo.Config(
        updates=budget.updates,
        batch=budget.batch,
        hidden=p["hidden"],
        learning_rate=p["learning_rate"],
        clip_norm=p["clip"],
    )
    policy: hdpo.Policy
    if arm in STRUCTURED:
        policy = STRUCTURED[arm](simulator.network, mean)
        config = replace(config, learning_rate=0.5, updates=max(1, budget.updates // 4))
    else:
        lead = int(simulator.network.lead_time.max())
        policy = hdpo.VanillaPolicy(
            simulator.network, mean, lead=lead, hidden=p["hidden"], generator=run.generator("weights")
        )
    dev = draw(simulator, budget.dev, periods=config.dev_periods, generator=run.generator("dev"))
    source, stream = fresh(simulator, periods=config.periods), run.generator("train")
    learner: hdpo.HindsightPolicyOptimization | reinforce.Reinforce
    if arm in VARIANTS:
        variant, sigma = VARIANTS[arm]
        rival = reinforce.Config(
            variant=variant,
            sigma=sigma,
            learning_rate=p["learning_rate"],
            batch=budget.batch,
            updates=budget.updates,
            clip_norm=p["clip"],
        )
        learner = reinforce.Reinforce(simulator, policy, config=rival, train=source, dev=dev, generator=stream)
    else:
        learner = hdpo.HindsightPolicyOptimization(
            simulator, policy, config=config, train=source, dev=dev, generator=stream
        )
    every = max(10, config.updates // 50)
    try:
        run.drive(
            learner,
            config.updates,
            evaluate=lambda step: {"dev_cost": learner.selection.cost} if step == 1 or step % every == 0 else None,
        )
    except FloatingPointError:  # training that diverges ends there, and is judged like any other by its best weights
        run.spend(**learner.work(), diverged=1)
    learner.best_policy()
    return policy


STRUCTURED: dict[str, Callable[[InventoryNetwork, list[float]], hdpo.Policy]] = {
    "base-stock": hdpo.BaseStockPolicy,
    "capped base-stock": functools.partial(hdpo.BaseStockPolicy, capped=True),
    "echelon-stock": hdpo.EchelonStockPolicy,
}


def _on_few_traces(arm: str, setting: Setting, budget: Budget, run: Run) -> dict[str, float]:
    """Train on a fixed set of traces, replayed every epoch; dev set of the same size; test on fresh traces."""
    simulator = few_traces_problem()
    size, mean = setting.parameters["scenarios"], simulator.demand.mean[0].tolist()
    network, lead = simulator.network, int(simulator.network.lead_time.max())
    rate, hidden, clip = NETWORKS[arm]
    config = hdpo.Config(
        updates=budget.updates,
        batch=budget.batch,
        hidden=hidden,
        learning_rate=rate,
        clip_norm=clip,
        train_scenarios=size,
    )
    policy: hdpo.Policy
    if arm == "mlp":
        policy = hdpo.VanillaPolicy(network, mean, lead=lead, hidden=hidden, generator=run.generator("weights"))
    elif arm == "gnn":
        policy = hdpo.GraphPolicy(network, mean, lead=lead, hidden=hidden, generator=run.generator("weights"))
    else:
        policy = hdpo.BaseStockPolicy(network, mean)
    train = draw(simulator, size, periods=config.periods, generator=run.generator("train set"))
    dev = draw(simulator, size, periods=config.dev_periods, generator=run.generator("dev set"))
    learner = hdpo.HindsightPolicyOptimization(
        simulator, policy, config=config, train=fixed(train), dev=dev, generator=run.generator("batches")
    )
    run.drive(
        learner,
        config.updates,
        evaluate=lambda step: {"dev_cost": learner.selection.cost} if step == 1 or step % 10 == 0 else None,
    )
    test = draw(
        simulator, budget.test, periods=budget.test_periods, generator=make_generator(0, "hdpo", "few traces", "test")
    )
    run.spend(test_periods=budget.test * budget.test_periods)
    cost = mean_cost(simulator, learner.best_policy(), scenarios=test, ignore=budget.ignore)
    return {"cost": cost, "dev_cost": learner.selection.best_cost}


def _on_real_series(arm: str, setting: Setting, budget: Budget, run: Run) -> dict[str, float]:  # noqa: ARG001
    """Profit on the last fifth of the weeks, as a share of what perfect foresight would have earned."""
    world = chicago()
    test = Scenarios(*newsvendors.replay(world.simulator, world.test_from, world.panel.values.shape[2]))
    policy = _real_policy(arm, budget, run, world)
    with torch.no_grad():
        earned = _profit(world, policy, test, budget.ignore)
        perfect = _profit(world, newsvendors.just_in_time(world.panel), test, budget.ignore)
    by_station = 100.0 * earned.view(world.stations, -1).sum(1) / perfect.view(world.stations, -1).sum(1)
    run.samples("profit_percent", by_station.numpy())
    return {"profit_percent": by_station.mean().item(), "profit": earned.mean().item()}


def _profit(world: Chicago, policy: InventoryPolicy, test: Scenarios, ignore: int) -> Tensor:
    """Profit a week of each instance, `[K]`."""
    costs = world.simulator.rollout(policy, state=test.state, demand=test.demand).costs
    return -costs[:, ignore:].double().mean(1)


def _real_policy(arm: str, budget: Budget, run: Run, world: Chicago) -> InventoryPolicy:
    if arm == "just in time":
        return newsvendors.just_in_time(world.panel)
    if arm == "floor":
        return hdpo.BaseStockPolicy(world.simulator.network, [5.0])
    if arm == "hdpo":
        return _train_on_series(budget, run, world)
    steps = min(1500, 3 * budget.updates)
    model = newsvendors.fit_forecaster(
        world.panel.between(0, world.dev_from), world.lead_time, generator=run.generator("forecaster"),
        season=world.season, check=world.panel.between(world.dev_from, world.test_from), steps=steps,
    )  # fmt: skip
    run.spend(forecaster_windows=512 * steps)
    table = newsvendors.forecast_table(model, world.panel, world.lead_time, season=world.season)
    if arm == "fixed newsvendor":
        chosen = newsvendors.fit_fixed(table, world.simulator, first=world.dev_from, last=world.test_from)
    elif arm == "transformed newsvendor":
        chosen = newsvendors.fit_transformed(
            table, world.simulator, first=world.dev_from, last=world.test_from, generator=run.generator("map"),
            steps=steps // 10,
        )  # fmt: skip
    else:
        chosen = newsvendors.identity
    return newsvendors.policy(table, chosen, returns=arm == "returns newsvendor")


def _train_on_series(budget: Budget, run: Run, world: Chicago) -> InventoryPolicy:
    """One policy for all series, lead times and prices; training weeks only, weights chosen on the dev weeks."""
    rate, hidden, clip = NETWORKS["hdpo"]
    dev = Scenarios(*newsvendors.replay(world.simulator, world.dev_from, world.test_from))
    config = hdpo.Config(
        updates=budget.updates, batch=budget.batch, hidden=hidden, learning_rate=rate, clip_norm=clip, dev_ignore=16
    )
    policy = hdpo.VanillaPolicy(
        world.simulator.network, [5.0], lead=int(world.lead_time.max()), hidden=hidden, features="series", history=16,
        output="relu", season=(world.first_day, 7.0), generator=run.generator("weights"),
    )  # fmt: skip
    train = InventorySimulator(
        world.simulator.network, world.panel.between(0, world.dev_from), horizon=config.periods, history=16,
        instances=world.instances,
    )  # fmt: skip
    learner = hdpo.HindsightPolicyOptimization(
        train,
        policy,
        config=config,
        train=fresh(train, periods=config.periods),
        dev=dev,
        generator=run.generator("train"),
    )
    run.drive(
        learner,
        config.updates,
        evaluate=lambda step: {"dev_cost": learner.selection.cost} if step == 1 or step % 20 == 0 else None,
    )
    return learner.best_policy()


NETWORKS: dict[str, tuple[float, tuple[int, ...], float]] = {
    "mlp": (3e-3, (128, 128, 128), 1.0),
    "gnn": (1e-3, (32, 32), 1.0),
    "base-stock": (0.1, (1,), 1.0),
    "hdpo": (3e-3, (64, 64), 1.0),
}
"""Learning rate, hidden widths and gradient clipping of the arms of parts B and C."""


ARMS = (
    Arm("hdpo", "method", "The method: the policy network trained by the gradient through the simulator."),
    Arm("optimum", "optimum", "The exact optimum; its policy is simulated on the test traces too.", seeded=False),
    Arm("base-stock", "baseline", "One order-up-to level a node, same gradient, a quarter of the updates, Adam 0.5."),
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
    Arm("gnn", "method", "hdpo with the graph network, 32-wide, Adam 1e-3, gradient norm clipped at 1."),
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

_NET = {"hidden": (32, 32, 32), "learning_rate": 3e-3, "clip": 1.0}
_LOST = {**_NET, "learning_rate": 1e-2}
KNOWN = ("S1-L4-p9", "S2-L4-p9", "S2-L2-p39", "S3-L2-p9")
"""The instances with an exact optimum: C1 is about the worst of them."""

SETTINGS = (
    Setting(
        "S2-L4-p9",
        "One store, lost sales, Poisson(5), lead time 4, p = 9; optimum by value iteration.",
        ("optimum", "hdpo", "capped base-stock", "base-stock", "floor"),
        {"smoke": 1, "laptop": 10, "paper": 10},
        _LOST,
        "A",
    ),
    Setting(
        "S2-L2-p39",
        "One store, lost sales, Poisson(5), lead time 2, p = 39; optimum by value iteration.",
        ("optimum", "hdpo", "capped base-stock", "floor"),
        {"smoke": 1, "laptop": 10, "paper": 10},
        _LOST,
        "A",
    ),
    Setting(
        "S1-L4-p9",
        "One store, backlog, N(5, 1.6), lead time 4, p = 9; optimum in closed form.",
        ("optimum", "hdpo", "base-stock", "floor"),
        {"smoke": 1, "laptop": 10, "paper": 10},
        _NET,
        "A",
    ),
    Setting(
        "S3-L2-p9",
        "Four echelons, backlog, N(5, 2), lead times 2, 4, 3, 2, p = 9; optimum by Clark-Scarf.",
        ("optimum", "hdpo", "echelon-stock", "floor"),
        {"smoke": 1, "laptop": 10, "paper": 10},
        {"hidden": (32, 32), "learning_rate": 5e-3, "clip": 1.0},
        "A serial",
    ),
    *(
        Setting(
            f"lr {rate:g}",
            f"S2-L4-p9 at learning rate {rate:g}: hdpo against the REINFORCE family, equal budget.",
            ("hdpo", *VARIANTS),
            {**({"smoke": 1} if rate == 3e-3 else {}), "laptop": 3, "paper": 3},
            {**_NET, "learning_rate": rate},
            "A sweep",
            fixed_seeds=True,
        )
        for rate in RATES
    ),
    *(
        Setting(
            f"S5 train {size}",
            f"One warehouse, ten stores, lost sales; {size} fixed training and dev traces.",
            ("gnn", "mlp", "base-stock"),
            {**({"smoke": 1} if size <= 16 else {}), "laptop": 3, "paper": 3},
            {"scenarios": size},
            "B",
            fixed_seeds=True,
        )
        for size in TRAIN_SIZES
    ),
    Setting(
        "chicago",
        "20 stations, 814 weeks of riders as demand; lead times 1, 2, 3, four prices each.",
        (
            "hdpo",
            "quantile newsvendor",
            "fixed newsvendor",
            "transformed newsvendor",
            "returns newsvendor",
            "just in time",
            "floor",
        ),
        {"smoke": 1, "laptop": 3, "paper": 10},
        {},
        "C",
    ),
)


def worst_gap(cells: Cells) -> dict[str, float]:
    """Per seed, the largest gap to the optimum over the known instances, percent."""
    seeds = set.intersection(*(set(cells.seeds(setting=name, arms=["hdpo"])) for name in KNOWN))
    return {
        f"seed {seed}": max(cells.value("gap_percent", arm="hdpo", setting=name, seed=seed) for name in KNOWN)
        for seed in sorted(seeds)
    }


def share_difference(within: float) -> Callable[[Cells], dict[str, float]]:
    """A statistic, per rate and seed: 1 if hdpo is within so many percent, less the best variant's share.

    The best variant of REINFORCE is the one with the largest share over all rates, seeds and both sigmas. The mean of
    the effects is the difference of the two shares.
    """

    def statistic(cells: Cells) -> dict[str, float]:
        units = [
            (f"lr {rate:g}", seed)
            for rate in RATES
            for seed in cells.seeds(setting=f"lr {rate:g}", arms=["hdpo", *VARIANTS])
        ]

        def inside(arm: str, setting: str, seed: int) -> float:
            return float(cells.value("gap_percent", arm=arm, setting=setting, seed=seed) <= within)

        shares = {
            variant: [
                np.mean([inside(arm, *unit) for arm, (name, _) in VARIANTS.items() if name == variant])
                for unit in units
            ]
            for variant in sorted({name for name, _ in VARIANTS.values()})
        }
        best = max(shares.values(), key=sum)
        return {
            f"{unit[0]}/seed {unit[1]}": inside("hdpo", *unit) - float(rival)
            for unit, rival in zip(units, best, strict=True)
        }

    return statistic


def data_ratio(cells: Cells) -> dict[str, float]:
    """Per seed and n: test cost of the graph network with n traces over the vanilla one's with 4 n, minus 1, %."""
    effects = {}
    for size in TRAIN_SIZES[:-1]:
        few, many = f"S5 train {size}", f"S5 train {4 * size}"
        for seed in sorted(set(cells.seeds(setting=few, arms=["gnn"])) & set(cells.seeds(setting=many, arms=["mlp"]))):
            ratio = cells.value("cost", arm="gnn", setting=few, seed=seed) / cells.value(
                "cost", arm="mlp", setting=many, seed=seed
            )
            effects[f"{few}/seed {seed}"] = 100.0 * (ratio - 1.0)
    return effects


NEWSVENDORS = ("quantile newsvendor", "fixed newsvendor", "transformed newsvendor")


def profit_advantage(cells: Cells) -> dict[str, float]:
    """Per station, hdpo's profit less the best admissible newsvendor's (best over all stations), in % of foresight."""
    arms = ("hdpo", *NEWSVENDORS)
    seeds = cells.seeds(setting="chicago", arms=arms)
    if not seeds:
        return {}
    profit = {
        arm: np.mean([cells.samples("profit_percent", arm=arm, setting="chicago", seed=seed) for seed in seeds], axis=0)
        for arm in arms
    }
    best = max(NEWSVENDORS, key=lambda arm: profit[arm].mean())
    return {f"station {i}": float(value) for i, value in enumerate(profit["hdpo"] - profit[best])}


CLAIMS = (
    Claim(
        "C1",
        "Near-optimal cost where the optimum is known.",
        where="section on settings with known optima; v2, summary of results",
        published="average optimality gap below 0.35 %",
        effect="gap to the exact optimum on the worst of four instances, %",
        statistic=worst_gap,
        unit="seed",
        arms=("hdpo",),
        settings=KNOWN,
        direction="less",
        reference=1.0,
        margin_why="1 % on every instance, fixed beforehand: the paper trains 30 to 1,000 times longer; "
        "the worst of the instances stands for each of them",
        scale="paper: 32,768 traces, batch 8,192, up to 20,000 epochs; ours: 500 updates of 128 fresh "
        "traces (serial: 800 of 256)",
        headline=True,
    ),
    Claim(
        "C2",
        "More robust to the learning rate than the REINFORCE family.",
        where="introduction and section on robustness",
        published="direction only, no numbers found",
        effect="hdpo within 5 % of the optimum (1 or 0) less the share of the best REINFORCE variant",
        statistic=share_difference(5.0),
        unit="seed x setting",
        arms=("hdpo", *VARIANTS),
        settings=tuple(f"lr {rate:g}" for rate in RATES),
        direction="greater",
        margin=0.25,
        margin_why="a quarter of the sweep; version 1 asked for twice the rival's share, a rule by which equal shares "
        "count as contradicted and a rival above one half cannot be beaten",
        scale="one problem, four learning rates, three seeds, two sigmas; 300 updates of 128 x 50 periods",
        headline=True,
    ),
    Claim(
        "C2b",
        "More robust to the learning rate than the REINFORCE family, judged at 1 % of the optimum.",
        where="introduction and section on robustness",
        published="direction only, no numbers found",
        effect="hdpo within 1 % of the optimum (1 or 0) less the share of the best REINFORCE variant",
        statistic=share_difference(1.0),
        unit="seed x setting",
        arms=("hdpo", *VARIANTS),
        settings=tuple(f"lr {rate:g}" for rate in RATES),
        direction="greater",
        margin=0.25,
        margin_why="the same rule as C2 with the closer bound that a planner would want",
        scale="as C2",
    ),
    Claim(
        "C3",
        "A policy network shaped like the supply chain needs a quarter of the data of a vanilla network, or less.",
        where="section on sample efficiency; v2 reports 16 times fewer scenarios",
        published="16 times fewer training scenarios (v2, another weight-sharing network)",
        effect="test cost of the graph network with n traces over the vanilla network's with 4 n, minus 1, %",
        statistic=data_ratio,
        unit="seed x setting",
        arms=("gnn", "mlp"),
        settings=tuple(f"S5 train {size}" for size in TRAIN_SIZES),
        direction="less",
        margin_why="at least as good with a quarter of the traces, for n = 4, 16, 64, fixed beforehand",
        scale="paper: three-layer networks of 512, batch 1,024, sizes 16, 256, 8,192; ours: 128-128-128, batch 32, "
        "sizes 4 to 256, equal updates",
        headline=True,
    ),
    Claim(
        "C4",
        "On real series, end-to-end training earns more than every generalised newsvendor.",
        where="section on real data",
        published="meaningfully more profit, numbers not found",
        effect="profit less that of the best admissible newsvendor, % of perfect foresight",
        statistic=profit_advantage,
        unit="item",
        arms=("hdpo", *NEWSVENDORS),
        settings=("chicago",),
        direction="greater",
        margin_why="any advantage; stations share a city and its weeks, so they are less independent than they look",
        scale="paper: 32,768 sales series of 171 weeks (Favorita); ours: 20 series of 814 weeks (riders at "
        "Chicago stations), lead times 1 to 3",
        headline=True,
    ),
    Claim.not_tested(
        "C5",
        "Works up to 60-dimensional states (v1: 600).",
        where="abstract of v1 and v2",
        published="gap below 1 % at 60 dimensions",
        needs="a problem of that size with a known optimum; part B trains on 33 dimensions, where none is known",
    ),
)

DEVIATIONS = (
    "Test traces: paper 32,768 of 5,000 periods, the last 2,000 counted; ours 4,096 of 300 periods, the last 200 "
    "counted, and gaps are paired with the optimal policy on the same traces.",
    "Sample sizes: see the budgets in the study; training is 30 to 1,000 times shorter than the paper's. To end well "
    "in so few updates, every trained arm's rate falls to 0 over the last 30 % of them; the paper's is constant.",
    "All trained arms clip the gradient norm at 1, the paper those of the graph network only: an early policy whose "
    "orders grow with its stock lets costs and gradients explode over 50 periods, and Adam's memory of one such update "
    "then holds training up for a thousand more.",
    "S5 is one instance with ten stores, drawn once; dev sets are as large as the training sets, so that an arm with n "
    "traces has seen 2 n and no more.",
    "The graph and the vanilla network get equal numbers of updates on equal batches, not equal wall time; the report "
    "shows both arms' wall time. The learning rate of the vanilla network was chosen on a seed outside the study.",
    "Real series: station ridership instead of Favorita sales, which are not free to ship; lead times 1 to 3 instead "
    "of 4 to 6, scaled to a training mean of 5 so that all stations weigh alike.",
    "One store with lost sales: learning rate 1e-2 (the paper tried 1e-4, 1e-3 and 1e-2; its default is 3e-3).",
    "Version 1 of this study gave the serial system the paper's learning rate of 1e-2 and 500 updates of 128 traces: "
    "gaps of 0.6 to 1.1 %, and 8.6 % on one seed of eight, where early, understocked traces drove a stage's sigmoid to "
    "ship all it had for good. Version 2 trains it at 5e-3 with 800 updates of 256, chosen on seeds outside the study.",
    "Version 1 dropped runs that diverged (seven of REINFORCE at the rate of 1e-2); version 2 judges them by their "
    "best weights before. Version 1 asked in C2 for twice the rival's share, which made it contradicted; its other "
    "claims were inconclusive. These verdicts were seen before version 2 was fixed.",
    "Version 1 fitted the maps of the fixed and the transformed newsvendor on weeks that the forecaster had been "
    "trained on, where forecasts look surer than they are; version 2 fits them on the dev weeks, which makes these "
    "rivals stronger.",
    "The REINFORCE variant with a learned sigma starts at 0.5 only. A learned baseline is left out; S4 and S6 are "
    "left out of the committed run.",
)
