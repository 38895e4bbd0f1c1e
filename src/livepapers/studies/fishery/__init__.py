"""Study of fishery: learned harvest rules against tuned one-number rules in the paper's four ecosystems."""

from livepapers.lab.study import Curve
from livepapers.studies.fishery.claims import CLAIMS
from livepapers.studies.fishery.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.fishery.measuring import measure

VERSION = 3

CURVES = (
    Curve("dev_reward", "updates", "Mean reward of an episode on dev draws"),
    Curve("best_dev_reward", "updates", "The best of these so far, whose rule is kept"),
)

__all__ = ["ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "SETTINGS", "VERSION", "measure"]
