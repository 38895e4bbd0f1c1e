"""simplicial-closure against a second implementation that loops over everything, on random hypergraphs."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg
from scipy.stats import fisher_exact
from sklearn.metrics import average_precision_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods import simplicial_closure as method
from livepapers.methods.simplicial_closure import scores as scores_module
from livepapers.methods.simplicial_closure import triangles as triangles_module
from livepapers.methods.simplicial_closure.scores import LOCAL, MEANS, SIMPLICIAL, WALKS, OldData, hodge_operators
from livepapers.tasks import hypergraphs as hypergraphs_module
from livepapers.tasks.data import read_source
from livepapers.tasks.hypergraph_models import planted_groups
from livepapers.tasks.hypergraphs import TemporalSimplices, read_contacts

HISTORIES = st.lists(st.sets(st.integers(0, 8), min_size=1, max_size=5), min_size=4, max_size=25)


def history(sets, times=None):
    return TemporalSimplices.from_lists(sets, range(len(sets)) if times is None else times)


class Brute:
    """The definitions, as loops over Python sets."""

    def __init__(self, simplices):
        self.sets = [frozenset(nodes.tolist()) for nodes, _ in simplices]
        self.nodes = sorted(set().union(*self.sets))
        self.counts = Counter(
            frozenset(g) for nodes in self.sets for size in range(1, 5) for g in combinations(nodes, size)
        )

    def weight(self, *group):
        return self.counts[frozenset(group)]

    def neighbours(self, node):
        return {other for other in self.nodes if other != node and self.weight(node, other)}

    def triangles(self):
        joined = [t for t in combinations(self.nodes, 3) if all(self.weight(*pair) for pair in combinations(t, 2))]
        return [t for t in joined if not self.weight(*t)], [t for t in joined if self.weight(*t)]

    def kind(self, group):
        ties = [min(2, self.weight(*pair)) for pair in combinations(group, 2)]
        if len(group) == 3:
            return tuple(sorted(ties))
        edges = sum(tie > 0 for tie in ties)
        faces = [t for t in combinations(group, 3) if all(self.weight(*pair) for pair in combinations(t, 2))]
        if not faces:
            return None
        strengths = sorted(min(2, self.weight(*face)) for face in faces)
        return {6: (), 5: (-1, -1), 4: (-2, -2, -2), 3: (-3, -3, -3)}[edges] + tuple(strengths)

    def table(self, later, order):
        count = {kind: [0, 0] for kind in (method.TYPES3 if order == 3 else method.TYPES4)}
        for group in combinations(self.nodes, order):
            kind = self.kind(group)
            if kind is not None and not self.weight(*group):
                count[kind][0] += 1
                count[kind][1] += later.weight(*group) > 0
        return [tuple(count[kind]) for kind in (method.TYPES3 if order == 3 else method.TYPES4)]


@given(HISTORIES)
def test_open_and_closed_triangles_are_those_of_the_definition(sets):
    simplices = history(sets)
    opened, closed = Brute(simplices).triangles()
    assert method.triangle_counts(simplices) == (len(opened), len(closed))
    assert sorted(map(tuple, np.sort(method.open_triangles(simplices), axis=1).tolist())) == sorted(opened)


@given(HISTORIES, st.sampled_from([3, 4]), st.sampled_from([50, 80]))
def test_closure_tables_are_those_of_the_definition(sets, order, start):
    simplices = history(sets)
    old, new = method.split(simplices, start=start, end=100)
    table = method.closure_table(simplices, order=order, start=start)
    found = list(zip(table.count.tolist(), table.closed.tolist(), strict=True))
    assert found == Brute(old).table(Brute(new), order)


def test_both_ways_of_counting_triangles_agree(monkeypatch):
    simplices = planted_groups(numpy_generator(7, "w"), groups=40, events=3000)
    dense = method.triangle_counts(simplices)
    monkeypatch.setattr(triangles_module, "_FEW", 0)
    monkeypatch.setattr(triangles_module, "_TABLE", 0)
    monkeypatch.setattr(hypergraphs_module, "DENSE_PAIRS", 0)
    assert method.triangle_counts(simplices) == dense
    assert len(method.open_triangles(simplices)) == dense[0]


def test_every_set_of_three_has_one_type():
    simplices = planted_groups(numpy_generator(0, "w"), groups=6, events=200)
    table = method.closure_table(simplices)
    old, _ = method.split(simplices, start=80, end=100)
    nodes = int(old.present().sum())
    assert table.count.sum() + method.triangle_counts(old)[1] == math.comb(nodes, 3)


@pytest.fixture(scope="module")
def world():
    return planted_groups(numpy_generator(1, "w"), groups=10, events=500, noise=0.6)


@pytest.fixture(scope="module")
def task(world):
    return method.prediction_task(world)


@pytest.fixture(scope="module")
def brute(task):
    return Brute(task.old.simplices)


def test_labels_say_which_open_triangles_new_data_close(world, task):
    _, new = method.split(world, start=80, end=100)
    later = Brute(new)
    assert task.labels.tolist() == [later.weight(*t) > 0 for t in task.triangles.tolist()]


def brute_score(brute, triangle, name):
    i, j, k = triangle
    weights = [brute.weight(*pair) for pair in combinations(triangle, 2)]
    near = [brute.neighbours(node) for node in triangle]
    everyone = near[0] & near[1] & near[2]
    return {
        "harmonic": 3 / sum(1 / w for w in weights),
        "geometric": math.prod(weights) ** (1 / 3),
        "arithmetic": sum(weights) / 3,
        "gm:-inf": min(weights),
        "gm:inf": max(weights),
        "gm:2.5": (sum(w**2.5 for w in weights) / 3) ** 0.4,
        "gm:-3": (sum(w**-3 for w in weights) / 3) ** (-1 / 3),
        "common": len(everyone),
        "jaccard": len(everyone) / len(near[0] | near[1] | near[2]),
        "adamic_adar": sum(1 / math.log(len(brute.neighbours(z))) for z in everyone),
        "proj_pa": math.prod(map(len, near)),
        "simplex_pa": brute.weight(i) * brute.weight(j) * brute.weight(k),
    }[name]


@pytest.mark.parametrize("name", [*MEANS, *LOCAL, "gm:-inf", "gm:inf", "gm:2.5", "gm:-3"])
def test_means_and_local_scores_are_those_of_the_definition(task, brute, name):
    expected = [brute_score(brute, triangle, name) for triangle in task.triangles.tolist()]
    np.testing.assert_allclose(method.score(task.old, name), expected, rtol=1e-12)


def summed(matrix, triangles):
    pairs = [(a, b) for a in range(3) for b in range(3) if a != b]
    return [sum(matrix[t[a], t[b]] for a, b in pairs) for t in triangles]


@pytest.mark.parametrize("name", WALKS)
def test_walk_scores_are_the_series_of_the_definition(task, name):
    matrix = task.old.weights.toarray().astype(float)
    matrix = matrix if name.endswith("weighted") else (matrix > 0) * 1.0
    if name.startswith("katz"):
        step, scale = matrix * min(0.25 / np.linalg.svd(matrix, compute_uv=False)[0], 0.5), 1.0
    else:
        step, scale = 0.85 * matrix / np.maximum(matrix.sum(axis=0), 1e-300), 0.15
    power, total = np.eye(len(matrix)), np.zeros_like(matrix)
    for _ in range(400):
        total += power
        power = step @ power
    np.testing.assert_allclose(method.score(task.old, name), np.array(summed(total, task.triangles)) * scale, rtol=1e-9)


@pytest.mark.parametrize("name", WALKS)
def test_the_iterative_walks_meet_the_exact_ones(task, name, monkeypatch):
    exact = method.score(task.old, name)
    monkeypatch.setattr(scores_module, "DENSE_NODES", 10)
    np.testing.assert_allclose(method.score(task.old, name), exact, rtol=2e-3, atol=2e-5)


def dense_hodge(old):
    """S and its three parts by explicit inverses and pseudo-inverses, from loops."""
    brute = Brute(old.simplices)
    edges = [e for e in combinations(brute.nodes, 2) if brute.weight(*e)]
    number = {e: i for i, e in enumerate(edges)}
    gradient = np.zeros((len(edges), max(brute.nodes) + 1))
    for e, (i, j) in enumerate(edges):
        gradient[e, i], gradient[e, j] = -1, 1
    closed = brute.triangles()[1]
    curl = np.zeros((len(closed), len(edges)))
    for t, (i, j, k) in enumerate(closed):
        curl[t, number[i, j]], curl[t, number[j, k]], curl[t, number[i, k]] = 1, 1, -1
    degree = np.abs(gradient).sum(axis=0)
    total = np.array([degree[i] + degree[j] for i, j in edges]) + np.abs(curl).sum(axis=0)
    rest = 1 / 0.85 - 1
    laplacian = (gradient @ gradient.T + curl.T @ curl) / total[None, :]
    spread = rest * np.linalg.inv(rest * np.eye(len(edges)) + laplacian)
    along = gradient @ np.linalg.pinv(gradient) @ spread
    around = curl.T @ np.linalg.pinv(curl.T) @ spread
    parts = dict(zip(SIMPLICIAL, (spread, along, around, spread - along - around), strict=True))
    return {name: (np.abs(matrix), number) for name, matrix in parts.items()}


@pytest.mark.parametrize("name", SIMPLICIAL)
def test_simplicial_pagerank_and_its_hodge_parts_are_those_of_the_definition(task, name):
    matrix, number = dense_hodge(task.old)[name]
    expected = []
    for triangle in np.sort(task.triangles, axis=1).tolist():
        sides = [number[pair] for pair in combinations(triangle, 2)]
        expected.append(sum(matrix[a, b] for a in sides for b in sides if a != b))
    np.testing.assert_allclose(method.score(task.old, name), expected, rtol=1e-6, atol=1e-8)


def test_single_precision_keeps_the_simplicial_scores(task, monkeypatch):
    exact = method.score(task.old, "simplicial_ppr")
    monkeypatch.setattr(scores_module, "DENSE_NODES", 10)
    np.testing.assert_allclose(method.score(task.old, "simplicial_ppr"), exact, rtol=1e-4)


def test_hodge_operators_compose_to_zero_and_split_orthogonally(task):
    gradient, curl, total = hodge_operators(task.old)
    assert abs(curl @ gradient).max() == 0
    assert (total > 0).all()
    along, around = gradient.toarray(), curl.T.toarray()
    assert np.abs(linalg.orth(along).T @ linalg.orth(around)).max() < 1e-12


def test_the_hodge_parts_refuse_graphs_beyond_memory(task, monkeypatch):
    monkeypatch.setattr(scores_module, "DENSE_EDGES", 5)
    with pytest.raises(InputError, match="at most 5"):
        method.score(task.old, "simplicial_ppr")


@pytest.mark.parametrize("name", ["harmonik", "gm:", "gm:x", "gm:nan", "logistic"])
def test_unknown_scores_are_named(task, name):
    with pytest.raises(InputError, match="score"):
        method.score(task.old, name)


@given(st.integers(0, 2**32 - 1))
def test_no_score_depends_on_the_names_of_nodes_or_the_order_of_simplices(seed):
    world = planted_groups(numpy_generator(seed, "w"), groups=5, events=120, noise=0.6)
    rng = np.random.default_rng(seed)
    names, places = rng.permutation(world.nodes), rng.permutation(len(world))
    sets = [names[nodes] for nodes, _ in world]
    other = TemporalSimplices.from_arrays(
        np.concatenate([sets[p] for p in places]), world.sizes[places], times=world.times[places],
        labels=[str(n) for n in range(world.nodes)],
    )  # fmt: skip
    one, two = (OldData(h, method.open_triangles(h)) for h in (world, other))
    key_one = {tuple(t): n for n, t in enumerate(np.sort(names[one.triangles], axis=1).tolist())}
    order = [key_one[tuple(t)] for t in np.sort(two.triangles, axis=1).tolist()]
    for name in method.SCORES:
        np.testing.assert_allclose(method.score(two, name), method.score(one, name)[order], rtol=1e-6, atol=1e-9)


def test_without_open_triangles_there_is_nothing_to_score():
    simplices = history([["a", "b"]])
    assert len(method.score(OldData(simplices, method.open_triangles(simplices)), "katz")) == 0


# ------------------------------------------------------------------------------------------------------- evaluation


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_average_precision_is_scikit_learns_ties_included(pairs):
    labels, values = np.array([p for p, _ in pairs]), np.array([float(v) for _, v in pairs])
    if labels.any():
        expected = average_precision_score(labels, values)
        assert method.average_precision(labels, values)[0] == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
def test_weights_count_items_as_often_as_they_say(rows):
    labels, values, weights = (np.array(column) for column in zip(*rows, strict=True))
    repeated = np.repeat(np.arange(len(labels)), weights)
    if labels[repeated].any():
        expected = average_precision_score(labels[repeated], values[repeated])
        found = method.average_precision(labels, values.astype(float), weights=weights[None])
        assert found[0] == pytest.approx(expected, abs=1e-12)


def test_a_random_order_scores_one_relative_to_random():
    rng = numpy_generator(0, "order")
    labels = rng.random(20_000) < 0.05
    found = [method.evaluate(labels, rng.random(len(labels)))["relative"] for _ in range(20)]
    assert np.mean(found) == pytest.approx(1, abs=0.05)
    assert method.evaluate(labels, np.zeros(len(labels)))["relative"] == pytest.approx(1, abs=1e-12)


def test_the_bootstrap_pairs_scores_that_share_a_stream(task):
    one = method.score(task.old, "harmonic")
    first, second = (method.bootstrap(task.labels, s, rng=numpy_generator(0, "b")) for s in (one, 2 * one + 1))
    assert (first == second).all()
    relative = method.evaluate(task.labels, one)["relative"]
    low, high = np.nanpercentile(first, [2.5, 97.5])
    assert low < relative < high


@pytest.mark.parametrize("values", [np.array([1.0, np.nan]), np.array([1.0]), np.array([np.inf, 0.0])])
def test_scores_that_cannot_be_ranked_are_refused(values):
    with pytest.raises(InputError, match="one finite score"):
        method.evaluate(np.array([True, False]), values)


def test_recommendations_are_the_best_open_triangles_with_ties_by_name():
    simplices = history([["a", "b"], ["b", "c"], ["a", "c"], ["x", "y"], ["y", "z"], ["x", "z"], ["x", "z"]])
    old = OldData(simplices, method.open_triangles(simplices))
    best = method.recommend(old, np.ones(2), top=5)
    assert [sorted(simplices.labels[n] for n in old.triangles[i]) for i in best] == [["a", "b", "c"], ["x", "y", "z"]]
    best = method.recommend(old, method.score(old, "harmonic"), top=1)
    assert sorted(simplices.labels[n] for n in old.triangles[best[0]]) == ["x", "y", "z"]
    assert method.recommend(old, np.ones(2), top=5, among=["a", "b", "c", "x"]) == [
        i for i in range(2) if simplices.labels[old.triangles[i][0]] in "abc"
    ]


@pytest.mark.parametrize(
    ("sets", "times", "start", "said"),
    [
        ([["a", "b"]] * 4, [1, 1, 1, 1], 80, "no new simplices"),
        ([["a", "b"]] * 4, [1, 2, 3, 4], 80, "there are none"),
        ([["a", "b"], ["b", "c"], ["a", "c"], ["a", "d"]], [1, 2, 3, 4], 80, "none of 1 close"),
        ([["a", "b"], ["b", "c"], ["a", "c"], ["a", "b", "c"]], [1, 2, 3, 4], 80, "all of 1 close"),
        ([["a", "b"]] * 4, [1, 2, 3, 4], 0, "0 < start"),
        ([["a", "b"]] * 4, [1, 2, 3, 4], 100, "0 < start"),
    ],
)
def test_histories_that_hold_no_task_are_refused_with_the_reason(sets, times, start, said):
    with pytest.raises(InputError, match=said):
        method.prediction_task(history(sets, times), start=start)


# -------------------------------------------------------------------------------------------------- supervised model


@parametrize_with_checks([method.SupervisedClosure()])
def test_the_supervised_model_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_features_are_26_and_ordered_by_degree(task, brute):
    found = method.features(task.old)
    assert found.shape == (len(task.labels), 26)
    assert np.isfinite(found).all()
    assert (np.diff(found[:, 3:6], axis=1) >= 0).all()
    np.testing.assert_allclose(found[:, 13:22], np.log(found[:, :9]))
    np.testing.assert_allclose(found[:, 22:], np.log1p(found[:, 9:13]))
    triangle = task.triangles[0].tolist()
    i, j, k = sorted(triangle, key=lambda n: (len(brute.neighbours(n)), brute.weight(n), n))
    expected = [brute.weight(i, j), brute.weight(j, k), brute.weight(i, k)]
    expected += [len(brute.neighbours(n)) for n in (i, j, k)] + [brute.weight(n) for n in (i, j, k)]
    expected += [len(brute.neighbours(a) & brute.neighbours(b)) for a, b in ((i, j), (i, k), (j, k))]
    assert found[0, :12].tolist() == expected


def test_the_supervised_model_sees_nothing_after_the_split(world):
    model = method.SupervisedClosure().fit_history(world)
    early = world.select(world.times <= world.cut(80))
    shares = 100 * np.mean(world.times <= world.cut(60)) / np.mean(world.times <= world.cut(80))
    again = method.SupervisedClosure().fit_history(early, start=shares, end=100)
    np.testing.assert_allclose(model.model_.coef_, again.model_.coef_, rtol=1e-6)


# ---------------------------------------------------------------------------------- lifecycles, structure, comparisons


def test_a_lifecycle_runs_through_its_states_until_it_closes():
    sets = [["a", "b"], ["a", "b"], ["b", "c"], ["a", "c"], ["a", "b", "c"], ["a", "b"]]
    closing, staying = method.lifecycles(history(sets))
    kinds = [method.TYPES3.index(kind) for kind in ((0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 1, 2), (1, 1, 2))] + [10]
    expected = np.zeros((11, 11), dtype=int)
    expected[kinds[:-1], kinds[1:]] = 1
    assert (closing == expected).all()
    assert staying.sum() == 0


@given(HISTORIES)
def test_lifecycles_are_those_of_a_walk_through_the_history(sets):
    simplices = history(sets)
    brute = Brute(simplices)
    prefixes = {end: Brute(simplices.select(np.arange(len(sets)) < end)) for end in range(1, len(sets) + 1)}
    expected = np.zeros((2, 11, 11), dtype=int)
    for stays, triangles in enumerate(reversed(brute.triangles())):
        for triangle in triangles:
            state = 0
            for end in range(1, len(brute.sets) + 1):
                past = prefixes[end]
                after = 10 if past.weight(*triangle) else method.TYPES3.index(past.kind(triangle))
                expected[stays, state, after] += after != state
                state = after
                if state == 10:
                    break
    closing, staying = method.lifecycles(simplices)
    assert (closing == expected[0]).all()
    assert (staying == expected[1]).all()


def test_asynchronicity_counts_overlapping_intervals():
    apart = [(["a", "b"], 1), (["b", "c"], 2), (["a", "c"], 3)]
    assert method.asynchronicity(history(*zip(*apart, strict=True))).tolist() == [1, 0, 0, 0]
    together = [*apart, (["a", "b"], 3), (["b", "c"], 3)]
    assert method.asynchronicity(history(*zip(*together, strict=True))).tolist() == [0, 0, 0, 1]


def test_structure_is_that_of_a_small_example():
    simplices = history([["a", "b", "c"], ["c", "d"], ["a", "d"], ["e"]])
    found = method.structure(simplices)
    assert found["log_degree"] == pytest.approx(math.log(10 / 5))
    assert found["log_density"] == pytest.approx(math.log(10 / 20))
    assert found["fraction_open"] == 0.5
    assert len(method.egonet(simplices, simplices.labels.index("d"))) == 3
    with pytest.raises(InputError, match="no pair"):
        method.structure(history([["a"]]))


def test_comparisons_are_the_single_steps():
    assert len(method.comparisons(3, "strength")) == 6
    assert len(method.comparisons(3, "density")) == 12
    assert len(method.comparisons(4, "density")) == 12
    for order in (3, 4):
        for before, after in method.comparisons(order, "strength"):
            assert [v for v in before if v < 0] == [v for v in after if v < 0]
            assert sum(after) == sum(before) + 1


def test_the_step_test_is_fishers_for_few_closures_and_its_limit_for_many():
    few = method.ClosureTable(method.TYPES3[:2], np.array([40, 50]), np.array([2, 9]))
    many = method.ClosureTable(method.TYPES3[:2], np.array([40_000, 50_000]), np.array([400, 560]))
    for table, rows, close in ((few, [[9, 41], [2, 38]], 1e-9), (many, [[560, 49_440], [400, 39_600]], 0.1)):
        found = method.step_test(table, *table.types)
        assert found is not None
        assert found[0] == pytest.approx(fisher_exact(rows, alternative="greater")[1], rel=close)
        assert found[1] == pytest.approx(fisher_exact(rows, alternative="less")[1], rel=close)
    rare = method.ClosureTable(method.TYPES3[:2], np.array([20, 50]), np.array([2, 9]))
    assert method.step_test(rare, *rare.types) is None


def table3(count, closed):
    return method.ClosureTable(method.TYPES3, np.array(count), np.array(closed))


def test_types_without_closures_are_no_evidence_in_either_direction():
    rarer = [10**6, 10**5, 10**5, 10**4, 10**4, 10**4, 10**3, 10**3, 10**3, 10**3]
    assert method.pooled_log_ratio(table3(rarer, [0] * 10), 3, kind="strength") == 0
    assert method.significant(table3(rarer, [0] * 10), 3, kind="strength") == (6, 0, 0)


def test_the_pooled_ratio_finds_a_doubling_and_is_near_zero_under_equal_shares():
    count = np.array([10**6, 4 * 10**5, 10**5, 5 * 10**4, 4 * 10**4, 3 * 10**4, 2 * 10**4, 10**4, 8000, 5000])
    strong = np.array([kind.count(2) for kind in method.TYPES3])
    doubling = table3(count, (count * 0.001 * 2.0**strong).round().astype(int))
    assert method.pooled_log_ratio(doubling, 3, kind="strength") == pytest.approx(1, abs=0.05)
    rng = numpy_generator(0, "pooled")
    equal = [method.pooled_log_ratio(table3(count, rng.binomial(count, 1e-4)), 3, kind="strength") for _ in range(200)]
    assert abs(np.mean(np.array(equal, dtype=float))) < 0.1
    assert method.pooled_log_ratio(table3([5] * 10, [1] * 10), 3, kind="density") is None


# ----------------------------------------------------------------------------------------------- reference and learning


@pytest.fixture(scope="module")
def primary_school(cache):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIVEPAPERS_CACHE", str(cache))
        return read_contacts(read_source("primary-school").decode(), where="primary-school")


# the authors' own output for contact-primary-school (tutorial repository, output/4-node-closures), old and closed
AUTHORS4 = (
    "8161197 0 328606 0 167339 0 5614926 3 171685 0 83272 0 1704363 5 90385 1 45331 1 2076 0 2657 0 827 0 407567 18 "
    "54218 12 27261 11 5625 3 6729 5 2186 5 461 0 930 0 660 2 193 0 27 0 74 0 126 1 116 1 65 1"
)
# the same for its first 80 % (output/3-node-closures/contact-primary-school-3-node-closures-80.txt)
AUTHORS3_80 = "1111599 36 305667 21 646516 206 31733 6 116574 100 64130 135 1799 1 10846 14 17235 56 23486 389"


@pytest.mark.slow
def test_the_primary_school_is_the_authors_number_for_number(primary_school):
    counts = method.describe(primary_school)
    assert [counts[name] for name in ("nodes", "simplices", "edges")] == [242, 106879, 8317]
    assert method.triangle_counts(primary_school) == (98621, 5139)
    assert np.bincount(primary_school.sizes).tolist() == [0, 0, 97134, 9262, 471, 12]
    four = method.closure_table(primary_school, order=4)
    assert np.column_stack([four.count, four.closed]).ravel().tolist() == list(map(int, AUTHORS4.split()))
    early = method.closure_table(primary_school.until(80))
    assert np.column_stack([early.count, early.closed]).ravel().tolist() == list(map(int, AUTHORS3_80.split()))


@pytest.mark.slow
def test_the_primary_school_scores_stay_what_they_were(primary_school):
    task = method.prediction_task(primary_school)
    assert (len(task.labels), int(task.labels.sum())) == (80446, 684)
    expected = {"harmonic": 5.77, "geometric": 6.04, "arithmetic": 3.53, "ppr_weighted": 4.34, "katz": 1.30}
    for name, value in expected.items():
        assert method.evaluate(task.labels, method.score(task.old, name))["relative"] == pytest.approx(value, abs=0.01)
    learned = method.SupervisedClosure().fit_history(primary_school).score_triangles(task.old)
    assert method.evaluate(task.labels, learned)["relative"] == pytest.approx(5.4, abs=0.1)


def test_harmonic_means_find_planted_friends_and_lose_without_weights():
    for seed in range(5):
        task = method.prediction_task(planted_groups(numpy_generator(seed, "learn"), groups=30, events=2000))
        found = method.evaluate(task.labels, method.score(task.old, "harmonic"))["relative"]
        flat = method.generalised_mean(np.ones_like(task.old.tie_weights), -1)
        assert found > 1.5 * method.evaluate(task.labels, flat)["relative"]


def test_the_example_reports_the_documented_metrics_and_repeats_bit_for_bit():
    one, two = (method.example(method.Config.tiny(), 3) for _ in range(2))
    assert tuple(one) == method.METRICS
    assert one == two
    assert one != method.example(method.Config.tiny(), 4)
