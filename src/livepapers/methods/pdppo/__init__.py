"""Post-decision PPO with dual critics (pdppo), and the variants it is compared with.

Paper       Felizardo, Fadda, Brandimarte, Del-Moral-Hernandez, Nascimento, "A Reinforcement Learning Method for
            Environments with Stochastic Variables: Post-Decision Proximal Policy Optimization with Dual Critic
            Networks", arXiv 2504.05150 (v1), IJCNN 2025; the released code where the paper is silent.
Idea        A decision acts with certainty, s^x = f(s, a) at reward r^x, before chance acts, s' = g(s^x, omega) at
            reward r. One critic values s, a second one s^x; the larger of the two advantages drives a PPO policy.
            The known f tells the learner what the decision did before noise blurs it.
Equations   (1) R_t = sum_{k >= t} discount^(k - t) r_k;  (2) R^x_t likewise of r^x: `critic_targets`.
            (3) A_t = max(R_t - V(s_t), R^x_t - V^x(s^x_t)): `post_decision_advantage`, with its rivals.
            (4) maximise the mean over steps and machines of min(ratio_m A, clip(ratio_m, 1 - eps, 1 + eps) A), one
            ratio a machine, plus 0.001 entropy: `blocks.policy_optimisation.clipped_surrogate`.
            (5) minimise (V - R)^2 and (V^x - R^x)^2, each network with its own Adam: `critic_loss`.
            What (3) cannot see: the action acts on the future through s^x alone, and V^x(s^x) has counted that. With
            exact critics R^x - V^x(s^x) is 0 on average for every action, so the decision's own reward drives nothing
            and max adds noise; `afterstate` compares actions by r^x + V^x instead.
Shapes      observation [T, N, F] float32, action [T, N, M] int64 -> advantage [T, N], loss [] float32
Deviations  1. Released code: one environment, 400 (plants) or 500 (lake) steps a collection. Laptop: 32 lanes of 50
               steps (lake: 25 of 20); returns that a collection cuts off go on with the critics' values, in the
               released code with nothing. `paper()` keeps 4 lanes of 100 steps, whole episodes, in one batch.
            2. Released code: 40 or 50 full-batch epochs on the last 5 or 6 collections. Laptop: one pass over the same
               window in minibatches of 800.
            3. Released code: values of the window as they were when collected. Ours: computed anew before each update
               (`refresh`), one forward pass for advantages that fit the present critics.
            4. Released plant agents train the actor's last layer only, by mistake. Ours: all (`train`).
            5. Released lake PPO, but not its PDPPO, keeps its very first collection for ever and forgets all others.
               Ours: the newest, for every variant (`keep`).
            6. Released lake code stores V(s^x), from the state critic, as the old V^x. Ours: V^x(s^x).
            7. Released one-critic ablation ends in a tanh, so its values lie in +-1. Ours: linear, as the others.
            8. Rewards: paper as they come (to -1e4 an episode). Ours: times 0.01, for every variant alike; entropy is
               weighed against that. Inventories are shown as shares of the capacity, in the paper in units.
            9. PPO's joint Adam is three separate ones here too: the networks share no weights, so Adam's steps are
               the same, and the value weight 0.7 has no effect.
           10. The paper does not say how actors start; ours have PyTorch's default weights, critics the paper's.
"""

from livepapers.methods.pdppo.application import apply
from livepapers.methods.pdppo.collecting import PostDecisionSimulator
from livepapers.methods.pdppo.config import Config
from livepapers.methods.pdppo.learner import METRICS, ROLE, PostDecisionPPO, example
from livepapers.methods.pdppo.networks import PostDecisionPolicy
from livepapers.methods.pdppo.objectives import (
    AGGREGATES,
    SEES_POST,
    Aggregate,
    Targets,
    Values,
    critic_loss,
    critic_targets,
    post_decision_advantage,
)

ARCHITECTURES: dict[str, type[PostDecisionPolicy]] = {"PostDecisionPolicy": PostDecisionPolicy}
"""What an artifact may name."""

__all__ = [
    "AGGREGATES", "ARCHITECTURES", "METRICS", "ROLE", "SEES_POST", "Aggregate", "Config", "PostDecisionPPO",
    "PostDecisionPolicy", "PostDecisionSimulator", "Targets", "Values", "apply", "critic_loss", "critic_targets",
    "example", "post_decision_advantage",
]  # fmt: skip
