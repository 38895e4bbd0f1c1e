"""Hindsight differentiable policy optimisation for inventory networks (hdpo).

Paper       Alvo, Russo, Kanoria, Lee, "Deep Reinforcement Learning for Inventory Networks: Toward Reliable Policy
            Optimization", arXiv 2306.11246 (v3), sections 3 and 4.
Idea        Only demand is random; the stock equations are known and nearly everywhere differentiable. So a policy is
            replayed on demand traces and its total cost differentiated through the simulator: no value function, no
            sampled actions, no discount. A graph network shaped like the supply chain needs fewer traces still.
Equations   s' = f(s, a, D), c(s, a, D): `tasks.inventory`; a = policy(s): `policies`.
            (1) J = E[(1/T) sum_t c(s_t, policy(s_t), D_t)], estimated on B traces, divided by the number of stores;
            (2) its gradient is the ordinary reverse-mode gradient through all T periods: `hindsight_loss`.
Shapes      demand [B, T, S] float32, pipeline [B, N, L] float32 -> orders [B, E] float32 >= 0, loss [] float32
Deviations  1. Paper: batches of 8,192 from 32,768 traces drawn once. Laptop: 128 fresh traces an update, or a fixed
               training set of which each update draws a subset without replacement.
            2. Paper: up to 20,000 epochs at a constant learning rate, patience 500. Laptop: 500 updates, over the
               last 30 % of which the rate falls to 0; the patience is off.
            3. Paper: a dev set of 32,768 traces every 10 epochs. Laptop: 256 traces every 10 updates.
            4. Paper: gradient norm clipped (at 1) for the graph network only. Ours: for all, or an early policy whose
               orders grow with its stock lets the gradient explode and Adam's memory of it stalls the training.
            5. Paper: quantities as they come. Ours: in fifths of the mean demand, which changes nothing in the
               paper's synthetic settings (mean demand 5) and carries its output biases over to other units.
            6. A source with one receiver ships sigmoid(z) of its stock, as in the paper's serial system; the softmax
               with a constant logit 1 for stock kept is used from two receivers on.
            7. Where outputs are shares of stock, the output layer begins at a tenth of the default weights, its bias at
               0, and several starts are tried (`BestOfStarts`): else one in ten ends where a stage ships all it has.
"""

from livepapers.methods.hdpo.application import apply
from livepapers.methods.hdpo.graph import GraphPolicy
from livepapers.methods.hdpo.learner import (
    METRICS,
    ROLE,
    Config,
    HindsightPolicyOptimization,
    example,
    hindsight_loss,
    learner_for,
)
from livepapers.methods.hdpo.policies import (
    BaseStockPolicy,
    EchelonStockPolicy,
    Policy,
    Rounded,
    VanillaPolicy,
)
from livepapers.methods.hdpo.starts import BestOfStarts

ARCHITECTURES: dict[str, type[Policy]] = {
    "VanillaPolicy": VanillaPolicy,
    "GraphPolicy": GraphPolicy,
    "BaseStockPolicy": BaseStockPolicy,
    "EchelonStockPolicy": EchelonStockPolicy,
}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "BaseStockPolicy", "BestOfStarts", "Config", "EchelonStockPolicy",
    "GraphPolicy", "HindsightPolicyOptimization", "Policy", "Rounded", "VanillaPolicy", "apply", "example",
    "hindsight_loss", "learner_for",
]  # fmt: skip
