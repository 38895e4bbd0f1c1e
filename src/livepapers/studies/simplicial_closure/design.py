"""Arms and settings of the simplicial-closure study.

Each data set is cut four times, as the paper does for robustness: its first 40, 60, 80 and 100 % of the time; within
each cut the last fifth is what is predicted. The cuts are nested: a claim averages them into one value a data set.
"""

import numpy as np

from livepapers.lab.study import Arm, Setting
from livepapers.studies.simplicial_closure.instances import DATA_SETS, DataSet
from livepapers.tasks.data import SOURCES

CUTS = (100, 80, 60, 40)
ORDERS = ("-inf", *(f"{p:g}" for p in np.arange(-4, 4.25, 0.25)), "inf")
LOW, HIGH = -1.0, 0.5  # where the paper puts the peak of the generalised means
EXPONENTS = tuple(float(b) for b in np.round(np.arange(0.8, 1.85, 0.1), 2))
FEWEST_CLOSURES = 10  # a window with fewer closures cannot rank scores or compare types and is left out

MEANS, WALKS = ("harmonic", "geometric", "arithmetic"), ("katz", "katz_weighted", "ppr", "ppr_weighted")
LOCAL = ("common", "jaccard", "adamic_adar", "proj_pa", "simplex_pa")
SIMPLICIAL = ("simplicial_ppr", "simplicial_ppr_gradient", "simplicial_ppr_curl", "simplicial_ppr_harmonic")
_ABOUT = {
    "harmonic": "Harmonic mean of the three tie strengths.",
    "geometric": "Geometric mean of the three tie strengths.",
    "arithmetic": "Arithmetic mean of the three tie strengths.",
    "common": "Number of common neighbours of all three.",
    "jaccard": "Common neighbours of all three over all neighbours.",
    "adamic_adar": "Common neighbours, rare ones counting more.",
    "proj_pa": "Product of the projected degrees.",
    "simplex_pa": "Product of the numbers of simplices.",
    "katz": "Katz on the unweighted projection: long-range, the classical baseline.",
    "katz_weighted": "Katz on the weighted projection.",
    "ppr": "Personalised PageRank on the unweighted projection.",
    "ppr_weighted": "Personalised PageRank on the weighted projection.",
    "simplicial_ppr": "PageRank between edges through nodes and closed triangles.",
    "simplicial_ppr_gradient": "The part of simplicial PageRank that node potentials explain.",
    "simplicial_ppr_curl": "The part of simplicial PageRank that circles around closed triangles.",
    "simplicial_ppr_harmonic": "The part of simplicial PageRank that is neither.",
}
SCORE_ARMS = (*MEANS, *LOCAL, *WALKS, *SIMPLICIAL, "logistic")
ARMS = (
    *(Arm(name, "baseline" if name in WALKS else "method", about, seeded=False) for name, about in _ABOUT.items()),
    Arm(
        "logistic",
        "method",
        "Logistic regression on 26 local features, trained on the 60 to 80 % window.",
        seeded=False,
    ),
    Arm("generalised_means", "method", "Generalised means of the tie strengths, p from -inf to inf.", seeded=False),
    Arm("random", "floor", "Triangles in random order; its expectation is the share that closes."),
    Arm("configurations", "method", "No prediction: counts of open and closing groups by configuration.", seeded=False),
    Arm("independent_triples", "method", "The null model: every triple a simplex with probability n^-b."),
)


def _windows() -> tuple[Setting, ...]:
    return tuple(
        Setting(
            name=f"{data.name}-{cut}",
            about=f"{SOURCES[data.name].about} First {cut} % of the time; the last fifth of it is predicted.",
            arms=_arms(data),
            seeds={"laptop": 3, "paper": 10} | ({"smoke": 1} if (data.name, cut) == ("hospital", 100) else {}),
            parameters={"data": data.name, "cut": cut},
            part="prediction" if data.ranks else "configurations",
        )
        for data in DATA_SETS
        for cut in CUTS
    )


def _arms(data: DataSet) -> tuple[str, ...]:
    if not data.ranks:
        return ("configurations",)
    scores = (arm for arm in SCORE_ARMS if data.simplicial or arm not in SIMPLICIAL)
    return (*scores, "generalised_means", "random", "configurations")


SETTINGS = (
    *_windows(),
    *(
        Setting(
            name=f"null-{nodes}",
            about=f"{nodes} nodes, each triple a simplex with probability n^-b, b from 0.8 to 1.8.",
            arms=("independent_triples",),
            seeds={"laptop": 5, "paper": 10} | ({"smoke": 2} if nodes == 25 else {}),
            parameters={"nodes": nodes},
            part="null model",
        )
        for nodes in (25, 50, 100, 200)
    ),
)

WINDOWS = tuple(f"{data.name}-{cut}" for data in DATA_SETS for cut in CUTS)
RANKED_WINDOWS = tuple(f"{data.name}-{cut}" for data in DATA_SETS if data.ranks for cut in CUTS)
NULLS = tuple(f"null-{nodes}" for nodes in (25, 50, 100, 200))
