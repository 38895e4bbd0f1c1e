"""Study of ospo: pooling dispatch on Manhattan's demand against critics, full returns and matching rules."""

from livepapers.studies.ospo.claims import CLAIMS
from livepapers.studies.ospo.design import ARMS, BUDGETS, DEVIATIONS, LEARNERS, SCENARIOS, SETTINGS, Budget
from livepapers.studies.ospo.instances import city, prepare_cities
from livepapers.studies.ospo.measuring import config_of, measure

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "DEVIATIONS", "LEARNERS", "PREPARE", "SCENARIOS", "SETTINGS", "VERSION", "Budget",
    "city", "config_of", "measure", "prepare_cities",
]  # fmt: skip

VERSION = 1
PREPARE = {"cities": prepare_cities}
