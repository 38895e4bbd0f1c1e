"""Study of ospo: pooling dispatch on Manhattan's demand against critics, full returns and matching rules."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.ospo import tuning
from livepapers.studies.ospo.claims import CLAIMS
from livepapers.studies.ospo.design import ARMS, BUDGETS, DEVIATIONS, LEARNERS, SCENARIOS, SETTINGS, Budget
from livepapers.studies.ospo.instances import city, prepare_cities
from livepapers.studies.ospo.measuring import measure
from livepapers.studies.ospo.tuning import config_of

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "CURVES", "DEVIATIONS", "LEARNERS", "PREPARE", "SCENARIOS", "SETTINGS", "TABLES",
    "VERSION", "Budget", "city", "config_of", "measure", "prepare_cities",
]  # fmt: skip

VERSION = 2
PREPARE = {"cities": prepare_cities, **tuning.PREPARE}
EVERYWHERE = tuple(setting.name for setting in SETTINGS)
TABLES = (
    Table("reward", "Discounted reward of the platform", EVERYWHERE),
    Table("served_percent", "Orders served, %", EVERYWHERE),
    Table("pickup_minutes", "Minutes to a pick-up", EVERYWHERE),
    Table("detour_minutes", "Minutes of detour of a passenger", EVERYWHERE),
    Table("late_percent", "Passengers late, %", EVERYWHERE),
    Table("learning_rate", "Learning rate that trials on another seed chose", SCENARIOS[:1]),
    Table("explore", "Exploration that they chose", SCENARIOS[:1]),
    Table("rate_at_edge", "1 where that rate is the least or the largest that was tried", SCENARIOS[:1]),
    *(
        Table(
            f"trial_{point['learning_rate']:g}_{point['explore']:g}",
            f"Reward of the trial at rate {point['learning_rate']:g} and exploration {point['explore']:g}",
            SCENARIOS[:1],
        )
        for point in BUDGETS["laptop"].trials
    ),
)
CURVES = (
    Curve("curve", "episodes", "Discounted reward of the present network on four dev episodes, without exploration"),
    Curve("kept", "episodes", "Discounted reward on the test episodes of the network that would be kept by then"),
    Curve("first", "episodes", "Discounted reward on the test episodes of the network as it was at its first check"),
)
