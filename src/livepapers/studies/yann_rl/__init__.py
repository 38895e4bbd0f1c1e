"""Study of yann-rl: exactness, safety and cost of learning from a linear controller, sizes and speed."""

import functools

from livepapers.lab.study import Curve
from livepapers.studies.yann_rl.claims import CLAIMS
from livepapers.studies.yann_rl.design import ARMS, SETTINGS, TRAINED
from livepapers.studies.yann_rl.instances import fixed_controller, learner, play, solve_masses, tune, world
from livepapers.studies.yann_rl.measuring import measure

__all__ = [
    "ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "SETTINGS", "TRAINED", "VERSION", "fixed_controller",
    "learner", "measure", "play", "solve_masses", "tune", "world",
]  # fmt: skip

VERSION = 1

PREPARE = {
    "rates-pendulum": functools.partial(tune, name="pendulum"),
    "rates-reactor": functools.partial(tune, name="reactor"),
    "masses": solve_masses,
}

CURVES = (
    Curve("test_cost", "updates", "Mean cost of the test episodes"),
    Curve("violations", "updates", "Episodes that left the constraints while training, so far"),
)

DEVIATIONS = (
    "Plant: the paper's reactor cannot be rebuilt (feed, flow and steady state are not given); the textbook reactor "
    "with the same structure stands in, and the paper's linear model is used for exactness and size only.",
    "Rates, discount, targets, batch and replay are not in the paper: both methods get the best learning rates and "
    "cost scale of one grid of six by two pilot seeds of half the length; ablations take those of YANN-DDPG.",
    "Pendulum: cost weight of the rate 0.1 as in Gymnasium (1 is logged), starts within 0.5 rad and 1 rad/s, test "
    "starts fixed: eight the motor can hold, two it cannot.",
    "Seeds: ten for the trained arms; the paper shows one or two runs a method.",
    "DDPG explores with Gaussian noise of a tenth of the input range; the paper does not say which noise.",
    "Seen after the run, and mended since: where the law rests on a bound (six of the pendulum's nine regions), a "
    "rounding error beyond it left the corrections without gradient; and outside all regions stood the clipped "
    "feedback instead of the paper's zero. So C2b to C2f are about a controller that could hardly learn; it is to be "
    "measured again.",
    "Times are the best of 15 rounds in turns within one cell, so that load on the machine meets both; these cells run "
    "alone.",
)
