"""Oracles of dcg-map-elites: cells and gradients one at a time, targets by hand, and what the key term is worth."""

import functools
import math

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn
from torch.nn import functional

from livepapers.blocks.policies import ActionValue
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import dcg_map_elites as dcg
from livepapers.methods.dcg_map_elites import World
from livepapers.tasks.point_omni import PointOmni

Comparison = tuple[Tensor | float, Tensor | float, float]

_SEEN, _ACTS = PointOmni.observation_space, PointOmni.action_space
_GENOTYPES = dcg.Genotypes(_SEEN, _ACTS, hidden=(6, 5))


def _critic(told: int) -> ActionValue:
    space = Box(-np.inf, np.inf, (4 + told,), np.float32)
    return ActionValue(space, _ACTS, hidden=(8,), generator=make_generator(0, "oracle", "critic"))


def archive_one_by_one() -> Comparison:
    """A batch added at once leaves what a loop over its policies leaves that keeps the better one."""
    stream = make_generator(0, "oracle", "archive")
    archive = dcg.Archive(dcg.voronoi_centroids(9, 2, samples=300, seed=0), 1)
    expected = torch.full((9,), -torch.inf)
    for _ in range(3):
        places = 2.0 * torch.rand(40, 2, generator=stream) - 1.0
        fitness = torch.randint(6, (40,), generator=stream).float()
        archive.add(torch.zeros(40, 1), fitness, descriptors=places)
        for place, value in zip(places, fitness, strict=True):
            cell = int((archive.centroids - place).square().sum(1).argmin())
            expected[cell] = max(float(expected[cell]), float(value))
    return archive.fitness.nan_to_num(neginf=-1.0), expected.nan_to_num(neginf=-1.0), 0.0


def gradients_one_network_at_a_time() -> Comparison:
    """The batched variation gives what a torch module with an Adam of its own gives for each parent."""
    stream, critic = make_generator(0, "oracle", "gradient"), _critic(2)
    parents, asked = _GENOTYPES.stack.initial(3, stream), torch.rand(3, 2, generator=stream)
    states = torch.randn(4, 7, 4, generator=stream)
    found = dcg.policy_gradient(parents, asked, genotypes=_GENOTYPES, critic=critic, states=states, rate=5e-3)
    expected = []
    for parent, place in zip(parents, asked, strict=True):
        policy = _GENOTYPES.policy(parent)
        optimizer = torch.optim.Adam(policy.parameters(), lr=5e-3)
        for seen in states:
            optimizer.zero_grad()
            (-critic(torch.cat([seen, place.expand(7, 2)], 1), policy(seen)).mean()).backward()
            optimizer.step()
        expected.append(nn.utils.parameters_to_vector(policy.parameters()).detach())
    return found, torch.stack(expected), 2e-5


def similarity_by_hand() -> Comparison:
    """exp(-5/10) at a distance of 5 and a length of 10; 1 where the wish was met."""
    achieved = torch.tensor([[3.0, 4.0], [0.5, 0.5]])
    asked = torch.tensor([[0.0, 0.0], [0.5, 0.5]])
    return dcg.similarity(achieved, asked, 10.0), torch.tensor([math.exp(-0.5), 1.0]), 1e-6


def target_by_hand() -> Comparison:
    """Y = S r + gamma (1 - done) min Q', with constant targets 3 and 2 and no smoothing."""
    learner = dcg.example(replace(dcg.Config.tiny(), target_noise=0.0, discount=0.5), 0)

    class Constant(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, observation: Tensor, action: Tensor) -> Tensor:
            return self.value + 0.0 * action[:, 0] + 0.0 * observation[:, 0]

    learner.taught.targets["critics"] = nn.ModuleList([Constant(3.0), Constant(2.0)])
    rows = {
        "observation": torch.zeros(2, 4), "following": torch.zeros(2, 4), "action": torch.zeros(2, 2),
        "reward": torch.tensor([1.0, 4.0]), "terminated": torch.tensor([False, True]),
        "truncated": torch.tensor([False, False]), "achieved": torch.tensor([[0.0, 0.0], [0.1, 0.0]]),
        "asked": torch.zeros(2, 2),
    }  # fmt: skip
    found = learner.taught.goal(dcg.conditioned_batch(rows, 0.1))
    return found, torch.tensor([1.0 + 0.5 * 2.0, 4.0 * math.exp(-1.0)]), 1e-5


def covariance_of_the_mutation() -> Comparison:
    """Var = sigma_1^2 I + sigma_2^2 g g' with g the gap between the parents, of 200,000 mutants."""
    first, second = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 0.0]])
    made = dcg.iso_line(
        first.expand(200_000, 2), second.expand(200_000, 2), isotropic=0.5, line=0.2,
        generator=make_generator(0, "oracle", "mutation"),
    )  # fmt: skip
    gap = (second - first)[0]
    return torch.cov(made.T), 0.25 * torch.eye(2) + 0.04 * torch.outer(gap, gap), 0.01


def folding_is_exact() -> Comparison:
    """A conditioned policy folded for a place acts there as it did when told the place."""
    learner = dcg.example(dcg.Config.tiny(), 0)
    policy, place = learner.policy(), torch.tensor([3.0, -7.0])
    seen = torch.randn(50, 4, generator=make_generator(0, "oracle", "folding"))
    return policy.specialise(place)(seen), policy.act(seen, place.expand(50, 2)), 1e-6


def order_of_the_batch() -> Comparison:
    """Offering a batch in another order fills the same cells with the same fitness."""
    stream, centroids = make_generator(0, "oracle", "order"), dcg.voronoi_centroids(9, 2, samples=300, seed=0)
    places, fitness = 2.0 * torch.rand(60, 2, generator=stream) - 1.0, torch.rand(60, generator=stream)
    found = []
    for rows in (torch.arange(60), torch.randperm(60, generator=stream)):
        archive = dcg.Archive(centroids, 1)
        archive.add(torch.zeros(60, 1), fitness[rows], descriptors=places[rows])
        found.append(archive.fitness)
    return found[0], found[1], 0.0


def place_of_the_descriptors() -> Comparison:
    """Moving and turning both descriptors leaves the similarity."""
    stream, turn = make_generator(0, "oracle", "turn"), torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    achieved, asked = torch.randn(20, 2, generator=stream), torch.randn(20, 2, generator=stream)
    moved = dcg.similarity(achieved @ turn + 3.0, asked @ turn + 3.0, 0.7)
    return moved, dcg.similarity(achieved, asked, 0.7), 1e-5


def met_wishes_are_td3() -> Comparison:
    """Where every wish was met, rewards are the plain ones and the steps are TD3's."""
    stream = make_generator(0, "oracle", "met")
    rows = {name: torch.randn(9, 4, generator=stream) for name in ("observation", "following")}
    flags = {name: torch.zeros(9, dtype=torch.bool) for name in ("terminated", "truncated")}
    place = torch.rand(9, 2, generator=stream)
    rows |= {"action": torch.zeros(9, 2), "reward": torch.rand(9, generator=stream), "achieved": place, "asked": place}
    return dcg.conditioned_batch(rows | flags, 0.1)["reward"], dcg.plain_batch(rows | flags)["reward"], 0.0


def without_steps_the_mutation_is_a_copy() -> Comparison:
    """With both step sizes 0, offspring are their first parents."""
    stream = make_generator(0, "oracle", "copy")
    first, second = torch.randn(5, 7, generator=stream), torch.randn(5, 7, generator=stream)
    return dcg.iso_line(first, second, isotropic=0.0, line=0.0, generator=stream), first, 0.0


def _value_of_actions() -> tuple[object, tuple[Tensor, ...]]:
    """Minus the value of a policy's actions, as the gradient offspring descend it, in double precision."""
    stream = make_generator(0, "oracle", "loss")
    critic = _critic(2).double()
    seen = torch.randn(5, 6, generator=stream, dtype=torch.float64)
    weight = torch.randn(2, 6, generator=stream, dtype=torch.float64).requires_grad_()

    def loss(weight: Tensor) -> Tensor:
        actions = torch.tanh(functional.linear(seen, weight))
        flat = torch.cat([seen, (actions - critic.centre) / critic.reach], 1)
        return -critic.network(flat).mean()

    return loss, (weight,)


_SHORT = dcg.Config(
    cells=64, cell_samples=2000, mutated=16, gradients=16, rollouts=16, hidden=(32, 32), actor_hidden=(32, 32),
    critic_hidden=(64, 64), batch=64, critic_steps=60, gradient_steps=4, iterations=6, length=0.2, learning_rate=1e-3,
)  # fmt: skip


@functools.cache
def _searched(seed: int, name: str, length: float = _SHORT.length) -> dcg.DescriptorConditionedSearch:
    """The point robot, searched with equally many evaluations."""
    config = dcg.variant(replace(_SHORT, length=length), name)
    learner = dcg.DescriptorConditionedSearch(World.of("point-omni", horizon=30), config=config, seed=seed)
    spend = _SHORT.offspring + _SHORT.iterations * _SHORT.evaluations
    for _ in range(1 + (spend - config.offspring) // config.evaluations):
        learner.update()
    return learner


def _score(seed: int, name: str) -> float:
    """Minus the QD-score."""
    return -_searched(seed, name).archive.qd_score


def _off_course(seed: int, length: float) -> float:
    """How badly the critic's gradient at the start points to where the robot is asked to go: minus the mean cosine."""
    critic, angle = _searched(seed, "dcg", length).taught.critics[0], torch.linspace(0.0, 2.0 * math.pi, 21)[:20]
    asked = 0.3 * torch.stack([angle.cos(), angle.sin()], 1)
    action = torch.zeros(20, 2, requires_grad=True)
    value = critic(torch.cat([torch.zeros(20, 4), asked], 1), action).sum()
    return -float(functional.cosine_similarity(torch.autograd.grad(value, action)[0], asked).mean())


REFERENCES = {
    "an archive filled one by one": archive_one_by_one,
    "gradients one network at a time": gradients_one_network_at_a_time,
    "similarity by hand": similarity_by_hand,
    "the target by hand": target_by_hand,
    "covariance of the mutation": covariance_of_the_mutation,
    "folding is exact": folding_is_exact,
}
INVARIANCES = {
    "order of the batch": order_of_the_batch,
    "place of the descriptors": place_of_the_descriptors,
}
REDUCTIONS = {
    "met wishes are TD3": met_wishes_are_td3,
    "without steps the mutation is a copy": without_steps_the_mutation_is_a_copy,
}
LOSSES = {"value of a policy's actions": _value_of_actions}
FLOORS = {
    "mutation alone at equal evaluations": lambda seed: (_score(seed, "dcg"), _score(seed, "map-elites")),
}
ABLATIONS = {
    "rewards that count however much the wish was missed": lambda seed: (
        _off_course(seed, _SHORT.length), _off_course(seed, 100.0)
    ),
}  # fmt: skip
