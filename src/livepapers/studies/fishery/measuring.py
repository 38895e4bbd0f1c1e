"""How a cell of the fishery study is measured."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from livepapers.baselines.harvest_rules import Kind, textbook, tune
from livepapers.core.artifact import Artifact
from livepapers.core.config import replace
from livepapers.core.learner import JSON
from livepapers.lab.study import Run, Setting
from livepapers.methods.fishery import (
    Config,
    HarvestLearner,
    curve,
    quiet_width,
    smooth,
    smoothing_states,
    some_visited,
    threshold,
    threshold_slopes,
)
from livepapers.studies.fishery.design import FRACTIONS, SEEN
from livepapers.tasks.ecosystem import EcosystemSimulator, Episodes, HarvestPolicy
from livepapers.tasks.ecosystem_model import Ecosystem, may1, perturbed, three_species


@dataclass(frozen=True)
class Budget:
    """What the arms get at a preset."""

    grid: tuple[int, int]  # points of one and of two fisheries
    tuning: int  # episodes
    generations: int  # of differential evolution
    test: int  # fresh episodes
    states: int  # at which thresholds are read


BUDGETS = {
    "smoke": Budget((11, 5), 10, 2, 50, 50),
    "laptop": Budget((101, 26), 60, 40, 1000, 200),
    "paper": Budget((101, 51), 100, 100, 2000, 200),
}
STOCKS = 301  # points of the curve that C1's threshold is read from


def model_of(name: str) -> Ecosystem:
    """The paper's model 1, 2, 3 or 4."""
    makers = {
        "model-1": may1,
        "model-2": lambda: three_species(("X",)),
        "model-3": three_species,
        "model-4": lambda: three_species(drift="growth"),
    }
    return makers[name]()


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    del seed  # the run's generators carry it
    model, budget = model_of(setting.parameters["model"]), BUDGETS[preset]
    if "perturbation" in setting.parameters:
        model = perturbed(model, setting.parameters["perturbation"], generator=run.generator("parameters"))
    simulator = EcosystemSimulator(model, seen=SEEN.get(arm))
    extra: dict[str, float] = {}
    if arm in {"ppo", "ppo+gp", *SEEN}:
        config = Config.preset(preset)
        if preset == "laptop":
            config = replace(config, updates=setting.parameters["updates"])
        rule: nn.Module = _train(simulator, config, run)
        visited = _visited(simulator, rule, config, run)
        if arm == "ppo+gp":
            rule = _smoothed(rule, model, visited, config, run)
        _keep(rule, arm, model, run)
        extra = {} if arm in SEEN else _read(rule, model, visited, budget, run)
    elif arm == "textbook":
        rule = textbook(model)
    elif arm == "no fishing":
        rule = textbook(model).times(0.0)
    else:
        kinds: dict[str, Kind] = {"escapement": "escapement", "linear escapement": "linear"}
        points = budget.grid[len(model.fisheries) - 1]
        tuned = tune(
            simulator, kinds.get(arm, "mortality"), points=points, episodes=budget.tuning,
            generator=run.generator("tuning"), generations=budget.generations,
        )  # fmt: skip
        run.spend(tuning_steps=tuned.steps)
        rule = tuned.rule.times(FRACTIONS.get(arm, 1.0))
        extra = {"tuning_reward": tuned.score} if arm not in FRACTIONS else {}
        if arm == "escapement":
            extra["threshold"] = float(tuned.rule.values[0])
    start, noise = simulator.noise(budget.test, run.generator("test"))
    done = simulator.run(rule, start=start, noise=noise)
    run.spend(test_steps=budget.test * simulator.horizon)
    run.samples("reward", done.reward.numpy())
    run.samples("extinct", done.extinct.numpy())
    return judged(model, done) | extra


def judged(model: Ecosystem, done: Episodes) -> dict[str, float]:
    """Mean reward, its standard error, survival, and the share of early ends by which species went first, percent."""
    found = {
        "reward": done.reward.mean().item(),
        "reward_se": done.reward.std().item() / len(done.reward) ** 0.5,
        "survival_percent": 100.0 * done.survived.double().mean().item(),
    }
    ends = done.extinct[done.extinct >= 0]
    if len(ends):
        shares = {name: 100.0 * (ends == i).double().mean().item() for i, name in enumerate(model.names)}
        found |= {f"first_{name}_percent": share for name, share in shares.items()}
    return found | {"early_ends": float(len(ends))}


def _keep(rule: nn.Module, arm: str, model: Ecosystem, run: Run) -> None:
    """Keep a learned rule as an artifact of the run, with the world it is for."""
    kind = "methods.fishery:SmoothedRule" if arm == "ppo+gp" else "blocks.policies:GreedyPolicy"
    world: dict[str, JSON] = {"model": model.to_json()}
    if arm in SEEN:
        world["seen"] = list(SEEN[arm])
    described = Artifact(
        kind="policy", slug="fishery", architecture=kind, arguments=rule.arguments,  # type: ignore[arg-type]
        made_by={"arm": arm}, spaces={"task": {"name": "ecosystem", "arguments": world}},
    )  # fmt: skip
    run.artifact("rule", described, weights=rule.state_dict())


def _train(simulator: EcosystemSimulator, config: Config, run: Run) -> nn.Module:
    seed = int(torch.randint(2**31, (), generator=run.generator("training")))
    learner = HarvestLearner(simulator, config=config, seed=seed)
    run.drive(
        learner,
        config.updates,
        evaluate=lambda step: learner.checked() if step == 1 or step % config.dev_every == 0 else None,
    )
    return learner.best_rule()


def _visited(simulator: EcosystemSimulator, rule: HarvestPolicy, config: Config, run: Run) -> Tensor:
    """Populations that a rule leads to, `[n, S]`."""
    start, noise = simulator.noise(config.dev_episodes, run.generator("visits"))
    seen = simulator.run(rule, start=start, noise=noise, visited=True).visited
    if seen is None:
        raise RuntimeError("the simulator kept no populations")
    states = seen.flatten(0, 1)
    return states[~states.isnan().any(1)]


def _smoothed(rule: HarvestPolicy, model: Ecosystem, visited: Tensor, config: Config, run: Run) -> nn.Module:
    stream = run.generator("smoothing")
    states = smoothing_states(
        model, visited, popular=config.popular, curve_points=config.curve_points, other_points=config.other_points,
        generator=stream,
    )  # fmt: skip
    return smooth(rule, model, states, fit_points=config.fit_points, generator=stream)


def _read(rule: HarvestPolicy, model: Ecosystem, visited: Tensor, budget: Budget, run: Run) -> dict[str, float]:
    """The rule as a person reads it: its threshold for one species, or what moves its escapements for several."""
    if len(model.species) == 1:
        stock = torch.linspace(0.0, 1.5 * model.sizes[0], STOCKS)
        mortality = curve(rule, model, along=0, stock=stock, others=torch.zeros(1, 1))[0, :, 0]
        # a rule that never fishes has no threshold: the largest stock stands for it
        crossing = threshold(stock, mortality).clamp(max=float(stock[-1]))
        return {"threshold": float(crossing), "quiet_width": quiet_width(stock, mortality)}
    states = some_visited(visited[None], budget.states, generator=run.generator("states"))
    found = {}
    for index, fishery in enumerate(model.fisheries):
        escapement, moved = threshold_slopes(rule, model, fishery=index, states=states)
        found[f"escapement_{fishery.species}"] = escapement.mean().item()
        for other, slope in moved.items():
            found[f"slope_{fishery.species}_{other}"] = slope.slope
            found[f"explained_{fishery.species}_{other}_percent"] = 100.0 * slope.explains
    return found
