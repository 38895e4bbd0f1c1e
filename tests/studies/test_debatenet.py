"""The study of debatenet: disjoint respondents, its smallest cells, and what its claims do with numbers."""

import numpy as np
import pytest

from livepapers.lab.claims import judge
from livepapers.lab.study import Cell, Cells, load_study
from livepapers.studies import debatenet as module
from livepapers.studies.debatenet.instances import PILOT, camps, load, part_of
from studies.fake_run import PreparedRun


@pytest.fixture(scope="module")
def study():
    return load_study("debatenet")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return PreparedRun(tmp_path_factory.mktemp("prepared"), module.PREPARE, "smoke")


def test_every_claim_of_the_paper_is_listed(study):
    assert {claim.id[:2] for claim in study.claims} >= {"C1", "C2", "C3", "C4"}
    assert {claim.id for claim in study.claims if claim.needs} == {"C1a", "C2", "C3"}
    for claim in study.claims:
        for name in claim.settings:
            assert set(claim.arms) & set(study.settings[name].arms), (claim.id, name)


def test_seeds_share_no_respondent_and_the_pilot_is_nobody_s_seed(run):
    everyone = load(run.prepared("attitudes"), "spending")
    parts = [set(part_of(everyone, part).actor.tolist()) for part in range(module.PARTS)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == len(everyone.labels["actor"])
    assert PILOT not in range(10)
    assert camps(everyone).labels["group"] == ("Democrats", "Republicans")


def test_the_smallest_cells_are_measured_and_repeat(study, run):
    seen = {}
    for cell in study.cells("smoke"):
        if cell.arm != "logistic":
            found = module.measure(cell.arm, study.settings[cell.setting], cell.seed, "smoke", run)
            assert np.isfinite(list(found.values())).all(), cell
            seen[cell.arm, cell.setting] = found
    again = module.measure("signed", study.settings["spending"], 0, "smoke", run)
    assert again == seen["signed", "spending"]
    assert seen["parties", "spending"]["likeness_0"] == pytest.approx(1.0)
    assert {"gap_z", "p"} <= set(seen["unsigned", "spending"])


def invented(lead):
    """Cells in which everything that is claimed holds by `lead`, or fails by it when it is negative."""
    rng = np.random.default_rng(0)
    values = {}
    for seed in range(10):
        noise = 0.01 * rng.random()
        signed = {"camps_found": 0.6 + 0.2 * lead, "gap_z": 8.0 * lead, "activity": 0.4 - 0.4 * lead}
        values["signed", "spending", seed] = signed
        values["raw", "spending", seed] = {"activity": 0.5 + noise}
        values["unsigned", "spending", seed] = {"camps_found": 0.6 + noise, "gap_z": 4 * (lead < 0) + noise}
        for arm in ("principal_component", "k_means"):
            values[arm, "spending", seed] = {"camps_found": signed["camps_found"] + noise + 0.3 * (lead < 0)}
        values["permuted", "spending", seed] = {"gap_z": noise + 3 * (lead < 0)}
        values["parties", "spending", seed] = {"drift": -0.95 * lead + noise, "netting": 0.2 * lead + noise}
        for window, gap in (("early", 0.0), ("late", 0.1 * lead)):
            values["signed", f"abortion-{window}", seed] = {"gap": gap + noise * (window == "late")}
        values["static", "abortion-whole", seed] = {"gap": 0.02 * lead}
    return values


def verdicts(study, lead):
    def none(*_):
        raise KeyError

    cells = Cells({Cell(*key): found for key, found in invented(lead).items()}, samples=none, curves=none)
    return {
        one.claim_id: one.verdict
        for one in judge(study.claims, cells, planned=study.pairs("laptop"), needed=study.arms_in_settings("laptop"))
    }


def test_claims_hold_where_they_should_and_fail_where_they_should(study):
    held, failed = verdicts(study, 1.0), verdicts(study, -1.0)
    tested = {claim.id for claim in study.claims if not claim.needs}
    assert {held[claim] for claim in tested} == {"reproduced"}
    assert {failed[claim] for claim in tested - {"C8"}} == {"contradicted"}
    assert failed["C8"] != "reproduced"  # an absolute difference is never negative
    assert {held[claim] for claim in ("C1a", "C2", "C3")} == {"not tested here"}
