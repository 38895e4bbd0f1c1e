"""Study of drl-diagnosis: what changes and robust training make of an agent's unstable direction."""

from livepapers.lab.study import Table
from livepapers.studies.drl_diagnosis.claims import CLAIMS
from livepapers.studies.drl_diagnosis.design import ARMS, SETTINGS
from livepapers.studies.drl_diagnosis.measuring import measure
from livepapers.studies.drl_diagnosis.tuning import PREPARE

__all__ = ["ARMS", "CLAIMS", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "VERSION", "measure"]

VERSION = 1

GAMES = ("breakout", "space invaders", "breakout, gradient")
TABLES = (
    Table("score", "Mean return of whole episodes", GAMES),
    Table("kept", "Share of the score above random play that is kept under the attack", GAMES),
    Table("kappa", "Weight of the regulariser that trials on other seeds chose", GAMES),
    Table("quotient_independent-run", "Quotient of an independent run", GAMES),
    Table("quotient_carlini-wagner", "Quotient under Carlini-Wagner", GAMES),
    Table("quotient_nesterov", "Quotient under Nesterov", GAMES),
    Table("quotient_rotation", "Quotient under rotation", GAMES),
    Table("quotient_blur", "Quotient under blur", GAMES),
    Table("share", "Share of the instability that is one direction", GAMES),
    Table("participation", "Inputs over which the direction is spread", GAMES),
)

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
    "Agents of both regimes act by weights averaged over a tenth of the training, the paper's by the last ones, which "
    "swing: robust trainings alike but for the seed ended robust or fragile by them.",
    "Kappa is chosen in each game, as in the paper: in prepared parts, two robust trainings with each of four values, "
    "by the lesser of the score and the score under the attack, with seeds of their own; all scores are in tuned.json. "
    "The agents by gradient steps have the kappa of those by intervals, not their own.",
    "Changes: attacks within l2 norm 1; shifts at one setting each, chosen to be of about that size and reported with "
    "it; the paper's settings were not found.",
    "Five agents for each game and regime: the ten pairs of both games can decide all ten tested claims beside each "
    "other. Two agents by gradient steps, in Breakout alone: no claim is about them.",
    "Regularised are the first 32 states of each batch of 64 (paper: all 32 of a batch).",
    "Agents that are not plain are diagnosed under Nesterov, rotation and blur alone; all claims about changes are "
    "about plain agents, as the paper's table is.",
    "Figures are means over three repeats; directions of two agents are compared on the first one.",
    "Robust means: under ten gradient steps with radius 0.025, at least 0.7 of the score above random play is kept, "
    "and at most half as much of it lost as by plain agents; before the first trainings it was 0.8, and more than by "
    "plain agents, and with radius 0.05. Learned means: five times random play, a point more than "
    "it, and a quarter more than the best single action, since whoever never looks is robust. Else the verdict is "
    "void.",
)
