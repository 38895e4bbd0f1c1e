"""Study of fishery: learned harvest rules against tuned one-number rules in the paper's four ecosystems."""

from livepapers.studies.fishery.claims import CLAIMS
from livepapers.studies.fishery.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.fishery.measuring import measure

VERSION = 2

__all__ = ["ARMS", "CLAIMS", "DEVIATIONS", "SETTINGS", "VERSION", "measure"]
