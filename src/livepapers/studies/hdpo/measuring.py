"""How a cell of the hdpo study is measured."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from livepapers.baselines import newsvendors, reinforce
from livepapers.baselines.inventory_settings import Chicago, Problem, chicago, few_traces_problem, make_problem
from livepapers.core.config import replace
from livepapers.core.errors import Diverged
from livepapers.core.rng import generator as make_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import hdpo
from livepapers.studies.hdpo.instances import BUDGETS, KNOWN, NETWORKS, STRUCTURED, SWEEP_PROBLEM, VARIANTS, Budget
from livepapers.tasks.inventory import InventoryPolicy, InventorySimulator
from livepapers.tasks.scenarios import Scenarios, Source, draw, fixed, fresh, mean_cost


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
    problem = make_problem(setting.name if setting.name in KNOWN else SWEEP_PROBLEM)
    simulator = problem.simulator
    test = draw(simulator, budget.test, periods=budget.test_periods, generator=run.generator("test"))
    if arm == "optimum":
        policy: InventoryPolicy = problem.policy
    elif arm == "floor":
        policy = hdpo.BaseStockPolicy(simulator.network, simulator.demand.mean[0].tolist())
    else:
        policy = _train(arm, problem, setting, budget, run)

    def cost(judged: InventoryPolicy) -> float:
        run.spend(test_periods=budget.test * budget.test_periods)
        return mean_cost(simulator, judged, scenarios=test, ignore=budget.ignore)

    reached = cost(problem.policy)
    if not (problem.rounded and isinstance(policy, hdpo.Policy)):
        ours = cost(policy)
        return {"cost": ours, "gap_percent": 100.0 * (ours - reached) / problem.optimum, "optimum": problem.optimum}
    rounded, as_trained = cost(hdpo.Rounded(policy)), cost(policy)
    return {
        "cost": rounded,
        "gap_percent": 100.0 * (rounded - reached) / problem.optimum,
        "gap_percent_unrounded": 100.0 * (as_trained - reached) / problem.optimum,
        "optimum": problem.optimum,
    }


def _train(arm: str, problem: Problem, setting: Setting, budget: Budget, run: Run) -> hdpo.Policy:
    """Train an arm's policy on fresh traces; all arms see the same ones and start from equal weights."""
    dev = draw(problem.simulator, budget.dev, periods=budget.base.dev_periods, generator=run.generator("dev"))
    learner: reinforce.Reinforce | hdpo.BestOfStarts
    if arm in VARIANTS:
        learner, updates = _score_learner(arm, problem, setting, budget, run, dev), budget.updates
    else:
        learner = _pathwise_learner(arm, problem, setting, budget, run, dev)
        updates = learner.updates
    every = max(10, updates // 50)
    try:
        run.drive(
            learner,
            updates,
            evaluate=lambda step: {"dev_cost": learner.selection.cost} if step == 1 or step % every == 0 else None,
        )
    except Diverged:  # training ends there, and is judged like any other by its best weights
        run.spend(**learner.work(), diverged=1)
    best = learner.best_policy()
    assert isinstance(best, hdpo.Policy)
    return best


def _pathwise_learner(
    arm: str, problem: Problem, setting: Setting, budget: Budget, run: Run, dev: Scenarios
) -> hdpo.BestOfStarts:
    """hdpo, or a rule that is trained likewise; further starts have weights and traces of their own."""
    simulator, p = problem.simulator, setting.parameters
    config = replace(
        budget.base, updates=budget.updates, batch=budget.batch, hidden=p["hidden"], learning_rate=p["learning_rate"]
    )
    if arm in STRUCTURED:
        config = replace(config, learning_rate=0.5, updates=max(1, budget.updates // 4))

    def started(start: int) -> hdpo.HindsightPolicyOptimization:
        which = f" of start {start}" if start else ""
        if arm in STRUCTURED:
            policy = STRUCTURED[arm](simulator.network, simulator.demand.mean[0].tolist())
        else:
            policy = _vanilla(problem, p["hidden"], run.generator(f"weights{which}"))
        return hdpo.HindsightPolicyOptimization(
            simulator, policy, config=config, train=_source(problem, budget, run), dev=dev,
            generator=run.generator(f"train{which}"),
        )  # fmt: skip

    starts = 1 if arm in STRUCTURED else p.get("starts", 1)
    return hdpo.BestOfStarts([started(i) for i in range(starts)])


def _source(problem: Problem, budget: Budget, run: Run) -> Source:
    """Training traces: fresh ones, or at the paper's preset a set that is drawn once, the same for all arms."""
    simulator, periods = problem.simulator, budget.base.periods
    if not budget.base.train_scenarios:
        return fresh(simulator, periods=periods)
    stream = run.generator("train set")
    return fixed(draw(simulator, budget.base.train_scenarios, periods=periods, generator=stream))


def _score_learner(
    arm: str, problem: Problem, setting: Setting, budget: Budget, run: Run, dev: Scenarios
) -> reinforce.Reinforce:
    """A member of the REINFORCE family."""
    variant, sigma = VARIANTS[arm]
    p = setting.parameters
    config = reinforce.Config(
        variant=variant, sigma=sigma, learning_rate=p["learning_rate"], batch=budget.batch, updates=budget.updates,
        clip_norm=budget.base.clip_norm, decay=budget.base.decay, dev_every=budget.base.dev_every,
    )  # fmt: skip
    policy = _vanilla(problem, p["hidden"], run.generator("weights"))
    source, stream = _source(problem, budget, run), run.generator("train")
    return reinforce.Reinforce(problem.simulator, policy, config=config, train=source, dev=dev, generator=stream)


def _vanilla(problem: Problem, hidden: Sequence[int], stream: torch.Generator) -> hdpo.VanillaPolicy:
    network = problem.simulator.network
    mean = problem.simulator.demand.mean[0].tolist()
    return hdpo.VanillaPolicy(network, mean, lead=int(network.lead_time.max()), hidden=hidden, generator=stream)


def _on_few_traces(arm: str, setting: Setting, budget: Budget, run: Run) -> dict[str, float]:
    """Train on a fixed set of traces, replayed every epoch; dev set of the same size; test on fresh traces."""
    simulator = few_traces_problem()
    size, mean = setting.parameters["scenarios"], simulator.demand.mean[0].tolist()
    network, lead = simulator.network, int(simulator.network.lead_time.max())
    rate, hidden, clip = NETWORKS[arm]
    config = replace(
        budget.base, updates=budget.updates, batch=budget.batch, hidden=hidden, learning_rate=rate, clip_norm=clip,
        train_scenarios=size,
    )  # fmt: skip
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
    steps = budget.forecaster
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
    config = replace(
        budget.base, updates=budget.updates, batch=budget.batch, hidden=hidden, learning_rate=rate, clip_norm=clip,
        train_scenarios=0, dev_ignore=16,
    )  # fmt: skip
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
