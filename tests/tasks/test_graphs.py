"""Tables of graphs, the scenarios that make them hard, exact subgraph counts, and ego networks of contacts."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.tasks.contact_egos import ego_networks
from livepapers.tasks.graph_scenarios import Scenario, perturb, split, thin
from livepapers.tasks.graphs import GraphTable, ragged
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, path, random_graphs


@pytest.fixture(scope="module")
def graphs():
    return random_graphs(numpy_generator(0, "graphs"), 24, sizes=(5, 9))


@pytest.fixture(scope="module")
def labelled(graphs):
    everything = graphs.select(np.tile(np.arange(24), 5))
    return GraphTable.of(
        everything.sizes, everything.ends, targets=np.arange(120) % 3, classes=("a", "b", "c"),
        names=[str(n) for n in range(120)],
    )  # fmt: skip


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.data())
def test_ragged_rows_are_what_a_loop_gathers(counts, data):
    pointers = np.concatenate([[0], np.cumsum(counts)])
    rows = np.array(data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=6)), dtype=np.int64)
    places, offsets = ragged(pointers, rows)
    assert places.tolist() == [place for row in rows for place in range(pointers[row], pointers[row + 1])]
    assert np.diff(offsets).tolist() == [counts[row] for row in rows]


def test_selected_graphs_are_the_same_graphs(graphs):
    chosen = np.array([7, 2, 2, 19])
    part = graphs.select(chosen)
    for place, number in enumerate(chosen):
        assert nx.utils.graphs_equal(part.to_networkx(place), graphs.to_networkx(number))
    assert part.names == tuple(graphs.names[n] for n in chosen)
    assert len(graphs.select(np.zeros(24, dtype=bool) | (np.arange(24) < 3))) == 3


def test_arrays_bring_a_table_back(labelled):
    back = GraphTable.from_arrays(labelled.arrays())
    assert (back.names, back.classes) == (labelled.names, labelled.classes)
    assert (back.ends == labelled.ends).all()


@pytest.mark.parametrize(
    ("sizes", "ends", "said"),
    [
        ([], [], "none"),
        ([2, 0], [], "no nodes"),
        ([2], [[0, 0]], "self-loop"),
        ([2], [[0, 1], [1, 0]], "twice"),
        ([2], [[0, 2]], "node 2"),
        ([2], [[-1, 1]], "node -1"),
        ([2, 2], [[1, 2]], "between two graphs"),
        ([2_000_001], [], "at most"),
    ],
)
def test_what_is_no_simple_graph_is_refused_in_one_line(sizes, ends, said):
    with pytest.raises(InputError, match=said) as caught:
        GraphTable.of(sizes, np.array(ends))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [nx.DiGraph([(0, 1)]), nx.MultiGraph([(0, 1)]), nx.Graph([(0, 0)]), nx.Graph()])
def test_graphs_of_networkx_that_are_not_simple_are_refused(bad):
    with pytest.raises(InputError, match=r"graph|loop"):
        GraphTable.from_networkx([bad])


def test_attributes_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="finite"):
        GraphTable.of([2], np.array([[0, 1]]), nodes=np.array([[1.0], [np.nan]]))
    with pytest.raises(InputError, match="finite"):
        GraphTable.of([2], np.array([[0, 1]]), edges=np.array([[np.inf]]))


def test_single_nodes_and_unconnected_graphs_are_graphs():
    table = GraphTable.from_networkx([nx.empty_graph(1), nx.disjoint_union(nx.path_graph(2), nx.empty_graph(2))])
    assert count_subgraphs(table, cycle(3)).tolist() == [0, 0]
    assert count_subgraphs(table, path(1)).tolist() == [0, 1]


def test_moebius_inversion_meets_networkx_on_every_cycle(graphs):
    for length in (3, 4, 5, 6):
        expected = [
            sum(len(found) == length for found in nx.simple_cycles(graphs.to_networkx(n), length_bound=length))
            for n in range(8)
        ]
        assert count_subgraphs(graphs, cycle(length))[:8].tolist() == expected


def test_half_of_the_random_graphs_are_regular():
    made = random_graphs(numpy_generator(0, "x"), 6)
    for number in range(6):
        degrees = {degree for _, degree in made.to_networkx(number).degree}
        assert (degrees == {4}) == (number % 2 == 0)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_noise_moves_a_share_of_the_edges_of_each_graph(graphs, share):
    moved = perturb(graphs, numpy_generator(1, "noise"), share=share)
    assert (np.diff(moved.edge_pointers) == np.diff(graphs.edge_pointers)).all()
    for number in range(len(graphs)):
        before, after = set(graphs.to_networkx(number).edges), set(moved.to_networkx(number).edges)
        free = graphs.sizes[number] * (graphs.sizes[number] - 1) // 2 - len(before)
        assert len(before - after) == min(round(share * len(before)), free)


def test_complete_graphs_have_no_place_for_noise():
    table = GraphTable.from_networkx([nx.complete_graph(5)])
    assert (perturb(table, numpy_generator(0, "x"), share=0.5).ends == table.ends).all()


def test_splits_are_stratified_disjoint_and_keep_the_official_test(labelled):
    official = np.arange(120) >= 90
    parts = split(labelled, numpy_generator(0, "s"), validation=0.2, test=official)
    assert parts.test.tolist() == list(range(90, 120))
    for numbers in (parts.train, parts.validation, parts.test):
        assert set(np.bincount(labelled.targets[numbers, 0].astype(int))) == {len(numbers) // 3}
    assert len(np.unique(np.concatenate([parts.train, parts.validation, parts.test]))) == 120


def test_rare_and_few_labels_leave_their_graphs_unlabelled(labelled):
    parts = split(labelled, numpy_generator(0, "s"), validation=0.2, test=0.2)
    rare = thin(labelled, parts, numpy_generator(1, "t"), scenario=Scenario.parse("imbalance:10"), rare=2)
    assert np.bincount(labelled.targets[rare.train, 0].astype(int)).tolist() == [26, 26, 2]
    few = thin(labelled, parts, numpy_generator(1, "t"), scenario=Scenario.parse("shots:4"), rare=0)
    assert np.bincount(labelled.targets[few.train, 0].astype(int)).tolist() == [4, 4, 4]
    assert sorted([*few.train, *few.unlabelled]) == sorted(parts.train)


@pytest.mark.parametrize("text", ["noise", "noise:2", "noise:-0.1", "imbalance:0", "shots:1", "shots:x", "dirty", ""])
def test_unknown_scenarios_are_named(text):
    with pytest.raises(InputError, match="scenario"):
        Scenario.parse(text)


def test_scenarios_of_classes_refuse_numbers_and_too_few_graphs(graphs, labelled):
    parts = split(labelled, numpy_generator(0, "s"), validation=0.2, test=0.2)
    with pytest.raises(InputError, match="at least 100"):
        thin(labelled, parts, numpy_generator(0, "t"), scenario=Scenario(shots=100), rare=0)
    with pytest.raises(InputError, match="classes"):
        thin(graphs, parts, numpy_generator(0, "t"), scenario=Scenario(shots=2), rare=0)
    with pytest.raises(InputError, match="targets"):
        split(graphs, numpy_generator(0, "s"), validation=0.2, test=0.2)


def test_ego_networks_are_those_of_a_loop():
    rng = numpy_generator(3, "contacts")
    rows = rng.integers(0, 9, (200, 2))
    rows = rows[rows[:, 0] != rows[:, 1]]
    text = "\n".join(f"{20 * t} {a} {b}" for t, (a, b) in enumerate(rows.tolist()))
    table = ego_networks({"here": text, "there": text}, minutes=1.5)
    counts = {}
    for a, b in np.sort(rows, axis=1).tolist():
        counts[a, b] = counts.get((a, b), 0) + 1
    ties = nx.Graph([pair for pair, count in counts.items() if count >= 5])
    expected = {f"here {ego}": nx.ego_graph(ties, ego) for ego in ties if ties.degree(ego) >= 3}
    assert set(table.names[: len(expected)]) == set(expected)
    for number, name in enumerate(table.names[: len(expected)]):
        found = table.to_networkx(number)
        assert nx.is_isomorphic(found, expected[name])
    assert table.classes == ("here", "there")
    with pytest.raises(InputError, match="no ego network"):
        ego_networks({"here": text}, minutes=60.0)
    with pytest.raises(InputError, match="whole numbers"):
        ego_networks({"here": "a b c"}, minutes=1.0)
