"""How `apply oc-gfn` trains and draws: exactly, by Monte Carlo or amortised, and on from checkpoints (oc-gfn)."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.learner import Learner
from livepapers.core.loop import drive
from livepapers.core.rng import generator
from livepapers.methods.oc_gfn.adaptation import Adaptation, AmortisedSampler
from livepapers.methods.oc_gfn.conversion import FlowTable, MonteCarloSampler
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.problem import Problem, Reward
from livepapers.methods.oc_gfn.sampling import PolicySampler
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation

SLUG = "oc-gfn"
LISTED_STATES = 200_000
MOST_EXACT_PAIRS = 5_000_000
"""States times outcomes that can be reached from them, about a minute of work: beyond that by Monte Carlo."""
PROBES = 256
"""Objects whose rewards tell whether a checkpoint is of the same reward."""
Mode = Literal["exact", "mc", "amortised"]


@dataclass(frozen=True)
class Drawing:
    """How objects are drawn."""

    mode: Mode
    outcomes: int
    samples: int
    seed: int


@dataclass(frozen=True)
class Made:
    """One reward, its sampler's objects, and how far they are from the target where that is known."""

    reward: Reward
    objects: Tensor
    log_reward: Tensor
    tv: float | None
    exact_mean: float | None
    adaptation: Adaptation | None


def listed_graph(problem: Problem, *, mode: Mode) -> StateGraph | None:
    """All states, where they are few enough for the exact conversion or for exact distances.

    Raises:
        InputError: The mode is exact, and there are too many.
    """
    env = problem.construction()
    objects = math.prod(env.bases)
    graph = enumerate_states(env, largest=LISTED_STATES) if objects <= LISTED_STATES else None
    pairs = objects**2 // 4 if env.has_stop else objects * env.longest
    if mode == "exact" and (graph is None or pairs > MOST_EXACT_PAIRS):
        cause = f"{float(objects):.2g} objects are too many to weigh each"
        raise InputError.of("--mode", mode, expected="mc or amortised", cause=cause)
    return graph


def driven(learner: Learner, updates: int, made_of: str, *, partial: Path | None, name: str) -> None:
    """Train from the checkpoint of the same work in `partial`, if there is one.

    Args:
        learner: What is trained.
        updates: In all.
        made_of: What the work is made of; a checkpoint of other work is refused.
        partial: The folder of checkpoints; None keeps none.
        name: Of the work.

    Raises:
        Interrupted: It was stopped.
        CorruptFileError: The checkpoint is of other work.
    """
    folder = None if partial is None else partial / name.replace(" ", "-")
    fingerprint = _hashed(f"{SLUG} {name} {made_of}".encode())
    drive(learner, updates, name=name, folder=folder, fingerprint=fingerprint)


def draw_all(
    model: OutcomeConditionedGFlowNet,
    wanted: Sequence[Reward],
    graph: StateGraph | None,
    drawing: Drawing,
    *,
    partial: Path | None,
) -> list[Made]:
    """Objects for each reward; the table of flows, where it is wanted, is made once for all."""
    flows = FlowTable.of(model, graph) if graph is not None and wanted and drawing.mode == "exact" else None
    return [_draw(model, one, flows, graph, drawing, partial=partial) for one in wanted]


def _draw(
    model: OutcomeConditionedGFlowNet,
    reward: Reward,
    flows: FlowTable | None,
    graph: StateGraph | None,
    drawing: Drawing,
    *,
    partial: Path | None,
) -> Made:
    seed = drawing.seed
    adaptation: Adaptation | None = None
    sampler: PolicySampler
    if flows is not None:
        sampler = flows.sampler(reward.log_reward(flows.outcomes))
    elif drawing.mode == "amortised":
        adaptation = _adapted(model, reward, seed, partial=partial)
        sampler = AmortisedSampler(model.env, adaptation.networks)
    else:
        stream = generator(seed, SLUG, "outcomes", reward.name)
        sampler = MonteCarloSampler(model, reward.log_reward, n_outcomes=drawing.outcomes, generator=stream)
    objects = sampler.sample(drawing.samples, generator=generator(seed, SLUG, "samples", reward.name))
    tv = exact_mean = None
    if graph is not None:
        ends = graph.states[graph.may_end]
        logs = reward.log_reward(ends).to(torch.float64)
        exact_mean = float((torch.softmax(logs, dim=0) * logs.exp()).sum())
        if not isinstance(sampler, MonteCarloSampler):
            tv = total_variation(sampler.distribution(graph)[graph.may_end], torch.softmax(logs, dim=0))
    return Made(reward, objects, reward.log_reward(objects).to(torch.float64), tv, exact_mean, adaptation)


def _adapted(model: OutcomeConditionedGFlowNet, reward: Reward, seed: int, *, partial: Path | None) -> Adaptation:
    adaptation = Adaptation(model, reward.log_reward, seed=seed)
    made_of = "" if partial is None else f"{_identity(model, reward)} {model.config} {seed}"
    name = f"adaptation {_hashed(reward.name.encode())[:12]}"
    driven(adaptation, model.config.adapt_updates, made_of, partial=partial, name=name)
    return adaptation


def _identity(model: OutcomeConditionedGFlowNet, reward: Reward) -> str:
    """Model and reward by their content: a name may come to stand for other rewards between two commands.

    The values at a few objects tell of what `about` does not see: a file that a user's function reads, say.
    """
    weights = b"".join(p.detach().numpy().tobytes() for p in model.network.parameters())
    probes = model.outcomes.draw(PROBES, generator=generator(0, SLUG, "probes"))
    values = reward.log_reward(probes).to(torch.float64).numpy().tobytes()
    return f"{reward.about} {_hashed(weights)} {_hashed(values)}"


def _hashed(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
