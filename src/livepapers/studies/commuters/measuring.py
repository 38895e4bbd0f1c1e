"""How a cell of the commuters study is measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from livepapers.baselines.neighbour_scores import NeighbourScore, neighbour_scores
from livepapers.baselines.spatial_interaction import Gravity, Radiation, pair_distances
from livepapers.core.config import replace
from livepapers.core.rng import numpy_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import commuters as method
from livepapers.studies.commuters.design import FOLDS, MODELS, SIZES
from livepapers.studies.commuters.instances import MASS, load
from livepapers.tasks.mobility import Network
from livepapers.tasks.places import Flows, Places, ordered_pairs

SLUG = "commuters"


@dataclass(frozen=True, eq=False)
class World:
    """A network cut into training and held-out pairs by one seed; the same for all arms."""

    network: Network
    mass: str
    pairs: NDArray[np.int64]  # [pairs, 2]
    flows: NDArray[np.float64]  # [pairs]
    fold: method.Fold
    seed: int
    config: method.Config

    @property
    def places(self) -> Places:
        """Who and where."""
        return self.network.places

    @property
    def linked(self) -> NDArray[np.bool_]:
        """`[pairs]` whether there is a flow."""
        return self.flows >= self.config.threshold

    def train(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Training pairs and their flows."""
        return self.pairs[self.fold.train], self.flows[self.fold.train]

    def test(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Held-out pairs and their flows."""
        return self.pairs[self.fold.test], self.flows[self.fold.test]

    def rng(self, name: str) -> np.random.Generator:
        """A stream that all arms share."""
        return numpy_generator(self.seed, SLUG, "study", name)


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """One arm on one draw of folds: see the tasks below."""
    world = _world(setting, seed, preset, run)
    run.spend(pairs=int(world.fold.train.sum() + world.fold.test.sum()))
    task = setting.parameters["task"]
    if task == "links":
        return _links(arm, world)
    if task == "flows":
        return _flows(arm, world)
    if task == "importance":
        return _importance(arm, world, of=setting.parameters["of"])
    return _elimination(world) if task == "elimination" else _network(arm, world)


def _world(setting: Setting, seed: int, preset: str, run: Run) -> World:
    name, by = setting.parameters["data"], setting.parameters["split"]
    network = load(run.prepared("networks"), name)
    config = method.Config.preset(preset)
    pairs = ordered_pairs(len(network.places))
    flows = network.flows.on(pairs)
    linked = flows >= config.threshold
    draws = {"pairs": FOLDS, "nodes": 1, "region": len(network.places)}[by]
    rng = numpy_generator(seed // draws if draws > 1 else seed, SLUG, "study", "folds", by)
    folds = list(method.split_pairs(pairs, linked, by=by, folds=draws, rng=rng))
    return World(network, MASS[name], pairs, flows, folds[seed % draws], seed, config)


def _learners(arm: str, world: World) -> tuple[method.LinkClassifier, method.FlowRegressor]:
    """The two learners of an arm, as the config says."""
    less: Mapping[str, tuple[method.Part, ...]] = {"distance_forest": ("distance",), "gravity_logit": ("gravity",)}
    parts = less.get(arm, method.PAPER_PARTS)
    model: Any = {"distance_forest": "rf", "gravity_logit": "logit"}.get(arm) or MODELS[arm]
    config = replace(world.config, link_model=model, flow_model=model)
    return method.learners(config, world.places, seed=world.seed, parts=parts, mass=world.mass)


def _formula(arm: str, world: World) -> Gravity | Radiation:
    """A law of flows, fitted to the training pairs; the constrained ones are told all totals."""
    both = {"outflow": world.network.flows.matrix.sum(axis=1), "inflow": world.network.flows.matrix.sum(axis=0)}
    kinds: Mapping[str, dict[str, Any]] = {
        "gravity_ols": {"fit_by": "ols"},
        "gravity_ppml": {"fit_by": "ppml"},
        "gravity_exponential": {"fit_by": "ppml", "form": "exp"},
        "gravity_production": {"constrained": "production", "outflow": both["outflow"]},
        "gravity_double": {"constrained": "double", **both},
    }
    made = Radiation if arm == "radiation" else Gravity
    return made(world.places, world.mass, **kinds.get(arm, {})).fit(*world.train())


def _scores(arm: str, world: World) -> NDArray[np.float64]:
    """What an arm without probabilities thinks of every pair, `[pairs]`."""
    if arm == "chance":
        return world.rng("chance").random(len(world.pairs))
    if arm in get_args(NeighbourScore):
        links = world.pairs[world.fold.train & world.linked]
        return neighbour_scores(links, world.pairs, nodes=len(world.places), score=arm)  # type: ignore[arg-type]
    if arm == "mass_product":
        mass = world.places.mass(world.mass)
        return mass[world.pairs].prod(axis=1) / pair_distances(world.places, world.pairs) ** 2
    return _formula(arm, world).predict(world.pairs)


def _links(arm: str, world: World) -> dict[str, float]:
    """Telling held-out links from other pairs; thresholds are fixed on the balanced training pairs."""
    judge = world.rng("balance")
    if arm in MODELS or arm in {"distance_forest", "gravity_logit"}:
        model, _ = _learners(arm, world)
        return method.learned_links(model, world.pairs, world.flows, fold=world.fold, rng=judge)
    return method.rival_links(
        _scores(arm, world), world.flows, fold=world.fold, rng=judge, threshold=world.config.threshold, seed=world.seed
    )


def _flows(arm: str, world: World) -> dict[str, float]:
    """How large the flows on held-out links are."""
    if arm in MODELS:
        _, model = _learners(arm, world)
        return method.learned_flows(model, world.pairs, world.flows, fold=world.fold)
    if arm == "chance":
        _, known = world.train()
        mean = np.full(len(world.pairs), known[known >= world.config.threshold].mean())
        return method.rival_flows(mean, world.flows, fold=world.fold, threshold=world.config.threshold)
    law = _formula(arm, world)
    found = method.rival_flows(law.predict(world.pairs), world.flows, fold=world.fold, threshold=world.config.threshold)
    exponents = getattr(law, "exponents_", (np.nan,) * 3)
    return found | ({} if np.isnan(exponents[2]) else {"distance_exponent": float(exponents[2])})


def _importance(arm: str, world: World, *, of: str) -> dict[str, float]:
    """By how much the held-out score falls without an indicator; for forests impurity importance too."""
    links, sizes = _learners(arm, world)
    model = (links if of == "links" else sizes).fit(*world.train())
    found = method.indicator_importance(model, *world.test(), rng=world.rng("shuffles"), repeats=world.config.repeats)
    named = {f"importance {name}": value for name, value in found.items()}
    if arm == "forest":
        impurity = method.impurity_importance(model.model_.feature_importances_, model.features_.columns)
        named |= {f"impurity {name}": value for name, value in impurity.items()}
    return named


def _elimination(world: World) -> dict[str, float]:
    """Accuracy by number of indicators kept; a quarter of the training pairs decides which go."""
    train, flows = world.train()
    linked = flows >= world.config.threshold
    inner = next(method.split_pairs(train, linked, by="pairs", folds=4, rng=world.rng("inner")))

    def fitted(names: tuple[str, ...], pairs: NDArray[np.int64], known: NDArray[np.float64]) -> method.LinkClassifier:
        boosting = method.FAMILIES["gbt"].make(True, world.config.trees, world.seed)
        made = method.LinkClassifier(world.places, model=boosting, indicators=names, random_state=world.seed)
        return made.fit(pairs, known)

    def importance(names: tuple[str, ...]) -> dict[str, float]:
        model = fitted(names, train[inner.train], flows[inner.train])
        held, known = train[inner.test], flows[inner.test]
        return method.indicator_importance(
            model, held, known, rng=world.rng("inner shuffles"), repeats=world.config.repeats
        )

    found = {}
    for names in method.elimination_order(importance, world.places.indicator_names, keep=SIZES):
        model = fitted(names, train, flows)
        test, held = world.test()
        scores = model.predict_proba(test)[:, 1]
        judged = method.judge_links(scores, held >= world.config.threshold, threshold=0.5, rng=world.rng("balance"))
        found |= {f"accuracy_{len(names)}": judged["accuracy"], f"auc_{len(names)}": judged["auc"]}
    return found


def _network(arm: str, world: World) -> dict[str, float]:
    """The whole network of the places that did not train; each arm calls a link what is likelier than not."""
    (train, known), (test, flows) = world.train(), world.test()
    if arm == "boosting":
        links, sizes = _learners(arm, world)
        called = links.fit(train, known).calibrated(test) >= 0.5
        guessed = np.where(called, sizes.fit(train, known).predict(test), 0.0)
    else:
        law = _formula(arm, world)
        threshold = method.best_threshold(law.predict(train), known >= world.config.threshold)
        expected = law.predict(test)
        guessed = np.where(expected >= threshold, np.maximum(expected, world.config.threshold), 0.0)
    inside = np.unique(test)
    return method.compare_networks(
        *(_matrix(test, values, inside, world) for values in (flows, guessed)), threshold=world.config.threshold
    )


def _matrix(
    pairs: NDArray[np.int64], values: NDArray[np.float64], inside: NDArray[np.int64], world: World
) -> NDArray[np.float64]:
    whole = Flows.of(pairs[:, 0], pairs[:, 1], values, places=len(world.places)).matrix
    return whole[np.ix_(inside, inside)]
