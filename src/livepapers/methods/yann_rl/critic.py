"""The critic that starts at the cost-to-go of the linear-quadratic problem."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.linear_problem import LinearProblem, riccati
from livepapers.methods.yann_rl.yann import ZeroCorrection, or_zeros


class YannCritic(nn.Module):
    """The cost-to-go of the linear-quadratic problem as a bilinear network, plus a network that is zero at the start.

    Q(s, u) = s'(Q + g A'PA)s + 2 s'(g A'PB)u + u'(R + g B'PB)u, P the Riccati solution at discount g. The three
    coefficient matrices are trainable, and kept in units of the bounds so that one learning rate suits all.

    Args:
        problem: Model, cost weights and bounds.
        discount: g.
        cost_scale: What costs are multiplied by, so that values are of the order 1 to 10.
        nodes: Units of each of two tanh layers of the zero network; 0 for none.
        scale: Of its initial weights.
        state_set_point: Subtracted from observations, `[n]`; zeros when left out.
        input_set_point: Subtracted from actions, `[m]`; zeros when left out.
        generator: Source of the zero network's initial weights; a fixed one when left out.
    """

    state_state: nn.Parameter
    state_input: nn.Parameter
    input_input: nn.Parameter
    wide: Tensor
    strong: Tensor
    state_set_point: Tensor
    input_set_point: Tensor

    def __init__(
        self,
        problem: LinearProblem,
        *,
        discount: float,
        cost_scale: float,
        nodes: int = 64,
        scale: float = 0.01,
        state_set_point: Sequence[float] | None = None,
        input_set_point: Sequence[float] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        parts = quadratic_cost_to_go(problem, discount=discount)
        wide = np.maximum(problem.state_high, -problem.state_low)
        strong = np.maximum(problem.input_high, -problem.input_low)
        units = (np.outer(wide, wide), np.outer(wide, strong), np.outer(strong, strong))
        for name, part, unit in zip(("state_state", "state_input", "input_input"), parts, units, strict=True):
            setattr(self, name, nn.Parameter(torch.tensor(cost_scale * part * unit, dtype=torch.float32)))
        self.correction = None
        if nodes:
            stream = torch.Generator().manual_seed(0) if generator is None else generator
            self.correction = ZeroCorrection(
                problem.states + problem.inputs, regions=1, outputs=1, nodes=nodes, coupling="dense", scale=scale,
                generator=stream,
            )  # fmt: skip
        tables = {
            "wide": wide, "strong": strong, "state_set_point": or_zeros(state_set_point, problem.states),
            "input_set_point": or_zeros(input_set_point, problem.inputs),
        }  # fmt: skip
        for name, value in tables.items():
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)

    def cost(self, observation: Tensor, action: Tensor) -> Tensor:
        """The scaled cost-to-go `[batch]` of actions `[batch, m]` at observations `[batch, n]`."""
        state = (observation - self.state_set_point) / self.wide
        move = (action - self.input_set_point) / self.strong
        value = ((state @ self.state_state + 2.0 * move @ self.state_input.T) * state).sum(1)
        value = value + ((move @ self.input_input) * move).sum(1)
        if self.correction is not None:
            both = torch.cat([state, move], 1)
            value = value + self.correction(both, both.new_zeros(len(both), dtype=torch.int64)).squeeze(1)
        return value

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """The value that a learner maximises: minus the cost-to-go, `[batch]`."""
        return -self.cost(observation, action)


def quadratic_cost_to_go(problem: LinearProblem, *, discount: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coefficient matrices of Q(s, u): Q + g A'PA `[n, n]`, g A'PB `[n, m]` and R + g B'PB `[m, m]`."""
    a, b = problem.a, problem.b
    p = riccati(a, b, problem.q, problem.r, discount=discount)
    return problem.q + discount * a.T @ p @ a, discount * a.T @ p @ b, problem.r + discount * b.T @ p @ b
