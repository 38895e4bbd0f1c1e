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
from livepapers.methods.oc_gfn.problem import Problem, Reward, Target
from livepapers.methods.oc_gfn.sampling import PolicySampler
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation

SLUG = "oc-gfn"
LISTED_STATES = 200_000
MOST_EXACT_PAIRS = 5_000_000
"""States times outcomes that can be reached from them, about a minute of work: beyond that by Monte Carlo."""
DOUBT = 0.05
"""How often, at most, `least_distance` says too much."""
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
    """One reward, its sampler's objects, and how far they are from the target where that is known.

    Attributes:
        reward: Which.
        objects: Drawn ones.
        log_reward: Of each, `[object]` float64.
        tv: Exact total variation between sampler and target.
        tv_least: Where that is not known, a total variation that the samples' rewards show, 95 % sure.
        exact_mean: The target's mean reward.
        effective: Where outcomes were drawn for each object, how many of them count.
        adaptation: What made the sampler, if it was trained.
    """

    reward: Reward
    objects: Tensor
    log_reward: Tensor
    tv: float | None
    tv_least: float | None
    exact_mean: float | None
    effective: float | None
    adaptation: Adaptation | None


def listed_graph(problem: Problem, *, mode: Mode) -> StateGraph | None:
    """All states, where they are few enough for the exact conversion or for exact distances.

    Raises:
        InputError: The mode is exact, and there are too many.
    """
    env = problem.construction()
    objects = math.prod(env.bases)
    graph = enumerate_states(env, largest=LISTED_STATES) if objects <= LISTED_STATES else None
    if mode == "exact" and not weighable(problem, graph):
        cause = f"{float(objects):.2g} objects are too many to weigh each"
        raise InputError.of("--mode", mode, expected="mc or amortised", cause=cause)
    return graph


def weighable(problem: Problem, graph: StateGraph | None) -> bool:
    """Whether the exact conversion is within reach, where all states are listed."""
    env = problem.construction()
    objects = math.prod(env.bases)
    pairs = objects**2 // 4 if env.has_stop else objects * env.longest
    return graph is not None and pairs <= MOST_EXACT_PAIRS


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
        sampler = MonteCarloSampler(
            model, reward.log_reward, n_outcomes=drawing.outcomes, generator=stream, distinct=True
        )
    objects = sampler.sample(drawing.samples, generator=generator(seed, SLUG, "samples", reward.name))
    logs = reward.log_reward(objects).to(torch.float64)
    target = _target(reward, graph)
    tv = _exact_distance(sampler, target, graph)
    least = least_distance(logs, target) if tv is None and target is not None else None
    mean = None if target is None else float((target.share * target.log_reward.exp()).sum())
    effective = sampler.effective if isinstance(sampler, MonteCarloSampler) and not sampler.weighs_all else None
    return Made(reward, objects, logs, tv, least, mean, effective, adaptation)


def _target(reward: Reward, graph: StateGraph | None) -> Target | None:
    """What rewards the target draws: of all objects, where they are listed, or as the reward itself knows."""
    if graph is None:
        return reward.target
    logs = reward.log_reward(graph.states[graph.may_end]).to(torch.float64)
    return Target(logs, torch.softmax(logs, dim=0))


def _exact_distance(sampler: PolicySampler, target: Target | None, graph: StateGraph | None) -> float | None:
    """Total variation, where the sampler's policy is one and the same for all objects, and states are few enough."""
    if graph is None or target is None:
        return None
    drawn = isinstance(sampler, MonteCarloSampler)
    if drawn and (sampler.redraw or len(graph.states) * sampler.n_outcomes > MOST_EXACT_PAIRS):
        return None
    return total_variation(sampler.distribution(graph)[graph.may_end], target.share)


def least_distance(log_reward: Tensor, target: Target) -> float:
    """A total variation that a sampler has at least, 95 % sure, by the rewards of objects that it drew.

    Two distributions of objects are at least as far apart as the shares that they give to all rewards up to any level
    (Kolmogorov's distance), less what so many samples may be off by chance (Dvoretzky, Kiefer, Wolfowitz, Massart).

    Args:
        log_reward: Of independent samples, `[n]` float64.
        target: What the target draws.

    Returns:
        From 0 to 1; 0 says nothing.
    """
    count = len(log_reward)
    levels, place = torch.unique(torch.cat([target.log_reward, log_reward]), return_inverse=True)
    change = torch.cat([target.share, torch.full((count,), -1.0 / count, dtype=torch.float64)])
    gap = torch.zeros(len(levels), dtype=torch.float64).index_add_(0, place, change).cumsum(0).abs().max()
    return max(0.0, float(gap) - math.sqrt(math.log(2.0 / DOUBT) / (2.0 * count)))


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
