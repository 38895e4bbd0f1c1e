"""The worlds and rewards of the oc-gfn study, what is known exactly of them, and what its cells share."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from livepapers.core.checkpoint import load_state, save_state
from livepapers.core.config import replace
from livepapers.core.files import write_atomic
from livepapers.core.loop import drive
from livepapers.core.rng import derive, generator
from livepapers.methods.oc_gfn import Config, FlowTable, OutcomeConditionedGFlowNet
from livepapers.tasks.constructions import Hypergrid, Rewarded, Strings, rna_strings
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation
from livepapers.tasks.constructions.rna import EXPONENT, FLOOR, all_energies, reference_energy

TARGETS = {
    "rna-1": "GGGAAACUCGAUUCGC",  # 16 nt, 56 % G and C
    "rna-2": "AUUAUGCAUUAAUCGU",  # 16 nt, 25 %
    "rna-3": "GCGGCCGUACGCGGAUCC",  # 18 nt, 78 %
    "rna-4": "UACGAUUGCAGUACCAUGAC",  # 20 nt, 45 %
}
"""Fixed RNAs of different G and C content that candidates of 8 nucleotides are to bind to."""
RNA_LENGTH = 8
SIDES = {"grid-8": 8, "grid-16": 16, "grid-32": 32}
BITS = {"bits-16": 16, "bits-24": 24}
REWARDS = 20
"""Random rewards of the amortisation curve."""
TOP_SHARE, APART = 0.005, 3
"""Modes of RNA: objects of the best half per cent, greedily kept when 3 letters differ from all kept before."""


@functools.cache
def world(name: str) -> Hypergrid | Strings:
    """The construction of a world, without a task's reward."""
    if name in SIDES:
        return Hypergrid(2, SIDES[name])
    return Strings.bits(BITS[name]) if name in BITS else rna_strings(RNA_LENGTH)


@functools.cache
def graph_of(name: str) -> StateGraph:
    """All states of a world; raises where there are too many."""
    found = enumerate_states(world(name))
    if found is None:
        raise RuntimeError(f"{name}: too many states to list")
    return found


@dataclass(frozen=True)
class Task:
    """A reward on an enumerated world."""

    name: str
    env: Rewarded
    graph: StateGraph  # of the world; its own reward is not the task's
    log_reward: Tensor  # [object] float64, in the order of graph.states[may_end]
    modes: Tensor  # [mode] index into the objects

    @property
    def target(self) -> Tensor:
        """R / Z, `[object]`."""
        return torch.softmax(self.log_reward, dim=0)

    def place(self, objects: Tensor) -> Tensor:
        """Which of the objects each row is, `[n]`."""
        ends = torch.cumsum(self.graph.may_end, dim=0) - 1
        return ends[self.graph.index(objects)]

    def distance(self, distribution: Tensor) -> float:
        """Total variation of a distribution over states to R / Z."""
        return total_variation(distribution[self.graph.may_end], self.target)


def make_task(name: str, world_name: str, log_reward: Tensor) -> Task:
    """A task from log rewards `[object]` in the order of the world's listed objects."""
    graph = graph_of(world_name)
    logs = torch.zeros(len(graph.states), dtype=torch.float64)
    logs[graph.may_end] = log_reward

    def look_up(objects: Tensor) -> Tensor:
        return logs[graph.index(objects)]

    return Task(name, Rewarded(graph.env, look_up), graph, log_reward, _modes(graph, log_reward))


def _modes(graph: StateGraph, log_reward: Tensor) -> Tensor:
    """The best objects; in strings those among the best half per cent that are far from each other."""
    if graph.env.has_stop:
        return (log_reward > log_reward.max() - 1e-9).nonzero().squeeze(1)
    best = torch.argsort(log_reward, descending=True, stable=True)[: max(int(TOP_SHARE * len(log_reward)), 1)]
    objects = graph.states[graph.may_end]
    kept: list[int] = []
    for index in best.tolist():
        if not kept or int((objects[kept] != objects[index]).sum(dim=1).min()) >= APART:
            kept.append(index)
    return torch.tensor(kept)


def grid_rewards(side: int, kind: str) -> Tensor:
    """Log rewards of a grid's cells in the order of `graph_of`: "hypergrid" or "linear"."""
    cells = graph_of(f"grid-{side}").states
    if kind == "hypergrid":
        return Hypergrid(2, side, r0=1e-3).log_reward(cells)
    return (1.0 + cells.sum(dim=1).to(torch.float64)).log()


def random_rewards(side: int, count: int, *, seed: int) -> list[Tensor]:
    """`count` rewards of four bumps each at random places, with a floor of a hundredth, as log rewards."""
    cells = graph_of(f"grid-{side}").states.to(torch.float64) / (side - 1)
    found = []
    for index in range(count):
        stream = generator(seed, "oc-gfn", "random rewards", index)
        centres = torch.rand(4, 2, generator=stream, dtype=torch.float64)
        heights = 0.2 + torch.rand(4, generator=stream, dtype=torch.float64)
        bumps = torch.exp(-((cells[:, None] - centres) ** 2).sum(dim=2) / (2 * 0.12**2)) @ heights
        found.append((bumps + 0.01).log())
    return found


def binding_rewards(energies: Tensor, target: str) -> Tensor:
    """The log rewards of `binding_log_reward`, from the energies of all strings."""
    scale = reference_energy(RNA_LENGTH, target)
    return torch.log(((-energies).clamp(0.0, scale) / scale) ** EXPONENT + FLOOR)


# ---- what cells share ----

FAMILIES: dict[str, dict[str, Any]] = {
    "grid-8": {"updates": 1200, "teleport": False},
    "grid-16": {"updates": 3200, "teleport": False},
    "bits-16": {"updates": 1000, "teleport": True},
    "bits-24": {"updates": 1200, "teleport": True},
    "rna-8": {"updates": 2400, "teleport": True},
}
"""Updates of the laptop preset, and the variant that adaptations start from: see Deviations 2 of the method."""
RATES: dict[str, dict[str, float]] = {
    "pre-training": {"grid": 1e-2, "bits": 1e-2, "rna": 1e-2},
    "amortised": {"grid": 3e-3, "rna": 1e-2},
    "scratch-db": {"grid": 1e-3, "rna": 3e-3},
    "scratch-tb": {"grid": 3e-3, "rna": 1e-3},
    "many-rewards": {"grid": 1e-2},
    "dqn": {"grid": 1e-3, "rna": 1e-3},
    "goal-conditioned": {"grid": 1e-3, "bits": 3e-3, "rna": 3e-3},
}
"""Learning rates of what is trained, by the kind of world: see Deviations of the study."""
TELEPORT_FAILURE, LAST_FAILURE = 1e-4, 0.01
"""epsilon on every edge; and on the last one, over the number of outcomes: success can then be 99 %."""
SMOKE_UPDATES, PAPER_UPDATES = 6, 20_000
SEEDS = 16
"""Seeds for which models can be prepared."""


def rate_of(arm: str, name: str) -> float:
    """The learning rate of one of `RATES` in a world."""
    return RATES[arm].get(name.partition("-")[0], Config.laptop().learning_rate)


def config_of(name: str, preset: str, *, teleport: bool | None = None) -> Config:
    """Settings of a world's pre-training, and of the adaptations after it.

    Args:
        name: The world.
        preset: Of the study.
        teleport: Whether log R stands on every edge; None for what the world's adaptations start from.
    """
    updates = {"smoke": SMOKE_UPDATES, "paper": PAPER_UPDATES}.get(preset, FAMILIES[name]["updates"])
    base = Config.laptop() if preset != "smoke" else replace(Config.laptop(), batch=8, adapt_batch=8)
    every = FAMILIES[name]["teleport"] if teleport is None else teleport
    failure = TELEPORT_FAILURE if every else min(TELEPORT_FAILURE, LAST_FAILURE / math.prod(world(name).bases))
    return replace(
        base, updates=updates, teleport=every, failure_reward=failure,
        learning_rate=rate_of("pre-training", name), adapt_rate=rate_of("amortised", name),
    )  # fmt: skip


def prepare_model(folder: Path, preset: str, *, name: str, seed: int) -> None:
    """Pre-train the model that all adaptation arms of a world and seed start from."""
    model = OutcomeConditionedGFlowNet(world(name), config_of(name, preset), seed=derive(seed, "oc-gfn", name))
    drive(model, model.config.updates, name=f"pre-training {name}")
    save_state(folder / "model.safetensors", model.state_dict())


def load_model(folder: Path, preset: str, *, name: str, seed: int) -> OutcomeConditionedGFlowNet:
    """The model that `prepare_model` left in `folder`."""
    model = OutcomeConditionedGFlowNet(world(name), config_of(name, preset), seed=derive(seed, "oc-gfn", name))
    model.load_state_dict(load_state(folder / "model.safetensors"))
    return model


def prepare_energies(folder: Path, preset: str) -> None:
    """ViennaRNA's energies of all 65,536 candidates with each target."""
    del preset
    energies = {name: all_energies(RNA_LENGTH, target) for name, target in TARGETS.items()}
    write_atomic(folder / "energies.safetensors", save(energies))


def rna_task(folder: Path, name: str) -> Task:
    """The task of binding to one of `TARGETS`, from prepared energies."""
    energies = load_file(folder / "energies.safetensors")[name]
    graph = graph_of("rna-8")
    objects = graph.states[graph.may_end]
    number = torch.zeros(len(objects), dtype=torch.int64)
    for place in range(RNA_LENGTH):
        number = number * 4 + objects[:, place]
    return make_task(name, "rna-8", binding_rewards(energies[number], TARGETS[name]))


PREPARE = {
    **{
        f"{name} seed {seed}": functools.partial(prepare_model, name=name, seed=seed)
        for name in ("grid-8", "grid-16", "rna-8")
        for seed in range(SEEDS)
    },
    "energies": prepare_energies,
}


def identity_errors(name: str) -> dict[str, float]:
    """Largest distances of what must be exact: conversion of the closed-form flows, and the effect of a wrong flow."""
    graph = graph_of(name)
    table = FlowTable.exact(graph)
    rewards = [grid_rewards(SIDES[name], kind) for kind in ("hypergrid", "linear")]
    rewards += random_rewards(SIDES[name], 1, seed=0)
    distances = [
        total_variation(table.sampler(reward).distribution(graph)[graph.may_end], reward.softmax(dim=0))
        for reward in rewards
    ]
    wrong = table.log_flow + 0.1 * (table.outcome == 0).double()  # F(s|y) of one outcome too large by e^0.1
    bent = FlowTable(graph, table.outcomes, table.state, table.outcome, wrong, table.log_forward)
    mass = [t.sampler(rewards[1]).distribution(graph)[graph.may_end][0] for t in (table, bent)]
    share = float(mass[0])
    expected = share * math.exp(0.1) / (1 + share * (math.exp(0.1) - 1))
    return {"tv": max(distances), "wrong_flow_error": abs(float(mass[1]) - expected)}
