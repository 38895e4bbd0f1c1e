"""Arms and settings of the commuters study.

A seed is a draw of folds: in splits of pairs seeds 0 to 9 are the ten folds of one stratified cross-validation, as in
the paper, 10 to 19 those of the next; in node-disjoint splits a seed draws which half of the places trains; in the
migration setting a seed is the province that is held out.
"""

from livepapers.lab.study import Arm, Setting

FOLDS = 10
LEARNERS = ("boosting", "forest", "extra_trees", "regression", "neighbours", "perceptron")
ENSEMBLES = ("boosting", "forest", "extra_trees", "regression")
LINK_FORMULAS = ("gravity_ols", "gravity_ppml", "gravity_exponential", "radiation", "mass_product")
FLOW_FORMULAS = ("gravity_ols", "gravity_ppml", "gravity_exponential", "radiation")
TOLD = ("gravity_production", "gravity_double")
TOPOLOGY = ("common_neighbours", "adamic_adar", "preferential_attachment")
SIZES = (15, 8, 4, 2, 1)
MODELS = {
    "boosting": "gbt", "forest": "rf", "extra_trees": "et", "regression": "logit", "neighbours": "knn",
    "perceptron": "mlp",
}  # fmt: skip

_TUNED = "Four settings, three inner folds."
ARMS = (
    Arm("boosting", "method", f"Gradient boosting on both places' indicators and the distance. {_TUNED}"),
    Arm("forest", "method", f"Random forest on the same features. {_TUNED}"),
    Arm("extra_trees", "method", f"Extremely randomised trees on the same features. {_TUNED}"),
    Arm("regression", "baseline", f"Logistic regression for links, ridge for flows, on the same features. {_TUNED}"),
    Arm("neighbours", "baseline", f"Nearest pairs in the same features. {_TUNED}"),
    Arm("perceptron", "baseline", f"Multi-layer perceptron on the same features. {_TUNED}"),
    Arm("distance_forest", "ablation", f"Random forest on the distance alone: no indicator. {_TUNED}"),
    Arm("gravity_logit", "baseline", f"Logistic regression on ln m_i + ln m_j and ln d. {_TUNED}"),
    Arm("gravity_ols", "baseline", "Gravity, power of distance, least squares on ln T; threshold by training pairs."),
    Arm("gravity_ppml", "baseline", "Gravity as Poisson regression on all pairs; threshold by training pairs."),
    Arm("gravity_exponential", "baseline", "Gravity with exp(-d / k), Poisson; threshold by training pairs."),
    Arm("radiation", "baseline", "Radiation law, finite-size factor; threshold by training pairs."),
    Arm("mass_product", "baseline", "m_i m_j / d^2; threshold by training pairs."),
    Arm("gravity_production", "baseline", "Gravity told what leaves each origin, held-out pairs included."),
    Arm("gravity_double", "baseline", "Gravity told what leaves and enters each place, held-out pairs included."),
    Arm("common_neighbours", "baseline", "Topology-aware: needs observed links, answers another question."),
    Arm("adamic_adar", "baseline", "Topology-aware: needs observed links, answers another question."),
    Arm("preferential_attachment", "baseline", "Topology-aware: needs observed links, answers another question."),
    Arm("chance", "floor", "Links: a random order. Flows: the mean of the training links' ln T."),
)

_AIR = "331 counties of the United States with an airport, 5,531 directed links of 2026."
_LINKS = (*LEARNERS, "distance_forest", "gravity_logit", *LINK_FORMULAS)
SETTINGS = (
    Setting(
        name="air-nodes",
        about=f"{_AIR} A random half of the counties trains, links inside the other half are foretold.",
        arms=(*_LINKS, "chance"),
        seeds={"smoke": 1, "laptop": 10, "paper": 50},
        parameters={"task": "links", "data": "air", "split": "nodes"},
        part="links",
    ),
    Setting(
        name="air-pairs",
        about=f"{_AIR} The paper's split: a tenth of the pairs is held out, both counties are known from other pairs.",
        arms=(*_LINKS, *TOPOLOGY, "chance"),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "links", "data": "air", "split": "pairs"},
        part="links",
    ),
    Setting(
        name="carriers-nodes",
        about=f"{_AIR} How many carriers fly a link inside the half of the counties that did not train.",
        arms=(*ENSEMBLES, *FLOW_FORMULAS, "chance"),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "flows", "data": "air", "split": "nodes"},
        part="flows",
    ),
    Setting(
        name="carriers-pairs",
        about=f"{_AIR} How many carriers fly a link of the held-out tenth of the pairs.",
        arms=(*ENSEMBLES, *FLOW_FORMULAS, *TOLD, "chance"),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "flows", "data": "air", "split": "pairs"},
        part="flows",
    ),
    Setting(
        name="migration",
        about="90 flows of people between Canada's provinces, 1966 to 1971; all that touch one province are held out.",
        arms=(*ENSEMBLES, *FLOW_FORMULAS, *TOLD, "chance"),
        seeds={"smoke": 1, "laptop": 10, "paper": 10},
        parameters={"task": "flows", "data": "migration", "split": "region"},
        part="flows",
        fixed_seeds=True,
    ),
    Setting(
        name="importance-links",
        about=f"{_AIR} Split of pairs; fall of the area under ROC when an indicator of both ends is shuffled.",
        arms=("boosting", "forest"),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "importance", "data": "air", "split": "pairs", "of": "links"},
        part="importance",
    ),
    Setting(
        name="importance-flows",
        about=f"{_AIR} Split of pairs; fall of R^2 of ln carriers when an indicator of both ends is shuffled.",
        arms=("boosting", "forest"),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "importance", "data": "air", "split": "pairs", "of": "flows"},
        part="importance",
    ),
    Setting(
        name="elimination",
        about=f"{_AIR} Split of pairs; accuracy when training pairs have chosen which 15, 8, 4, 2, 1 indicators stay.",
        arms=("boosting",),
        seeds={"laptop": 10, "paper": 50},
        parameters={"task": "elimination", "data": "air", "split": "pairs"},
        part="importance",
    ),
    Setting(
        name="network",
        about=f"{_AIR} The whole network of the half of the counties that did not train, beside the true one.",
        arms=("boosting", "gravity_ppml", "radiation"),
        seeds={"smoke": 1, "laptop": 10, "paper": 50},
        parameters={"task": "network", "data": "air", "split": "nodes"},
        part="network",
    ),
)
