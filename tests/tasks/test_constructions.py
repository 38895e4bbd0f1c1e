"""Constructions: exact references against enumeration, refusals, and properties."""

import itertools
import math

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.construction import (
    Factored,
    can_reach,
    check_construction,
    check_energy,
    draw_objects,
    random_objects,
)
from livepapers.tasks.constructions import (
    PAPER_SETS,
    Bags,
    BitStrings,
    Hypergrid,
    IndependentSets,
    Rewarded,
    Sets,
    ShuffledEnergy,
    Strings,
    Subsets,
    binding_log_reward,
    feature_subsets,
    nearest_mode_log_reward,
    rna_strings,
)
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation
from livepapers.tasks.constructions.rna import reverse_complement
from livepapers.tasks.constructions.sets import log_elementary

ENERGIES = st.lists(st.floats(-3, 3), min_size=1, max_size=7)


def _graph(env: object) -> StateGraph:
    graph = enumerate_states(env)  # type: ignore[arg-type]
    assert graph is not None
    return graph


@given(ENERGIES, st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_elementary_polynomials_equal_the_sum_over_subsets(logs: list[float], degree: int) -> None:
    found = log_elementary(torch.tensor(logs, dtype=torch.float64), degree)
    for k in range(degree + 1):
        terms = [sum(chosen) for chosen in itertools.combinations(logs, k)]
        expected = torch.logsumexp(torch.tensor(terms, dtype=torch.float64), dim=0) if terms else -math.inf
        assert float(found[k]) == pytest.approx(float(expected), abs=1e-10)


@given(ENERGIES, st.data())
@settings(max_examples=25, deadline=None)
def test_sets_are_solved_exactly(energies: list[float], data: st.DataObject) -> None:
    env = Sets(energies, data.draw(st.integers(1, len(energies))))
    graph = _graph(env)
    assert env.exact_log_z() == pytest.approx(graph.log_z(), abs=1e-10)
    torch.testing.assert_close(env.exact_inclusion(), graph.target() @ graph.states.to(torch.float64))
    torch.testing.assert_close(env.exact_log_flow(graph.states), graph.log_flow() + graph.energy())
    open_states = ~env.is_terminal(graph.states)
    torch.testing.assert_close(env.exact_log_forward(graph.states[open_states]), graph.log_forward()[open_states])


@given(ENERGIES, st.data())
@settings(max_examples=25, deadline=None)
def test_the_true_best_sets_are_found_best_first(energies: list[float], data: st.DataObject) -> None:
    size, count = data.draw(st.integers(1, len(energies))), data.draw(st.integers(1, 50))
    env = Sets(energies, size)
    rewards = sorted((-sum(chosen) for chosen in itertools.combinations(energies, size)), reverse=True)[:count]
    expected = float(torch.logsumexp(torch.tensor(rewards, dtype=torch.float64), dim=0)) - math.log(len(rewards))
    assert env.exact_top_mean_log_reward(count) == pytest.approx(expected, abs=1e-9)


def test_the_papers_sets_have_their_sizes_and_exact_log_z() -> None:
    assert {name: (len(PAPER_SETS[name][0]) * PAPER_SETS[name][1], PAPER_SETS[name][2]) for name in PAPER_SETS} == {
        "small": (30, 20), "medium": (80, 60), "large": (100, 80),
    }  # fmt: skip
    # an independent second implementation: the product of (1 + w x)^copies as a polynomial, in plain floats
    for name, (distinct, copies, size) in PAPER_SETS.items():
        polynomial = [1.0]
        for energy in distinct:
            for _ in range(copies):
                w = math.exp(-energy)
                polynomial = [a + w * b for a, b in zip([*polynomial, 0.0], [0.0, *polynomial], strict=True)]
        env = Sets.paper(name)
        assert env.exact_log_z() == pytest.approx(math.log(polynomial[size]), abs=1e-9)
        assert float(env.exact_inclusion().sum()) == pytest.approx(size, abs=1e-9)


def test_independent_sets_have_the_known_counts() -> None:
    assert IndependentSets(nx.karate_club_graph()).exact_count() == 13_393_054
    assert IndependentSets(nx.florentine_families_graph()).exact_count() == 1216
    assert IndependentSets(nx.cycle_graph(10)).exact_count() == 123  # a Lucas number
    assert IndependentSets(nx.path_graph(10)).exact_count() == 144  # a Fibonacci number


@given(st.integers(1, 7), st.integers(0, 2**21 - 1), st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_independent_sets_are_solved_exactly(n: int, edges: int, energy: float) -> None:
    pairs = list(itertools.combinations(range(n), 2))
    graph = nx.empty_graph(n)
    graph.add_edges_from(pair for i, pair in enumerate(pairs) if edges >> i & 1)
    env = IndependentSets(graph, [energy + 0.1 * v for v in range(n)])
    listed = _graph(env)
    assert env.exact_log_z() == pytest.approx(listed.log_z(), abs=1e-10)
    inclusion = env.exact_inclusion()
    assert inclusion is not None
    torch.testing.assert_close(inclusion, listed.target() @ listed.states.to(torch.float64))
    assert int(listed.states.sum(dim=1).max()) < env.longest


def test_an_exact_solution_out_of_reach_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livepapers.tasks.constructions.independent_sets.LARGEST_SEARCH", 20)
    env = IndependentSets(nx.grid_2d_graph(6, 6))
    assert env.exact_log_z() is None
    assert env.exact_inclusion() is None
    assert env.exact_count() is None


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=4), st.integers(1, 6), st.integers(1, 4), st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_bags_are_solved_exactly(gains: list[float], capacity: int, threshold: int, bonus: float) -> None:
    env = Bags(gains, capacity, threshold=threshold, bonus=bonus)
    assert env.exact_log_z() == pytest.approx(_graph(env).log_z(), abs=1e-10)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6), st.data())
@settings(max_examples=25, deadline=None)
def test_bit_strings_are_solved_by_the_transfer_matrix(field: list[float], data: st.DataObject) -> None:
    coupling = data.draw(st.lists(st.floats(-2, 2), min_size=len(field) - 1, max_size=len(field) - 1))
    env = BitStrings(field, coupling)
    assert env.exact_log_z() == pytest.approx(_graph(env).log_z(), abs=1e-10)


def test_the_hypergrid_has_its_modes_beyond_valleys() -> None:
    env = Hypergrid(2, 8)
    graph = _graph(env)
    assert env.exact_log_z() == pytest.approx(graph.log_z(), abs=1e-12)
    assert float(env.log_reward(env.root(1))) == 0.0
    reward = env.log_reward(graph.states)
    assert int((reward == reward.max()).sum()) == 4  # one mode in each corner region
    diagonal = env.log_reward(torch.tensor([[1, 1], [3, 3], [6, 6]]))
    assert diagonal[1] < diagonal[0] == diagonal[2]


CONSTRUCTIONS = [
    Sets([0.1, -0.5, 0.3, 0.9, 0.2], 3),
    Bags([0.1, -0.4], 4, threshold=2),
    BitStrings([0.1, 0.2, -0.4], [0.5, -0.6]),
    Hypergrid(2, 4),
    IndependentSets(nx.cycle_graph(6)),
]


@pytest.mark.parametrize("env", CONSTRUCTIONS, ids=lambda env: type(env).__name__)
def test_the_exact_policy_samples_the_target(env: Sets) -> None:
    graph = _graph(env)
    table = graph.log_forward()
    assert total_variation(graph.distribution(lambda _: table), graph.target()) < 1e-12
    assert float(graph.log_flow()[0]) == pytest.approx(graph.log_z(), abs=1e-12)
    sums = table.exp().sum(dim=1)
    torch.testing.assert_close(
        sums[graph.env.forward_mask(graph.states).any(dim=1)], torch.ones_like(sums[: int((sums > 0).sum())])
    )


def test_large_spaces_are_not_listed() -> None:
    assert enumerate_states(Sets([0.0] * 30, 15), largest=1000) is None


def test_distributions_of_different_shape_have_no_distance() -> None:
    with pytest.raises(InputError, match="shape"):
        total_variation(torch.ones(2), torch.ones(3))


def test_shuffled_energies_leave_the_reward_and_change_the_path() -> None:
    env = Sets([0.1, -0.5, 0.3, 0.9, 0.2], 3)
    shuffled = ShuffledEnergy(env, 1.0, seed=0)
    objects, energy = random_objects(shuffled, 20, generator=generator(0, "shuffled"))
    torch.testing.assert_close(energy, -env.log_reward(objects))
    halves = torch.rand(2000, 30, generator=generator(0, "halves")) < 0.5
    phi = ShuffledEnergy(Sets([0.0] * 30, 29), 2.0, seed=1).potential(halves)
    assert float(phi.std()) == pytest.approx(2.0, rel=0.1)
    assert float(phi.mean()) == pytest.approx(0.0, abs=0.2)


def test_feature_subsets_have_the_residuals_of_least_squares() -> None:
    g = generator(0, "features")
    x, y = torch.randn(40, 4, generator=g), torch.randn(40, generator=g)
    env = feature_subsets(x, y, penalty=1.5)
    chosen = torch.tensor([[True, False, True, False]])
    a = torch.cat([torch.ones(40, 1), x[:, [0, 2]]], dim=1).double()
    rss = (y.double() - a @ torch.linalg.lstsq(a, y.double()[:, None]).solution.squeeze(1)).square().sum()
    total = (y.double() - y.double().mean()).square().sum()
    expected = -(20 * torch.log(rss / total) + 3.0)
    assert float(env.log_reward(chosen)) == pytest.approx(float(expected), abs=1e-8)


def test_a_users_energy_that_fails_is_reported_with_its_subset() -> None:
    def energy(state: Tensor) -> Tensor:
        values = state.sum(dim=1).to(torch.float64)
        return torch.where(state[:, 1] & state[:, 2], torch.nan, values)

    env = Subsets(4, energy, size=3)
    with pytest.raises(InputError, match=r"subset \[1, 2\].*finite"):
        env.log_reward(torch.tensor([[False, True, True, False]]))


def test_an_energy_of_finished_objects_only_cannot_look_forward() -> None:
    env = Subsets(4, lambda state: state.sum(dim=1).to(torch.float64), size=3, partial=False)
    action = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(InputError, match="use objective db, tb or subtb"):
        env.edge_energy(env.root(1), action, env.step(env.root(1), action))


LOOP = nx.Graph([("a", "b"), ("b", "b")])
REFUSED = {
    "no items": (lambda: Sets([], 1), "energies"),
    "a set larger than its items": (lambda: Sets([0.0, 1.0], 3), "size: got 3, expected 1 to 2"),
    "an empty set": (lambda: Sets([0.0, 1.0], 0), "size"),
    "an energy that is not a number": (lambda: Sets([0.0, math.nan], 1), "item 1.*finite"),
    "an unknown instance": (lambda: Sets.paper("huge"), "instance.*small, medium, large"),
    "a bag of nothing": (lambda: Bags([], 3), "gains"),
    "a bag without room": (lambda: Bags([0.0], 0), "capacity"),
    "an infinite bonus": (lambda: Bags([0.0], 3, bonus=math.inf), "bonus"),
    "a string of no bits": (lambda: BitStrings([], []), "field"),
    "too many couplings": (lambda: BitStrings([0.0], [1.0]), "coupling.*0 finite"),
    "a grid without axes": (lambda: Hypergrid(0, 4), "dims"),
    "a grid of one cell": (lambda: Hypergrid(2, 1), "side"),
    "a grid with zero reward": (lambda: Hypergrid(2, 4, r0=0.0), "r0"),
    "no vertices": (lambda: IndependentSets(nx.empty_graph(0)), "graph"),
    "a self-loop": (lambda: IndependentSets(LOOP), "self-loop"),
    "too few vertex energies": (lambda: IndependentSets(nx.path_graph(3), [0.0]), "energies.*3"),
    "noise beside a stop action": (lambda: ShuffledEnergy(Hypergrid(2, 4), 1.0, seed=0), "stop action"),
    "negative noise": (lambda: ShuffledEnergy(Sets([0.0], 1), -1.0, seed=0), "scale"),
    "subsets of nothing": (lambda: Subsets(0, lambda s: s.sum(1).double()), "items"),
    "subsets that are too large": (lambda: Subsets(2, lambda s: s.sum(1).double(), size=3), "size"),
    "an energy a batch": (lambda: Subsets(2, lambda s: s.sum().double()), "one energy a state"),
    "features that do not fit": (lambda: feature_subsets(torch.ones(3, 2), torch.ones(4), penalty=1.0), "features"),
    "features that are infinite": (
        lambda: feature_subsets(torch.full((3, 2), torch.inf), torch.ones(3), penalty=1.0), "not finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_constructions_are_refused_in_one_line(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


# ---- tuples of digits: strings, grids, other rewards, RNA ----


FACTORED = {
    "strings": lambda: Strings("ABC", 3),
    "bits": lambda: Strings.bits(4, word=2),
    "grid": lambda: Hypergrid(2, 4),
    "another reward": lambda: Rewarded(Hypergrid(2, 4), lambda cells: cells.sum(dim=1).double()),
    "strings with another reward": lambda: Rewarded(Strings("AB", 3), lambda x: x.sum(dim=1).double()),
}


@pytest.mark.parametrize("name", FACTORED)
def test_factored_constructions_keep_their_promises(name: str) -> None:
    env = FACTORED[name]()
    assert isinstance(env, Factored)
    check_construction(env, generator=generator(0, name))
    check_energy(env, generator=generator(1, name))
    graph = _graph(env)
    ends = graph.states[graph.may_end]
    assert len(ends) == math.prod(env.bases)
    assert torch.equal(env.objects(env.digits(ends)), ends)
    drawn = draw_objects(env, 4000, generator=generator(2, name))
    counts = torch.bincount(graph.index(drawn), minlength=len(graph.states))[graph.may_end]
    assert float((counts / 4000 - 1 / len(ends)).abs().max()) < 0.03


@pytest.mark.parametrize("name", FACTORED)
def test_what_can_be_reached_is_what_the_graph_says(name: str) -> None:
    env = FACTORED[name]()
    graph = _graph(env)
    ends = graph.states[graph.may_end]
    passing = graph.passing()
    rows, columns = torch.meshgrid(torch.arange(len(graph.states)), torch.arange(len(ends)), indexing="ij")
    possible = can_reach(env, graph.states[rows.flatten()], ends[columns.flatten()]).view(rows.shape)
    assert torch.equal(possible, passing > 0)
    state, outcome = graph.reachable_pairs(torch.arange(len(ends)))
    listed = torch.zeros_like(possible)
    listed[state, outcome] = True
    assert torch.equal(listed, possible)
    assert torch.equal(passing[0], torch.ones(len(ends), dtype=torch.float64))


def test_states_are_found_again_and_foreign_ones_refused() -> None:
    graph = _graph(Hypergrid(2, 4))
    assert torch.equal(graph.index(graph.states), torch.arange(16))
    with pytest.raises(InputError, match=r"state: got \[4, 0\]"):
        graph.index(torch.tensor([[1, 1], [4, 0]]))


def test_strings_are_read_and_written_as_people_do() -> None:
    env = Strings.bits(6, word=2)
    assert env.text(env.parse(["011011", "000000"])) == ["011011", "000000"]
    for text, message in (
        ("0110", "it has 2 symbols"),
        ("0110110", "'0' is no symbol"),
        ("01101x", "'1x' is no symbol"),
    ):
        with pytest.raises(InputError, match=message):
            env.parse([text])
    for bad in ((["A"], 3), (["A", "A"], 3), (["A", ""], 3), (["A", "B"], 0)):
        with pytest.raises(InputError):
            Strings(*bad)
    assert Strings("ACGU", 4).exact_log_z() == pytest.approx(math.log(256))


def test_the_nearest_mode_decides_the_reward_of_a_bit_string() -> None:
    modes = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 1]])
    env = Strings("01", 4, log_reward=nearest_mode_log_reward(modes, sharpness=8.0))
    found = env.log_reward(torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1], [1, 0, 1, 1]]))
    assert found.tolist() == [0.0, -2.0, -4.0, -2.0]


def test_rna_that_binds_better_has_the_higher_reward() -> None:
    pytest.importorskip("RNA")
    target = "GGGAAACUCGAUUCGC"
    log_reward = binding_log_reward(target, length=8)
    env = rna_strings(8, log_reward=log_reward)
    best = reverse_complement(target)[:8]
    found = env.log_reward(env.parse([best, "AAAAAAAA"]))
    assert float(found[0]) > float(found[1])
    assert float(found[1]) == pytest.approx(math.log(1e-3), abs=1e-6)  # nothing binds: only the floor is left
    assert float(found[0]) <= math.log(1.001) + 1e-9
    for bad, cause in (("ACGT", "U, not T"), ("acgu", "lower case"), ("AC", "4 to 200")):
        with pytest.raises(InputError, match=cause):
            binding_log_reward(bad, length=8)
