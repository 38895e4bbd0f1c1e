"""The instances of the fl-gfn study, what is known exactly of them, and the identities that hold at the closed form."""

import functools
import math
from dataclasses import dataclass

import networkx as nx
import torch
from torch import Tensor

from livepapers.core.rng import numpy_generator
from livepapers.methods import fl_gfn
from livepapers.methods.fl_gfn import Terms, Trajectories
from livepapers.tasks.constructions import IndependentSets, Sets
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states

TOP = 100
"""The paper's own measure is the mean reward of the best hundred distinct objects found so far."""
OBJECTIVES = ("db", "tb", "subtb", "fl-db", "fl-subtb")


@dataclass(frozen=True)
class Reference:
    """What is known exactly of an instance."""

    env: Sets | IndependentSets
    log_z: float
    inclusion: Tensor  # [item] float64
    top: float | None  # log of the mean reward of the true best hundred
    graph: StateGraph | None  # all states, where they are few


@functools.cache
def reference(instance: str) -> Reference:
    """The instance "tiny" (5 of 10 items), "small", "medium", "large", "florentine" or "karate" with its solution."""
    if instance in {"florentine", "karate"}:
        graph = nx.florentine_families_graph() if instance == "florentine" else nx.karate_club_graph()
        vertices = IndependentSets(graph)
        log_z, inclusion = vertices.exact_log_z(), vertices.exact_inclusion()
        if log_z is None or inclusion is None:
            raise RuntimeError(f"{instance}: the exact solution was given up")
        states = enumerate_states(vertices) if instance == "florentine" else None
        top = None
        if states is not None:
            top = float(torch.logsumexp(states.log_reward.topk(TOP).values, dim=0)) - math.log(TOP)
        return Reference(vertices, log_z, inclusion, top, states)
    if instance == "tiny":
        env = Sets(numpy_generator(0, "fl-gfn", "example").uniform(-1.0, 1.0, size=10).tolist(), 5)
    else:
        env = Sets.paper(instance)
    states = enumerate_states(env) if instance == "tiny" else None
    return Reference(env, env.exact_log_z(), env.exact_inclusion(), env.exact_top_mean_log_reward(TOP), states)


def closed_form_terms(env: Sets, batch: Trajectories, *, forward_looking: bool) -> Terms:
    """The exact flows and policies of a set instance, uniform P_B, along given trajectories, in float64."""
    steps, width = batch.actions.shape
    flat, actions = batch.states.flatten(0, 1), batch.actions.flatten()
    parents, children = flat[: steps * width], flat[width:]
    energy = env.edge_energy(parents, actions, children).view(steps, width)
    so_far = torch.cat([torch.zeros_like(energy[:1]), energy.cumsum(dim=0)])
    log_flow = env.exact_log_flow(flat).view(steps + 1, width)
    return Terms(
        log_flow=log_flow if forward_looking else log_flow - so_far,
        log_forward=env.exact_log_forward(parents).gather(1, actions[:, None]).view(steps, width),
        log_backward=-children.sum(dim=1).to(torch.float64).log().view(steps, width),
        energy=energy,
        live=batch.live,
        length=batch.length,
        ended=batch.ended,
        log_reward=env.log_reward(batch.last),
    )


def largest_residuals(instance: str, generator: torch.Generator) -> dict[str, float]:
    """Largest |residual| of each objective at the exact flows, on random trajectories, float64."""
    env = reference(instance).env
    if not isinstance(env, Sets):
        raise TypeError(f"{instance}: closed-form flows exist for sets only")
    batch = fl_gfn.rollout(env, 2 if instance == "large" else 8, generator=generator)
    ahead = closed_form_terms(env, batch, forward_looking=True)
    plain = closed_form_terms(env, batch, forward_looking=False)
    log_z = torch.tensor(env.exact_log_z(), dtype=torch.float64)
    paths = (plain.log_forward, plain.log_backward)
    residuals = {
        "db": fl_gfn.detailed_balance_residual(plain.log_flow, *paths),
        "tb": fl_gfn.trajectory_balance_residual(log_z, *paths, plain.log_reward),
        "subtb": fl_gfn.sub_trajectory_residuals(plain.log_flow, *paths),
        "fl-db": fl_gfn.forward_looking_residual(ahead.log_flow, *paths, ahead.energy),
        "fl-subtb": fl_gfn.sub_trajectory_residuals(ahead.log_flow, *paths, ahead.energy),
    }
    return {f"residual_{name}": float(value.abs().max()) for name, value in residuals.items()}
