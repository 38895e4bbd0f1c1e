"""Constructions with exact references: sets, bags, independent sets, hypergrids, bit strings, subsets of one's own.

`exact` solves any construction that is small enough to enumerate.
"""

from livepapers.tasks.constructions.bags import Bags
from livepapers.tasks.constructions.bit_strings import BitStrings
from livepapers.tasks.constructions.hypergrid import Hypergrid
from livepapers.tasks.constructions.independent_sets import IndependentSets
from livepapers.tasks.constructions.sets import PAPER_SETS, Sets
from livepapers.tasks.constructions.shuffled import ShuffledEnergy
from livepapers.tasks.constructions.subsets import Subsets, feature_subsets

__all__ = [
    "PAPER_SETS",
    "Bags",
    "BitStrings",
    "Hypergrid",
    "IndependentSets",
    "Sets",
    "ShuffledEnergy",
    "Subsets",
    "feature_subsets",
]
