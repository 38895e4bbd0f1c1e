"""Arms and settings of the dcg-map-elites study, and where it deviates from the paper."""

from livepapers.lab.study import Arm, Setting

RIVALS = ("dcg", "pga", "map-elites", "random")
ABLATIONS = ("no-rollouts", "random-negatives", "unconditioned-actor")

ARMS = (
    Arm("dcg", "method", "Half mutated, half by the conditioned critic's gradient; 16 actor episodes each time."),
    Arm("pga", "baseline", "PGA-MAP-Elites: critics of fitness alone, and the greedy actor as one of the offspring."),
    Arm("map-elites", "baseline", "MAP-Elites: iso+line mutation alone, the same two step sizes."),
    Arm("random", "floor", "Fresh initial weights only, put into the same archive: what the cells hold for nothing."),
    Arm("no-rollouts", "ablation", "Ablation 1: the actor never plays, every step is asked for what it achieved."),
    Arm(
        "random-negatives",
        "ablation",
        "Ablation 2: no roll-outs; a fifth of each minibatch is asked for anything.",
    ),
    Arm("unconditioned-actor", "ablation", "Ablation 3: the critics know the descriptor, the actor does not."),
)

SETTINGS = (
    Setting(
        "point", "Point robot in a square, 50 steps, 256 cells, 7,264 evaluations for every arm.",
        RIVALS, {"smoke": 1, "laptop": 10, "paper": 20}, {"world": "point-omni"}, "point",
    ),
    Setting(
        "ablations", "The same robot, seeds and evaluations for the method without one of its parts.",
        ABLATIONS, {"smoke": 1, "laptop": 5, "paper": 20}, {"world": "point-omni"}, "point", fixed_seeds=True,
    ),
    Setting(
        "swimmer", "MuJoCo's swimmer, 250 steps, 256 cells, 2,464 evaluations for every arm.",
        RIVALS[:3], {"laptop": 3, "paper": 10}, {"world": "swimmer-omni"}, "swimmer", fixed_seeds=True,
    ),
    Setting(
        "trap", "The point robot behind a U of three bars that opens towards it, otherwise as without.",
        RIVALS[:3], {"smoke": 1, "paper": 10}, {"world": "point-omni", "arguments": {"trap": True}}, "trap",
    ),
)  # fmt: skip

DEVIATIONS = (
    "Worlds: Brax Ant, AntTrap, Hexapod and Walker become a point robot and MuJoCo's swimmer; both keep what the Omni "
    "tasks are about: fitness pays for energy alone, and the best policy stays where it is.",
    "Scale: 256 cells for 1,024, 64 offspring for 256, policies 64-64 for 128-128, critics 128-128 for 256-256, n 200 "
    "(swimmer 300) for 3,000, m 40 (50) for 150, 7,264 evaluations (2,464) for 1e6, 10 seeds (ablations "
    "5, swimmer 3) for 20.",
    "Every arm gets the same number of evaluations, the actor's roll-outs included, in whole iterations: 7,264 "
    "(swimmer 2,464) for the method, 7,232 (2,432) for those without roll-outs. PGA-MAP-Elites and the ablations "
    "without roll-outs spend them on more iterations, so they also get a quarter more gradient steps.",
    "l is 0.03 half-widths: of 0.03, 0.1 and 0.3 the one with the highest QD-score, stored and evaluated again, on the "
    "point robot with a seed outside the study (paper's table: 0.008, its code: 0.1). sigma_d is 0.004 there, 0.01 on "
    "the swimmer, not tuned; all other numbers are shared by all arms. So the method had one number chosen on the "
    "world that it is measured in; PGA-MAP-Elites has no l, and nothing of it was tuned.",
    "Ablation 2: the paper's share of random requests is not known to us. Ours: the share that roll-outs have of all "
    "episodes, a fifth; requests are uniform in the box.",
    "Ablation 3 keeps the roll-outs, which all play the one unconditioned policy.",
    "The archive's QD-score is told as a share of the highest possible: every cell at the highest fitness.",
    "Seeds of the ablations and evaluations on the swimmer were cut to what a laptop can afford after a pilot of the "
    "method with a seed outside the study; no threshold or margin was changed.",
    "MAP-Elites-ES and QD-PG are not measured. The trap is in the smoke and paper presets only, with no claim.",
)
