"""What cells and trials of the deep-ga study share: budgets, searches in their worlds, fresh episodes."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from torch import Tensor

from livepapers.core.config import replace
from livepapers.core.rng import derive
from livepapers.lab.study import Setting
from livepapers.methods.deep_ga import (
    Algorithm,
    Config,
    Evaluator,
    Evolution,
    EvolutionStrategy,
    Layout,
    StrategyConfig,
    world_of,
)
from livepapers.methods.deep_ga.evaluation import World

Search: TypeAlias = Evolution | EvolutionStrategy

CONTROL = {
    "population": 100, "parents": 10, "sigma": 0.1, "generations": 20, "candidates": 10, "validation": 10
}  # fmt: skip
ATARI = {
    "population": 50, "parents": 5, "sigma": 0.002, "generations": 4, "candidates": 4, "validation": 5,
    "side_by_side": 20,
}  # fmt: skip
CAP = 1000
"""Actions of an Atari episode in training; the elite is judged without it."""
FRESH = {"smoke": 20, "laptop": 500, "paper": 500}
ATARI_FRESH = 30
FEW = {"population": 20, "parents": 4, "generations": 2, "candidates": 4}
"""Of the smoke preset."""


class Budget(NamedTuple):
    """Settings of both kinds of search; they spend the same number of episodes."""

    genetic: Config
    strategy: StrategyConfig


def budget(setting: Setting, preset: str, arm: str, chosen: Mapping[str, float] | None = None) -> Budget:
    """The settings of an arm.

    Args:
        setting: Maze, control or Frostbite.
        preset: smoke, laptop or paper.
        arm: ga, ga-ns, es or random.
        chosen: What tuning decides: sigma and parents of a genetic algorithm, sigma and rate of the strategy.
    """
    algorithm: Algorithm = arm if arm in ("ga", "ga-ns") else "random"  # type: ignore[assignment]
    config = replace(Config(), algorithm=algorithm, validation=0)
    if setting.name == "frostbite":
        config = replace(config, **ATARI)
    elif setting.name != "maze":
        config = replace(config, **CONTROL)
    if preset == "smoke":
        config = replace(config, **FEW, validation=min(config.validation, 2))
    elif preset == "paper" and setting.name == "maze":
        config = replace(config, population=20_000, parents=61, sigma=0.005, generations=400)
    elif preset == "paper":
        config = replace(config, population=1000, parents=20, generations=100, validation=30)
    strategy = StrategyConfig(pairs=episodes_each(config) // 2)
    if preset == "paper" and setting.name == "maze":
        strategy = replace(strategy, sigma=0.02)
    if arm == "es":
        return Budget(config, replace(strategy, **(chosen or {})))
    return Budget(replace(config, **(chosen or {})), strategy)


def episodes_each(config: Config) -> int:
    """Episodes of a generation, validation included: what every arm spends in it."""
    return config.population + config.candidates * config.validation


def place(setting: Setting) -> tuple[World, Layout]:
    """The setting's world, and the network that all its arms have there."""
    world, seen, acts = world_of(str(setting.parameters["world"]), dict(setting.parameters.get("arguments", {})))
    return world, Layout(seen, acts, hidden="small" if setting.name == "frostbite" else (16, 16))


def search(arm: str, setting: Setting, rules: Budget, seed: int) -> Search:
    """The search of an arm, not yet updated; arms of one seed have the same start."""
    world, layout = place(setting)
    start = derive(seed, "deep-ga", setting.name)
    if arm == "es":
        return EvolutionStrategy(world, layout, config=rules.strategy, seed=start)
    cap = CAP if setting.name == "frostbite" else 0
    return Evolution(world, layout, config=rules.genetic, seed=start, cap=cap)


def fresh_returns(found: Search, setting: Setting, preset: str, seed: int) -> Tensor:
    """`[episode]`: the returns of what a search found, on episodes that it has not seen."""
    world, layout = place(setting)
    theta = found.policy().theta.detach().numpy()
    episodes = ATARI_FRESH if setting.name == "frostbite" else FRESH[preset]
    judge = Evaluator(world, layout, side_by_side=500)
    stream = derive(seed, "deep-ga", "fresh", setting.name)
    return judge(lambda _: theta, 1, episodes=episodes, seed=stream).returns[0]
