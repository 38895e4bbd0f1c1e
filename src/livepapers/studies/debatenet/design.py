"""Arms and settings of the debatenet study."""

from livepapers.lab.study import Arm, Setting

ARMS = (
    Arm(
        "signed", "method", "Network of agreement minus conflict, averaged by activity; its camps by signed modularity."
    ),
    Arm("parties", "method", "The seven points of party identification as actors, whose statements are mixed."),
    Arm("unsigned", "baseline", "The same network when signs are thrown away: who speaks of the same items."),
    Arm("raw", "baseline", "Congruence without normalisation, as counted."),
    Arm("static", "baseline", "The signed network of the whole period, windows ignored."),
    Arm("principal_component", "baseline", "No network: camps by the first principal component of the answers."),
    Arm("k_means", "baseline", "No network: camps by two clusters of the answers, the best of 20 starts."),
    Arm("logistic", "optimum", "Told the parties: a tuned logistic regression on the answers, cross-validated."),
    Arm("permuted", "floor", "The signed network of a debate whose concepts were shuffled."),
)
CAMPS = ("signed", "unsigned", "raw", "principal_component", "k_means", "logistic", "permuted", "parties")
SEEDS = {"laptop": 10, "paper": 10}
SETTINGS = (
    Setting(
        name="spending",
        about="18 items of public spending in 2018: too little is support, too much rejection.",
        arms=CAMPS,
        seeds={"smoke": 1, **SEEDS},
        parameters={"data": "spending", "first": 2018, "last": 2018, "null": True},
        part="camps",
        fixed_seeds=True,
    ),
    Setting(
        name="abortion-early",
        about="Seven circumstances in which abortion should be legal, surveys of 1977 to 1985.",
        arms=("signed",),
        seeds={"smoke": 1, **SEEDS},
        parameters={"data": "abortion", "first": 1977, "last": 1985, "null": False},
        part="windows",
        fixed_seeds=True,
    ),
    Setting(
        name="abortion-late",
        about="Seven circumstances in which abortion should be legal, surveys of 2010 to 2018.",
        arms=("signed",),
        seeds={"smoke": 1, **SEEDS},
        parameters={"data": "abortion", "first": 2010, "last": 2018, "null": False},
        part="windows",
        fixed_seeds=True,
    ),
    Setting(
        name="abortion-whole",
        about="Seven circumstances in which abortion should be legal, all surveys of 1977 to 2018.",
        arms=("static",),
        seeds=SEEDS,
        parameters={"data": "abortion", "first": 1977, "last": 2018, "null": False},
        part="windows",
        fixed_seeds=True,
    ),
)
