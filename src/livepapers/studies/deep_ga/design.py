"""Arms and settings of the deep-ga study, and where it deviates from the paper."""

from livepapers.lab.study import Arm, Setting

SEARCHES = ("ga-ns", "ga", "es", "random")

ARMS = (
    Arm("ga-ns", "method", "The genetic algorithm selected by novelty of the final place, archive probability 0.01."),
    Arm("ga", "method", "The genetic algorithm selected by reward: mutation, truncation, one validated elite."),
    Arm("es", "baseline", "Evolution strategy: mirrored pairs, centred ranks, Adam 0.01, L2 0.005, same network."),
    Arm("random", "floor", "Random search: every individual has fresh initial weights; the best is kept."),
)

SETTINGS = (
    Setting(
        "maze", "The hard maze by its sensors, network 11-16-16-2, 500 individuals in each of 100 generations.",
        SEARCHES, {"smoke": 1, "laptop": 10, "paper": 10}, {"world": "hard-maze", "validation": 0}, "deceptive maze",
    ),
    Setting(
        "pendulum", "Swing-up of Pendulum-v1, observations as they are, random starts.",
        ("ga", "es", "random"), {"smoke": 1, "laptop": 10, "paper": 10}, {"world": "clipped-pendulum"}, "control",
    ),
    Setting(
        "mountain-car", "MountainCarContinuous-v0 at unit variance: 100 at the flag, else only costs.",
        ("ga", "es", "random"), {"smoke": 1, "laptop": 10, "paper": 10},
        {"world": "mountain-car", "arguments": {"scaled": True}}, "control",
    ),
    Setting(
        "frostbite", "The Atari game, the older DQN's network of a million weights, 1,000 actions a training episode.",
        ("ga", "random"), {"laptop": 7, "paper": 7}, {"world": "atari:frostbite"}, "atari", fixed_seeds=True,
    ),
    Setting(
        "encoding", "The paper's Large network of 4,052,658 weights as a list of seeds, rebuilt in another process.",
        ("ga",), {"smoke": 1, "laptop": 1, "paper": 1}, {}, "encoding", fixed_seeds=True,
    ),
)  # fmt: skip

DEVIATIONS = (
    "Maze: the paper shows 84 x 84 images of it to a network of 4 million weights, with 20,000 individuals. Ours: "
    "the eleven sensors of the maze's own papers, 498 weights, 500 individuals and 100 generations, sigma 0.05, T 20.",
    "Maze: nothing is random, so no arm validates its elite; a run counts as solved when any individual that it "
    "evaluated ended within 10 units of the goal, for every arm alike.",
    "Control: two batched worlds instead of 13 Atari games: a dense and a sparse reward; 100 individuals, T 10, "
    "sigma 0.1, 20 generations, ten candidates validated on 10 episodes each (paper: 30).",
    "The evolution strategy has no candidates to validate: it gets those episodes as further pairs, so that all arms "
    "spend the same number of episodes; its centre is what is judged. Sigma is the genetic algorithm's, and neither it "
    "nor Adam's rate is tuned: on fresh episodes of both control worlds the strategy ends below random search on "
    "average, so that C2c, and with the same rival C4d, say little of one that is tuned. Its virtual batch "
    "normalisation is left out.",
    "Sigma 0.05 and 0.1 were taken from the specification and doubled for the shorter runs, before any run, not tuned.",
    "The novelty's k, 15, is not in the paper.",
    "Frostbite: 200 individuals in 4 generations, the small network, sigma 0.002, 4 candidates on 5 episodes; paper: "
    "1,000 individuals a generation, the Large network, 1e9 frames. It needs ale-py, and has no smoke preset. Seven "
    "seeds with so few individuals, because three with 300 could not have decided anything.",
    "DQN and A2C in the maze, the maze as images, twelve of the Atari games and Humanoid are not measured here.",
)
