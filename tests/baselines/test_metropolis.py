"""Metropolis chains reach the target that exact marginals describe."""

import networkx as nx
import pytest
import torch

from livepapers.baselines.metropolis import metropolis
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.constructions import Bags, Hypergrid, IndependentSets, Sets, Strings
from livepapers.tasks.constructions.exact import enumerate_states, total_variation


@pytest.mark.parametrize("env", [Sets([0.5, -1.0, 0.2, 1.5, -0.3], 2), IndependentSets(nx.path_graph(5))])
def test_marginals_of_long_chains_are_the_exact_ones(env: Sets | IndependentSets) -> None:
    objects, log_reward = metropolis(env, 2000, chains=64, generator=generator(0, "chains"), keep=32_000)
    exact = env.exact_inclusion()
    assert exact is not None
    assert len(objects) == 32_000
    # 64 chains of 1,000 correlated steps: a standard error is about 0.005, so this bound is six of them
    assert float((objects.double().mean(dim=0) - exact).abs().max()) < 0.03
    torch.testing.assert_close(log_reward, env.log_reward(objects))


def test_the_whole_set_stays_as_it_is() -> None:
    objects, _ = metropolis(Sets([0.1, 0.2], 2), 10, chains=2, generator=generator(0, "chains"), keep=4)
    assert bool(objects.all())


def test_equal_seeds_give_equal_chains() -> None:
    env = Sets([0.5, -1.0, 0.2], 2)
    first, second = (metropolis(env, 20, chains=3, generator=generator(1, "chains"), keep=9)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_one_step_and_other_constructions_are_refused() -> None:
    with pytest.raises(InputError, match="steps"):
        metropolis(Sets([0.5, -1.0], 1), 1, chains=2, generator=generator(0, "chains"), keep=2)
    with pytest.raises(InputError, match="Bags"):
        metropolis(Bags([0.1, 0.2]), 10, chains=2, generator=generator(0, "chains"), keep=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("env", [Hypergrid(2, 5), Strings("ABC", 2, log_reward=lambda x: x.sum(dim=1).double())])
def test_single_site_chains_reach_the_exact_distribution(env: Hypergrid | Strings) -> None:
    objects, log_reward = metropolis(env, 2000, chains=64, generator=generator(0, "chains"), keep=32_000)
    graph = enumerate_states(env)
    assert graph is not None
    share = torch.bincount(graph.index(objects), minlength=len(graph.states)) / len(objects)
    # 25 cells from 32,000 correlated draws: half the sum of standard errors of 0.002 is about 0.02
    assert total_variation(share.double(), graph.target()) < 0.05
    torch.testing.assert_close(log_reward, env.log_reward(objects))
