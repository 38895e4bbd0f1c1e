"""Discourse networks: a hand-written debate in closed form, loops over tiny tables, camps, windows, exports."""

import dataclasses
import io
from itertools import combinations, pairwise, product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.errors import InputError
from livepapers.core.rng import numpy_generator
from livepapers.methods import debatenet as method
from livepapers.methods.debatenet import camps as camps_module
from livepapers.methods.debatenet import counting as counting_module
from livepapers.methods.debatenet.exporting import multiplex, to_gexf, to_graphml, to_networkx
from livepapers.methods.debatenet.settings import AGGREGATES, NETTINGS
from livepapers.tasks.made_debates import two_camps
from livepapers.tasks.statements import Statements

PARTY = {"Ann": "Left", "Ben": "Left", "Cem": "Centre", "Dora": "Right", "Emil": "Right"}
DEBATE = """
Ann quota + 2015-04-02 1 | Ann quota + 2015-04-02 1 | Ann rescue + 2015-04-20 2 | Ann fence - 2015-05-03 3
Ben quota + 2015-04-05 4 | Ben rescue + 2015-05-10 5 | Ben fence - 2015-05-11 5 | Ben asylum + 2015-05-30 6
Cem quota + 2015-04-07 7 | Cem quota - 2015-05-08 8 | Cem fence + 2015-05-20 9 | Cem rescue + 2015-05-31 9
Dora quota - 2015-04-15 10 | Dora fence + 2015-04-16 10 | Dora rescue - 2015-05-05 11 | Dora fence + 2015-05-06 12
Ann quota + 2015-09-01 13 | Ann fence - 2015-09-02 13 | Ann asylum + 2015-09-20 14 | Ann asylum + 2015-10-02 15
Ben quota + 2015-09-05 16 | Ben fence - 2015-10-12 17 | Ben quota - 2015-10-13 18 | Ben asylum + 2015-10-14 18
Cem quota - 2015-09-11 19 | Cem fence + 2015-09-12 19 | Cem asylum - 2015-10-21 20 | Cem fence + 2015-10-22 21
Dora quota - 2015-09-13 22 | Dora fence + 2015-10-01 23 | Dora asylum - 2015-10-31 24 | Emil rescue + 2015-06-15 25
"""
"""Thirty-two statements by hand: actor, measure, sign, date, document."""
SPRING = method.parse_windows("2015-04-01..2015-05-31")[0]
AUTUMN = method.parse_windows("2015-09-01..2015-10-31")[0]


@pytest.fixture(scope="module")
def debate():
    rows = [row.split() for row in DEBATE.replace("\n", "|").split("|") if row.strip()]
    actor, concept, sign, date, document = zip(*rows, strict=True)
    days = np.array(date, dtype="datetime64[D]").astype(np.int64)
    signs = [1 if one == "+" else -1 for one in sign]
    groups = [PARTY[name] for name in actor]
    return Statements.from_columns(actor, concept, signs, day=days, document=document, group=groups)


@pytest.fixture(scope="module")
def spring(debate):
    return SPRING.of(debate)


def test_the_affiliations_of_spring_are_these(spring):
    made = method.affiliation(spring, aggregate="subtract")
    assert made.actors == ("Ann", "Ben", "Cem", "Dora")
    assert made.concepts == ("asylum", "fence", "quota", "rescue")
    assert made.groups == ("Left", "Left", "Centre", "Right")
    assert made.matrix.toarray().tolist() == [[0, -1, 2, 1], [1, -1, 1, 1], [0, 1, 0, 1], [0, 2, -1, -1]]
    once = method.affiliation(spring, aggregate="subtract", duplicates="document")
    assert once.matrix.toarray()[0].tolist() == [0, -1, 1, 1]
    combined = method.affiliation(spring, aggregate="combine")
    assert combined.matrix.toarray().tolist() == [[0, 2, 1, 1], [1, 2, 1, 1], [0, 1, 3, 1], [0, 1, 2, 2]]
    assert combined.to_frame()["position"].tolist()[:3] == ["reject", "support", "support"]


def test_netted_weights_are_divided_by_all_statements(spring):
    activity = method.affiliation(spring, aggregate="subtract", normalise="activity").matrix.toarray()
    np.testing.assert_allclose(activity[2], [0, 1 / 4, 0, 1 / 4])  # two of Cem's four statements cancel
    prominence = method.affiliation(spring, aggregate="subtract", normalise="prominence").matrix.toarray()
    np.testing.assert_allclose(prominence[:, 2], [2 / 6, 1 / 6, 0, -1 / 6])


def test_the_two_definitions_of_agreement_differ_where_somebody_is_mixed(spring):
    by_statement = method.project(spring, aggregate="subtract").matrix.toarray()
    assert by_statement.tolist() == [[0, 4, 0, -5], [4, 0, 0, -4], [0, 0, 0, 1], [-5, -4, 1, 0]]
    congruence = method.project(spring, aggregate="congruence").matrix.toarray()
    assert congruence.tolist() == [[0, 4, 3, 0], [4, 0, 2, 0], [3, 2, 0, 3], [0, 0, 3, 0]]
    netted = method.project(spring, aggregate="congruence", netting="actor_concept")
    assert netted.matrix.toarray().tolist() == [[0, 4, 1, 0], [4, 0, 1, 0], [1, 1, 0, 2], [0, 0, 2, 0]]
    layers = {name: matrix.toarray().tolist() for name, matrix in netted.layers.items()}
    assert layers["support"] == [[0, 3, 1, 0], [3, 0, 1, 0], [1, 1, 0, 2], [0, 0, 2, 0]]
    assert layers["reject"] == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert layers["conflict"] == [[0, 0, 1, 5], [0, 0, 1, 4], [1, 1, 0, 1], [5, 4, 1, 0]]
    assert method.Counts.of(spring, "actor")[0].mixed() == 1


def test_normalised_ties_of_two_actors_by_hand(spring):
    """Ann has 4 statements in cells quota+ (2), rescue+, fence-; Ben 4, one of them, asylum+, alone."""
    expected = {
        "none": 4,
        "average": 4 / 4,
        "cosine_count": 4 / 16,
        "cosine": 4 / np.sqrt(6 * 4),
        "jaccard": 4 / (0 + 1 + 4),
    }
    for name, value in expected.items():
        made = method.project(spring, aggregate="congruence", normalise=name)  # pyright: ignore[reportArgumentType]
        assert made.matrix[0, 1] == pytest.approx(value), name


ROWS = st.lists(
    st.tuples(st.sampled_from("ABCD"), st.sampled_from("xyz"), st.sampled_from([-2, -1, 1, 3]), st.sampled_from("mno")),
    min_size=1, max_size=18,
)  # fmt: skip


def tiny(rows):
    actor, concept, level, document = zip(*rows, strict=True)
    return Statements.from_columns(actor, concept, level, document=document)


def tensor(rows, *, netted):
    """(node, concept, level) -> statements, by a loop."""
    counts = {}
    for actor, concept, level, _ in rows:
        counts[actor, concept, level] = counts.get((actor, concept, level), 0) + 1
    if not netted:
        return counts
    net = {}
    for (actor, concept, level), n in counts.items():
        net[actor, concept] = net.get((actor, concept), 0) + n * np.sign(level)
    return {(a, c, float(np.sign(n))): abs(n) for (a, c), n in net.items() if n}


def brute_tie(rows, a, b, *, aggregate, netted):
    counts = tensor(rows, netted=netted)
    levels = [-1, 1] if netted or {row[2] for row in rows} <= {-1, 1} else [row[2] for row in rows]
    span = max(levels) - min(levels)
    total = 0.0
    for (x, c, k), n in counts.items():
        for (y, d, other), m in counts.items():
            if (x, y) == (a, b) and c == d:
                apart = abs(k - other) / span if span else 0.0
                factor = {"congruence": 1 - apart, "conflict": apart, "subtract": 1 - 2 * apart, "ignore": 1}
                total += n * m * factor[aggregate]
    return total


def brute_divisor(rows, a, b, *, normalise, netted, aggregate):
    said = {name: sum(row[0] == name for row in rows) for name in (a, b)}
    counts = tensor(rows, netted=netted)
    one, two = ({key[1:]: n for key, n in counts.items() if key[0] == name} for name in (a, b))
    if normalise == "jaccard":
        alone = sum(n for cell, n in one.items() if cell not in two) + sum(
            n for cell, n in two.items() if cell not in one
        )
        return alone + sum(n * two[cell] for cell, n in one.items() if cell in two)
    if normalise == "cosine":
        if aggregate == "ignore":
            one, two = ({c: sum(n for (d, _), n in v.items() if d == c) for c, _ in v} for v in (one, two))
        return np.sqrt(sum(n * n for n in one.values()) * sum(n * n for n in two.values()))
    return {"none": 1, "average": (said[a] + said[b]) / 2, "cosine_count": said[a] * said[b]}[normalise]


@settings(max_examples=60)
@given(ROWS, st.sampled_from(AGGREGATES), st.sampled_from(method.NORMALISATIONS), st.sampled_from(NETTINGS))
def test_ties_are_those_of_a_loop_over_all_cells(rows, aggregate, normalise, netting):
    made = method.project(tiny(rows), aggregate=aggregate, normalise=normalise, netting=netting)
    netted = netting == "actor_concept"
    assert made.matrix.diagonal().tolist() == [0.0] * len(made.nodes)
    for (i, a), (j, b) in product(enumerate(made.nodes), repeat=2):
        if a != b:
            tie = brute_tie(rows, a, b, aggregate=aggregate, netted=netted)
            divisor = brute_divisor(rows, a, b, normalise=normalise, netted=netted, aggregate=aggregate)
            assert made.matrix[i, j] == pytest.approx(tie / divisor if divisor else 0.0)


@settings(max_examples=25)
@given(ROWS)
def test_measures_are_tied_by_actors_as_actors_are_by_measures(rows):
    turned = tiny([(concept, actor, level, document) for actor, concept, level, document in rows])
    one = method.project(tiny(rows), "concept", aggregate="congruence", normalise="jaccard")
    two = method.project(turned, "actor", aggregate="congruence", normalise="jaccard")
    assert one.nodes == two.nodes
    np.testing.assert_array_equal(one.matrix.toarray(), two.matrix.toarray())


@settings(max_examples=25)
@given(ROWS)
def test_measures_occur_together_in_documents(rows):
    made = method.cooccurrence(tiny(rows))
    documents = {concept: {row[3] for row in rows if row[1] == concept} for concept in made.nodes}
    for (i, one), (j, two) in combinations(enumerate(made.nodes), 2):
        assert made.matrix[i, j] == len(documents[one] & documents[two])


@settings(max_examples=20)
@given(ROWS)
def test_dense_and_sparse_products_are_one(rows):
    sparse = method.project(tiny(rows), normalise="jaccard").matrix.toarray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting_module, "DENSE_ADVANTAGE", 10**9)
        patch.setattr(counting_module, "_BLOCK", 4)
        dense = method.project(tiny(rows), normalise="jaccard").matrix.toarray()
    np.testing.assert_allclose(dense, sparse, atol=1e-12)


def test_texts_agree_when_they_are_equal_and_have_no_conflict():
    told = Statements.from_columns(["A", "B", "C"], ["x", "x", "x"], ["urges", "urges", "doubts"])
    made = method.project(told, aggregate="congruence")
    assert made.to_frame().to_dict("list") == {"a": ["A"], "b": ["B"], "weight": [1.0]}
    with pytest.raises(InputError, match="congruence or ignore for texts"):
        method.project(told, aggregate="conflict")
    with pytest.raises(InputError, match="texts have no opposite"):
        method.affiliation(told, aggregate="subtract")


def test_empty_windows_single_actors_and_isolates_are_networks_too(debate):
    nobody = debate.between(0, 1)
    assert method.project(nobody).nodes == ()
    assert method.polarisation(method.project(nobody)).q == 0.0
    assert method.affiliation(nobody).to_frame().empty
    assert method.cooccurrence(nobody).nodes == ()
    alone = method.project(method.parse_windows("2015-06-01..2015-06-30")[0].of(debate))
    assert (alone.nodes, alone.matrix.nnz) == (("Emil",), 0)
    everyone = method.project(SPRING.of(debate), everyone=True)
    assert everyone.nodes == ("Ann", "Ben", "Cem", "Dora", "Emil")
    assert everyone.degree.tolist() == [2, 2, 1, 3, 0]
    assert everyone.filtered(isolates=False).nodes == ("Ann", "Ben", "Cem", "Dora")


def test_filters_take_light_ties_and_nodes_of_few_ties(spring):
    made = method.project(spring)
    assert made.filtered(weight=4).degree.tolist() == [2, 2, 0, 2]
    assert made.filtered(weight=4, degree=1).nodes == ("Ann", "Ben", "Dora")
    assert made.core(1).nodes == ("Ann", "Ben", "Cem", "Dora")
    assert made.core(2).nodes == ()
    assert [row[:2] for row in method.central(made, 2)] == [("Dora", 3), ("Ann", 2)]


def test_a_slice_keeps_what_is_said_on_several_days(debate):
    made = method.nslice(debate, 2)
    frame = made.to_frame()
    kept = dict(zip(zip(frame["actor"], frame["concept"], strict=True), frame["weight"], strict=True))
    assert kept == {
        ("Ann", "quota"): 2, ("Ann", "fence"): -2, ("Ann", "asylum"): 2, ("Ben", "fence"): -2, ("Ben", "asylum"): 2,
        ("Cem", "fence"): 3, ("Dora", "quota"): -2, ("Dora", "fence"): 3,
    }  # fmt: skip
    with pytest.raises(InputError, match="n: got 0"):
        method.nslice(debate, 0)


def test_ties_of_parties_are_means_over_pairs_of_actors(spring):
    ties = method.group_ties(method.project(spring))
    assert ties.groups == ("Centre", "Left", "Right")
    assert ties.mean[1, 1] == 4
    assert ties.mean[1, 2] == -4.5
    assert np.isnan(ties.mean[0, 0])
    assert ties.within_minus_between() == 4 - (0 + 0 + 1 - 9) / 5


def test_change_between_windows_is_counted(debate):
    change = method.compare(*(method.project(window.of(debate)) for window in (SPRING, AUTUMN)))
    assert (change.nodes_new, change.nodes_lost, change.nodes_kept) == (0, 0, 4)
    autumn = method.project(AUTUMN.of(debate)).matrix.toarray()
    spring = method.project(SPRING.of(debate)).matrix.toarray()
    upper = np.triu_indices(4, 1)
    both = (autumn[upper] != 0) & (spring[upper] != 0)
    assert change.ties_kept == both.sum()
    assert change.ties_turned == (np.sign(autumn[upper]) != np.sign(spring[upper]))[both].sum()
    assert change.jaccard == both.sum() / ((autumn[upper] != 0) | (spring[upper] != 0)).sum()
    later = method.compare(method.project(SPRING.of(debate)), method.project(debate.between(0, 1)))
    assert (later.nodes_lost, later.ties_new, later.jaccard, later.degree_correlation) == (4, 0, 0.0, None)


# ---- time ----


def test_calendar_windows_cover_every_day_once(debate):
    for unit in ("week", "month", "quarter", "year"):
        found = method.calendar_windows(debate, unit)
        assert sum(len(window.of(debate)) for window in found) == len(debate)
        assert all(one.last + 1 == two.first for one, two in pairwise(found))
    assert [window.name for window in method.calendar_windows(debate, "quarter")] == [
        "2015-04-01..2015-06-30", "2015-07-01..2015-09-30", "2015-10-01..2015-12-31"
    ]  # fmt: skip
    assert np.datetime64(method.calendar_windows(debate, "week")[0].first, "D").item().isoweekday() == 1


def test_moving_windows_step_on_and_reach_the_end(debate):
    found = method.moving_windows(debate, size=60, step=30)
    assert [window.last - window.first for window in found] == [59] * len(found)
    assert {two.first - one.first for one, two in pairwise(found)} == {30}
    assert found[-1].last >= debate.day.max() > found[-2].last
    assert method.moving_windows(debate.between(0, 1), size=5) == ()


def test_windows_of_statements_take_whole_days():
    days = [1, 1, 2, 3, 3, 3, 4]
    made = Statements.from_columns(list("ABCDEFG"), ["x"] * 7, [1] * 7, day=days)
    assert [part.day.tolist() for part in method.event_windows(made, size=3, step=2)] == [
        [1, 1, 2], [2, 3, 3, 3], [3, 3, 3, 4]
    ]  # fmt: skip


def test_kernels_weigh_by_distance():
    made = Statements.from_columns(list("ABCD"), ["x"] * 4, [1] * 4, day=[10, 15, 20, 21])
    weights = {
        k: method.smoothed(made, centre=10, width=20, kernel=k).weight
        for k in ("uniform", "triangular", "epanechnikov")
    }
    np.testing.assert_allclose(weights["uniform"], [0.5, 0.5, 0.5])
    np.testing.assert_allclose(weights["triangular"], [1, 0.5, 0])
    np.testing.assert_allclose(weights["epanechnikov"], [0.75, 0.75 * 0.75, 0])
    gaussian = method.smoothed(made, centre=10, width=20, kernel="gaussian")
    assert gaussian.weight[3] == pytest.approx(np.exp(-(1.1**2) / 2) / np.sqrt(2 * np.pi))
    tied = method.project(method.smoothed(made, centre=10, width=20, kernel="triangular"), aggregate="congruence")
    assert tied.matrix[0, 1] == 0.5


# ---- camps ----


@pytest.mark.parametrize("seed", range(6))
def test_camps_are_the_best_of_all_splits_or_close(seed):
    debate = two_camps(numpy_generator(seed, "camps"), actors=9, statements=90, concepts=5, loyalty=0.65)
    parts = [method.project(debate, aggregate=kind) for kind in ("congruence", "conflict")]
    best = method.polarisation(*parts, method="exact").q
    greedy = method.polarisation(*parts, method="greedy", rng=numpy_generator(seed, "starts"), restarts=20)
    assert greedy.q == pytest.approx(best)
    assert method.polarisation(*parts).q >= 0.95 * best


def test_modularity_without_conflict_is_that_of_networkx():
    debate = two_camps(numpy_generator(0, "newman"), actors=14, statements=150, loyalty=0.7)
    network = method.project(debate, aggregate="congruence", normalise="average")
    found = method.polarisation(network, method="exact")
    camps = [{name for name, side in zip(network.nodes, found.side, strict=True) if side == camp} for camp in (0, 1)]
    assert found.q == pytest.approx(nx.community.modularity(to_networkx(network), camps))
    assert found.q == found.congruence


def test_camps_do_not_depend_on_the_order_of_nodes_and_know_isolates(debate):
    network = method.project(debate, everyone=True)
    order = numpy_generator(0, "order").permutation(len(network.nodes))
    found, shuffled = method.polarisation(network), method.polarisation(network.select(order))
    assert shuffled.side.tolist() == found.side[order].tolist()
    assert found.side[network.nodes.index("Ann")] == 0
    lonely = method.project(debate.between(SPRING.first, SPRING.last), everyone=True)
    assert method.polarisation(lonely).side[lonely.nodes.index("Emil")] == -1


def test_the_leading_vector_of_large_networks_is_that_of_small_ones(monkeypatch):
    network = method.project(two_camps(numpy_generator(1, "large"), actors=60, statements=900))
    dense = method.polarisation(network)
    monkeypatch.setattr(camps_module, "_DENSE", 10)
    assert method.polarisation(network).side.tolist() == dense.side.tolist()


def test_searches_that_cannot_be_made_are_refused(debate):
    network = method.project(two_camps(numpy_generator(1, "large"), actors=40, statements=600))
    with pytest.raises(InputError, match="at most 16 nodes"):
        method.polarisation(network, method="exact")
    with pytest.raises(InputError, match="a generator"):
        method.polarisation(network, method="greedy")
    with pytest.raises(InputError, match="method: got genetic"):
        method.polarisation(network, method="genetic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="the nodes of the network"):
        method.polarisation(network, method.project(debate))


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(["month", "year", "range"]))
def test_permuted_debates_keep_the_margins_exactly(seed, period):
    debate = two_camps(numpy_generator(seed, "margins"), actors=6, statements=60, concepts=4, days=120)
    made = method.permuted(debate, numpy_generator(seed, "shuffle"), period=period)
    for column in ("actor", "concept"):
        kept = [sorted(zip(s.codes(column), s.level, s.period(period), strict=True)) for s in (debate, made)]
        assert kept[0] == kept[1]
    assert (made.day == debate.day).all()
    assert (made.level == debate.level).all()


def test_the_camps_of_a_debate_vanish_when_it_is_permuted():
    """The key term is the sign: with it parties are camps, without it or with concepts shuffled they are not."""
    debate = two_camps(numpy_generator(3, "key"), actors=40, statements=900)
    config = method.Config(permutations=30, duplicates="include")
    null = method.gap_null(debate, numpy_generator(3, "null"), config)
    assert method.z_score(method.gap(debate, config), null) > 5
    unsigned = dataclasses.replace(config, aggregate="ignore")
    null = method.gap_null(debate, numpy_generator(3, "null"), unsigned)
    assert abs(method.z_score(method.gap(debate, unsigned), null)) < 3


def test_scores_against_permutations_by_hand():
    assert method.z_score(3.0, np.array([0.0, 2.0])) == pytest.approx(2 / np.sqrt(2))
    assert method.z_score(1.0, np.array([1.0, 1.0])) == 0.0
    assert method.z_score(2.0, np.array([1.0, 1.0])) == np.inf
    assert method.permutation_p(2.0, np.array([1.0, 2.0, 3.0])) == 3 / 4


# ---- exports ----


def test_graph_tools_read_what_is_written(debate):
    network = method.project(debate)
    for text, read in ((to_graphml(network), nx.read_graphml), (to_gexf(network), nx.read_gexf)):
        graph = read(io.BytesIO(text))
        assert graph.nodes["Ann"]["group"] == "Left"
        assert graph.edges["Ann", "Ben"]["weight"] == network.matrix[0, 1]
        assert {"support", "reject", "conflict"} <= set(graph.edges["Ann", "Ben"])
    assert to_gexf(network) == to_gexf(network)
    assert b"lastmodified" not in to_gexf(network)
    layers = multiplex(network)
    assert {key for _, _, key in layers.edges(keys=True)} == {"support", "reject", "conflict"}
    two = nx.read_graphml(io.BytesIO(to_graphml(method.affiliation(debate))))
    assert two.nodes["quota"]["mode"] == "concept"


def test_names_that_no_xml_may_hold_are_written_all_the_same():
    told = Statements.from_columns(["A\x01", "x"], ["x", "x"], [1, 1])
    graph = nx.read_graphml(io.BytesIO(to_graphml(method.affiliation(told))))
    assert set(graph.nodes) == {"A\ufffd", "x", "x (concept)"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "party"}, "mode"), ({"aggregate": "sum"}, "aggregate"), ({"normalise": "l2"}, "normalise"),
        ({"netting": "document"}, "netting"), ({"duplicates": "decade"}, "duplicates"),
    ],
)  # fmt: skip
def test_unknown_options_are_named(debate, options, said):
    with pytest.raises(InputError, match=f"{said}: got"):
        method.project(debate, **options)
