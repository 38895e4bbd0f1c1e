"""Study of debatenet: what signs, windows and counting do to networks of attitudes whose camps are known."""

from livepapers.studies.debatenet.claims import CLAIMS
from livepapers.studies.debatenet.design import ARMS, SETTINGS
from livepapers.studies.debatenet.instances import PARTS, PREPARE
from livepapers.studies.debatenet.measuring import measure

__all__ = ["ARMS", "CLAIMS", "DEVIATIONS", "PARTS", "PREPARE", "SETTINGS", "VERSION", "measure"]

VERSION = 1
DEVIATIONS = (
    "The paper's table of 3,681 claims is in no package; its own figures (C1a, C2, C3) are listed as not tested here. "
    "`livepapers apply debatenet` computes them from the table: per window spans, statements, actors, concepts, most "
    "used concepts, ties of parties.",
    "Paper: newspaper claims of 1,064 actors in 2015. Ours: answers of the General Social Survey, where parties are "
    "known and opinions are not selected by journalists: 18 spending items of 2018, seven abortion items since 1977.",
    "Seeds are disjoint elevenths of the respondents: ten are measured, the eleventh is the pilot's and the smoke "
    "preset's. Effects of different seeds share no respondent.",
    "The pilot part was measured once, after the claims were committed. Nothing was changed for its figures; the "
    "logistic regression's folds and penalties were made fewer to save time, and no claim rests on it.",
    "Camps are Democrats (strong or not) and Republicans (strong or not); respondents who only lean, independents and "
    "others are left out, but for the table of all seven points of the scale (C6, C8).",
    "A respondent answers an item once: duplicates, and netting by actor and concept, can only matter where parties "
    "are the actors (C8).",
    "The null model shuffles concepts within qualifier and survey year; it may give one respondent an item twice, "
    "which real respondents never have.",
)
