"""Study of drl-diagnosis: what changes and robust training make of an agent's unstable direction."""

from livepapers.lab.study import Curve, Table
from livepapers.studies.drl_diagnosis.claims import CLAIMS
from livepapers.studies.drl_diagnosis.design import ARMS, SETTINGS
from livepapers.studies.drl_diagnosis.measuring import measure
from livepapers.studies.drl_diagnosis.tuning import PREPARE

__all__ = ["ARMS", "CLAIMS", "CURVES", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "VERSION", "measure"]

VERSION = 2

GAMES = ("breakout", "space invaders", "breakout, gradient")
TABLES = (
    Table("score", "Mean return of whole episodes", GAMES),
    Table("kept", "Share of the score above random play that is kept under the attack", GAMES),
    Table("kappa", "Weight of the regulariser that trials on other seeds chose", GAMES),
    Table("kappa_at_edge", "1 where it is the least or the largest of three or more that were tried", GAMES),
    Table("quotient_independent-run", "Quotient of an independent run", GAMES),
    Table("quotient_carlini-wagner", "Quotient under Carlini-Wagner", GAMES),
    Table("quotient_nesterov", "Quotient under Nesterov", GAMES),
    Table("quotient_rotation", "Quotient under rotation", GAMES),
    Table("quotient_blur", "Quotient under blur", GAMES),
    Table("share", "Share of the instability that is one direction", GAMES),
    Table("participation", "Inputs over which the direction is spread", GAMES),
)

CURVES = (Curve("score", "updates", "Mean return of whole episodes of greedy play"),)

DEVIATIONS = (
    "Definitions of direction and quotient are reconstructed from a detailed summary; the full text was not at hand.",
    "Games: Breakout and Space Invaders of MinAtar, planes of 10 x 10, cut at 500 steps in training (paper: four Atari "
    "games, 84 x 84). Freeway was planned and given up: in 200,000 steps none of four robust trainings scored clearly "
    "more there than going up whatever is seen; an agent that does so is robust and has no decision to diagnose.",
    "Agents: 200,000 steps, uniform replay of 50,000, one convolution (paper: 6e6 frames, prioritised replay of "
    "200,000, three convolutions).",
    "Robust training: interval bounds without linear ones, a radius that grows in a line from half of the training on "
    "to 0.025, c 0.03 (paper: c 1, radius 1/255 on a smooth schedule after the exploration). Radius, schedule and c "
    "were placed by single trainings with seeds 901 and 902, by score and by what is kept under the attack: with "
    "radius 0.05 from a quarter on and c 0.1, agents of Space Invaders that withstood it had not learned. No direction "
    "was looked at. No command of the repository repeats these trainings, so their figures are not here.",
    "Agents of all regimes act by an exponential average of their weights, of time constant a tenth of the training, "
    "the paper's by the last ones, which swing: robust trainings alike but for the seed ended robust or fragile by "
    "them. Over a third of such an average is older than the whole radius.",
    "Kappa is chosen in each game, as in the paper (there 0.005, 0.01 or 0.02): 0.002, 0.004, 0.008 or 0.016, by the "
    "mean over two robust trainings, with seeds of their own, of the lesser of the score and the score under the "
    "attack; these means are among the measurements, as trials_0.002 and so on. The agents by gradient steps have the "
    "kappa of those by intervals, not their own.",
    "Changes: attacks within l2 norm 1; shifts at one setting each, chosen to be of about that size and reported with "
    "it; the paper's settings were not found.",
    "Five agents for each game and regime: the ten pairs of both games can decide all ten tested claims beside each "
    "other. Two agents by gradient steps, in Breakout alone: no claim is about them.",
    "Regularised are the first 32 states of each batch of 64 (paper: all 32 of a batch).",
    "Agents that are not plain are diagnosed under Nesterov, rotation and blur alone; all claims about changes are "
    "about plain agents, as the paper's table is.",
    "Figures are means over three repeats; directions of two agents are compared on the first one.",
    "Robust means: under ten gradient steps with radius 0.025, at least 0.7 of the score above random play is kept, "
    "at most half as much of it lost as by plain agents, and more kept than by them. It was loosened twice before any "
    "direction was looked at: the radius was 0.05 until the first trainings, and the share 0.8 until those with seed "
    "901 that placed kappa. Learned means: five times random play, a point more than it, and a quarter more than the "
    "best single action, since whoever never looks is robust. Else the verdict is void.",
    "Seen after the run: a plain and a robust agent share their first weights and their stream of episodes, the two "
    "plain agents that C4c compares them with share neither, so the control works against that claim; C4b has no "
    "control at all. C3a and C3b: Nesterov goes to its limit (l2 0.68 on average in Breakout, 0.66 in Space Invaders), "
    "the three attacks that look for the least change stop far before it (Carlini-Wagner at 0.10 and 0.16, elastic-net "
    "at 0.11 and 0.18, DeepFool at 0.04), and the quotient falls with the size of the change. The paper's order would "
    "need other sizes, which were not found. The trials chose the largest kappa in Breakout and the smallest in Space "
    "Invaders: the best of each game may lie beyond what was tried.",
)
