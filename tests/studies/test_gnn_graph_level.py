"""The study of gnn-graph-level: its declarations, its smallest cells, and what its claims do with numbers."""

import numpy as np
import pytest

from livepapers.core.rng import numpy_generator
from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import gnn_graph_level as module
from livepapers.studies.gnn_graph_level.instances import counting_instance, instance, load
from studies.fake_run import PreparedRun


@pytest.fixture(scope="module")
def study():
    return load_study("gnn-graph-level")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("prepared")


class ShortRun(PreparedRun):
    """A run whose trainings end after two updates."""

    def __init__(self, folder):
        super().__init__(folder, module.PREPARE, "smoke")

    def drive(self, learner, updates, *, name="learner", evaluate=None):
        super().drive(learner, min(updates, 2), name=name, evaluate=evaluate)


def test_every_claim_of_the_paper_is_declared(study):
    assert {claim.id[:2] for claim in study.claims} == {"C1", "C2", "C3", "C4"}
    assert {claim.id for claim in study.claims if claim.needs} == {"C1b", "C4b"}
    for claim in study.claims:
        for name in claim.settings:
            assert set(claim.arms) <= set(study.settings[name].arms), (claim.id, name)
    assert all(study.pairs("laptop")[claim.id] >= 10 for claim in study.claims
               if claim.headline and claim.unit != "exact")  # fmt: skip


def test_arms_of_one_seed_face_the_same_graphs_and_seeds_differ(study, folder):
    setting = study.settings["shots"]
    graphs = ShortRun(folder).prepared("graphs")
    one, two, other = (instance(graphs, setting.parameters, numpy_generator(seed, "x")) for seed in (1, 1, 2))
    assert (one.parts.train == two.parts.train).all()
    assert one.parts.train.tolist() != other.parts.train.tolist()
    table, official = load(graphs, "solubility-class")
    assert isinstance(official, np.ndarray)
    assert official[one.parts.test].all()
    assert len(set(one.parts.train) & set(one.parts.test)) == 0
    noisy = instance(graphs, study.settings["noise"].parameters, numpy_generator(1, "x"))
    assert (noisy.table.ends != table.ends).any()
    assert (noisy.table.sizes == table.sizes).all()


def test_counting_targets_are_counts(study):
    made = counting_instance(study.settings["counting"], "smoke", numpy_generator(0, "x"))
    assert made.table.targets.shape == (60, 5)
    assert (made.table.targets >= 0).all()
    assert (made.table.targets == np.round(made.table.targets)).all()


@pytest.mark.parametrize(
    ("arm", "setting"),
    [("path-adaptive", "shots"), ("graphcl", "contacts"), ("prior", "contacts"), ("boosting", "freesolv"),
     ("wl-svm", "freesolv"), ("path-k5", "counting"), ("degree-sums", "counting")],
)  # fmt: skip
def test_cells_of_each_kind_are_measured(study, folder, arm, setting):
    run = ShortRun(folder)
    found = module.measure(arm, study.settings[setting], 0, "smoke", run)
    assert found
    assert np.isfinite(list(found.values())).all()
    if study.settings[setting].part != "counting":
        assert "score" in found


def test_exact_cells_meet_the_reference_of_the_literature(study, folder):
    run = ShortRun(folder)
    theirs = module.measure("neighbours", study.settings["atlas"], 0, "smoke", run)
    assert theirs == {"collisions": 20.0, "hexagon_collides": 1.0, "rook_collides": 1.0}
    ours = module.measure("labels", study.settings["atlas"], 0, "smoke", run)
    assert [ours[f"collisions_{k}"] for k in (2, 3, 4)] == [0.0, 0.0, 0.0]
    assert ours["hexagon_collides_3"] == 0.0


def cells(values):
    def none(*_):
        raise KeyError

    return Cells({Cell(*key): metrics for key, metrics in values.items()}, samples=none, curves=none)


def invented(study, lead):
    """Every cell of the laptop preset, the paper's models ahead where `lead` is positive."""
    rng = np.random.default_rng(0)
    values = {}
    for cell in study.cells("laptop"):
        ours = lead if cell.arm in {"path-adaptive", "path-k5", "rooted-k5"} else 0.0
        part = study.settings[cell.setting].part
        if part == "counting":
            error = 0.2 * 2.0 ** (-4 * ours) if ours else 0.4 * 2.0 ** (lead - 1)
            counts = ("3-cycles", "4-cycles", "5-cycles", "6-cycles", "4-paths")
            found = {f"mae_{name}": error * (1 + 0.01 * rng.random()) for name in counts}
        elif cell.setting == "atlas":
            found = {f"collisions_{k}": 0.0 if lead > 0 else 1.0 for k in (2, 3, 4)} | {"collisions": 10 + 10 * lead}
        elif part == "exact":
            found = {f"worst_{name}": 0.0 if lead > 0 else 1.0 for name in
                     ("3-cycles", "4-cycles", "5-cycles", "6-cycles", "4-paths")}  # fmt: skip
        else:
            score = 70.0 + 5.0 * ours + rng.random()
            found = {"score": score, "macro_f1": score}
        values[cell.arm, cell.setting, cell.seed] = found
    return cells(values)


DECIDED = ("C1", "C2a", "C2b", "C2c", "C2d", "C2e", "C2f", "C3a", "C3b", "C3c")


def verdicts(study, found):
    return {verdict.claim_id: verdict.verdict for verdict in judge(study.claims, found, resamples=200)}


def test_a_clear_lead_is_reproduced_and_its_opposite_contradicted(study):
    clear = verdicts(study, invented(study, 1.0))
    assert {clear[name] for name in DECIDED} == {"reproduced"}
    opposite = verdicts(study, invented(study, -1.0))
    assert {opposite[name] for name in DECIDED} == {"contradicted"}


def test_one_winner_everywhere_contradicts_the_last_claim(study):
    assert verdicts(study, invented(study, 1.0))["C4a"] in {"contradicted", "inconclusive"}
    claim = next(claim for claim in study.claims if claim.id == "C4a")
    assert set(claim.statistic(invented(study, 1.0)).values()) == {1.0}
    assert max(claim.statistic(invented(study, 0.0)).values()) > 1.0
