"""The same work as an analyst writes it with pandas and networkx: a bipartite graph a sign, its weighted projection."""

import json
import platform
import time
from collections import Counter
from itertools import combinations

import debate
import networkx as nx
import pandas as pd


def project(actor: list[str], concept: list[str], sign: list[int]) -> nx.Graph:
    """Averaged subtract ties of actors: pairs that share a concept, summed over concepts."""
    table = pd.DataFrame({"actor": actor, "concept": concept, "sign": sign})
    net = table.groupby(["actor", "concept"])["sign"].sum()
    said = table["actor"].value_counts()
    weights: Counter[tuple[str, str]] = Counter()
    for _, positions in net.groupby(level="concept"):
        held = sorted((name, int(value)) for (name, _), value in positions.items())
        for (a, one), (b, two) in combinations(held, 2):
            weights[a, b] += one * two
    graph = nx.Graph()
    graph.add_nodes_from(said.index)
    totals = said.to_dict()
    graph.add_weighted_edges_from(
        (a, b, 2 * weight / (totals[a] + totals[b])) for (a, b), weight in weights.items() if weight
    )
    return graph


def main() -> None:
    versions = {"python": platform.python_version(), "networkx": nx.__version__, "pandas": pd.__version__}
    statements, actors, concepts = 20_000, 500, 100
    who, what, sign = debate.columns(statements, actors=actors, concepts=concepts)
    start = time.process_time()
    graph = project(who, what, sign.tolist())
    seconds = time.process_time() - start
    check = [graph.number_of_edges(), round(sum(abs(w) for _, _, w in graph.edges(data="weight")), 3)]
    print(json.dumps({"figure": f"{statements:,} statements of {actors:,} actors: averaged ties", "value": seconds,
                      "unit": "s of CPU", "better": "lower", "who": "networkx", "versions": versions,
                      "check": check}))  # fmt: skip


if __name__ == "__main__":
    main()
