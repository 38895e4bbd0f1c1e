"""Graph-level tasks: one evaluation for all, path labels that count cycles, adaptive contrast (gnn-graph-level).

Paper       arXiv:2501.00773 version 1 (Li, Xu, Zhang, Zhou, Chen, Li, 2025); versions 2 and 3 drop the model, are
            named otherwise and compare 16 and 20 models.
Idea        Published comparisons of graph networks differ in splits and tuning: one harness gives all the same, on
            clean, noisy, unbalanced and scarcely labelled graphs. Each node is described by the simple paths that
            leave it, which settle all cycles up to k + 1 edges. Contrastive views drop unimportant edges first.
Equations   (1) P_l(v, u) = simple paths of l edges from v to u, l <= k (3.2): `path_labels`;
            (2) paths = 1/2 sum_v sum_u P_l(v, u); cycles through v = 1/2 sum over neighbours u of P_{L-1}(v, u):
                `count_paths`, `count_cycles`;
            (3) inside S_k(v): h' = MLP((1 + e) h + sum ReLU(h_w + E e_uw)), node input [x_u, phi(P_0 ... P_k)],
                phi(a) = [a, log(1 + a), 1(a > 0)]: `PathRootedEncoder`; without inner passing, cheap: `PathEncoder`;
            (4) p_uv = min(p_max, (1 - w_uv) p_e / mean(1 - w)) (3.3): `drop_probabilities`;
            (5) L_task + lambda NT-Xent(two views): `contrastive_loss`.
Shapes      `GraphTable` -> labels [pairs, k + 1] float64; batch -> vectors [graphs, 2 hidden] -> [graphs, outputs]
Deviations  1. Paper: layers of the encoder are not given where we could read it. Ours: a reconstruction; every
               constant in `Config` that says so is our choice.
            2. Paper: message passing inside subgraphs throughout. Ours: the default is the cheap form, labels as
               features of nodes and edges; `model="rooted"` is the full one.
            3. Paper: normalisation not given. Ours: none, and a node's vector is the sum over all layers, in every
               network, rivals included: LayerNorm took magnitudes, and so counts, away in pilot runs.
            4. Paper: labels of augmented views not described. Ours: exact, sums over paths of products of kept edges.
               In the rooted form an inner edge stays if it is kept and both its ends are still reached.
            5. Paper: importance trained with the encoder. Ours: the scorer reads the encoder's vectors, detached.
            6. Paper: exact enumeration. Ours: beyond 10,000 paths of one root and length a sample, weighted so that
               every label keeps its expectation.
            7. Paper: 14 rivals. Ours: eight, and a floor; see the study.

Example:
    >>> import networkx as nx
    >>> from livepapers.methods.gnn_graph_level import count_cycles
    >>> from livepapers.tasks.graphs import GraphTable
    >>> count_cycles(GraphTable.from_networkx([nx.petersen_graph(), nx.cycle_graph(5)]), 5).tolist()
    [12.0, 1.0]
"""

from dataclasses import replace

from livepapers.core.rng import numpy_generator
from livepapers.methods.gnn_graph_level.application import apply
from livepapers.methods.gnn_graph_level.contrast import (
    Contrast,
    EdgeImportance,
    contrastive_loss,
    drop_probabilities,
    node_importance,
    sample_keep,
)
from livepapers.methods.gnn_graph_level.encoder import PathEncoder, PathRootedEncoder, rooted_paths, view_labels
from livepapers.methods.gnn_graph_level.features import PathFeatures, path_colours
from livepapers.methods.gnn_graph_level.harness import (
    NETWORKS,
    RATES,
    TABLES,
    TableModel,
    average_ranks,
    evaluate,
    network_config,
)
from livepapers.methods.gnn_graph_level.paths import PathLabels, count_cycles, count_paths, path_labels
from livepapers.methods.gnn_graph_level.settings import MODELS, Config
from livepapers.methods.gnn_graph_level.training import METRICS, ROLE, GraphLearner, build_store, train
from livepapers.tasks.graph_scenarios import split
from livepapers.tasks.subgraph_counts import count_subgraphs, cycle, random_graphs

__all__ = [
    "METRICS",
    "MODELS",
    "NETWORKS",
    "RATES",
    "ROLE",
    "TABLES",
    "Config",
    "Contrast",
    "EdgeImportance",
    "GraphLearner",
    "PathEncoder",
    "PathFeatures",
    "PathLabels",
    "PathRootedEncoder",
    "TableModel",
    "apply",
    "average_ranks",
    "build_store",
    "contrastive_loss",
    "count_cycles",
    "count_paths",
    "drop_probabilities",
    "evaluate",
    "example",
    "network_config",
    "node_importance",
    "path_colours",
    "path_labels",
    "rooted_paths",
    "sample_keep",
    "train",
    "view_labels",
]

EXAMPLE_GRAPHS = 48


def example(config: Config, seed: int) -> GraphLearner:
    """The smallest whole task: random graphs, classified by whether they hold many 5-cycles for their kind."""
    rng = numpy_generator(seed, "gnn-graph-level", "example")
    graphs = random_graphs(rng, EXAMPLE_GRAPHS, sizes=(8, 12))
    count = count_subgraphs(graphs, cycle(5))
    many = (count > sorted(count)[len(count) // 2]).astype(float)
    table = replace(graphs, targets=many[:, None], classes=("few", "many"))
    return GraphLearner(table, split(table, rng, validation=0.25, test=0.25), config=config, seed=seed)
