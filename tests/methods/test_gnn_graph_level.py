"""gnn-graph-level against enumeration on every small graph, closed forms, invariances, and what learning needs."""

from dataclasses import replace
from itertools import pairwise, permutations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.baselines.graph_batches import GraphStore, batches, rank_within
from livepapers.baselines.graph_networks import TOPK_SHARE, ego_balls, rival
from livepapers.baselines.weisfeiler_lehman import collisions, neighbour_colours, subtree_kernel
from livepapers.core.errors import InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods import gnn_graph_level as method
from livepapers.methods.gnn_graph_level import Config
from livepapers.tasks.graph_scenarios import Split, split
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, random_graphs


@pytest.fixture(scope="module")
def atlas():
    """All graphs of one to six nodes."""
    return GraphTable.from_networkx([graph for graph in nx.graph_atlas_g() if 1 <= len(graph) <= 6])


@pytest.fixture(scope="module")
def graphs():
    return random_graphs(numpy_generator(0, "graphs"), 16, sizes=(6, 9))


@pytest.fixture(scope="module")
def labels(graphs):
    return method.path_labels(graphs, 3, keep_paths=True)


@pytest.fixture(scope="module")
def task():
    """Classes by the number of 5-cycles."""
    rng = numpy_generator(1, "task")
    made = random_graphs(rng, 60, sizes=(7, 10))
    count = count_subgraphs(made, cycle(5))
    table = replace(made, targets=(count > np.median(count)).astype(float)[:, None], classes=("few", "many"))
    return table, split(table, rng, validation=0.2, test=0.2)


# ------------------------------------------------------------------------------------------------------------ labels


def brute_labels(graph, k):
    """P_l(v, u) by networkx's enumeration of simple paths."""
    found = {(v, v): [1.0] + [0.0] * k for v in graph}
    for v, u in permutations(graph, 2):
        lengths = [len(p) - 1 for p in nx.all_simple_paths(graph, v, u, cutoff=k)]
        if lengths:
            found[v, u] = np.bincount(lengths, minlength=k + 1).tolist()
    return found


def test_labels_are_those_of_networkx_on_all_graphs_of_up_to_six_nodes(atlas):
    k = 4
    found = method.path_labels(atlas, k)
    starts = np.searchsorted(found.roots, atlas.pointers)
    for number in range(len(atlas)):
        expected = brute_labels(atlas.to_networkx(number), k)
        rows = slice(starts[number], starts[number + 1])
        pairs = np.column_stack([found.roots[rows], found.nodes[rows]]) - atlas.pointers[number]
        assert dict(zip(map(tuple, pairs.tolist()), found.counts[rows].tolist(), strict=True)) == expected


def test_rooted_subgraphs_hold_the_edges_on_paths_and_no_other(graphs):
    k = 2
    found = method.path_labels(graphs, k)
    walked = {}
    for tail, head, edge in found.steps.tolist():
        assert found.roots[tail] == found.roots[head]
        assert sorted([found.nodes[tail], found.nodes[head]]) == graphs.ends[edge].tolist()
        walked.setdefault(int(found.roots[tail]), set()).add((int(found.nodes[tail]), int(found.nodes[head])))
    graph = graphs.to_networkx(0)
    for v in graph:
        paths = [p for u in graph if u != v for p in nx.all_simple_paths(graph, v, u, cutoff=k)]
        assert walked[v] == {step for p in paths for step in pairwise(p)}


def test_cycles_through_nodes_and_counts_meet_closed_forms():
    rook = nx.line_graph(nx.complete_bipartite_graph(4, 4))
    table = GraphTable.from_networkx([nx.complete_graph(6), nx.cycle_graph(6), nx.petersen_graph(), rook])
    assert method.count_cycles(table, 3).tolist() == [20, 0, 0, 32]
    assert method.count_cycles(table, 5).tolist() == [72, 0, 12, count_subgraphs(table, cycle(5))[3]]
    assert method.count_cycles(table, 6)[:3].tolist() == [60, 1, 10]
    assert method.count_paths(table, 0).tolist() == [6, 6, 10, 16]
    assert method.count_paths(table, 1).tolist() == [15, 6, 15, 48]
    through = method.path_labels(table, 2).root_cycles()[:, 0]
    assert through[:6].tolist() == [10.0] * 6


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_counts_do_not_depend_on_the_numbering(seed, k):
    rng = np.random.default_rng(seed)
    table = random_graphs(rng, 4, sizes=(5, 8))
    features = method.PathFeatures(k=k)
    assert features.transform(table).tolist() == features.transform(table.relabelled(rng)).tolist()


def test_degenerate_graphs_have_labels():
    lonely = GraphTable.from_networkx([nx.empty_graph(1), nx.empty_graph(3), nx.path_graph(2)])
    found = method.path_labels(lonely, 3, keep_paths=True)
    assert found.counts[:, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 1]
    assert method.count_cycles(lonely, 4).tolist() == [0, 0, 0]
    assert method.PathFeatures(k=3).transform(lonely).shape[0] == 3


@pytest.mark.parametrize(("k", "limit"), [(-1, None), (8, None), (3, 0)])
def test_lengths_and_limits_out_of_range_are_named(graphs, k, limit):
    with pytest.raises(InputError, match=r"^(k|max_paths)"):
        method.path_labels(graphs, k, max_paths=limit, rng=numpy_generator(0, "x"))


def test_triangles_are_the_shortest_cycles(graphs):
    with pytest.raises(InputError, match="length"):
        method.count_cycles(graphs, 2)


def test_sampled_labels_are_unbiased():
    table = GraphTable.from_networkx([nx.complete_graph(7)])
    exact = method.path_labels(table, 3).root_sums()[0]
    rng = numpy_generator(0, "sample")
    found = [method.path_labels(table, 3, max_paths=10, rng=rng) for _ in range(400)]
    assert found[0].sampled == 7
    sums = np.array([one.counts[one.pair(np.zeros(1, int), np.ones(1, int))[0], 1:] if one.pair(
        np.zeros(1, int), np.ones(1, int))[0] >= 0 else np.zeros(3) for one in found])  # fmt: skip
    expected = exact[1:] / 6  # a seventh node each, by symmetry
    error = sums.std(axis=0) / np.sqrt(len(sums))
    assert (np.abs(sums.mean(axis=0) - expected) <= 5 * error + 1e-9).all()


def test_blocks_of_roots_do_not_matter(graphs, monkeypatch):
    whole = method.path_labels(graphs, 3)
    monkeypatch.setattr("livepapers.methods.gnn_graph_level.paths._BLOCK", 200)
    parts = method.path_labels(graphs, 3)
    assert (whole.counts == parts.counts).all()
    assert (whole.steps == parts.steps).all()


def test_message_passing_collides_where_path_labels_do_not():
    connected = [g for g in nx.graph_atlas_g() if len(g) in {6, 7} and nx.is_connected(g)]
    table = GraphTable.from_networkx(connected)
    assert collisions(table, neighbour_colours(table)) == 20
    assert collisions(table, method.path_colours(method.path_labels(table, 2))) == 0
    pair = GraphTable.from_networkx([nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))])
    assert collisions(pair, neighbour_colours(pair)) == 1
    assert collisions(pair, method.path_colours(method.path_labels(pair, 2))) == 0


def test_the_subtree_kernel_is_one_for_equal_graphs(graphs):
    twice = graphs.select(np.array([0, 1, 0]))
    kernel = subtree_kernel(twice)
    assert kernel[0, 2] == pytest.approx(1.0)
    assert 0 < kernel[0, 1] < 1


# ------------------------------------------------------------------------------------------------------------ contrast


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=8), st.floats(0, 0.9), st.floats(0, 0.95))
def test_drop_probabilities_keep_their_promises(importance, drop, most):
    w = torch.tensor(importance)
    found = method.drop_probabilities(w, torch.zeros(len(w), dtype=torch.int64), 1, drop=drop, most=most)
    assert ((found >= 0) & (found <= most + 1e-6)).all()
    if (found < most - 1e-6).all():
        assert float(found.mean()) == pytest.approx(drop, abs=1e-4)
    order = torch.argsort(w, stable=True)
    assert (torch.diff(found[order]) <= 1e-5).all()


def test_the_most_important_edge_is_never_dropped_and_the_formula_is_met():
    w, owner = torch.tensor([0.2, 0.5, 0.8, 0.4, 0.4]), torch.tensor([0, 0, 0, 1, 1])
    found = method.drop_probabilities(w, owner, 2, drop=0.2, most=0.7)
    assert found.tolist() == pytest.approx([0.4, 0.2, 0.0, 0.2, 0.2])
    cut = method.drop_probabilities(w, owner, 2, drop=0.2, most=0.3)
    assert cut.tolist() == pytest.approx([0.3, 0.2, 0.0, 0.2, 0.2])


def test_edges_are_dropped_with_their_probabilities_and_gradients_flow():
    chance = torch.tensor([0.1, 0.5, 0.9]).repeat(4000).requires_grad_(True)
    kept = method.sample_keep(chance, relaxation=0.5, generator=generator(0, "keep"))
    assert set(kept.detach().round(decimals=5).tolist()) == {0.0, 1.0}
    assert (1 - kept.detach()).view(-1, 3).mean(0).tolist() == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    kept.sum().backward()
    assert chance.grad is not None
    assert (chance.grad <= 0).all()
    assert float((chance.grad < -1e-6).float().mean()) > 0.9


def test_the_contrastive_loss_is_that_of_the_definition():
    stream = generator(0, "views")
    one, two = torch.randn(3, 4, generator=stream), torch.randn(3, 4, generator=stream)
    identity = [0, 1, 1]
    rows = torch.nn.functional.normalize(torch.cat([one, two]), dim=1)
    losses = []
    for i in range(6):
        partner = (i + 3) % 6
        others = [j for j in range(6) if j == partner or identity[j % 3] != identity[i % 3]]
        powers = {j: float(torch.exp(rows[i] @ rows[j] / 0.2)) for j in others}
        losses.append(-np.log(powers[partner] / sum(powers.values())))
    found = method.contrastive_loss(one, two, temperature=0.2, identity=torch.tensor(identity))
    assert float(found) == pytest.approx(np.mean(losses), rel=1e-5)


def test_views_of_a_path_model_see_the_graph_that_is_left(graphs, labels):
    """What the encoder makes of weights 0 and 1 is what it makes of the graph without the dropped edges."""
    everything = np.arange(len(graphs))
    batch = GraphStore.of(graphs, train=everything, rooted=method.rooted_paths(labels)).batch(everything)
    encoder = method.PathEncoder(
        (1, 0), batch, cycles=True, width=6, layers=2, dropout=0.0, size=7.0, generator=generator(0, "weights")
    )
    keep = numpy_generator(1, "keep").random(len(graphs.ends)) < 0.7
    left = GraphTable.of(graphs.sizes, graphs.ends[keep])
    rest = GraphStore.of(left, train=everything, rooted=method.rooted_paths(method.path_labels(left, 3)))
    with torch.no_grad():
        seen = encoder(batch, torch.from_numpy(keep.astype(np.float32)))
        torch.testing.assert_close(seen, encoder(rest.batch(everything)), atol=1e-4, rtol=1e-4)


# ------------------------------------------------------------------------------------------------------------ networks


def test_a_batch_is_its_graphs_one_by_one(graphs, labels):
    """Each network makes the same of a graph alone, and inside any batch, in any order."""
    everything = np.arange(len(graphs))
    order = numpy_generator(0, "order").permutation(len(graphs))
    for name in ("gcn", "gin", "sage", "topk", "ego"):
        rooted = ego_balls(graphs) if name == "ego" else None
        store = GraphStore.of(graphs, train=everything, rooted=rooted)
        net = rival(name, (1, 0), width=5, layers=2, dropout=0.0, size=7.0, generator=generator(0, name))
        with torch.no_grad():
            alone = torch.cat([net(store.batch(np.array([number]))) for number in order])
            torch.testing.assert_close(net(store.batch(order)), alone, atol=1e-5, rtol=1e-4)
    store = GraphStore.of(graphs, train=everything, rooted=method.rooted_paths(labels))
    for kind in (method.PathEncoder, method.PathRootedEncoder):
        extra = {"cycles": True} if kind is method.PathEncoder else {}
        net = kind((1, 0), store.batch(everything), width=5, layers=2, dropout=0.0, size=7.0,
                   generator=generator(0, "x"), **extra)  # fmt: skip
        keep = torch.rand(len(graphs.ends), generator=generator(1, "keep"))
        starts = graphs.edge_pointers
        with torch.no_grad():
            alone = torch.cat([net(store.batch(np.array([n])), keep[starts[n] : starts[n + 1]]) for n in everything])
            torch.testing.assert_close(net(store.batch(everything), keep), alone, atol=1e-5, rtol=1e-4)


def test_balls_are_those_of_networkx(graphs):
    balls = ego_balls(graphs, 2)
    graph = graphs.to_networkx(0)
    for v in graph:
        ball = nx.ego_graph(graph, v, radius=2)
        assert set(balls.members[balls.roots == v].tolist()) == set(ball)
        rows = balls.steps[balls.roots[balls.steps[:, 0]] == v]
        assert len(rows) == 2 * ball.number_of_edges()


def test_top_k_keeps_the_best_share_of_each_graph():
    owner, score = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0.1, 0.9, 0.5, 0.2, 0.2])
    assert rank_within(score, owner).tolist() == [2, 0, 1, 0, 1]
    assert TOPK_SHARE == 0.8


def test_the_last_batch_is_never_a_single_graph():
    assert [len(part) for part in batches(np.arange(9), 4)] == [4, 5]
    assert [len(part) for part in batches(np.arange(1), 4)] == [1]


@pytest.mark.parametrize("model", method.MODELS)
@pytest.mark.parametrize("contrast", ["none", "adaptive"])
def test_every_model_learns_with_and_without_contrast(task, model, contrast):
    config = replace(Config.tiny(), model=model, contrast=contrast, hidden=6, epochs=2, k=2)
    learner = method.train(*task, config=config, seed=0)
    assert learner.finished
    before = learner.epochs
    assert learner.update() == learner.last
    assert learner.epochs == before
    found = learner.predict(task[1].test)
    assert found.sum(axis=1) == pytest.approx(np.ones(len(found)))


def test_training_stops_when_validation_stalls_and_stands_at_its_best(task):
    config = replace(Config.tiny(), contrast="none", epochs=200, patience=3, learning_rate=0.05, pretrain=0)
    learner = method.train(*task, config=config, seed=0)
    assert learner.epochs < 200
    loss = learner.targets.loss(learner._outputs(task[1].validation), task[1].validation)
    assert float(loss) == pytest.approx(learner.best_loss, abs=1e-6)
    assert learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)  # patience came before the rate was halved


def test_test_graphs_teach_nothing(task):
    """Other targets of the test graphs change no prediction."""
    table, parts = task
    other = table.targets.copy()
    other[parts.test] = 1 - other[parts.test]
    config = replace(Config.tiny(), epochs=2)
    one = method.train(table, parts, config=config, seed=0).predict(parts.test)
    two = method.train(replace(table, targets=other), parts, config=config, seed=0).predict(parts.test)
    assert (one == two).all()


def test_importance_is_learned_by_adaptive_contrast_only(task):
    table, parts = task
    learner = method.train(table, parts, config=replace(Config.tiny(), epochs=1), seed=0)
    found = learner.edge_importance(parts.test[:3])
    assert len(found) == len(table.select(parts.test[:3]).ends)
    assert ((found > 0) & (found < 1)).all()
    batch = learner.store.batch(parts.test[:1])
    per_node = method.node_importance(torch.full((batch.edge_count,), 0.25), batch)
    assert per_node.tolist() == pytest.approx([0.25] * len(per_node))
    plain = method.GraphLearner(table, parts, config=replace(Config.tiny(), contrast="random"), seed=0)
    with pytest.raises(InputError, match="adaptive"):
        plain.edge_importance(parts.test)


def test_unknown_targets_are_not_trained_on(task):
    table, parts = task
    missing = table.targets.copy()
    missing[parts.train[0]] = np.nan
    with pytest.raises(InputError, match="unknown target"):
        method.GraphLearner(replace(table, targets=missing), parts, config=Config.tiny(), seed=0)


# ------------------------------------------------------------------------------------------------------------- harness


def test_measures_are_those_of_a_hand_count():
    table = replace(random_graphs(numpy_generator(0, "x"), 4), targets=np.array([[0.0], [0.0], [1.0], [1.0]]))
    classes = replace(table, classes=("a", "b"))
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    found = method.evaluate(classes, np.arange(4), scores)
    assert found["accuracy"] == 75.0
    assert found["macro_f1"] == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)
    assert found["roc_auc"] == 100.0
    numbers = method.evaluate(table, np.arange(4), np.array([[0.0], [1.0], [1.0], [1.0]]))
    assert (numbers["mae"], numbers["rmse"], numbers["r2"]) == (0.25, 0.5, 0.0)


def test_ranks_share_ties():
    assert method.average_ranks({"x": {"a": 1.0, "b": 2.0, "c": 2.0}}) == {"a": 3.0, "b": 1.5, "c": 1.5}


@pytest.mark.parametrize("name", method.TABLES)
@pytest.mark.parametrize("classes", [True, False])
def test_models_without_epochs_fit_both_kinds_of_target(task, name, classes):
    table, parts = task
    if not classes:
        table = replace(table, targets=count_subgraphs(table, cycle(3))[:, None], classes=())
    found = method.TableModel(name, Config.tiny(), 0).predict(table, parts, parts.test)
    assert found.shape == (len(parts.test), 2 if classes else 1)
    assert np.isfinite(found).all()


def test_the_kernel_machine_does_not_mind_the_unit_of_a_target(task):
    table, parts = task
    counts = replace(table, targets=count_subgraphs(table, cycle(3))[:, None].astype(float), classes=())
    other = replace(counts, targets=1e-3 * counts.targets - 40.0)
    first, second = (
        method.TableModel("wl-svm", Config.tiny(), 0).predict(given, parts, parts.test) for given in (counts, other)
    )
    assert first.std() > 0.1  # it has learned something that a unit could spoil
    np.testing.assert_allclose(1e-3 * first - 40.0, second, atol=1e-5)


def test_a_class_that_training_lacks_is_never_predicted(task):
    table, parts = task
    three = replace(table, classes=("few", "many", "none"))
    for name in ("wl-svm", "boosting"):
        found = method.TableModel(name, Config.tiny(), 0).predict(three, parts, parts.test)
        assert (found.argmax(axis=1) < 2).all()


def test_unknown_models_are_named(task):
    with pytest.raises(InputError, match="model"):
        method.network_config("transformer", Config.tiny())
    with pytest.raises(InputError, match="model"):
        method.TableModel("forest", Config.tiny(), 0).predict(task[0], task[1], task[1].test)
    with pytest.raises(InputError, match="model"):
        rival("gat", (1, 0), width=4, layers=1, dropout=0.0, size=1.0, generator=generator(0, "x"))


def test_pretraining_reads_unlabelled_graphs_too(task):
    table, parts = task
    few = Split(parts.train[:6], parts.validation, parts.test, parts.train[6:])
    learner = method.GraphLearner(table, few, config=replace(Config.tiny(), pretrain=1, epochs=1), seed=0)
    learner.update()
    assert learner.work()["graphs"] == len(parts.train)
    assert learner.last["loss"] == 0.0
    learner.update()
    assert learner.last["loss"] > 0.0
    assert learner.finished
