"""Arms and settings of the gnn-graph-level study."""

from collections.abc import Mapping

from livepapers.lab.study import Arm, Setting

BUDGET = "hidden 64, 3 layers, at most 40 epochs, patience 8, learning rate from the same two values"
ARMS = (
    Arm("path-adaptive", "method", f"path labels as features of a GIN, views that drop unimportant edges; {BUDGET}"),
    Arm("path-random", "ablation", f"the same with views that drop edges at random; {BUDGET}"),
    Arm("path", "ablation", f"the same without a contrastive loss; {BUDGET}"),
    Arm("gcn", "baseline", f"GCN; {BUDGET}"),
    Arm("gin", "baseline", f"GIN with bonds in its messages; {BUDGET}"),
    Arm("sage", "baseline", f"GraphSAGE with mean messages; {BUDGET}"),
    Arm("topk", "baseline", f"GIN with TopK pooling, ratio 0.8, after each layer; {BUDGET}"),
    Arm("ego", "baseline", f"a GIN inside the 2-hop ball of each node, root marked (ESAN's ego networks); {BUDGET}"),
    Arm("graphcl", "baseline", f"GIN with a contrastive loss over random edge drops (GraphCL); {BUDGET}"),
    Arm("wl-svm", "baseline", "Weisfeiler-Lehman subtree kernel, 3 rounds, support vectors; C from four values"),
    Arm(
        "boosting", "baseline",
        "gradient-boosted trees on sums of attributes, degrees, path and cycle counts; learning rate from two values",
    ),
    Arm("prior", "floor", "the most frequent class, or the median, of the training graphs"),
    Arm("gin-counts", "baseline", f"GIN that learns five counts at once; {BUDGET}"),
    Arm("path-k3", "ablation", f"path labels up to 3 edges, no cycle counts among its features; {BUDGET}"),
    Arm("path-k5", "method", f"path labels up to 5 edges, no cycle counts among its features; {BUDGET}"),
    Arm("rooted-k5", "method", "message passing inside 5-path rooted subgraphs, 2 layers; rate 0.003, not tuned"),
    Arm("degree-sums", "baseline", "ridge regression on sums of powers of the degrees"),
    Arm("labels", "method", "exact path labels, refined as colours or summed into counts", seeded=False),
    Arm("neighbours", "baseline", "colours refined by neighbours, the limit of message passing (1-WL)", seeded=False),
)  # fmt: skip
RANKED = (
    "path-adaptive", "gcn", "gin", "sage", "topk", "ego", "graphcl", "wl-svm", "boosting",
)  # fmt: skip
"""Arms that are ranked against each other on every data set."""
CONTRASTS = ("path-adaptive", "path-random", "path")
COUNTERS = ("gin-counts", "path-k3", "path-k5", "degree-sums")
SETS = ("solubility-class", "freesolv", "contacts")
SCENARIOS: Mapping[str, str] = {"noise": "noise:0.2", "imbalance": "imbalance:10", "shots": "shots:10"}

_ABOUT = {
    "solubility-class": "1,282 molecules, three classes of solubility in water, official test set",
    "solubility-value": "1,282 molecules, log10 of the solubility in water, official test set",
    "freesolv": "642 molecules, hydration free energy in kcal/mol, a random fifth for the test",
    "contacts": "353 ego networks of contacts, hospital, primary or high school, a random fifth for the test",
}
_HARD = {
    "noise": "a fifth of the bonds of every molecule moved to a random place, before any feature is computed",
    "imbalance": "the class of high solubility ten times rarer than the largest in training",
    "shots": "ten labelled molecules a class for training, ten for validation, the rest without label",
}


def _exact(name: str, about: str, arms: tuple[str, ...]) -> Setting:
    parameters = {"graphs": {"smoke": 20, "laptop": 100, "paper": 400}}
    return Setting(name, about, arms, {"smoke": 1, "laptop": 1, "paper": 1}, parameters, "exact", fixed_seeds=True)


def _counting(
    name: str, about: str, arms: tuple[str, ...], seeds: dict[str, int], *, graphs: dict[str, int], fixed: bool
) -> Setting:
    return Setting(name, about, arms, seeds, {"graphs": graphs}, "counting", fixed_seeds=fixed)


def _ranking(name: str) -> Setting:
    seeds = {"paper": 10}
    seeds |= {"laptop": 6} if name in SETS else {}
    seeds |= {"smoke": 1} if name == "contacts" else {}
    return Setting(name, _ABOUT[name], (*RANKED, "prior"), seeds, {"data": name}, "ranking")


def _scenario(name: str, scenario: str) -> Setting:
    seeds = {"laptop": 10 if name == "shots" else 6, "paper": 20}
    seeds |= {"smoke": 1} if name == "shots" else {}
    parameters = {"data": "solubility-class", "scenario": scenario}
    return Setting(name, f"solubility classes, {_HARD[name]}", CONTRASTS, seeds, parameters, "scenarios")


SETTINGS = (
    _exact("atlas", "the 996 connected graphs of the atlas, up to seven nodes, all pairs of equal size",
           ("labels", "neighbours")),
    _exact("identities", "counts from labels against Möbius inversion: all 1,252 graphs of the atlas, and random ones",
           ("labels",)),
    _counting("counting", "3- to 6-cycles and 4-paths of 1,200 random graphs, half of them 4-regular", COUNTERS,
              {"smoke": 1, "laptop": 10, "paper": 10}, graphs={"smoke": 60, "laptop": 1200, "paper": 5000},
              fixed=False),
    _counting("counting-rooted", "the same of 300 graphs, with message passing inside rooted subgraphs",
              ("rooted-k5", "gin-counts"), {"laptop": 3, "paper": 10}, graphs={"laptop": 300, "paper": 5000},
              fixed=True),
    *(_ranking(name) for name in (*SETS, "solubility-value")),
    *(_scenario(name, text) for name, text in SCENARIOS.items()),
)  # fmt: skip
