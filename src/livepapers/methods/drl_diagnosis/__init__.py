"""Unstable directions of a deep reinforcement learning policy, over all states it visits (drl-diagnosis).

Paper       Korkmaz, "Understanding and Diagnosing Deep Reinforcement Learning", arXiv 2406.16979, ICML 2024.
Idea        At each visited state the gradient of the decision's cross-entropy says how the input would have to move to
            change the decision. The leading eigenvector of the sum of their outer products is the direction that many
            states share. Quotients say how much of it is left under a shift, an attack or another training.
Equations   (1) w(s) = grad_x -log softmax(Q(x) / T)[a*(s)] at x = s, a*(s) = argmax Q(s): `decision_gradient`;
            (2) L(S) = sum over S of w w^T, G_S its leading unit eigenvector: `Instability`, `principal_direction`;
            (3) Lambda(S', S) = G_S'^T L(S) G_S' / G_S^T L(S) G_S in [0, 1]: `quotient`;
            (4) R = mean_s max(max over x in the ball, a != a* of Q(x, a) - Q(x, a*), -c), added kappa-fold to the TD
                loss of robust agents (SA-DQN, Zhang et al. 2020): `adversarial_regulariser`.
Shapes      states [state, ...] float32, gradients [state, d] float64 -> G [...], eigenvalues [k], Lambda a number
Deviations  1. Definitions (2) and (3) are reconstructed from a detailed summary; the full text was not at hand.
            2. Paper: Atari pictures of 84 x 84. Laptop: Breakout and Space Invaders of MinAtar, 10 x 10.
            3. Paper: the robust agent's inner maximum by convex relaxation, intervals mixed with linear bounds. Ours:
               intervals alone, which are tight enough for two layers; or gradient steps (`regime`).
            4. Paper: prioritised replay of 200,000, 6e6 frames, batches of 32 every 4 steps. Laptop: uniform replay of
               50,000, 200,000 steps, batches of 64 every 8, of which the first 32 states are regularised.
            5. Paper: c 1, radius 1/255. Laptop: c 0.03, because values are smaller, and radius 0.025 of binary
               pixels, from half of the training on; what acts, in all regimes, is a running average of the weights.
            6. Paper: sizes of changes not found. Ours: such that each is about 1 in l2 norm on MinAtar; each is
               reported with its size. Without bounds, each number counts in shares of the range in which it was seen.
            7. Above 1,024 inputs, as of Atari, L(S) is kept as a Frequent Directions sketch, whose error is reported.
"""

from livepapers.methods.drl_diagnosis.application import apply
from livepapers.methods.drl_diagnosis.attacks import Limits, carlini_wagner, deepfool, nesterov, steepest
from livepapers.methods.drl_diagnosis.changes import NATURAL, natural
from livepapers.methods.drl_diagnosis.collecting import (
    ATTACKS,
    Visited,
    change_called,
    collect,
    limits_of,
    task_of,
    walk,
)
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.diagnosing import ALL_CHANGES, INDEPENDENT, Diagnosis, diagnose, differentiable
from livepapers.methods.drl_diagnosis.direction import (
    Direction,
    Gathering,
    Instability,
    decision_gradient,
    principal_direction,
    quotient,
    squared_cosine,
    subspace_quotient,
)
from livepapers.methods.drl_diagnosis.judging import kept_of_robust
from livepapers.methods.drl_diagnosis.measures import (
    bursts,
    heat,
    jaccard,
    participation_ratio,
    spectrum,
    top_energy,
)
from livepapers.methods.drl_diagnosis.network import ConvQPolicy, ConvValues, interval
from livepapers.methods.drl_diagnosis.training import (
    METRICS,
    ROLE,
    RobustQLearning,
    adversarial_regulariser,
    certified_share,
    example,
    radius_at,
    updates_of,
)

ARCHITECTURES = {"ConvQPolicy": ConvQPolicy}
"""What an artifact may name."""

__all__ = [
    "ALL_CHANGES", "ARCHITECTURES", "ATTACKS", "INDEPENDENT", "METRICS", "NATURAL", "ROLE", "Config", "ConvQPolicy",
    "ConvValues", "Diagnosis", "Direction", "Gathering", "Instability", "Limits", "RobustQLearning", "Visited",
    "adversarial_regulariser", "apply", "bursts", "carlini_wagner", "certified_share", "change_called", "collect",
    "decision_gradient", "deepfool", "diagnose", "differentiable", "example", "heat", "interval", "jaccard",
    "kept_of_robust", "limits_of", "natural", "nesterov", "participation_ratio", "principal_direction", "quotient",
    "radius_at", "spectrum", "squared_cosine", "steepest", "subspace_quotient", "task_of", "top_energy", "updates_of",
    "walk",
]  # fmt: skip
