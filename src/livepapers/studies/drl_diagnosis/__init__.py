"""Study of drl-diagnosis: what changes and robust training make of an agent's unstable direction."""

import functools

from livepapers.lab.study import Table
from livepapers.studies.drl_diagnosis.agents import MOST_SEEDS, agent_name, train
from livepapers.studies.drl_diagnosis.claims import CLAIMS
from livepapers.studies.drl_diagnosis.design import ARMS, REGIMES, SETTINGS
from livepapers.studies.drl_diagnosis.measuring import measure

__all__ = ["ARMS", "CLAIMS", "DEVIATIONS", "PREPARE", "SETTINGS", "TABLES", "VERSION", "measure"]

VERSION = 1

PREPARE = {
    agent_name(arm, str(setting.parameters["world"]), seed): functools.partial(
        train, arm=arm, world=str(setting.parameters["world"]), seed=seed
    )
    for setting in SETTINGS
    for arm in setting.arms
    if arm in REGIMES
    for seed in range(MOST_SEEDS)
}
"""Every agent by itself, trained when a cell first asks for it."""

GAMES = ("breakout", "space invaders", "breakout, gradient")
TABLES = (
    Table("score", "Mean return of whole episodes", GAMES),
    Table("kept", "Share of the score above random play that is kept under the attack", GAMES),
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
    "Robust training: interval bounds without linear ones, radius growing in a line to 0.05, c 0.1 (paper: c 1, radius "
    "1/255 on a smooth schedule). Kappa is chosen for each game, as in the paper (0.005, 0.01 or 0.02): Breakout 0.01; "
    "Space Invaders 0.002, which is not settled, and must be before the study is run.",
    "It was chosen by score and by what is kept under the attack, of one training each with a seed that the study does "
    "not have (901). Breakout: 0.0005, 0.002, 0.005 and 0.01 with c 0.1, and 0.002 with c 0.3; 0.01 keeps most. "
    "Space Invaders: with 0.001, 0.002 and 0.003 too little is kept, with 0.005 too little is learned; both are asked "
    "for. No direction was looked at before the claims were fixed. No command of the repository repeats the trials, so "
    "their figures are not here.",
    "Changes: attacks within l2 norm 1; shifts at one setting each, chosen to be of about that size and reported with "
    "it; the paper's settings were not found.",
    "Five agents for each game and regime: the ten pairs of both games can decide all ten tested claims beside each "
    "other. Two agents by gradient steps, in Breakout alone: no claim is about them.",
    "Regularised are the first 32 states of each batch of 64 (paper: all 32 of a batch).",
    "Agents that are not plain are diagnosed under Nesterov, rotation and blur alone; all claims about changes are "
    "about plain agents, as the paper's table is.",
    "Figures are means over three repeats; directions of two agents are compared on the first one.",
    "Robust means: under ten gradient steps with radius 0.025, at least 0.7 of the score above random play is kept, "
    "and at most half as much of it lost as by plain agents; until those trainings it was 0.8, and more than by plain "
    "agents, and before that with radius 0.05. Learned means: five times random play, a point more than "
    "it, and a quarter more than the best single action, since whoever never looks is robust. Else the verdict is "
    "void.",
)
