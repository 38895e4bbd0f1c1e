"""What must be true of oc-gfn: closed-form flows, conversion by enumeration, reductions, the worth of own attempts."""

import itertools
import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from livepapers.core.rng import generator
from livepapers.methods import fl_gfn, oc_gfn
from livepapers.methods.oc_gfn import Config, FlowTable, OutcomeConditionedGFlowNet, OutcomePredictor
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Hypergrid, Rewarded, Strings
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation

Comparison = tuple[float | Tensor, float | Tensor, float]
LossOracle = tuple[Callable[..., Tensor], tuple[Tensor, ...]]
WORLDS: dict[str, Callable[[], Construction]] = {
    "a grid": lambda: Hypergrid(2, 5), "strings": lambda: Strings("ABC", 3),
}  # fmt: skip


def _graph(world: str) -> StateGraph:
    graph = enumerate_states(WORLDS[world]())
    if graph is None:
        raise RuntimeError(f"{world}: too many states")
    return graph


def _log_rewards(graph: StateGraph, seed: int = 0) -> Tensor:
    count = int(graph.may_end.sum())
    return torch.randn(count, generator=generator(seed, "oc-gfn oracle"), dtype=torch.float64)


def _converted(world: str) -> Comparison:
    """Exact flows converted to three rewards end where the rewards say."""
    graph = _graph(world)
    table = FlowTable.exact(graph)
    rewards = [_log_rewards(graph, seed) for seed in range(3)]
    found = [table.sampler(reward).distribution(graph)[graph.may_end] for reward in rewards]
    return torch.stack(found), torch.stack(rewards).softmax(dim=1), 1e-12


def _conversion_by_enumeration() -> Comparison:
    """The converted policy is that of the exact flow of the reward itself, state by state and move by move."""
    graph = _graph("a grid")
    reward = _log_rewards(graph)
    logs = torch.full((len(graph.states),), -math.inf, dtype=torch.float64)
    logs[graph.may_end] = reward
    env = Rewarded(graph.env, lambda cells: logs[graph.index(cells)])
    direct = enumerate_states(env)
    expected = direct.log_forward() if direct else torch.zeros(0)
    return FlowTable.exact(graph).sampler(reward).table.exp(), expected.exp(), 1e-12


def _amortised_fixed_point() -> Comparison:
    """With N the sum and Q its shares, equation (4) vanishes for every state, move and outcome."""
    graph = _graph("strings")
    table = FlowTable.exact(graph)
    reward = _log_rewards(graph)[table.outcome]
    terms = (reward + table.log_flow)[:, None] + table.log_forward
    sums = torch.zeros(len(graph.states), terms.shape[1], dtype=torch.float64).index_add_(0, table.state, terms.exp())
    possible = torch.isfinite(terms)
    log_outcome = terms - sums.log()[table.state]
    parts = [sums.log()[table.state], log_outcome, reward[:, None].expand_as(terms)]
    parts += [table.log_flow[:, None].expand_as(terms), table.log_forward]
    residual = oc_gfn.amortisation_residual(*(part[possible] for part in parts))
    return residual, torch.zeros_like(residual), 1e-9


def _leaks() -> Comparison:
    """Success where (1) holds everywhere with epsilon on the last edge of failures, by enumeration."""
    graph, epsilon = _graph("strings"), 0.01
    env = Rewarded(graph.env, lambda x: math.log(epsilon) * (x != 0).any(dim=1).double())
    solved = enumerate_states(env)
    found = math.exp(-float(solved.log_flow()[0])) if solved else math.nan
    return found, oc_gfn.fixed_point_success(27, epsilon), 1e-12


REFERENCES: dict[str, Callable[[], Comparison]] = {
    **{f"exact flows convert to any reward on {name}": partial(_converted, name) for name in WORLDS},
    "the converted policy is that of the reward's own flow": _conversion_by_enumeration,
    "equation (4) vanishes at its fixed point": _amortised_fixed_point,
    "success under epsilon equals enumeration": _leaks,
}


def _scaled_reward() -> Comparison:
    graph = _graph("a grid")
    table, reward = FlowTable.exact(graph), _log_rewards(graph)
    return table.sampler(reward + 7.0).table.exp(), table.sampler(reward).table.exp(), 1e-12


def _renumbered_outcomes() -> Comparison:
    """The order in which outcomes are summed does not matter."""
    draw = partial(torch.randn, generator=generator(2, "oc-gfn oracle"), dtype=torch.float64)
    weight, flow, policy = draw(6), draw(4, 6), draw(4, 6, 3).log_softmax(dim=2)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    first = oc_gfn.conversion(weight, flow, policy)
    return oc_gfn.conversion(weight[order], flow[:, order], policy[:, order]), first, 1e-12


def _outcomes_sum_to_one() -> Comparison:
    """Q sums to 1 over all outcomes that are open, whatever its weights."""
    network = OutcomePredictor(3, (2, 3, 2), hidden=16, seed=1)
    digits = torch.tensor(list(itertools.product(range(2), range(3), range(2))))
    open_digits = torch.tensor([[1, 1, 0], [1, 0, 1], [1, 1, 0]], dtype=torch.bool).expand(len(digits), 3, 3)
    allowed = digits[:, 1] != 1
    known = torch.ones(len(digits), 3)
    log_q = network.log_probability(known, digits, open_digits).detach().to(torch.float64)
    return log_q[allowed].exp().sum(), 1.0, 1e-5


INVARIANCES: dict[str, Callable[[], Comparison]] = {
    "a reward times a constant gives the same policy": _scaled_reward,
    "the order of outcomes does not matter": _renumbered_outcomes,
    "Q sums to one": _outcomes_sum_to_one,
}


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed, "oc-gfn oracle terms"), dtype=torch.float64)


def _success_is_detailed_balance() -> Comparison:
    flow, forward, backward = _random(5, 3), _random(4, 3, seed=1), _random(4, 3, seed=2)
    length, reached = torch.full((3,), 4), torch.ones(3, dtype=torch.bool)
    log_reward = oc_gfn.edge_log_reward(reached, length, steps=4, log_last=-9.0, log_inner=-9.0)
    ours = oc_gfn.outcome_teleportation_residual(flow, forward, backward, log_reward)
    return ours, fl_gfn.detailed_balance_residual(flow, forward, backward), 1e-12


def _one_outcome() -> Comparison:
    """With one outcome the converted policy is the conditioned one."""
    policy = _random(4, 1, 3).log_softmax(dim=2)
    return oc_gfn.conversion(_random(1, seed=1), _random(4, 1, seed=2), policy), policy[:, 0], 1e-12


def _one_step() -> Comparison:
    """On trajectories of one action teleportation and the last edge are the same."""
    length, reached = torch.ones(4, dtype=torch.int64), torch.tensor([True, False, False, True])
    teleported = oc_gfn.edge_log_reward(reached, length, steps=1, log_last=-3.0, log_inner=-3.0)
    return teleported, oc_gfn.edge_log_reward(reached, length, steps=1, log_last=-3.0, log_inner=0.0), 0.0


REDUCTIONS: dict[str, Callable[[], Comparison]] = {
    "for reached outcomes equation (2) is detailed balance": _success_is_detailed_balance,
    "with one outcome the converted policy is the conditioned one": _one_outcome,
    "with one action teleportation is the last edge": _one_step,
}


def _teleportation_loss() -> LossOracle:
    log_reward = torch.tensor([[0.0, -3.0], [0.0, -3.0], [0.0, 0.0]], dtype=torch.float64)

    def loss(flow: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        return oc_gfn.outcome_teleportation_residual(flow, forward, backward, log_reward).square().mean()

    shapes = ((4, 2), (3, 2), (3, 2))
    return loss, tuple(_random(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes))


def _amortisation_loss() -> LossOracle:
    fixed = [_random(5, seed=seed) for seed in range(3)]

    def loss(numerator: Tensor, outcome: Tensor) -> Tensor:
        return oc_gfn.amortisation_residual(numerator, outcome, *fixed).square().mean()

    return loss, tuple(_random(5, seed=seed).requires_grad_() for seed in (4, 5))


LOSSES: dict[str, Callable[[], LossOracle]] = {
    "outcome teleportation": _teleportation_loss, "amortisation": _amortisation_loss,
}  # fmt: skip


@cache
def _trained_distance(seed: int, *, negatives: bool = True) -> float:
    """Exact distance of the converted sampler to a random reward after a short pre-training on 16 strings."""
    config = Config(
        explorer="backward", hidden=64, learning_rate=3e-3, teleport=False, updates=150, negatives=negatives
    )
    env = Strings("AB", 4)
    model = OutcomeConditionedGFlowNet(env, config, seed=seed)
    for _ in range(config.updates):
        model.update()
    graph = enumerate_states(env)
    if graph is None:
        return math.nan
    reward = 2 * _log_rewards(graph)
    found = FlowTable.of(model, graph, known_reachability=False).sampler(reward).distribution(graph)[graph.may_end]
    return total_variation(found, reward.softmax(dim=0))


def _uniform_distance() -> float:
    graph = enumerate_states(Strings("AB", 4))
    if graph is None:
        return math.nan
    reward = 2 * _log_rewards(graph)
    return total_variation(torch.full_like(reward, 1.0 / len(reward)), reward.softmax(dim=0))


ABLATIONS: dict[str, Callable[[int], tuple[float, float]]] = {
    "distance of the converted sampler with and without own attempts": lambda seed: (
        _trained_distance(seed),
        _trained_distance(seed, negatives=False),
    ),
}

FLOORS: dict[str, Callable[[int], tuple[float, float]]] = {
    "distance of the converted sampler, trained and uniform": lambda seed: (
        _trained_distance(seed),
        _uniform_distance(),
    ),
}
