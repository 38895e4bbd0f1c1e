"""Forward-looking GFlowNets: local credit and incomplete trajectories (fl-gfn).

Paper       Pan, Malkin, Zhang, Bengio, "Better Training of GFlowNets with Local Credit and Incomplete Trajectories",
            ICML 2023, arXiv 2302.01687.
Idea        A GFlowNet builds objects x move by move and shall end in x with probability proportional to
            R(x) = exp(-E(x)). Where energies of partial objects are known, the flow of a state is written as
            F(s) = exp(-E(s)) F~(s), so that F~ holds only what is still to come and F~(x) = 1 at finished objects.
            Every move then carries a target of its own, and trajectories that never finish teach too.
Equations   (1) log F~(s) + log P_F(s'|s) - log F~(s') - log P_B(s|s') + E(s -> s') = 0      `forward_looking_residual`
            (2) the same summed over sub-trajectories, weighted by lambda^(j - i)            `sub_trajectory_residuals`
            (3) detailed balance: (1) with E = 0 inside and log R at the end                 `detailed_balance_residual`
            (4) trajectory balance, log Z a parameter of its own                           `trajectory_balance_residual`
            A forward-looking trajectory balance would be (4) again: the energies telescope to -log R.
Shapes      states [T + 1, B, ...], log F~ [T + 1, B], log P_F, log P_B, energies [T, B] -> residuals [T, B] float32
Deviations  1. official set code: the network's own log F~(x) at finished objects; ours: 0, as the theory says
               (`anchor_terminal=False` gives the former, for the ablation).
            2. paper: 10,000 updates; laptop preset: 2,500, because the study repeats them over arms and seeds.
            3. paper: exploration found by a grid search per method and task; ours: the published values per arm, and
               one common value for all arms beside them.
            4. the molecule task needs RDKit and the weights of a reward model; it is not here.
"""

from livepapers.blocks.flow_networks import FlowNetwork
from livepapers.blocks.trajectories import Trajectories, rollout, truncate, walk_back
from livepapers.methods.fl_gfn.application import apply, load_sampler
from livepapers.methods.fl_gfn.learner import ARCHITECTURES, METRICS, ROLE, Config, ForwardLookingGFlowNet, example
from livepapers.methods.fl_gfn.objectives import (
    Terms,
    detailed_balance_residual,
    forward_looking_residual,
    objective_loss,
    sub_trajectory_residuals,
    trajectory_balance_residual,
)
from livepapers.methods.fl_gfn.sampler import Evaluation, Sampler

__all__ = [
    "ARCHITECTURES",
    "METRICS",
    "ROLE",
    "Config",
    "Evaluation",
    "FlowNetwork",
    "ForwardLookingGFlowNet",
    "Sampler",
    "Terms",
    "Trajectories",
    "apply",
    "detailed_balance_residual",
    "example",
    "forward_looking_residual",
    "load_sampler",
    "objective_loss",
    "rollout",
    "sub_trajectory_residuals",
    "trajectory_balance_residual",
    "truncate",
    "walk_back",
]
