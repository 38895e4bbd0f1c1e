"""Learning control from an exact piecewise affine network of a linear MPC (yann-rl).

Paper       Braniff, Tian, "Reinforcement Learning-based Control via Y-wise Affine Neural Networks (YANNs)", arXiv
            2508.16474, and for the network "Y-wise Affine Neural Networks for Exact and Efficient Representations of
            Piecewise Linear Functions", arXiv 2505.07054.
Idea        The solution of a linear MPC is affine on each of finitely many regions. It is written into a network by
            hand, trainable parts that are exactly 0 are added, and the critic starts at the linear-quadratic
            cost-to-go. Learning on the nonlinear plant begins at the linear controller and needs no exploration noise.
Equations   (1) min over u of u'Hu + u'Z s, G u <= W + S s, solved for all s: u_0(s) = K_i s + r_i on region i:
                `explicit_mpc.solve`;
            (2) the five layers of the network: `YannNetwork`;
            (3) actor: u = clip(sum over i of 1[s in region i] (K_i s + r_i + g_i(s))), g_i = 0 at the start;
            (4) critic: Q(s, u) = s'(Q + g A'PA)s + 2 s'(g A'PB)u + u'(R + g B'PB)u + 0 at the start;
            (5) y = C + g Q'(s', actor'(s')), without the second term at a violation: `YannDDPG`, in reward form.
Shapes      states [batch, n] -> inputs [batch, m]; (states, inputs) -> value [batch] float32. The law is float64.
Deviations  1. Paper: outside all regions the output is 0. Ours: the same in training; `apply` has the unconstrained
               feedback, clipped, unless told otherwise.
            2. Paper: P of the undiscounted Riccati equation in (4). Ours: of the discounted one, so that the critic
               starts without any Bellman residual on the linear plant.
            3. Paper: layer 2 of the corrections is dense across regions (its counts) or not (its text). Ours: not.
            4. Paper: big M 500. Ours: just large enough on ten times the box; the actor looks the region up.
            5. Paper: rates, discount, targets, batch and replay are not given. Ours: see `Config`; targets are cut,
               gradient norms at 1, the actor is frozen for 1,000 steps. Without exploration the data do not say how
               the cost depends on the input: a critic that learns fast forgets what it knew of that, and the actor
               follows it away from a controller that worked. So the critic learns a thousand times slower than the
               actor, and the actor goes to the optimum of the critic that it began with. `apply` tries a fast one too
               and keeps the best controller that either passes, by episodes of its own.
            6. Paper: pendulum cost weight of the rate 0.1 or 1, start not given. Ours: 0.1 (Gymnasium) in reward and
               critic, Q = I in the MPC as printed; start within 0.5 rad and 1 rad/s.
            7. Paper: clips the sum. Ours: the same, with the gradients that lead back: most laws rest on a bound,
               where plain clipping would leave their corrections without any.
            8. Paper: its own reactor, whose feed is not given. Ours: the textbook one; the paper's linear model serves
               for exactness only. Horizon 3 for it: not in the paper.
"""

from livepapers.methods.yann_rl.application import apply
from livepapers.methods.yann_rl.critic import YannCritic, quadratic_cost_to_go
from livepapers.methods.yann_rl.designs import (
    Design,
    double_integrator_design,
    pendulum_design,
    published_reactor_design,
    reactor_design,
    two_masses_problem,
)
from livepapers.methods.yann_rl.explicit_mpc import PiecewiseAffineLaw, solve
from livepapers.methods.yann_rl.learner import (
    METRICS,
    ROLE,
    Config,
    WatchedTask,
    YannDDPG,
    controllers,
    example,
)
from livepapers.methods.yann_rl.yann import (
    YannActor,
    YannNetwork,
    ZeroCorrection,
    big_m,
    parameter_counts,
)

ARCHITECTURES = {"YannNetwork": YannNetwork, "YannActor": YannActor}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES",
    "METRICS",
    "ROLE",
    "Config",
    "Design",
    "PiecewiseAffineLaw",
    "WatchedTask",
    "YannActor",
    "YannCritic",
    "YannDDPG",
    "YannNetwork",
    "ZeroCorrection",
    "apply",
    "big_m",
    "controllers",
    "double_integrator_design",
    "example",
    "parameter_counts",
    "pendulum_design",
    "published_reactor_design",
    "quadratic_cost_to_go",
    "reactor_design",
    "solve",
    "two_masses_problem",
]  # fmt: skip
