"""cities-to-series: ReGENN against loops and identities, scaling without a leak, streets against brute force."""

import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from livepapers.baselines.facility_location import central_places, greedy_medians, random_places
from livepapers.baselines.series_rivals import GRIDS, RIVALS, Horizon, autoregression, drift, seasonal, tuned
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods import cities_to_series as method
from livepapers.methods.cities_to_series.backtest import errors, forecast_by
from livepapers.methods.cities_to_series.evolution import GraphSoftEvolution, TimeMixing
from livepapers.methods.cities_to_series.forecaster import ReGENNForecaster, check_values
from livepapers.methods.cities_to_series.inconsistencies import longer
from livepapers.methods.cities_to_series.influence import SCORES
from livepapers.methods.cities_to_series.relocation import varied
from livepapers.methods.cities_to_series.scaling import scaled, undone
from livepapers.tasks.coupled_series import coupled_series
from livepapers.tasks.street_graph import StreetGraph, street_grid

TINY = method.Config.tiny()


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return coupled_series(numpy_generator(1, "test"), 8, 16)


@pytest.fixture(scope="module")
def town() -> StreetGraph:
    return street_grid(numpy_generator(2, "test"), 7, 7)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(variables: int = 3, **changes) -> method.ReGENN:
    return method.untrained(torch.eye(variables), replace(TINY, **changes), generator=generator(0, "test"))


def test_the_diagonal_of_the_graph_gives_way_to_the_other_entries():
    x = torch.tensor([[[1.0, 0.0], [2.0, 3.0]]])  # variable 0 is 2 while variable 1 is there, which is 3 with it
    assert torch.equal(method.variable_graph(x) * 3, torch.tensor([[1.0, 2.0], [3.0, 0.0]]))


def test_windows_of_zeros_make_a_graph_of_zeros_and_no_nan():
    assert torch.equal(method.variable_graph(torch.zeros(2, 3, 2)), torch.zeros(2, 2))
    theta, _ = method.evolved(torch.zeros(2, 2), torch.eye(2), None, torch.ones(2, 2), None)
    assert torch.equal(theta, torch.zeros(2, 2))


def test_evolution_multiplies_every_step_and_hands_over_a_graph_without_gradient():
    layer = GraphSoftEvolution(3, biases=True, generator=torch.Generator().manual_seed(0))
    x, graph = numbers(2, 4, 3), numbers(3, 3, seed=1)
    made, hidden = layer(x, graph)
    theta, _ = layer.theta(graph)
    looped = torch.stack([torch.stack([theta @ x[n, t] for t in range(4)]) for n in range(2)])
    assert torch.allclose(made, looped, atol=1e-6)
    assert not hidden.requires_grad


def test_time_mixing_is_the_sum_over_steps():
    mixing = TimeMixing(4, 2, biases=True, generator=torch.Generator().manual_seed(0))
    x = numbers(2, 4, 3)
    with torch.no_grad():
        assert mixing.bias is not None
        mixing.bias.add_(0.5)
        expected = torch.stack([mixing.weight[b, 1] * x[:, b] for b in range(4)]).sum(0) + 0.5
        assert torch.allclose(mixing(x)[:, 1], expected, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"evolution": False}, {"encoder": False}, {"sequencer": False}, {"highway": False}, {"biases": False},
        {"bidirectional": True}, {"cell": "gru"}, {"cell": "rnn"}, {"attend": "samples"}, {"activation": "none"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 3])
def test_every_variant_maps_window_to_stride(changes, batch):
    made = network(**changes)(numbers(batch, 4, 3).abs())
    assert made.shape == (batch, 2, 3)
    assert made.dtype == torch.float32
    assert made.isfinite().all()


def test_batch_mates_matter_only_where_samples_attend_to_each_other():
    x = numbers(6, 4, 3).abs()
    for attend, equal in (("variables", True), ("samples", False)):
        made = network(attend=attend, activation="none").eval()
        with torch.no_grad():
            assert torch.allclose(made(x)[:2], made(x[:2]), atol=1e-5) is equal


def test_clip_lets_negative_outputs_pass_only_while_training():
    x = torch.tensor([-1.0, 1.0])
    from livepapers.methods.cities_to_series.network import positive

    assert positive(x, "clip", training=True).tolist() == [-1.0, 1.0]
    assert positive(x, "clip", training=False).tolist() == positive(x, "relu", training=True).tolist() == [0.0, 1.0]
    assert positive(x, "none", training=False).tolist() == [-1.0, 1.0]


def test_one_variable_has_no_graph():
    with pytest.raises(InputError, match="at least 2"):
        network(1)


@given(some.sampled_from(["train_max", "log1p", "none"]), some.floats(0.0, 1e5))
@settings(max_examples=30)
def test_scaling_is_undone(scale, largest):
    x = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0)) * largest
    levels = method.windows(
        torch.cat([x, x], dim=1), torch.tensor([0]), split=method.Split.of(10, window=4, stride=2), scale=scale, known=5
    ).levels
    assert torch.allclose(undone(scaled(x, levels, scale), levels, scale), x, rtol=1e-4, atol=1e-4)


def test_the_parts_follow_each_other_without_overlap():
    split = method.Split.of(20, window=4, stride=2)
    assert (split.test, split.dev, split.known) == (14, 12, 16)
    assert int(split.train[-1]) + split.window + split.stride <= split.known
    assert split.test + split.window + split.stride == 20
    with pytest.raises(InputError, match="at least 10"):
        method.Split.of(9, window=4, stride=2)
    with pytest.raises(InputError, match="dev leaks"):
        method.Split.of(40, window=4, stride=3, ahead=2)


@pytest.mark.parametrize("scale", ["train_max", "log1p", "window_last", "none"])
def test_the_future_changes_no_input_and_no_level(values, scale):
    given = torch.tensor(values, dtype=torch.float32)
    split = method.Split.of(16, window=4, stride=2)
    later = given.clone()
    later[:, -2:] *= 1000.0
    for starts, known in ((split.train, split.known), (torch.tensor([split.test]), 14)):
        one, two = (method.windows(x, starts, split=split, scale=scale, known=known) for x in (given, later))
        assert torch.equal(one.inputs, two.inputs)
        assert torch.equal(one.levels, two.levels)


def test_the_leak_gives_the_future_away_on_a_series_with_a_known_answer():
    """Shares of the largest variable are constant: with the true largest value the forecast is exact."""
    steps = torch.arange(1.0, 21.0).square()
    series = torch.stack([steps, 0.25 * steps], dim=1)[None]
    split = method.Split.of(20, window=4, stride=2)
    leaky = method.leaky_windows(series, torch.tensor([split.test]), split=split)
    assert torch.allclose(leaky.inputs[:, -1:] * leaky.levels, leaky.targets)
    honest = drift(series[:, :-2].numpy(), Horizon(4, 2, 16), steps=3)
    assert np.abs(honest - series[:, -2:].numpy()).mean() > 1.0


def test_rests_after_patience_and_keeps_the_best_weights(values):
    config = replace(TINY, patience=1, rate=0.5, epochs=30)
    learner = method.learner_of(
        check_values(values, config), config, seed=0, split=method.Split.of(16, window=4, stride=2)
    )
    found = [learner.update() for _ in range(30)]
    assert learner.resting
    assert found[-1] == found[-2]
    assert learner.best_error == min(one["dev_error"] for one in found)
    assert learner.work()["epochs"] < 30


def test_minibatches_hold_one_window_where_samples_attend(values):
    config = replace(TINY, attend="samples", batch=5)
    learner = method.learner_of(
        check_values(values, config), config, seed=0, split=method.Split.of(16, window=4, stride=2)
    )
    batches = learner._batches()
    assert all(len(learner.train.starts[rows].unique()) == 1 for rows in batches)
    assert sorted(torch.cat(batches).tolist()) == list(range(len(learner.train)))


def test_a_forecaster_is_saved_and_loaded_with_equal_forecasts(values, tmp_path):
    one = ReGENNForecaster(TINY).fit(values, seed=3, held_out=0.25)
    assert one.held_out_error is not None
    assert one.held_out_error > 0
    one.save(tmp_path)
    two = ReGENNForecaster.load(tmp_path)
    assert np.array_equal(one.predict(values), two.predict(values))
    assert np.array_equal(one.variable_graph(), two.variable_graph())
    assert one.predict(values).shape == (8, 2, 3)
    (tmp_path / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(CorruptFileError):
        ReGENNForecaster.load(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda v: v[0], r"\[series, steps, variables\]"),
        (lambda v: v[..., :1], "at least 2"),
        (lambda v: np.where(v == v[1, 2, 0], np.nan, v), r"\(1, 2, 0\)"),
        (lambda v: -v, ">= 0"),
        (lambda v: v[:, :9], "at least 10"),
    ],
)
def test_values_that_cannot_be_learned_from_are_refused(values, spoil, said):
    with pytest.raises(InputError, match=said):
        ReGENNForecaster(TINY).fit(spoil(values))


def test_forecasts_before_training_or_of_other_variables_are_refused(values):
    with pytest.raises(InputError, match="fit"):
        ReGENNForecaster(TINY).predict(values)
    trained = ReGENNForecaster(replace(TINY, epochs=1)).fit_all(values, epochs=1)
    with pytest.raises(InputError, match="history"):
        trained.predict(values[:, :3])
    with pytest.raises(InputError, match="held_out"):
        ReGENNForecaster(TINY).fit(values, held_out=1.0)


def test_errors_are_those_of_the_definitions():
    made, truth = np.array([[[1.0]], [[3.0]]]), np.array([[[2.0]], [[0.0]]])
    found = errors(made, truth)
    assert (found["mae"], found["rmse"]) == (2.0, math.sqrt(5.0))
    assert found["msle"] == pytest.approx((math.log(2 / 3) ** 2 + math.log(4) ** 2) / 2)
    assert "msle" not in errors(made, -truth - 1)


def test_rivals_forecast_what_they_are_made_for():
    line = np.arange(12.0)[None, :, None] * np.array([1.0, 2.0])
    horizon = Horizon(4, 2, 12)
    assert np.allclose(drift(line, horizon, steps=4)[0, :, 0], [12.0, 13.0])
    assert np.allclose(seasonal(line, horizon, period=3)[0, :, 0], [9.0, 10.0])
    wave = 2.0 ** np.arange(8.0)[None, :, None] * np.array([1.0, 3.0])
    for pooled in (False, True):
        made = autoregression(wave, Horizon(4, 2, 8), lag=1, pooled=pooled)
        assert np.allclose(made[0, :, 0], [256.0, 512.0], rtol=1e-3)


@pytest.mark.parametrize("name", [name for name in RIVALS if name != "boosted trees"])
def test_no_rival_sees_the_test_window(values, name):
    split = method.Split.of(16, window=4, stride=2)
    later = values.copy()
    later[:, -2:] += 1e6
    one, two = (forecast_by(name, given, split=split) for given in (values, later))
    assert np.array_equal(one.made, two.made)
    assert one.setting in [dict(setting) for setting in GRIDS[name]]
    assert one.made.shape == (8, 2, 3)


def test_an_unknown_rival_is_refused(values):
    with pytest.raises(InputError, match="persistence"):
        tuned("prophet", values, Horizon(4, 2, 12), target=values[:, -2:])


def brute(graph: StreetGraph, places, direction):
    made = nx.DiGraph()
    made.add_nodes_from(range(graph.nodes))
    for tail, head, long, oneway in zip(graph.tails, graph.heads, graph.lengths, graph.oneway, strict=True):
        for a, b in ((tail, head), (head, tail))[: 1 if oneway else 2]:
            if a != b and long < made.get_edge_data(a, b, {"weight": math.inf})["weight"]:
                made.add_edge(a, b, weight=long)
    made = made.reverse(copy=False) if direction == "out" else made
    return [nx.single_source_dijkstra_path_length(made, int(place)) for place in places]


@given(
    some.lists(
        some.tuples(some.integers(0, 5), some.integers(0, 5), some.integers(1, 4), some.booleans()), max_size=14
    ),
    some.lists(some.integers(0, 5), min_size=1, max_size=3),
    some.sampled_from(["out", "in", "both"]),
)
@settings(max_examples=60)
def test_inconsistent_corners_are_those_of_the_definition(segments, places, which):
    """All graphs of up to six corners: loops, parallel segments, parts without a way, facilities in one corner."""
    x, y = [0.0, 1.0, 2.0, 0.0, 1.0, 2.5], [0.0, 0.1, 0.0, 1.0, 1.3, 1.0]
    ends = [segment[:2] for segment in segments]
    graph = StreetGraph.of(
        x, y, np.array(ends).reshape(-1, 2), lengths=[s[2] for s in segments], oneway=[s[3] for s in segments]
    )
    kept = list(dict.fromkeys(places))
    expected = []
    for direction in ("out", "in") if which == "both" else (which,):
        ways = brute(graph, kept, direction)
        wrong = []
        for node in range(6):
            lines = [math.hypot(x[node] - x[p], y[node] - y[p]) for p in kept]
            each = [way.get(node, math.inf) for way in ways]
            wrong.append(each[lines.index(min(lines))] > min(each))
        expected.append(wrong)
    found = method.inconsistencies(graph, places, which=which)
    assert found.inconsistent.tolist() == [all(pair) for pair in zip(*expected, strict=True)]
    assert (found.severity[found.inconsistent] > 0).all()
    assert (found.severity[~found.inconsistent] == 0).all()


def test_a_tie_serves_nobody_badly():
    ways, shortest = np.array([2.0, 2.0 + 1e-12, np.inf, np.inf, 3.0]), np.array([2.0, 2.0, np.inf, 1.0, 2.0])
    assert longer(ways, shortest).tolist() == [False, False, False, True, True]


def test_blocks_of_facilities_change_nothing(town, monkeypatch):
    places = np.arange(0, town.nodes, 7)
    whole = method.inconsistencies(town, places)
    monkeypatch.setattr("livepapers.tasks.street_graph._BLOCK", 2 * town.nodes)
    parts = method.inconsistencies(town, places)
    for way in ("out", "in"):
        assert np.array_equal(whole.perimeters[way].straight, parts.perimeters[way].straight)
        assert np.array_equal(whole.perimeters[way].network, parts.perimeters[way].network)
        assert np.array_equal(whole.severity, parts.severity)


def test_the_tables_add_up(town):
    found = method.inconsistencies(town, [0, 5, 20])
    rows = found.by_facility()
    assert sum(int(row["corners in a straight line"] or 0) for row in rows) == town.nodes
    assert sum(int(row["inconsistent"] or 0) for row in rows) == int(found.inconsistent.sum()) == len(found.frame())
    with pytest.raises(InputError, match="at least one"):
        method.inconsistencies(town, [])
    with pytest.raises(InputError, match="junctions from 0"):
        method.inconsistencies(town, [town.nodes])


def test_a_varied_facility_is_as_if_it_had_been_moved(town):
    places = np.array([3, 17, 30])
    candidates = np.array([1, 8, 22])
    lines, ways = town.straight(places), town.distances(places)
    to_straight, shortest = varied(lines, ways, 1, town.straight(candidates), town.distances(candidates))
    for row, candidate in enumerate(candidates):
        moved = method.inconsistencies(town, [3, candidate, 30], which="out").perimeters["out"]
        assert np.array_equal(to_straight[row], moved.to_straight)
        assert np.array_equal(shortest[row], moved.shortest)


@pytest.mark.parametrize("objective", ["inconsistency", "mean_distance"])
def test_moves_never_make_it_worse_and_end_where_no_single_move_helps(town, objective):
    places = random_places(numpy_generator(3, "test"), town.nodes, count=3)
    found = method.relocate(town, places, objective=objective)
    seen = [(m.inconsistent, m.mean_distance)[:: 1 if objective == "inconsistency" else -1] for m in found.moves]
    assert all(later <= before for before, later in itertools.pairwise(seen))
    assert found.after.share <= found.before.share or objective == "mean_distance"
    again = method.relocate(town, found.after.facilities, objective=objective)
    assert not again.moves
    if found.moves:
        assert found.moves[-1].inconsistent == found.after.inconsistent.sum()
        assert found.moves[-1].mean_distance == pytest.approx(found.after.mean_distance)


def test_weights_decide_and_are_checked(town):
    weights = np.zeros(town.nodes)
    assert not [m for m in method.relocate(town, [0, 9], weights=weights).moves if m.inconsistent > 0]
    with pytest.raises(InputError, match="weights"):
        method.relocate(town, [0, 9], weights=weights[:-1])


def test_large_graphs_are_relocated_without_all_distances(town, monkeypatch):
    whole = method.relocate(town, [0, 9, 30])
    monkeypatch.setattr("livepapers.methods.cities_to_series.relocation.CACHED", 5)
    assert method.relocate(town, [0, 9, 30]).after.share == whole.after.share


def test_placements_are_the_best_of_all_for_one_facility(town):
    ways = town.distances(np.arange(town.nodes))
    full = np.where(np.isfinite(ways), ways, ways[np.isfinite(ways)].max())
    best = int(full.sum(axis=1).argmin())
    assert greedy_medians(ways, count=1).tolist() == central_places(full, count=1).tolist() == [best]
    with pytest.raises(InputError, match="facilities"):
        greedy_medians(ways, count=0)


def test_influence_on_a_path_is_known():
    path = StreetGraph.of([0, 1, 2, 3, 4], [0] * 5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    found = {score: method.influential(path, [0], score=score) for score in SCORES}
    assert found["betweenness"].argmax() == found["closeness"].argmax() == 2
    assert np.allclose(found["straightness"], 1.0)
    assert found["removal"].tolist() == [0.0, 3.0, 2.0, 1.0, 0.0]  # corners that are cut off from the facility


def test_centralities_are_networkx_s(town):
    graph = StreetGraph.of(town.x, town.y, np.column_stack([town.tails, town.heads]), lengths=town.lengths)
    made = nx.from_scipy_sparse_array(graph.matrix)
    closeness = nx.closeness_centrality(made, distance="weight")
    assert np.allclose(method.influential(graph, score="closeness"), [closeness[n] for n in range(graph.nodes)])


@given(some.integers(0, 200), some.booleans())
@settings(max_examples=15)
def test_streets_keep_the_length_and_grow_in_number_with_the_angle(seed, geographic):
    graph = street_grid(numpy_generator(seed, "streets"), 5, 5, shaken=0.25)
    if geographic:
        ends = np.column_stack([graph.tails, graph.heads])
        graph = StreetGraph.of(graph.x / 1e5, graph.y / 1e5, ends, geographic=True)
    duals = [method.dual_streets(graph, min_angle=angle) for angle in (90.0, 120.0, 150.0, 175.0)]
    counts = [dual.count for dual in duals]
    assert counts == sorted(counts)
    for dual in duals:
        assert dual.lengths.sum() == pytest.approx(graph.lengths.sum())
        assert set(dual.street.tolist()) == set(range(dual.count))


def test_streets_meet_where_they_share_a_corner(town):
    dual = method.dual_streets(town)
    expected = set()
    for node in range(town.nodes):
        here = sorted(set(dual.street[(town.tails == node) | (town.heads == node)].tolist()))
        expected |= set(itertools.combinations(here, 2))
    assert {tuple(pair) for pair in dual.edges.tolist()} == expected


def test_a_street_stays_in_its_class_and_long_streets_need_no_recursion():
    count = 5000
    ends = [(i, i + 1) for i in range(count)]
    line = StreetGraph.of(np.arange(count + 1.0), np.zeros(count + 1), ends, classes=["a"] * 10 + ["b"] * (count - 10))
    assert method.dual_streets(line).count == 1
    assert np.bincount(method.dual_streets(line, by_class=True).street).tolist() == [10, count - 10]
    with pytest.raises(InputError, match="0 to 180"):
        method.dual_streets(line, min_angle=190.0)


def test_angles_are_those_of_triangles():
    assert method.convex_angle(1.0, 1.0, 2.0) == 180.0
    assert method.convex_angle(3.0, 4.0, 5.0) == pytest.approx(90.0)
    assert method.convex_angle(0.0, 1.0, 1.0) == 0.0


def test_degenerate_graphs_are_answered():
    lone = StreetGraph.of([0.0], [0.0], np.zeros((0, 2)))
    assert method.dual_streets(lone).count == 0
    assert method.inconsistencies(lone, [0]).share == 0.0
    loop = StreetGraph.of([0.0, 1.0], [0.0, 0.0], [(0, 0), (0, 1), (0, 1), (1, 0)], lengths=[1.0, 5.0, 2.0, 3.0])
    assert loop.distances([1])[0].tolist() == [2.0, 0.0]
    assert method.dual_streets(loop).lengths.sum() == 11.0
    with pytest.raises(InputError, match="finite"):
        StreetGraph.of([0.0, math.nan], [0.0, 0.0], [(0, 1)])
    with pytest.raises(InputError, match="length"):
        StreetGraph.of([0.0, 1.0], [0.0, 0.0], [(0, 1)], lengths=[-1.0])
