"""Whether a network is the law that it should be: against the quadratic program, on random states and on facets."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines.linear_mpc import QuadraticProgram, condense
from livepapers.baselines.linear_problem import LinearProblem
from livepapers.methods.yann_rl.explicit_mpc import PiecewiseAffineLaw


@dataclass(frozen=True)
class Verification:
    """What a comparison has shown."""

    points: int  # random states in the box
    facets: int  # states on facets of regions
    error: float  # largest |network - quadratic program| where both have an answer
    facet_error: float
    feasible: float  # share of random states where the quadratic program has an answer
    disagreements: int  # random states that have an answer by one and not by the other
    residual: float  # largest violation of the program's own optimality conditions: how exact the reference is
    shares: np.ndarray  # [regions] share of random states in each region

    @property
    def worst(self) -> float:
        """The largest difference of all."""
        return max(self.error, self.facet_error)


def verify(
    problem: LinearProblem,
    law: PiecewiseAffineLaw,
    network: Callable[[Tensor], Tensor],
    *,
    points: int,
    facets: int,
    generator: np.random.Generator,
) -> Verification:
    """Compare a network with the quadratic program, solved anew at every state.

    Args:
        problem: What the law should minimise.
        law: The law, for its regions.
        network: Inputs `[points, m]` for states in deviations `[points, n]`, float64; `[networks, points, m]` for
            several networks at once, of which the worst counts.
        points: Random states, uniform in the box.
        facets: States on facets.
        generator: Source of both.
    """
    program = QuadraticProgram(condense(problem))
    width = problem.state_high - problem.state_low
    states = problem.state_low + generator.random((points, problem.states)) * width
    region = law.locate(states)
    exact = program.first_inputs(states, problem.inputs)
    both = exact.feasible & (region >= 0)
    on_facets = facet_states(law, states[region >= 0][:facets], generator)
    exact_there = program.first_inputs(on_facets, problem.inputs)
    return Verification(
        points,
        int(exact_there.feasible.sum()),
        _largest(network, states[both], exact.moves[both]),
        _largest(network, on_facets[exact_there.feasible], exact_there.moves[exact_there.feasible]),
        float(exact.feasible.mean()),
        int((exact.feasible != (region >= 0)).sum()),
        max(exact.residual, exact_there.residual),
        np.bincount(region[region >= 0], minlength=law.regions) / max(points, 1),
    )


def facet_states(law: PiecewiseAffineLaw, states: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """From each state inside a region, go in a random direction until the region ends; `[points, n]`."""
    direction = generator.normal(size=states.shape)
    region, found = law.locate(states), states.copy()
    for index, (begin, end) in enumerate(itertools.pairwise(law.starts.tolist())):
        mine = np.flatnonzero(region == index)
        if not len(mine):
            continue
        speed = direction[mine] @ law.normals[begin:end].T
        room = law.limits[begin:end] - states[mine] @ law.normals[begin:end].T
        reach = np.where(speed > 1e-12, room / np.where(speed > 1e-12, speed, 1.0), np.inf).min(1)
        found[mine] += np.clip(reach, 0.0, None)[:, None] * direction[mine]
    return found


@torch.no_grad()
def _largest(network: Callable[[Tensor], Tensor], states: np.ndarray, expected: np.ndarray) -> float:
    pieces = range(0, len(states), 4096)  # the literal network holds [batch, rows + regions] at a time
    errors = [
        float((network(torch.as_tensor(states[i : i + 4096])) - torch.as_tensor(expected[i : i + 4096])).abs().max())
        for i in pieces
    ]
    return max(errors, default=0.0)
