"""Study of yann-rl: exactness, safety and cost of learning from a linear controller, sizes and speed."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.yann_rl import tuning
from livepapers.studies.yann_rl.claims import CLAIMS
from livepapers.studies.yann_rl.design import ARMS, SETTINGS, TRAINED
from livepapers.studies.yann_rl.instances import fixed_controller, learner, play, solve_masses, world
from livepapers.studies.yann_rl.measuring import measure

__all__ = [
    "ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "TRAINED", "VERSION",
    "fixed_controller", "learner", "measure", "play", "solve_masses", "world",
]  # fmt: skip

VERSION = 2

PREPARE = {"masses": solve_masses, **tuning.PREPARE}

TABLES = (
    Table("cost_before", "Mean cost of the test episodes before training", tuning.PLANTS),
    Table("cost_after", "Mean cost after it; linear-mpc, clipped-lqr and no-control do not learn", tuning.PLANTS),
    Table("cost_after_recoverable", "The same of the eight starts that the motor can hold", ("pendulum",)),
    Table("violations_training", "Episodes that left the constraints while training", tuning.PLANTS),
    Table("actor_rate", "Learning rate of the actor that trials on another seed chose", tuning.PLANTS),
    Table("critic_rate", "Learning rate of the critic that they chose", tuning.PLANTS),
    Table("cost_scale", "Factor on costs that they chose", tuning.PLANTS),
)
CURVES = (
    Curve("test_cost", "updates", "Mean cost of the test episodes"),
    Curve("violations", "updates", "Episodes that left the constraints while training, so far"),
)

DEVIATIONS = (
    "Plant: the paper's reactor cannot be rebuilt (feed, flow and steady state are not given); the textbook reactor "
    "with the same structure stands in, and the paper's linear model is used for exactness and size only.",
    "Rates, discount, targets, batch and replay are not in the paper: both methods get the best learning rates and "
    "factor on costs of one grid of eight, by whole trainings of a seed that no cell has; ablations take those of "
    "YANN-DDPG.",
    "Version 1 had the clipped feedback outside all regions instead of the paper's zero, and a clipping that left the "
    "corrections of most regions without gradient: their law rests on a bound, a rounding error beyond it. Its claims "
    "are unchanged; its figures had been seen when both were mended and slower critics joined the grid. Seeds are "
    "fresh.",
    "Pendulum: cost weight of the rate 0.1 as in Gymnasium (1 is logged), starts within 0.5 rad and 1 rad/s, test "
    "starts fixed: eight the motor can hold, two it cannot.",
    "Ablations are measured on the plant that their claim is about.",
    "Seeds: ten for the trained arms and the times; the paper shows one or two runs a method.",
    "DDPG explores with Gaussian noise of a tenth of the input range; the paper does not say which noise.",
    "Times are the best of 15 rounds in turns within one cell, so that load on the machine meets both; these cells run "
    "alone.",
)
