"""Study of dcg-map-elites: repertoires of a robot that may end anywhere, and one policy in place of each."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.dcg_map_elites.claims import CLAIMS
from livepapers.studies.dcg_map_elites.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.dcg_map_elites.measuring import PREPARE, measure

VERSION = 1

WORLDS = ("point", "ablations", "swimmer", "trap")
TABLES = (
    Table("qd_score", "QD-score as stored, share of the highest possible", WORLDS),
    Table("corrected_qd_score", "QD-score of all policies evaluated again, share of the highest possible", WORLDS),
    Table("coverage", "Share of cells that hold a policy, as stored", WORLDS),
    Table("corrected_coverage", "Share of cells that hold a policy, evaluated again", WORLDS),
    Table("error", "Mean distance of re-evaluated from stored descriptors, % of the box's diagonal", WORLDS),
    Table("accepted", "Share of gradient offspring that got into the archive", WORLDS),
    Table("drift", "Mean distance of gradient offspring from their parent's descriptor, % of the diagonal", WORLDS),
    Table("actor_qd_score", "QD-score of the one distilled policy, share of the highest possible", WORLDS),
    Table("actor_error", "Mean distance of the distilled policy from what it was asked for, % of the diagonal", WORLDS),
    Table("evaluations", "Evaluations spent, roll-outs of the actor included", WORLDS),
)

CURVES = (
    Curve("qd_score", "iterations", "QD-score as stored, share of the highest possible"),
    Curve("coverage", "iterations", "Share of cells that hold a policy, as stored"),
)

__all__ = ["ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "VERSION", "measure"]
