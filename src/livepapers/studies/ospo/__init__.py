"""Study of ospo: pooling dispatch on Manhattan's demand against critics, full returns and matching rules."""

from livepapers.lab.study import Curve
from livepapers.studies.ospo.claims import CLAIMS
from livepapers.studies.ospo.design import ARMS, BUDGETS, DEVIATIONS, LEARNERS, SCENARIOS, SETTINGS, Budget
from livepapers.studies.ospo.instances import city, prepare_cities
from livepapers.studies.ospo.measuring import config_of, measure

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "CURVES", "DEVIATIONS", "LEARNERS", "PREPARE", "SCENARIOS", "SETTINGS", "VERSION",
    "Budget", "city", "config_of", "measure", "prepare_cities",
]  # fmt: skip

VERSION = 1
PREPARE = {"cities": prepare_cities}
CURVES = (
    Curve("curve", "episodes", "Discounted reward of the present network on two dev episodes, without exploration"),
    Curve("first", "episodes", "Discounted reward on the test episodes of the network as it was at its first check"),
)
