"""Certificates for policies that add noise to what they observe (policy-smoothing).

Paper       Kumar, Levine, Feizi, "Policy Smoothing for Provably Robust Reinforcement Learning", arXiv 2106.11420, ICLR
            2022.
Idea        An adversary watches the whole episode and changes observations wherever it hurts most, with a limited
            total l2 norm. If the agent adds Gaussian noise to each observation, after the adversary has moved, then the
            outcome of clean noisy episodes bounds what any such adversary, however adaptive, can do. Being adaptive
            gives it nothing: its best is to spend all on the first number of the first observation.
Equations   (1) o~_t = o_t + e_t + d_t, d_t ~ N(0, sigma^2 I) drawn after e_t, sum_t |e_t|^2 <= B^2; a_t = policy of
                o~_0 .. o~_t: `SmoothedPolicy`, `play`;
            (2) E_adv[h] >= Phi(Phi^-1(E[h]) - B / sigma) for every h of the trajectory in [0, 1]: `shift`;
            (3) E_adv[R] >= v_0 + sum_j (v_j - v_(j-1)) Phi(Phi^-1(p_j) - B / sigma), p_j <= P(R >= v_j) with confidence
                1 - alpha over all j: `mean_above`, `Certificate`.
Shapes      observation [lane, ...], stack [lane, frames, ...] float32 -> action [lane, ...]; returns [n] float64
Deviations  1. Paper: at budget 0 its scripts plot the plain mean. Ours: the lower bound there as elsewhere.
            2. Paper: a band of sqrt(ln(2/alpha)/2n). Ours: sqrt(ln(1/alpha)/2n), its one-sided form.
            3. Paper: gradient steps of 0.01 in the attack, up to 2c/0.01. Laptop: at most ten, each to where the
               linearised values cross, and what works is made smaller by bisection, so it costs less budget.
            4. Paper: values averaged over 128 noises in the attack. Laptop: 32, half of them mirrored.
            5. Paper: gaps of 4 to 10 (no noise) and 0 to 2 (noise) on its value scale. Ours: quantiles of each
               agent's own gaps, because a linear policy has no such scale.
            6. Paper: DQN of 256-256 units, discount 0.99, 500,000 steps, batches of 1,024, 10 episodes to select.
               Laptop: 64-64, 0.95, 150,000, 256, and 256 episodes; beside it a linear policy by cross-entropy search.
            7. Paper: frames before the start, the noise and DDPG settings of the mountain car are not given. Ours:
               zeros; unit-variance observations, sigma 0.2; see `studies.policy_smoothing`.
"""

from livepapers.methods.policy_smoothing.application import apply
from livepapers.methods.policy_smoothing.attack import (
    Attacked,
    CriticAdversary,
    Search,
    ValueAdversary,
    attack,
    gaps_at,
)
from livepapers.methods.policy_smoothing.bounds import (
    band,
    largest_ratio,
    lower_confidence,
    mean_above,
    shift,
    upper_confidence,
)
from livepapers.methods.policy_smoothing.certificate import Certificate, Crossing, budget_from_per_step, compare
from livepapers.methods.policy_smoothing.config import Config
from livepapers.methods.policy_smoothing.games import ThresholdGame
from livepapers.methods.policy_smoothing.smoothing import (
    Episodes,
    Ledger,
    NoisyObservation,
    Seen,
    SmoothedPolicy,
    certify,
    collect_returns,
    play,
)
from livepapers.methods.policy_smoothing.training import (
    METRICS,
    ROLE,
    LinearPolicy,
    NoisyDDPG,
    NoisySearch,
    example,
    noisy_q_learning,
)

ARCHITECTURES = {"LinearPolicy": LinearPolicy}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "Attacked", "Certificate", "Config", "CriticAdversary", "Crossing", "Episodes",
    "Ledger", "LinearPolicy", "NoisyDDPG", "NoisyObservation", "NoisySearch", "Search", "Seen",
    "SmoothedPolicy", "ThresholdGame", "ValueAdversary", "apply", "attack", "band", "budget_from_per_step", "certify",
    "collect_returns", "compare", "example", "gaps_at", "largest_ratio", "lower_confidence", "mean_above",
    "noisy_q_learning", "play", "shift", "upper_confidence",
]  # fmt: skip
