"""What must be true of fl-gfn: closed-form flows, enumeration, reductions between objectives, the anchor."""

import math
from collections.abc import Callable
from functools import cache, partial

import networkx as nx
import torch
from torch import Tensor

from livepapers.core.config import replace
from livepapers.core.rng import generator
from livepapers.methods import fl_gfn
from livepapers.methods.fl_gfn import Config, Sampler, Terms, Trajectories
from livepapers.methods.fl_gfn.objectives import Objective
from livepapers.studies.fl_gfn import OBJECTIVES, closed_form_terms, largest_residuals, uniform_evaluation
from livepapers.tasks.constructions import IndependentSets, Sets, ShuffledEnergy
from livepapers.tasks.constructions.exact import enumerate_states, total_variation

Comparison = tuple[float | Tensor, float | Tensor, float]
LossOracle = tuple[Callable[..., Tensor], tuple[Tensor, ...]]
_ENERGIES = (0.3, -0.7, 0.1, 0.9, -0.2, 0.5)


def _residual(objective: str) -> Comparison:
    return largest_residuals("tiny", generator(0, "oracle"))[f"residual_{objective}"], 0.0, 1e-9


def _log_z_of_sets() -> Comparison:
    env = Sets(_ENERGIES, 3)
    graph = enumerate_states(env)
    return env.exact_log_z(), graph.log_z() if graph else math.nan, 1e-12


def _inclusion_of_sets() -> Comparison:
    env = Sets(_ENERGIES, 3)
    graph = enumerate_states(env)
    listed = graph.target() @ graph.states.to(torch.float64) if graph else torch.full((env.moves,), math.nan)
    return env.exact_inclusion(), listed, 1e-12


def _log_z_of_independent_sets() -> Comparison:
    env = IndependentSets(nx.petersen_graph(), [0.1 * v - 0.5 for v in range(10)])
    graph = enumerate_states(env)
    return env.exact_log_z() or math.nan, graph.log_z() if graph else math.nan, 1e-12


REFERENCES: dict[str, Callable[[], Comparison]] = {
    **{f"{name} residual vanishes at the closed-form flows": partial(_residual, name) for name in OBJECTIVES},
    "log Z of sets equals enumeration": _log_z_of_sets,
    "inclusion probabilities of sets equal enumeration": _inclusion_of_sets,
    "log Z of independent sets equals enumeration": _log_z_of_independent_sets,
}


def _batch(env: Sets, *, width: int = 5) -> Trajectories:
    return fl_gfn.rollout(env, width, generator=generator(1, "oracle"))


def _permuted_items() -> Comparison:
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    env, other = Sets(_ENERGIES, 3), Sets(torch.tensor(_ENERGIES)[order], 3)
    return other.exact_inclusion(), env.exact_inclusion()[order], 1e-7


def _permuted_learner() -> Comparison:
    """A learner whose items and weights are both permuted has the same loss on the permuted trajectories."""
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    env, other = Sets(_ENERGIES, 3), Sets(torch.tensor(_ENERGIES, dtype=torch.float64)[order], 3)
    config = replace(Config.tiny(), hidden=16)
    first, second = (fl_gfn.ForwardLookingGFlowNet(e, config, seed=0) for e in (env, other))
    weights = {name: tensor.clone() for name, tensor in first.network.state_dict().items()}
    names = list(weights)
    weights[names[0]] = weights[names[0]][:, order]
    rows = torch.cat([order, 6 + order, torch.tensor([12])])
    weights[names[-2]], weights[names[-1]] = weights[names[-2]][rows], weights[names[-1]][rows]
    second.network.load_state_dict(weights)
    batch = _batch(env)
    moved = Trajectories(batch.states[..., order], torch.argsort(order)[batch.actions], batch.length, batch.ended)
    losses = [fl_gfn.objective_loss("fl-db", each.terms(b)) for each, b in ((first, batch), (second, moved))]
    return losses[1].detach(), losses[0].detach(), 1e-5


def _another_energy_extension() -> Comparison:
    """With other energies of partial objects, F~' = F~ exp(phi) and the same policy solve equation (1)."""
    env = Sets(_ENERGIES, 3)
    shuffled = ShuffledEnergy(env, 2.0, seed=5)
    batch = _batch(env)
    terms = closed_form_terms(env, batch, forward_looking=True)
    steps, width = batch.actions.shape
    flat = batch.states.flatten(0, 1)
    phi = shuffled.potential(flat).view(steps + 1, width)
    energy = shuffled.edge_energy(flat[: steps * width], batch.actions.flatten(), flat[width:]).view(steps, width)
    residual = fl_gfn.forward_looking_residual(terms.log_flow + phi, terms.log_forward, terms.log_backward, energy)
    return residual, torch.zeros_like(residual), 1e-9


INVARIANCES: dict[str, Callable[[], Comparison]] = {
    "permuting items permutes the exact marginals": _permuted_items,
    "permuting items and weights leaves the loss": _permuted_learner,
    "another energy extension has its own exact flow and the same policy": _another_energy_extension,
}


def _random_terms(*, seed: int = 0, steps: int = 4, width: int = 3) -> Terms:
    """Arbitrary numbers in the shape of complete trajectories of equal length."""
    draw = partial(torch.randn, generator=generator(seed, "oracle terms"), dtype=torch.float64)
    energy, log_flow = draw(steps, width), draw(steps + 1, width)
    log_reward = -energy.sum(dim=0)
    log_flow[-1] = 0.0
    full = torch.full((width,), steps)
    ended, live = torch.ones(width, dtype=torch.bool), torch.ones(steps, width, dtype=torch.bool)
    return Terms(log_flow, draw(steps, width), draw(steps, width), energy, live, full, ended, log_reward)


def _with(terms: Terms, **changes: Tensor) -> Terms:
    return replace(terms, **changes)


def _no_energy_is_detailed_balance() -> Comparison:
    """Energy 0 inside, all of it on the last edge: equation (1) is detailed balance with log F(x) = log R(x)."""
    terms = _random_terms()
    last = torch.zeros_like(terms.energy)
    last[-1] = -terms.log_reward
    anchored = terms.log_flow.clone()
    anchored[-1] = terms.log_reward
    ours = fl_gfn.objective_loss("fl-db", _with(terms, energy=last))
    return ours, fl_gfn.objective_loss("db", _with(terms, log_flow=anchored)), 1e-12


def _renamed_flow_is_detailed_balance() -> Comparison:
    """Writing log F = log F~ - E turns equation (1) into detailed balance, residual by residual."""
    terms = _random_terms()
    so_far = torch.cat([torch.zeros_like(terms.energy[:1]), terms.energy.cumsum(dim=0)])
    paths = (terms.log_forward, terms.log_backward)
    plain = fl_gfn.detailed_balance_residual(terms.log_flow - so_far, *paths)
    return fl_gfn.forward_looking_residual(terms.log_flow, *paths, terms.energy), plain, 1e-12


def _short_sub_trajectories(objective: Objective, limit: Objective) -> Comparison:
    terms = _random_terms()
    return (
        fl_gfn.objective_loss(objective, terms, decay=1e-12),
        fl_gfn.objective_loss(limit, terms),
        1e-9,
    )


def _long_sub_trajectories() -> Comparison:
    """Growing lambda leaves the whole trajectory: trajectory balance with log Z = log F(root)."""
    terms = _random_terms()
    anchored = terms.log_flow.clone()
    anchored[0], anchored[-1] = 1.5, terms.log_reward
    tb = fl_gfn.objective_loss("tb", terms, log_z=torch.tensor(1.5, dtype=torch.float64))
    return fl_gfn.objective_loss("subtb", _with(terms, log_flow=anchored), decay=1e12), tb, 1e-9


def _forward_looking_trajectory_balance() -> Comparison:
    """Over a whole trajectory the energies telescope to -log R: the forward-looking residual is the plain one."""
    terms = _random_terms()
    anchored = terms.log_flow.clone()
    anchored[-1] = terms.log_reward
    paths = (terms.log_forward, terms.log_backward)
    ahead = fl_gfn.sub_trajectory_residuals(terms.log_flow, *paths, terms.energy)[0, -1]
    return ahead, fl_gfn.sub_trajectory_residuals(anchored, *paths)[0, -1], 1e-12


def _single_object() -> Comparison:
    """With n = S there is one object, so every policy's ELBO with uniform P_B is log R, whatever the policy."""
    env = Sets(_ENERGIES, len(_ENERGIES))
    evaluation = uniform_evaluation(env, 8, generator(0, "oracle"))
    return evaluation.log_weight, torch.full((8,), -sum(_ENERGIES), dtype=torch.float64), 1e-9


REDUCTIONS: dict[str, Callable[[], Comparison]] = {
    "without interior energies fl-db is db": _no_energy_is_detailed_balance,
    "with log F = log F~ - E fl-db is db": _renamed_flow_is_detailed_balance,
    "subtb with lambda to 0 is db": partial(_short_sub_trajectories, "subtb", "db"),
    "fl-subtb with lambda to 0 is fl-db": partial(_short_sub_trajectories, "fl-subtb", "fl-db"),
    "subtb with lambda to infinity is tb": _long_sub_trajectories,
    "a forward-looking tb would be tb": _forward_looking_trajectory_balance,
    "with one object the ELBO is its log reward": _single_object,
}


def _loss(objective: Objective) -> LossOracle:
    terms = _random_terms(seed=3)
    inputs = (terms.log_flow, terms.log_forward, terms.log_backward, torch.tensor(0.4, dtype=torch.float64))

    def function(log_flow: Tensor, log_forward: Tensor, log_backward: Tensor, log_z: Tensor) -> Tensor:
        given = _with(terms, log_flow=log_flow, log_forward=log_forward, log_backward=log_backward)
        # every objective takes log Z here, so that one form serves all; only tb has a gradient in it
        return fl_gfn.objective_loss(objective, given, log_z=log_z) + 0.0 * log_z

    return function, tuple(tensor.clone().requires_grad_() for tensor in inputs)


LOSSES: dict[str, Callable[[], LossOracle]] = {name: partial(_loss, name) for name in OBJECTIVES}


@cache
def _trained_distance(seed: int, **changes: object) -> float:
    """Exact total variation after a short training on the smallest problem."""
    config = Config(hidden=64, epsilon=1.0, epsilon_end=1.0, learning_rate=3e-3, **changes)  # type: ignore[arg-type]
    learner = fl_gfn.example(config, seed)
    for _ in range(200):
        learner.update()
    graph = enumerate_states(learner.env)
    return Sampler(learner).total_variation(graph) if graph else math.nan


def _uniform_distance() -> float:
    learner = fl_gfn.example(Config.tiny(), 0)
    graph = enumerate_states(learner.env)
    if graph is None:
        return math.nan
    allowed = learner.env.forward_mask(graph.states).to(torch.float64)
    table = (allowed / allowed.sum(dim=1, keepdim=True).clamp(min=1)).log()
    return total_variation(graph.distribution(lambda _: table), graph.target())


ABLATIONS: dict[str, Callable[[int], tuple[float, float]]] = {
    "distance to the target with and without log F~ = 0 at finished objects": lambda seed: (
        _trained_distance(seed),
        _trained_distance(seed, anchor_terminal=False),
    ),
}

FLOORS: dict[str, Callable[[int], tuple[float, float]]] = {
    "distance to the target, trained and uniform": lambda seed: (_trained_distance(seed), _uniform_distance()),
}
