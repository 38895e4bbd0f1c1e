"""Outcome-conditioned GFlowNets: pre-train once without a reward, then sample for any reward (oc-gfn).

Paper       Pan, Jain, Madan, Bengio, "Pre-Training and Fine-Tuning Generative Flow Networks", ICLR 2024,
            arXiv 2310.03419.
Idea        A GFlowNet conditioned on an outcome y = f(x) learns to build objects with that outcome, from relabelled
            successes of an explorer and from its own attempts; no reward of a task is needed. Its flows F(s|y) say how
            surely y can still be had from s, so a sampler for any reward r is a weighted sum over outcomes. The sum
            is computed, estimated with drawn outcomes, or learned by a small network while the model stays frozen.
Equations   (1) F(s|y) P_F(s'|s,y) = F(s'|y) P_B(s|s',y), F(x|y) = R(x|y) = 1[f(x) = y]; then F(s0|y) = 1
            (2) log F(s|y) + log P_F - log F(s'|y) - log P_B - log R(x|y) = 0       `outcome_teleportation_residual`
            (3) P_F^r(s'|s) = sum_y r(y) F(s|y) P_F(s'|s,y) / sum_y r(y) F(s|y)                           `conversion`
            (4) log N(s'|s) + log Q(y|s',s) = log r(y) + log F(s|y) + log P_F(s'|s,y)          `amortisation_residual`
Shapes      states [T + 1, B, ...], outcomes [B, ...], log F [T + 1, B], log P [T, B] -> residuals [T, B] float32
Deviations  1. paper: log R of a missed outcome is log 0; ours: log epsilon, epsilon = `failure_reward`. Where (1) holds
               everywhere a miss then costs epsilon (|Y| - 1) of success (`fixed_point_success`).
            2. paper: log R on every edge (outcome teleportation) in all tasks; ours: so for strings, on the last edge
               for grids (`teleport=False`). On every edge long strings are learned much faster; but it biases F as
               long as there are failures, by about the same for all outcomes of strings, by more for far cells of
               grids, and (3) carries that into every reward.
            3. paper: positives from a GAFlowNet; laptop preset: backward walks from drawn objects, which cover
               everything. `explorer="gafn"` gives the former, with the constants of `Config`, which are ours.
            4. paper: network sizes, steps and learning rates were not found; ours: see `Config`.
            5. paper: Q may be a GFlowNet; ours: a table up to 4,096 outcomes, else digit after digit (masked MLP).
            6. outcomes enter the networks by concatenation only. The peptide and the transcription-factor tasks need
               data that no package carries.
"""

from livepapers.methods.oc_gfn.adaptation import Adaptation, AmortisedNetworks, AmortisedSampler
from livepapers.methods.oc_gfn.application import apply
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.conversion import FlowTable, MonteCarloSampler
from livepapers.methods.oc_gfn.explorers import AugmentedFlowExplorer, Explorer, distinct_share
from livepapers.methods.oc_gfn.keeping import load_model
from livepapers.methods.oc_gfn.learner import METRICS, OutcomeConditionedGFlowNet, Reached
from livepapers.methods.oc_gfn.network import ConditionalFlowNetwork, OutcomePredictor
from livepapers.methods.oc_gfn.objectives import (
    amortisation_residual,
    conversion,
    edge_log_reward,
    fixed_point_success,
    outcome_teleportation_residual,
)
from livepapers.methods.oc_gfn.outcomes import Labels, Objects, Outcomes
from livepapers.methods.oc_gfn.sampling import PolicySampler, TableSampler
from livepapers.tasks.constructions import Hypergrid

ROLE = "learner"
ARCHITECTURES = {"ConditionalFlowNetwork": ConditionalFlowNetwork, "AmortisedNetworks": AmortisedNetworks}


def example(config: Config, seed: int) -> OutcomeConditionedGFlowNet:
    """The smallest whole problem: the 16 cells of a 4 x 4 grid."""
    return OutcomeConditionedGFlowNet(Hypergrid(2, 4), config, seed=seed)


__all__ = [
    "ARCHITECTURES",
    "METRICS",
    "ROLE",
    "Adaptation",
    "AmortisedNetworks",
    "AmortisedSampler",
    "AugmentedFlowExplorer",
    "ConditionalFlowNetwork",
    "Config",
    "Explorer",
    "FlowTable",
    "Labels",
    "MonteCarloSampler",
    "Objects",
    "OutcomeConditionedGFlowNet",
    "OutcomePredictor",
    "Outcomes",
    "PolicySampler",
    "Reached",
    "TableSampler",
    "amortisation_residual",
    "apply",
    "conversion",
    "distinct_share",
    "edge_log_reward",
    "example",
    "fixed_point_success",
    "load_model",
    "outcome_teleportation_residual",
]
