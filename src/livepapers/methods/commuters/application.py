"""`livepapers apply commuters`: which of the user's places are linked, how strongly, and what carries it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livepapers.baselines.spatial_interaction import Gravity, Radiation, pair_distances
from livepapers.core.application import Application, Content, Row, options_checked, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.rng import Seed, numpy_generator
from livepapers.methods.commuters.calibration import reliability
from livepapers.methods.commuters.estimators import FlowRegressor, LinkClassifier, common_part, learners
from livepapers.methods.commuters.evaluation import Fold, Split, split_pairs
from livepapers.methods.commuters.importance import indicator_importance
from livepapers.methods.commuters.plot import Links, importance_bars, link_map, reliability_curve
from livepapers.methods.commuters.rivals import learned_flows, learned_links, rival_flows, rival_links
from livepapers.methods.commuters.settings import Config, ModelName
from livepapers.tasks.place_files import read_flows, read_places
from livepapers.tasks.places import Flows, Places, Units, ordered_pairs, unordered

SLUG = "commuters"
FEWEST_PLACES, FEWEST_A_FOLD = 12, 8
MOST_TOP = 100_000
FIGURES = {"accuracy": "accuracy", "auc": "auc", "auc_pr": "auc_pr", "r2": "r2", "cpc": "cpc of held-out links"}
"""What is measured on a fold, and the column that tells it."""
COMPARISON, MISSING, IMPORTANCE = "Comparison on what was held out", "Likely links without a flow", "Importance"
CALIBRATION, DATA = "Calibration", "Data"
FILES = {
    "comparison.csv": (COMPARISON, "the method beside gravity and radiation, unseen places first"),
    "missing_links.csv": (MISSING, "pairs without a flow that look linked, likeliest first"),
    "importance.csv": (IMPORTANCE, "fall of the score when an indicator of both ends is shuffled"),
    "calibration.csv": (CALIBRATION, "predicted probability beside the observed share of links"),
}
_POPULATION = ("population", "pop", "inhabitants", "labour force", "labor force")


@dataclass(frozen=True, eq=False)
class Data:
    """What the user brought, and every ordered pair of it."""

    places: Places
    mass: str
    pairs: NDArray[np.int64]  # [pairs, 2]
    flows: NDArray[np.float64]  # [pairs]
    config: Config
    seed: int

    @property
    def linked(self) -> NDArray[np.bool_]:
        """`[pairs]`."""
        return self.flows >= self.config.threshold


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions for every pair, each by models that had not seen it in either direction."""

    probability: NDArray[np.float64]  # [pairs], calibrated
    flow: NDArray[np.float64]  # [pairs], if linked
    importance: dict[str, dict[str, float]]  # "links" and "flows" -> indicator -> fall of the score, held-out pairs

    @property
    def called(self) -> NDArray[np.bool_]:
        """`[pairs]` that are called links."""
        return self.probability >= 0.5

    @property
    def network(self) -> NDArray[np.float64]:
        """`[pairs]` the flows of the predicted network: 0 where no link is called."""
        return np.where(self.called, self.flow, 0.0)


@options_checked
def apply(
    *,
    nodes: Path,
    flows: Path,
    name: str = "id",
    coordinates: str = "lat,lon",
    units: Units = "degrees",
    mass: str = "",
    model: ModelName = "gbt",
    threshold: float = 1.0,
    folds: int = 5,
    top: int = 20,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Learn from your places' indicators who travels where, and see what that is worth beside gravity and radiation.

    Every column of numbers in the nodes is an indicator; gaps are allowed. A pair that the flows do not list has no
    flow. Judged first on places that no training pair touched, then on pairs of known places, which flatters.

    Args:
        nodes: CSV (id, lat, lon, numbers), or .geojson or .gpkg (extra `geo`); one row a place.
        flows: CSV with the columns origin, destination, flow; or a square matrix with the ids as header and first
            column, origins in rows.
        name: Column of the places' identifiers.
        coordinates: Columns of latitude and longitude, or of x and y with --units metres.
        units: Of the coordinates.
        mass: Column that gravity and radiation take as mass; the population when left out.
        model: gbt boosting, rf and et forests, logit (ridge for flows), knn, mlp.
        threshold: The least flow that makes a link.
        folds: Parts of the cross-validation, and draws of unseen places.
        top: How many likely links without a flow to list.
        seed: Of all that is drawn.
        output: Folder for tables, maps and predictions.csv; must be new or empty.

    Returns:
        The comparison, likely links that the flows lack, importance, calibration, and what the data are. The common
        part of commuters (cpc) of the comparison is that of links that are there, in each fold; that of the whole
        network, missed and invented links included, stands with the data and on the map. A link has a direction; the
        map draws a pair of places once.

    Raises:
        InputError: One line for any unusable option, file or data; nothing is written then.
        MissingExtraError: A map without geopandas.

    Examples:
        livepapers apply commuters --nodes towns.csv --flows commuters.csv --output found
        livepapers apply commuters --nodes towns.gpkg --name town --flows matrix.csv --mass population
    """
    columns = _columns(coordinates)
    _check_options(folds=folds, top=top, threshold=threshold, seed=seed)
    if output is not None:
        check_output_folder(output)
    read = read_places(nodes, name=name, coordinates=columns, units=units, option="--nodes")
    listed = read_flows(flows, places=read.places, option="--flows")
    config = Config(link_model=model, flow_model=model, threshold=threshold, folds=folds)
    data = _data(read.places, listed.flows, mass=mass, config=config, seed=seed)
    first = _unseen_places(data)
    second, predicted = _known_places(data)
    notes = [] if first else ["Too few links in halves of the places: only pairs of known places are judged."]
    tables: dict[str, Sequence[Row]] = {
        COMPARISON: [*first, *second],
        MISSING: _missing(data, predicted, top=top),
        IMPORTANCE: _importance_rows(predicted.importance),
        CALIBRATION: reliability(predicted.probability, data.linked),
        DATA: _about(data, listed.flows, predicted),
    }
    best = str((first or second)[0]["model"])
    if best != model:
        notes.append(f"{(first or second)[0]['held out']}: {best} told links best; you asked for {model}.")
    notes = [*read.notes, *listed.notes, *notes]
    made = Application(SLUG, _headline(first or second, model), tables, tuple(notes))
    return made if output is None else _write(made, output, data=data, predicted=predicted)


def _columns(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise InputError.of("--coordinates", text, expected="two columns, e.g. lat,lon or x,y")
    return names[0], names[1]


def _check_options(*, folds: int, top: int, threshold: float, seed: int) -> None:
    if not 2 <= folds <= 20:
        raise InputError.of("--folds", folds, expected="a whole number from 2 to 20")
    if not 1 <= top <= MOST_TOP:
        raise InputError.of("--top", top, expected=f"a whole number from 1 to {MOST_TOP}")
    if not 0 < threshold < float("inf"):
        raise InputError.of("--threshold", threshold, expected="a number above 0")
    if seed < 0:
        raise InputError.of("--seed", seed, expected="a whole number >= 0")


def _data(places: Places, flows: Flows, *, mass: str, config: Config, seed: int) -> Data:
    """Every pair, once there is enough of it to learn and to judge."""
    if len(places) < FEWEST_PLACES:
        raise InputError.of("--nodes", f"{len(places)} places", expected=f"at least {FEWEST_PLACES}: half are held out")
    chosen = mass or next((n for name in _POPULATION for n in places.indicator_names if n.lower() == name), "")
    if not chosen or chosen not in places.indicator_names:
        known = ", ".join(places.indicator_names)
        raise InputError.of("--mass", mass or "nothing", expected=f"one of {known}"[:200], cause="a column of --nodes")
    places.mass(chosen)
    pairs = ordered_pairs(len(places))
    found = flows.on(pairs)
    links = int((found >= config.threshold).sum())
    fewest = FEWEST_A_FOLD * config.folds
    if not fewest <= links <= len(pairs) - fewest:
        cause = "lower --threshold or --folds?" if links < fewest else "nearly every pair is linked: raise --threshold?"
        expected = f"at least {fewest} linked and {fewest} unlinked of {len(pairs)} pairs, {FEWEST_A_FOLD} a fold"
        raise InputError.of("--flows", f"{links} links", expected=expected, cause=cause)
    return Data(places, chosen, pairs, found, config, seed)


def _folds(data: Data, by: Split) -> list[Fold]:
    rng = numpy_generator(data.seed, SLUG, "apply", by)
    return list(split_pairs(data.pairs, data.linked, by=by, folds=data.config.folds, rng=rng))


def _usable(fold: Fold, linked: NDArray[np.bool_]) -> bool:
    """Whether both parts hold enough links and other pairs to say anything."""
    return all(3 <= int(linked[part].sum()) <= int(part.sum()) - 3 for part in (fold.train, fold.test))


def _unseen_places(data: Data) -> list[Row]:
    """The comparison on places that no training pair touched; draws with too few links in a half are left out."""
    folds = [fold for fold in _folds(data, "nodes") if _usable(fold, data.linked)]
    return _ranked("places never seen", [_contestants(data, fold, _learners(data)) for fold in folds])


def _known_places(data: Data) -> tuple[list[Row], Predicted]:
    """The comparison on held-out pairs of known places, and what its models say of the pairs they had not seen."""
    probability, flow = np.empty(len(data.pairs)), np.empty(len(data.pairs))
    judged: list[dict[str, dict[str, float]]] = []
    shares: dict[str, list[dict[str, float]]] = {"links": [], "flows": []}
    for number, fold in enumerate(_folds(data, "pairs")):
        links, sizes = models = _learners(data)
        judged.append(_contestants(data, fold, models))
        test, held = data.pairs[fold.test], data.flows[fold.test]
        probability[fold.test], flow[fold.test] = links.calibrated(test), sizes.predict(test)
        for name, one in (("links", links), ("flows", sizes)):
            rng = numpy_generator(data.seed, SLUG, "apply", "importance", number)
            shares[name].append(indicator_importance(one, test, held, rng=rng, repeats=data.config.repeats))
    means = {
        name: {group: float(np.mean([one[group] for one in found])) for group in found[0]}
        for name, found in shares.items()
    }
    return _ranked("pairs never seen", judged), Predicted(probability, flow, means)


def _ranked(shown: str, judged: Sequence[dict[str, dict[str, float]]]) -> list[Row]:
    """One row a contestant: means over folds, best accuracy first."""
    if not judged:
        return []
    means = {name: {key: float(np.mean([one[name][key] for one in judged])) for key in FIGURES} for name in judged[0]}
    spread = {name: float(np.std([one[name]["accuracy"] for one in judged])) for name in means}
    order = sorted(means, key=lambda name: -means[name]["accuracy"])
    return [
        {"held out": shown, "model": name, **{column: means[name][key] for key, column in FIGURES.items()},
         "accuracy std": spread[name]}
        for name in order
    ]  # fmt: skip


def _learners(data: Data) -> tuple[LinkClassifier, FlowRegressor]:
    return learners(data.config, data.places, seed=data.seed)


def _contestants(data: Data, fold: Fold, models: tuple[LinkClassifier, FlowRegressor]) -> dict[str, dict[str, float]]:
    """The method, which is left fitted, and its rivals on one fold, all with the same training pairs."""
    found = {}
    gravity = Config(link_model="logit", flow_model="logit", threshold=data.config.threshold)
    for name, (links, sizes) in {
        data.config.link_model: models,
        "gravity, regression": learners(gravity, data.places, seed=data.seed, parts=("gravity",), mass=data.mass),
    }.items():
        judged = learned_links(links, data.pairs, data.flows, fold=fold, rng=_balance(data))
        found[name] = judged | learned_flows(sizes, data.pairs, data.flows, fold=fold)
    laws: dict[str, Any] = {
        "gravity, Poisson": Gravity(data.places, data.mass, fit_by="ppml"),
        "radiation": Radiation(data.places, data.mass),
    }
    for name, law in laws.items():
        scores = law.fit(data.pairs[fold.train], data.flows[fold.train]).predict(data.pairs)
        scores = np.maximum(scores, np.finfo(float).tiny)
        threshold = data.config.threshold
        found[name] = rival_links(
            scores, data.flows, fold=fold, rng=_balance(data), threshold=threshold, seed=data.seed
        ) | rival_flows(scores, data.flows, fold=fold, threshold=threshold)
    return found


def _balance(data: Data) -> np.random.Generator:
    return numpy_generator(data.seed, SLUG, "apply", "balance")  # the same held-out pairs for every contestant


def _missing(data: Data, predicted: Predicted, *, top: int) -> list[Row]:
    """Pairs without a flow, likeliest first; ties in the order of the nodes."""
    absent = np.flatnonzero(~data.linked)
    order = absent[np.argsort(-predicted.probability[absent], kind="stable")][:top]
    return [_pair_row(data, predicted, int(number)) for number in order]


def _pair_row(data: Data, predicted: Predicted, number: int) -> Row:
    origin, destination = data.pairs[number]
    return {
        "origin": data.places.names[origin],
        "destination": data.places.names[destination],
        "probability": float(predicted.probability[number]),
        "expected flow": float(predicted.flow[number]),
        "observed flow": float(data.flows[number]),
        "km": float(pair_distances(data.places, data.pairs[number : number + 1])[0]),
    }


def _importance_rows(importance: dict[str, dict[str, float]]) -> list[Row]:
    links, flows = importance["links"], importance["flows"]
    return [{"indicator": n, "links": links[n], "flows": flows[n]} for n in sorted(links, key=lambda n: -links[n])]


def _about(data: Data, flows: Flows, predicted: Predicted) -> list[Row]:
    ends = np.unique(unordered(data.pairs[data.linked]))
    values = {
        "places": len(data.places),
        "indicators": len(data.places.indicator_names),
        "missing values": int(np.isnan(data.places.indicators).sum()),
        "mass of the formulas": data.mass,
        "links, each direction for itself": int(data.linked.sum()),
        "pairs of places linked either way": len(ends),
        "links' share of all directions": float(data.linked.mean()),
        "cpc of the whole network": common_part(data.flows, predicted.network),
        "flow between places": float(flows.matrix.sum()),
        "flow inside places": float(flows.inside.sum()),
    }
    return [{"what": name, "value": value} for name, value in values.items()]


def _headline(rows: Sequence[Row], model: str) -> str:
    ours = next(row for row in rows if row["model"] == model)
    best = next(row for row in rows if row is not ours)
    return (
        f"{ours['held out']}: {ours['model']} tells links with {float(ours['accuracy'] or 0):.1%} accuracy on balanced "
        f"pairs (chance 50 %), {best['model']} with {float(best['accuracy'] or 0):.1%}; R^2 of ln flow "
        f"{float(ours['r2'] or 0):.2f} against {float(best['r2'] or 0):.2f}"
    )


def _write(made: Application, output: Path, *, data: Data, predicted: Predicted) -> Application:
    kept = np.flatnonzero(predicted.called | data.linked)
    overlap = f"common part of commuters {common_part(data.flows, predicted.network):.2f} (whole network)"
    titles = {"links": "links: fall of area under ROC", "flows": "flows: fall of R^2 of ln T"}
    bars = {title: predicted.importance[name] for name, title in titles.items()}
    drawn = link_map(
        data.places.coordinates,
        geographic=data.places.units == "degrees",
        title=f"Links, {overlap}",
        **_layers(data, predicted),
    )
    curve = reliability_curve(reliability(predicted.probability, data.linked), title="Calibration")
    rows = [_pair_row(data, predicted, int(number)) for number in kept]
    content: dict[str, tuple[str, Content]] = {
        name: (about, to_csv(made.tables[title])) for name, (title, about) in FILES.items()
    }
    content |= {
        "predictions.csv": (
            "every pair that is linked or predicted to be: probability, expected and observed flow", to_csv(rows)
        ),
        "map.svg": ("observed links beside predicted ones", drawn),
        "importance.svg": (
            "importance as bars", importance_bars(bars, title="Which indicators carry the prediction")
        ),
        "calibration.svg": ("observed share of links over predicted probability", curve),
    }  # fmt: skip
    return write(made, output, content)


def _layers(data: Data, predicted: Predicted) -> dict[str, Links]:
    """The map's links, each pair of places once; flows of both directions are added."""
    number = len(data.places)
    both = {}
    for name, mask, flow in (("observed", data.linked, data.flows), ("predicted", predicted.called, predicted.flow)):
        ends = data.pairs[mask]
        matrix = Flows.of(ends[:, 0], ends[:, 1], flow[mask], places=number).matrix
        both[name] = np.triu(matrix + matrix.T)
    seen, guessed = both["observed"], both["predicted"]
    masks = {
        "right": ((seen > 0) & (guessed > 0), seen),
        "missed": ((seen > 0) & (guessed == 0), seen),
        "invented": ((seen == 0) & (guessed > 0), guessed),
    }
    return {
        name: [(int(a), int(b), float(flow[a, b])) for a, b in np.argwhere(mask)]
        for name, (mask, flow) in masks.items()
    }
