"""How a cell of the cities-to-series study is measured."""

import numpy as np
from scipy import stats

from livepapers.baselines.facility_location import central_places, greedy_medians, random_places
from livepapers.baselines.series_rivals import RIVALS, Horizon
from livepapers.baselines.series_rivals import tuned as tuned_rival
from livepapers.core.rng import derive, numpy_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import cities_to_series as method
from livepapers.methods.cities_to_series import ReGENN
from livepapers.methods.cities_to_series.backtest import errors, forecast_by
from livepapers.methods.cities_to_series.forecaster import described
from livepapers.methods.cities_to_series.influence import SCORES
from livepapers.methods.cities_to_series.scaling import Split
from livepapers.methods.cities_to_series.training import forecasts
from livepapers.studies.cities_to_series.design import ANGLES, STRIDE, TRAINED, WINDOW
from livepapers.studies.cities_to_series.instances import config_of, learner_of, network, parts_of, tensor, tuned


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """One forecaster on one test window, one placement of facilities, or one dual graph at all angles."""
    if arm == "dual":
        return _dual(setting, run)
    if "network" in setting.parameters:
        return _streets(arm, setting, seed, run)
    values = tensor(setting, seed, run.prepared)
    if arm in {*TRAINED, "leaky regenn"}:
        return _trained(arm, values, setting, seed=seed, preset=preset, run=run)
    split = Split.of(values.shape[1], window=WINDOW, stride=STRIDE)
    truth = values[:, -STRIDE:]
    if arm == "leaky drift":
        made, error = _leaky_drift(values, split)
    else:
        forecast = forecast_by(arm, values, split=split)
        made, error = forecast.made, forecast.dev_error
    return errors(made, truth) | {"dev_mae": error}


def _leaky_drift(values: np.ndarray, split: Split) -> tuple[np.ndarray, float]:
    """Drift of each step's shares of its largest variable, times the true largest variable of the future steps."""
    largest = np.maximum(np.abs(values).max(axis=2, keepdims=True), 1e-9)
    shares = values / largest
    dev, test = split.dev + split.window, split.test + split.window
    horizon = Horizon(split.window, split.stride, split.known)
    setting, _ = tuned_rival("drift", shares[:, :dev], horizon, target=shares[:, dev : dev + split.stride])
    at_dev = RIVALS["drift"](shares[:, :dev], horizon, **setting) * largest[:, dev : dev + split.stride]
    error = float(np.abs(at_dev - values[:, dev : dev + split.stride]).mean())
    return RIVALS["drift"](shares[:, :test], horizon, **setting) * largest[:, test:], error


def _trained(
    arm: str, values: np.ndarray, setting: Setting, *, seed: int, preset: str, run: Run
) -> dict[str, float]:  # fmt: skip
    chosen = tuned(arm, setting, run.prepared)
    config = config_of(arm, preset, rate=chosen["rate"], scale=chosen["scale"])
    train, dev, test, split = parts_of(arm, values, config)
    learner = learner_of(arm, train, dev, config, seed=seed)
    before = learner.network.thetas()[0] if isinstance(learner.network, ReGENN) and config.evolution else None
    run.drive(learner, config.epochs, evaluate=lambda _: {"dev_error": learner.error(dev)})
    network = learner.trained()
    made = forecasts(network, test, config.scale).numpy().astype(float)
    dead = (forecasts(network, train, config.scale) <= 0).all(dim=0).float().mean()
    found = errors(made, values[:, split.test + split.window :])
    found |= {"dev_mae": learner.best_error, "epochs": float(learner.best_epoch), "dead_outputs": float(dead)}
    if isinstance(network, ReGENN):
        run.artifact("network", described(network, config, {"seed": seed}), weights=network.state_dict())
        if before is not None:
            after = network.thetas()[0]
            run.samples("theta", after.numpy().astype(float))
            found["theta_change"] = float((after - before).norm() / before.norm())
    return found


def _streets(arm: str, setting: Setting, seed: int, run: Run) -> dict[str, float]:
    graph, beside = network(run.prepared(f"network-{setting.parameters['network']}"))
    weights = None
    if "places" in setting.parameters:
        start = np.unique(beside[setting.parameters["places"]])
        weights = beside["crimes" if "crimes" in beside else "deaths"]
    else:
        rng = numpy_generator(derive(seed, setting.name), "cities-to-series", "facilities")
        start = random_places(rng, graph.nodes, count=setting.parameters["count"])
    if arm == "influence":
        return _influence(graph, start)
    found = method.inconsistencies(graph, placed(arm, graph, start))
    extra = found.severity[found.inconsistent & np.isfinite(found.severity)]
    measured = {
        "share": found.share, "mean_distance": found.mean_distance,
        "unreachable": float((~found.reachable).sum()),
        "mean_severity": float(extra.mean()) if len(extra) else 0.0,
    }  # fmt: skip
    if weights is not None:
        measured["weighted_share"] = float(weights[found.inconsistent].sum() / weights.sum())
        if arm == "relocation":
            by_weight = method.relocate(graph, start, weights=weights).after
            measured["weighted_share_by_weight"] = float(weights[by_weight.inconsistent].sum() / weights.sum())
    return measured


def placed(arm: str, graph: method.StreetGraph, start: np.ndarray) -> np.ndarray:
    """Where an arm puts facilities that stand at `start`; all arms count both directions alike."""
    if arm == "as they stand":
        return start
    if arm in {"relocation", "vertex substitution"}:
        objective = "inconsistency" if arm == "relocation" else "mean_distance"
        return method.relocate(graph, start, objective=objective).after.facilities
    nodes = np.arange(graph.nodes)
    ways = (graph.distances(nodes, direction="out") + graph.distances(nodes, direction="in")) / 2
    rule = greedy_medians if arm == "greedy medians" else central_places
    return rule(ways, count=len(start))


def _influence(graph: method.StreetGraph, facilities: np.ndarray) -> dict[str, float]:
    """Rank correlations of the scores with what closing a corner does, over corners without a facility."""
    others = np.setdiff1d(np.arange(graph.nodes), facilities)
    scores = {name: method.influential(graph, facilities, score=name)[others] for name in SCORES}
    ranks = {name: stats.rankdata(score) for name, score in scores.items()}
    found = {
        f"removal_and_{name}": float(np.corrcoef(ranks["removal"], ranks[name])[0, 1])
        for name in SCORES
        if name != "removal"
    }
    return found | {
        "largest_removal": float(scores["removal"].max()),
        "without_effect": float((scores["removal"] == 0).mean()),
    }


def _dual(setting: Setting, run: Run) -> dict[str, float]:
    graph, _ = network(run.prepared(f"network-{setting.parameters['network']}"))
    found = {"segments": float(graph.segments)}
    for by_class, kind in ((False, "icn"), (True, "hicn")):
        made = [method.dual_streets(graph, min_angle=float(angle), by_class=by_class) for angle in ANGLES]
        found |= {f"{kind}_{angle}": float(dual.count) for angle, dual in zip(ANGLES, made, strict=True)}
        lost = max(abs(float(dual.lengths.sum()) - float(graph.lengths.sum())) for dual in made)
        found[f"{kind}_length_error"] = lost / float(graph.lengths.sum())
    return found
