"""Harvest rules for whole ecosystems, learned on the simulator and smoothed so that they can be read (fishery).

Paper       Montealegre-Mora, Lapeyrolerie, Chapman, Keller, Boettiger, "Pretty darn good control: when are approximate
            solutions better than approximate models", arXiv 2308.13654; Bulletin of Mathematical Biology 85:95.
Idea        Once a year a manager sets the share of each stock that is caught; every species near extinction ends the
            episode. A stock policy optimiser (PPO) that sees all populations, but knows no equation, is compared with
            one-number rules tuned exactly on the same simulator. Its rule is then smoothed by a Gaussian process:
            an escapement rule whose threshold depends on the other species, which a manager can plot and print.
Equations   (1) catch H = M N, N <- N - H, reward sum H, growth and noise: `tasks.ecosystem`;
            (2) smoothed M(x) = clip(sum_k k(x, x_k) w_k, 0, 1), k = amplitude RBF, w = (K + noise)^-1 M_k, at states
            x_k on a grid of each species times the others' popular windows: `smooth`, `popular_window`;
            (3) control rule M = max(1 - S / N, 0), S regressed on the other species: `threshold_slopes`.
Shapes      observation [B, species] float32 (populations / 4) -> mortality [B, fisheries] in [0, 1]
Deviations  1. PPO: paper RLlib with learning rate 5e-5, batches of 4,000 and 30 epochs, lambda 1, clip 0.3, adaptive
               KL penalty, 1.2 million steps; ours 3e-4 falling to 0, batches of 64 x 128, 10 epochs, lambda 0.98, clip
               0.2, no KL penalty, 1.2 million steps. As in RLlib the actor gives a standard deviation for each state;
               with a constant one the rule of model 1 hardly fishes: near extinction the mean has to flee far below 0,
               so that no draw catches anything, and takes the healthy states along.
            2. Which weights are kept: paper the last; ours those with the largest reward on 128 dev episodes.
            3. Episodes: the official environment goes on beyond 200 steps in training; ours is truncated there, and
               the critic bootstraps from the last state. Observations are further normalised by running moments.
            4. Noise: the text says additive, variance 0.05; the reported figures are those of multiplicative noise
               with sigma 0.1 (model 1: 0.05), which is what is simulated.
            5. Gaussian process: paper fits the kernel to all 3,825 states in natural units; ours to 400 of them and
               conditions on all, in units of each species' size (capacity, else start: 1, 1, 0.7), on grids that
               reach at least what is visited.
"""

from livepapers.methods.fishery.application import apply
from livepapers.methods.fishery.control_rules import (
    Slope,
    curve,
    fitted_escapement,
    popular_window,
    quiet_width,
    slopes,
    some_visited,
    threshold,
    threshold_slopes,
)
from livepapers.methods.fishery.learner import METRICS, ROLE, Config, HarvestLearner, example
from livepapers.methods.fishery.smoothing import SmoothedRule, smooth, smoothing_states

ARCHITECTURES: dict[str, type[SmoothedRule]] = {"SmoothedRule": SmoothedRule}
"""What an artifact may name; learned rules are `blocks.policies:GreedyPolicy`."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "Config", "HarvestLearner", "Slope", "SmoothedRule", "apply", "curve",
    "example", "fitted_escapement", "popular_window", "quiet_width", "slopes", "smooth", "smoothing_states",
    "some_visited", "threshold", "threshold_slopes",
]  # fmt: skip
