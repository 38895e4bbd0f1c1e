"""Practice inside sparse equations, and a policy that is one: ensembles of sparse regressions (sindy-rl).

Paper       Zolman, Lagemann, Fasel, Kutz, Brunton, "SINDy-RL: Interpretable and Efficient Model-Based Reinforcement
            Learning", arXiv 2403.09110; Nature Communications 2025.
Idea        Dynamics, if need be the reward, and at the end the policy are sums of few terms of a dictionary, found by
            thresholded ridge regression on bootstrap samples. PPO practises in the fitted equations, which cost a
            product of matrices a step; now and then its own real steps make better equations.
Equations   (1) next state = theta(x, u) xi, theta = [P(x), u, P(x) u], P all monomials up to a degree: `Library`;
            (2) repeat: xi_S = (theta_S'theta_S + alpha I)^-1 theta_S'y, S = {j in S: |xi_j| >= lambda}; at last least
                squares on S: `thresholded`, `refit`; median over the models of an ensemble: `SparseModel`;
            (3) spread of the ensemble: Var = theta Cov(xi) theta', in closed form: `SparseModel.spread`;
            (4) algorithm 1: random real steps, fit, PPO in the surrogate, every n_fit updates real steps of the mean
                action and a new fit: `SindyRL`; states are put back onto circles and rails after each step: `put_back`;
            (5) dictionary policy u = clip(theta(x) xi), fitted to the mean action in the surrogate: `distil`.
Shapes      observation [B, n], action [B, m] float32 -> next observation [B, n], reward [B]; xi [M, p, d]
Deviations  1. Real return: the paper keeps the last policy. Ours: each collection is a whole episode, the policy of
               the best one is kept, and one that lost half of the gain twice in a row is rolled back to it.
            2. Collections: paper 500 steps every 10 updates of 4,000 surrogate steps; ours 1,000 every 3 of 32,768.
            3. PPO: paper 10 million surrogate steps, 30 epochs, minibatches of 128, value clip 0.2, rate falling to 0;
               ours 2.5 million, 6 epochs, minibatches of 2,048, no value clip, constant rate, first log standard
               deviation -0.5 instead of 0. Observations as they are, in both.
            4. Starts: paper a real reset for each surrogate episode; ours 64 real resets, drawn again and again, and
               lanes that begin at random times of an episode.
            5. Beyond the bounds: paper ends the episode; ours also charges the worst reward forever, if it is negative.
            6. Rails: paper ends an episode far beyond one (5 m of 1.8); ours can stop the surrogate's cart there
               (`Stop`), which is known of a machine, and which no polynomial of low degree learns.
            7. Terms that repeat each other to 1e-6: ridge and least squares take the solution of least norm.
               People are shown equations of states on a circle, where x^2 u + y^2 u = u, with terms joined: `joined`.
"""

from livepapers.methods.sindy_rl.application import apply
from livepapers.methods.sindy_rl.config import Config
from livepapers.methods.sindy_rl.dictionary import Candidate, DictionaryPolicy, distil, mean_action, visited
from livepapers.methods.sindy_rl.interaction import Act, Interaction, Memory, Transitions, interact, random_actions
from livepapers.methods.sindy_rl.learner import METRICS, ROLE, FitDynamics, Known, SindyRL, example
from livepapers.methods.sindy_rl.library import Library
from livepapers.methods.sindy_rl.model import SparseModel, coefficient_covariance, fit_sparse
from livepapers.methods.sindy_rl.regression import SparseRegression, median, normal_equations, refit, thresholded
from livepapers.methods.sindy_rl.surrogate import Dynamics, Reward, Stop, SurrogateTask, imagine, on_circles, put_back

ARCHITECTURES = {"DictionaryPolicy": DictionaryPolicy}
"""What an artifact may name; learned networks are `blocks.policies:GreedyPolicy`."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "Act", "Candidate", "Config", "DictionaryPolicy", "Dynamics", "FitDynamics",
    "Interaction", "Known", "Library", "Memory", "Reward", "SindyRL", "SparseModel", "SparseRegression", "Stop",
    "SurrogateTask", "Transitions", "apply", "coefficient_covariance", "distil", "example", "fit_sparse", "imagine",
    "interact", "mean_action", "median", "normal_equations", "on_circles", "put_back", "random_actions", "refit",
    "thresholded", "visited",
]  # fmt: skip
