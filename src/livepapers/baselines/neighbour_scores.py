"""Link scores by common neighbours: they need observed links, so they answer another question than indicators do."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

NeighbourScore = Literal["common_neighbours", "adamic_adar", "preferential_attachment"]


def neighbour_scores(
    links: NDArray[np.int64], pairs: NDArray[np.int64], *, nodes: int, score: NeighbourScore
) -> NDArray[np.float64]:
    """Scores of pairs in the undirected network of `links`, `[pairs]`.

    A pair's own link adds nothing to its common neighbours; its degrees are taken without that link.

    Args:
        links: `[links, 2]` the observed ones.
        pairs: `[pairs, 2]` to be scored.
        nodes: How many there are.
        score: |N(a) & N(b)|; the same with 1 / ln degree for each common neighbour; or the product of degrees.
    """
    joined = np.zeros((nodes, nodes))
    joined[links[:, 0], links[:, 1]] = joined[links[:, 1], links[:, 0]] = 1.0
    degree = joined.sum(axis=1)
    a, b = pairs.T
    if score == "preferential_attachment":
        return (degree[a] - joined[a, b]) * (degree[b] - joined[a, b])
    # a common neighbour has at least two links
    weight = np.ones(nodes) if score == "common_neighbours" else 1 / np.log(np.maximum(degree, 2))
    return ((joined * weight) @ joined)[a, b]
