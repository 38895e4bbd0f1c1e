"""Study of fl-gfn: five objectives on instances whose partition function, marginals and best objects are known."""

from livepapers.lab.study import Curve
from livepapers.studies.fl_gfn.claims import CLAIMS
from livepapers.studies.fl_gfn.design import ARMS, SETTINGS, TRAINED
from livepapers.studies.fl_gfn.instances import (
    OBJECTIVES,
    TOP,
    Reference,
    closed_form_terms,
    largest_residuals,
    reference,
)
from livepapers.studies.fl_gfn.measuring import (
    Tracked,
    best_of,
    first_crossing,
    measure,
    top_share,
    uniform_evaluation,
)

__all__ = [
    "ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "OBJECTIVES", "SETTINGS", "TOP", "TRAINED", "VERSION", "Reference",
    "Tracked", "best_of", "closed_form_terms", "first_crossing", "largest_residuals", "measure", "reference",
    "top_share", "uniform_evaluation",
]  # fmt: skip

VERSION = 3

CURVES = (
    Curve("log_z_error", "updates", "Error of the estimated log partition function"),
    Curve("inclusion_error", "updates", "Mean error over items of the share of samples that hold an item"),
    Curve("elbo_gap", "updates", "Log partition function less the evidence lower bound"),
    Curve("std_log_weight", "updates", "Standard deviation of the samples' log importance weights"),
    Curve("top100_share", "updates", "Mean reward of the best hundred so far, share of the true best hundred's"),
)

DEVIATIONS = (
    "Updates: paper 10,000 on every set size; laptop 2,000 (small), 1,500 (medium), 2,500 (large), 1,000 truncated, "
    "1,200 and 1,000 with common exploration, 1,000 to 1,500 on graphs, so that one core finishes in about an hour.",
    "Seeds: six on the small set, on truncation of it and on the Florentine graph, ten on the tiny set, four on medium "
    "and large, three on karate and on medium with common exploration. Headline claims pool seeds over settings: 14 "
    "pairs (C1a, C1b), 16 (C2a, C2c, C3); none rests on fewer than six. C1f has the four seeds of the large set and is "
    "indicative only: six could not pass Holm's correction either (p = 0.031 at best), and eight cost 20 core-minutes "
    "more. The sub-trajectory arms are measured on the tiny and the small set and on graphs; on the large set in the "
    "paper preset only.",
    "C1h was declared for version 2. Version 1 had measured its cells without such a claim, and their figures were "
    "known: mean ELBO gaps of tb 1.8 to 2.4 nats against 0.21 to 0.37 of fl-db (small), 39 to 40 against 12 to 13 "
    "(medium). "
    "So were all verdicts of version 1, C1g's contradiction (-0.80 doublings) among them; no other claim had changed.",
    "Version 3 draws the shuffled energies of A2 anew for each seed; until then all ten pairs had shared one draw. The "
    "verdicts of version 2 were known; claims and margins are its.",
    "C1e: in version 2 detailed balance never reached the quality of the medium and of the large set within its "
    "budget: its effects there are lower bounds, and those of the medium set are all the same number.",
    "Common exploration is measured on the small and the medium set, not on the large one.",
    "Exploration of the sub-trajectory arms, and of all arms on graphs, is 0.5: the paper gives no value.",
    "The best hundred objects come from 256 on-policy samples every 50 or 100 updates and a last 4,096, not from 16 at "
    "every step.",
    "Thresholds of C1e were set from one pilot run with a seed that the study does not use.",
    "Independent sets are our second instance; the paper's other tasks are bags and molecules.",
)
