"""Discourse networks from tables of claims (debatenet).

Paper       arXiv:2111.10142 (Blokker, Blessing, Dayanik, Kuhn, Pado, Lapesa; Language Resources and Evaluation 2023)
Idea        A claim is an actor who supports or rejects a measure on a day. Actors are tied by the measures on which
            they agree or clash, measures by the actors who hold the same positions. Which network one sees depends on
            signs, window, counting and normalisation, so each of these is an explicit choice here.
Equations   A[a, c, k] counts statements of actor a on concept c at qualifier level k.
            congruence W+(a, b) = sum_c,k,l A[a,c,k] A[b,c,l] (1 - |k - l| / r), r the range of levels (3.3)
            conflict   W-(a, b) = sum_c,k,l A[a,c,k] A[b,c,l] |k - l| / r; subtract W+ - W-; ignore W+ + W- (3.3)
            average 2 W / (n_a + n_b); Jaccard W / (m10 + m01 + m11); cosine W / (|A_a| |A_b|) (3.3)
            netted by actor and concept: M = A+ - A-, P = max(M, 0), N = min(M, 0); PP', NN', -(PN' + NP') (3.4)
            polarisation Q = max over two camps of signed modularity (3.6)
Shapes      columns of statements [rows] -> counts [actors, concepts] a level -> ties [actors, actors] float64, sparse
Deviations  1. Which network the paper draws is not fixed in it: the definitions are those of its package (`netting=
               "actor_concept"`) and of Discourse Network Analyzer (`netting="statement"`), both here.
            2. Normalisations divide by all statements of an actor, before netting, under both definitions; the
               package does not normalise.
            3. Discourse Network Analyzer's "cosine" is a product of counts: here `cosine_count`; `cosine` is the
               cosine of the vectors.
            4. Polarisation is modularity of congruence minus that of conflict over the weight of both (Gomez, Jensen
               and Arenas 2009), by the leading eigenvector and single moves, random restarts, or all splits up to 16
               nodes; the peer searches greedily or by a genetic algorithm.
            5. The null model shuffles concepts among statements of one qualifier and one period: to shuffle within
               one actor's statements of a qualifier, as first written down, would change nothing.
            6. The paper's claim detector is not here: claims that any model predicts are read like others.
            7. No run of Discourse Network Analyzer was at hand (it needs Java): parity is with its published
               definitions, by loops over tiny tables in the tests, not with its output.

Example:
    >>> from livepapers.methods.debatenet import project
    >>> from livepapers.tasks.statements import Statements
    >>> actors, measures = ["Ann", "Bob", "Bob", "Cem"], ["quota", "quota", "fence", "fence"]
    >>> debate = Statements.from_columns(actors, measures, [1, 1, -1, 1])
    >>> project(debate, "actor", aggregate="subtract").to_frame()[["a", "b", "weight"]].values.tolist()
    [['Ann', 'Bob', 1.0], ['Bob', 'Cem', -1.0]]
"""

from typing import Literal

import numpy as np

from livepapers.core.rng import numpy_generator
from livepapers.methods.debatenet.analyses import (
    Change,
    GroupTies,
    actor_network,
    central,
    compare,
    gap,
    gap_null,
    group_ties,
    permutation_p,
    permuted,
    z_score,
)
from livepapers.methods.debatenet.application import apply
from livepapers.methods.debatenet.camps import Polarisation, camp_agreement, polarisation
from livepapers.methods.debatenet.counting import Counts, kernel, product, ties
from livepapers.methods.debatenet.networks import (
    OneMode,
    TwoMode,
    affiliation,
    cooccurrence,
    normalised,
    nslice,
    project,
)
from livepapers.methods.debatenet.settings import NORMALISATIONS, UMBRELLAS, Config
from livepapers.methods.debatenet.windows import (
    Window,
    calendar_windows,
    event_windows,
    moving_windows,
    parse_windows,
    smoothed,
)
from livepapers.tasks.made_debates import two_camps
from livepapers.tasks.statements import Statements

ROLE: Literal["function"] = "function"
METRICS = ("actors", "ties", "gap", "gap_z", "polarisation", "camps_found")
"""Of `example`: size of the network, mean tie within parties minus between them, how many standard deviations that is
above permuted debates, polarisation, and the share of actors that the two camps place with their party."""

__all__ = [
    "METRICS", "NORMALISATIONS", "ROLE", "UMBRELLAS", "Change", "Config", "Counts", "GroupTies", "OneMode",
    "Polarisation", "Statements", "TwoMode", "Window", "actor_network", "affiliation", "apply", "calendar_windows",
    "camp_agreement", "central", "compare", "cooccurrence", "event_windows", "example", "gap", "gap_null",
    "group_ties", "kernel", "moving_windows", "normalised", "nslice", "parse_windows", "permutation_p", "permuted",
    "polarisation", "product", "project", "smoothed", "ties", "z_score",
]  # fmt: skip


def example(config: Config, seed: int) -> dict[str, float]:
    """The smallest whole run: a debate of two camps, its network, the camps that are found in it.

    Returns:
        The metrics named in `METRICS`.
    """
    rng = numpy_generator(seed, "debatenet", "example")
    debate = two_camps(rng, actors=config.actors, statements=config.statements)
    network = actor_network(debate, config)
    found = polarisation(network)
    party = np.array([name == "right" for name in network.groups], dtype=np.int64)
    measured = group_ties(network).within_minus_between()
    return {
        "actors": float(len(network.nodes)),
        "ties": float(network.matrix.nnz // 2),
        "gap": measured,
        "gap_z": z_score(measured, gap_null(debate, rng, config)),
        "polarisation": found.q,
        "camps_found": camp_agreement(found.side, party),
    }
