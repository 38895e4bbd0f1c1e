"""A reconstructed network beside the true one: links, degrees, strengths, mixing, clustering, communities (3.5)."""

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score

from livepapers.methods.commuters.estimators import common_part
from livepapers.methods.commuters.evaluation import rank_correlation


def compare_networks(
    true: NDArray[np.float64], predicted: NDArray[np.float64], *, threshold: float = 1.0, seed: int = 0
) -> dict[str, float]:
    """How alike two networks of the same places are.

    Args:
        true: `[places, places]` flows, diagonal 0.
        predicted: `[places, places]` flows, diagonal 0.
        threshold: The least flow that makes a link.
        seed: Of the Louvain partitions.

    Returns:
        "jaccard" of links; "in_degree", "out_degree", "in_strength", "out_strength" rank correlations; "cpc";
        "weights" (Kolmogorov-Smirnov distance of the links' flows, 1 when either has none); "assortativity" and
        "clustering" (predicted minus true); "communities" (adjusted mutual information of Louvain partitions).
    """
    links, guessed = true >= threshold, predicted >= threshold
    union = int((links | guessed).sum())
    weights = true[links], predicted[guessed]
    one, two = (_measured(np.where(mask, m, 0.0), seed) for m, mask in ((true, links), (predicted, guessed)))
    return {
        "jaccard": float((links & guessed).sum() / union) if union else 1.0,
        "in_degree": rank_correlation(links.sum(axis=0), guessed.sum(axis=0)),
        "out_degree": rank_correlation(links.sum(axis=1), guessed.sum(axis=1)),
        "in_strength": rank_correlation(true.sum(axis=0), predicted.sum(axis=0)),
        "out_strength": rank_correlation(true.sum(axis=1), predicted.sum(axis=1)),
        "cpc": common_part(true, predicted),
        "weights": _distance(*weights),
        "assortativity": two[0] - one[0],
        "clustering": two[1] - one[1],
        "communities": float(adjusted_mutual_info_score(one[2], two[2])),
    }


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The largest difference between the two samples' distribution functions."""
    if not len(a) or not len(b):
        return 1.0
    at = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(values), at, side="right") / len(values) for values in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def _measured(flows: NDArray[np.float64], seed: int) -> tuple[float, float, NDArray[np.int64]]:
    """Degree assortativity (0 when all degrees are equal), average clustering and Louvain communities, undirected."""
    graph = nx.from_numpy_array(flows + flows.T)
    degrees = np.array([[graph.degree[a], graph.degree[b]] for a, b in graph.edges], dtype=float).reshape(-1, 2)
    ends = np.concatenate([degrees, degrees[:, ::-1]])
    mixing = float(np.corrcoef(ends.T)[0, 1]) if len(ends) and np.ptp(ends) else 0.0
    community = np.zeros(len(flows), dtype=np.int64)
    for number, members in enumerate(nx.community.louvain_communities(graph, seed=seed)):
        community[list(members)] = number
    return mixing, float(nx.average_clustering(graph)) if len(graph) else 0.0, community
