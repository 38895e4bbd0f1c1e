"""Graph soft evolution: a graph between variables, taken from data and reweighted while the network learns."""

import torch
from torch import Tensor, nn
from torch.nn import functional

CLAMP = 1e-12  # of a norm: windows of zeros have rows of length nought


def variable_graph(windows: Tensor) -> Tensor:
    """A of equation (1), `[v, v]`: how much of variable i there is while variable j is present.

    A_ij = sum over samples and times of x_i 1[x_j > 0]; the diagonal is then max(0, A_ii - sum over j != i of A_ij).
    The result is divided by its largest entry: in raw units it saturates the cosine that follows.

    Args:
        windows: `[N, w, v]`, of the training part alone.
    """
    flat = windows.reshape(-1, windows.shape[-1])
    graph = flat.T @ (flat > 0).to(flat.dtype)
    own = graph.diagonal().clone()
    others = graph.sum(1) - own
    graph = graph - torch.diag(own) + torch.diag((own - others).clamp(min=0.0))
    return graph / graph.abs().max().clamp(min=CLAMP)


def evolved(
    graph: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Theta and H of equations (2) to (4): the graph's rows, mixed, compared by their cosines and reweighted.

    Args:
        graph: A, `[v, v]`.
        weight: W_a, `[v, v]`.
        bias: b_a, `[v, 1]`, or None.
        scale: W_c, `[v, v]`.
        shift: B_c, `[v, v]`, or None.

    Returns:
        Theta = C * W_c + B_c with C_ij = cos(H_i, H_j), and H = A W_a + b_a, both `[v, v]`.
    """
    hidden = graph @ weight if bias is None else graph @ weight + bias
    rows = hidden / hidden.norm(dim=1, keepdim=True).clamp(min=CLAMP)
    theta = (rows @ rows.T) * scale
    return (theta if shift is None else theta + shift), hidden


class GraphSoftEvolution(nn.Module):
    """Multiply every time step by Theta: E[n, t, i] = sum over j of Theta_ij x[n, t, j], equation (4).

    Args:
        variables: v.
        biases: Whether there are b_a and B_c.
        generator: Of the initial weights (Xavier uniform; biases are 0).
    """

    def __init__(self, variables: int, *, biases: bool, generator: torch.Generator) -> None:
        super().__init__()
        square = (variables, variables)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(square), generator=generator))
        self.scale = nn.Parameter(nn.init.xavier_uniform_(torch.empty(square), generator=generator))
        self.bias = nn.Parameter(torch.zeros(variables, 1)) if biases else None
        self.shift = nn.Parameter(torch.zeros(square)) if biases else None

    def forward(self, x: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
        """`[n, t, v]`, `[v, v]` -> `[n, t, v]`, and H `[v, v]` without its gradient, for the layer at the target."""
        theta, hidden = self.theta(graph)
        return functional.linear(x, theta), hidden.detach()

    def theta(self, graph: Tensor) -> tuple[Tensor, Tensor]:
        """Theta and H, `[v, v]`."""
        return evolved(graph, self.weight, self.bias, self.scale, self.shift)


class TimeMixing(nn.Module):
    """E'[n, d, i] = sum over b of W_t[b, d] E[n, b, i] + b_t[d], equation (5); also the highway, equation (9).

    Args:
        steps: Time steps in.
        made: Time steps out.
        biases: Whether there is b_t.
        generator: Of the initial weights.
    """

    def __init__(self, steps: int, made: int, *, biases: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(steps, made), generator=generator))
        self.bias = nn.Parameter(torch.zeros(made, 1)) if biases else None

    def forward(self, x: Tensor) -> Tensor:
        """`[n, steps, v]` -> `[n, made, v]`, the same for every variable."""
        mixed = self.weight.T @ x
        return mixed if self.bias is None else mixed + self.bias
