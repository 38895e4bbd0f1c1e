"""Oracles of deep-ga: genomes by hand, novelty by sorting, networks one by one, and what selection is worth."""

import functools

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import deep_ga
from livepapers.tasks.hard_maze import HardMaze
from livepapers.tasks.pendulum import ClippedPendulum

Comparison = tuple[Tensor | float, Tensor | float, float]


def a_genome_is_the_sum_of_its_noises() -> Comparison:
    """Decoding adds sigma_i noise(s_i) to the scaled first noise, written out in the order of the seeds."""
    scale = deep_ga.maze_layout().scale()
    genome = deep_ga.Genome((7, 2**32 - 1, 3), (0.05, 0.25), deep_ga.maze_layout().signature)
    theta = scale * deep_ga.noise(7, len(scale))
    for seed, sigma in zip(genome.seeds[1:], genome.sigmas, strict=True):
        theta = theta + np.float32(sigma) * deep_ga.noise(seed, len(scale))
    return torch.from_numpy(genome.decode(scale)), torch.from_numpy(theta), 0.0


def noise_has_the_normal_law() -> Comparison:
    """Its distribution function at nine points, of a million numbers, is the normal one."""
    drawn, points = deep_ga.noise(5, 1_000_000), np.linspace(-2.0, 2.0, 9)
    found = (drawn[:, None] <= points).mean(0)
    return torch.from_numpy(found), torch.from_numpy(stats.norm.cdf(points)), 3e-3


def novelty_by_sorting() -> Comparison:
    """The mean of the k smallest entries of a sorted list of squared distances, one individual after the other."""
    stream = make_generator(0, "oracle", "novelty")
    points, archive = torch.randn(30, 2, generator=stream), torch.randn(12, 2, generator=stream)
    expected = []
    for index, one in enumerate(points):
        others = torch.cat([points[:index], points[index + 1 :], archive])
        expected.append(torch.stack(sorted((others - one).square().sum(1))[:5]).mean())
    return deep_ga.novelty(points, archive, 5), torch.stack(expected), 1e-5


def populations_are_their_networks_one_by_one() -> Comparison:
    """The batched network of five individuals gives what torch's linear layers give for each."""
    layout, stream = deep_ga.maze_layout(), make_generator(0, "oracle", "networks")
    theta = 0.3 * torch.randn(5, layout.parameters, generator=stream)
    seen = torch.rand(5, 4, 11, generator=stream)
    expected = []
    for weights, x in zip(theta, seen, strict=True):
        used = 0
        for inputs, outputs in ((11, 16), (16, 16), (16, 2)):
            weight = weights[used : used + inputs * outputs].reshape(outputs, inputs)
            bias = weights[used + inputs * outputs : used + inputs * outputs + outputs]
            used += inputs * outputs + outputs
            x = functional.linear(x, weight, bias)  # noqa: PLW2901 - layer after layer
            x = torch.relu(x) if outputs == 16 else x  # noqa: PLW2901
        expected.append(x)
    return layout.forward(theta, seen), torch.stack(expected), 1e-5


def order_of_the_population() -> Comparison:
    """Permuting the population permutes novelty."""
    stream = make_generator(0, "oracle", "order")
    points, archive = torch.randn(20, 2, generator=stream), torch.randn(7, 2, generator=stream)
    rows = torch.randperm(20, generator=stream)
    return deep_ga.novelty(points[rows], archive, 4), deep_ga.novelty(points, archive, 4)[rows], 1e-6


def place_of_the_origin() -> Comparison:
    """Moving and turning all behaviours changes no novelty."""
    stream = make_generator(0, "oracle", "origin")
    points, archive = torch.randn(20, 2, generator=stream), torch.randn(7, 2, generator=stream)
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    moved = deep_ga.novelty(points @ turn + 3.0, archive @ turn + 3.0, 4)
    return moved, deep_ga.novelty(points, archive, 4), 1e-4


def unit_of_the_fitness() -> Comparison:
    """Any increasing change of fitness leaves the strategy's step as it was."""
    stream = make_generator(0, "oracle", "unit")
    fitness, epsilon = torch.randn(16, generator=stream), torch.randn(8, 6, generator=stream)
    changed = deep_ga.strategy_gradient((3.0 * fitness).exp(), epsilon, 0.1)
    return changed, deep_ga.strategy_gradient(fitness, epsilon, 0.1), 1e-6


def one_neighbour_without_an_archive() -> Comparison:
    """On a line, the novelty with k = 1 is the squared distance to the nearest other point."""
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    return deep_ga.novelty(points, torch.empty(0, 1), 1), torch.tensor([1.0, 1.0, 4.0, 16.0]), 0.0


def without_an_elite_it_is_truncation() -> Comparison:
    """The parents are then the top of the ranking."""
    scores = torch.tensor([0.3, 2.0, -1.0, 0.9])
    parents = deep_ga.next_parents(deep_ga.ranking(scores), None, 2)
    return torch.tensor(parents), scores.argsort(descending=True)[:2], 0.0


def a_strategy_follows_a_slope() -> Comparison:
    """On a linear fitness, its direction is that of the slope, up to the noise of 4,000 pairs."""
    stream = make_generator(0, "oracle", "slope")
    epsilon = torch.randn(4000, 4, generator=stream)
    slope = torch.tensor([0.5, -0.5, 0.5, 0.5])
    found = deep_ga.strategy_gradient(torch.cat([epsilon @ slope, -(epsilon @ slope)]), epsilon, 0.1)
    return functional.normalize(found, dim=0), slope, 0.03


_SHORT = deep_ga.Config(population=40, parents=5, generations=5, sigma=0.2, candidates=4, validation=4)


@functools.cache
def _pendulum(seed: int, algorithm: deep_ga.Algorithm) -> float:
    """Minus the return of the elite after equally many evaluations, on fresh episodes."""
    world = ClippedPendulum()
    layout = deep_ga.Layout(world.observation_space, world.action_space)
    learner = deep_ga.Evolution(world, layout, config=replace(_SHORT, algorithm=algorithm), seed=seed)
    for _ in range(_SHORT.generations):
        learner.update()
    theta = learner.policy().theta.detach().numpy()
    return -float(learner.evaluator(lambda _: theta, 1, episodes=100, seed=0).returns.mean())


def _squares(seed: int, algorithm: deep_ga.Algorithm) -> float:
    """Minus the squares of 10 x 10 units in which a generation ends, the mean of the last five, after 100 steps."""
    config = replace(_SHORT, algorithm=algorithm, generations=10, validation=0, sigma=0.05, neighbours=5)
    learner, counts = deep_ga.Evolution(HardMaze(100), deep_ga.maze_layout(), config=config, seed=seed), []
    for _ in range(config.generations):
        learner.update()
        counts.append(len({(int(x) // 10, int(y) // 10) for x, y in learner.behaviour.tolist()}))
    return -float(np.mean(counts[5:]))


REFERENCES = {
    "a genome is the sum of its noises": a_genome_is_the_sum_of_its_noises,
    "noise has the normal law": noise_has_the_normal_law,
    "novelty by sorting": novelty_by_sorting,
    "networks one by one": populations_are_their_networks_one_by_one,
    "a strategy follows a slope": a_strategy_follows_a_slope,
}
INVARIANCES = {
    "order of the population": order_of_the_population,
    "place of the origin": place_of_the_origin,
    "unit of the fitness": unit_of_the_fitness,
}
REDUCTIONS = {
    "one neighbour without an archive": one_neighbour_without_an_archive,
    "without an elite it is truncation": without_an_elite_it_is_truncation,
}
FLOORS = {
    "random search at equal evaluations": lambda seed: (_pendulum(seed, "ga"), _pendulum(seed, "random")),
}
ABLATIONS = {
    "selection by reward instead of novelty": lambda seed: (_squares(seed, "ga-ns"), _squares(seed, "ga")),
}
