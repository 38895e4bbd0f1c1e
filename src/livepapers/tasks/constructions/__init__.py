"""Constructions with exact references: sets, bags, independent sets, hypergrids, bit strings, strings, RNA, subsets.

`exact` solves any construction that is small enough to enumerate.
"""

from livepapers.tasks.constructions.bags import Bags
from livepapers.tasks.constructions.bit_strings import BitStrings
from livepapers.tasks.constructions.hypergrid import Hypergrid
from livepapers.tasks.constructions.independent_sets import IndependentSets
from livepapers.tasks.constructions.rewarded import Rewarded
from livepapers.tasks.constructions.rna import binding_log_reward, rna_strings
from livepapers.tasks.constructions.sets import PAPER_SETS, Sets
from livepapers.tasks.constructions.shuffled import ShuffledEnergy
from livepapers.tasks.constructions.strings import LogReward, Strings, nearest_mode_log_reward
from livepapers.tasks.constructions.subsets import Subsets, feature_subsets

__all__ = [
    "PAPER_SETS",
    "Bags",
    "BitStrings",
    "Hypergrid",
    "IndependentSets",
    "LogReward",
    "Rewarded",
    "Sets",
    "ShuffledEnergy",
    "Strings",
    "Subsets",
    "binding_log_reward",
    "feature_subsets",
    "nearest_mode_log_reward",
    "rna_strings",
]
