"""One-step policy optimisation (ospo) for order dispatch with pooling, and what it is compared with.

Paper       Zhao and Li, "One Step is Enough: Multi-Agent Reinforcement Learning based on One-Step Policy Optimization
            for Order Dispatch on Ride-Sharing Platforms", arXiv 2507.15351 (v1, v2); the released code else.
Idea        Every minute a platform matches waiting orders to a fleet of equal vehicles. The vehicles that accept an
            order in the same minute are a group whose mean reward can stand in for a critic (GRPO). If they are
            exchangeable and their joint decision leads to one next state, what follows is worth the same to all of
            them in expectation and cancels, so the immediate reward alone, centred in its group, is enough (OSPO).
Equations   (1) p(j | i) = softmax over open orders j of a shared score of vehicle i and order j: `log_probabilities`;
            the decision is the matching of the largest total p, `tasks.matching.assign`.
            (2) r of an accepted order: `tasks.ride_pooling`.
            (3) OSPO: A_i,t = (r_i,t - mean_j r_j,t) / (std_j r_j,t + 1e-8) + penalty_t: `one_step_advantage`.
            (4) GRPO: G_k = r_k + discount^gap G_k+1 of each vehicle's own rewards, standardised: `reward_to_go`.
            (5) penalty_t = -(growth of the standard deviation of what vehicles have earned): `fairness_penalty`.
            (6) minimise -min(ratio A, clip(ratio, 0.8, 1.28) A) - 0.05 entropy + weight KL to the best network (the
            KL is averaged over orders, as released).
            What breaks (3): decisions that lead to places of very different future, vehicles that differ, groups of
            few.
Shapes      reward [K], group [K] int64 -> advantage [K]; observation [B, F] float32 -> action [B, N] int64
Deviations  1. Released code: travel times in whole minutes from a routing server, 63 zones, July 2024. Ours: street
               distance over measured speed by zone pair (shortest paths), 61 zones, business days of 2018, real-valued
               minutes; a table of the user's own trips brings its own demand.
            2. Released: vehicles of an episode 1,000, about 123 orders a minute. Ours: as the user or the study says.
            3. Released: Adam at 1e-5, at least 1,000 episodes. Laptop: 1e-2 falling to 3e-3, 120 episodes.
            4. Released: a share of 1 of all pairs is random at first, times 0.99 an episode. As one random pair in
               eighty already decides most matchings, laptop begins at 0.1, times 0.95; `paper()` as released.
            5. Released: weight 1 of the fairness penalty. It is the same for all of a minute and, the spread growing
               all the time, lowers every choice that was made; laptop 0 (`fairness`), measured in the study.
            6. Released: stored probabilities as small as 1e-8. Ours: not below 1e-3 in ratios, and ratios held below
               10, as no clip holds them where the advantage is negative (`floor`).
            7. Released: a group of equal rewards is divided by 1e-8. Ours: rewards within 1e-5 of the mean give 0.
            8. Released longitude of carried orders is scaled by mistake. Ours: as all coordinates.
            9. IPPO and DDQN are ours: the paper's lists of rivals were not found. They get the same network, episodes,
               gradient steps and batches; the study tunes rate and exploration of each by as many trials.
"""

from livepapers.methods.ospo.application import apply
from livepapers.methods.ospo.config import Config
from livepapers.methods.ospo.episodes import Episode, Played, following, joined, play
from livepapers.methods.ospo.learner import (
    METRICS,
    Q_METRICS,
    ROLE,
    Dispatcher,
    GroupPolicyOptimizer,
    QDispatcher,
    example,
)
from livepapers.methods.ospo.networks import DispatchPolicy, Scorer, choose, log_probabilities, score_pairs, view
from livepapers.methods.ospo.objectives import (
    Group,
    Horizon,
    advantage,
    critic_advantage,
    fairness_penalty,
    one_step_advantage,
    reward_to_go,
)

ARCHITECTURES: dict[str, type[DispatchPolicy]] = {"DispatchPolicy": DispatchPolicy}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES", "METRICS", "Q_METRICS", "ROLE", "Config", "DispatchPolicy", "Dispatcher", "Episode", "Group",
    "GroupPolicyOptimizer", "Horizon", "Played", "QDispatcher", "Scorer", "advantage", "apply", "choose",
    "critic_advantage", "example", "fairness_penalty", "following", "joined", "log_probabilities",
    "one_step_advantage", "play", "reward_to_go", "score_pairs", "view",
]  # fmt: skip
