"""Study of deep-ga: novelty against reward in a deceptive maze, evolution against random search, genomes in bytes."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.deep_ga.claims import CLAIMS
from livepapers.studies.deep_ga.design import ARMS, DEVIATIONS, SETTINGS
from livepapers.studies.deep_ga.measuring import measure
from livepapers.studies.deep_ga.tuning import PREPARE

VERSION = 2

CONTROL = ("pendulum", "mountain-car")
TUNED = ("maze", *CONTROL)
TABLES = (
    Table("solved", "Share of runs in which any individual ended within 10 units of the goal", ("maze",)),
    Table("distance", "Distance to the goal of the best individual, units", ("maze",)),
    Table("spent", "Evaluations until the goal was reached, or all", ("maze",)),
    Table("fresh", "Mean return on fresh episodes", ("pendulum", "mountain-car", "frostbite")),
    Table("validated", "Validated mean of the elite, on the ten episodes that chose it", CONTROL),
    Table("best_seen", "Return of the luckiest episode of any individual", CONTROL),
    Table("sigma", "Sigma that was chosen by trials on other seeds", TUNED),
    Table("parents", "T, the parents of a generation, chosen likewise", TUNED),
    Table("rate", "Adam's rate, chosen likewise", TUNED),
    Table("at_edge", "How many of an arm's two settings lie at the edge of what was tried", TUNED),
    Table("ratio_10", "Bytes of weights over bytes of genome after 10 generations", ("encoding",)),
    Table("ratio_100", "The same after 100 generations", ("encoding",)),
    Table("ratio_400", "The same after 400 generations", ("encoding",)),
    Table("ratio_1000", "The same after 1,000 generations", ("encoding",)),
)

CURVES = (
    Curve("best_seen", "generations", "Minus the least distance to the goal of any individual so far", ("maze",)),
    Curve(
        "best_seen", "generations", "Best return of any individual so far, on the episodes that selected it",
        ("pendulum", "mountain-car", "frostbite"),
    ),
)  # fmt: skip

__all__ = ["ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "VERSION", "measure"]
