"""What cells of the cities-to-series study share: tensors of counts, street networks, tuned settings of trainings."""

import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from livepapers.baselines.series_rivals import PlainLSTM
from livepapers.core.config import replace
from livepapers.core.rng import derive, generator, numpy_generator
from livepapers.lab.study import Setting
from livepapers.methods.cities_to_series import Config, ForecastLearner, untrained, variable_graph
from livepapers.methods.cities_to_series.forecaster import dev_windows, last_windows, split_of, train_windows
from livepapers.methods.cities_to_series.scaling import Split, Windows, leaky_windows
from livepapers.studies.cities_to_series.design import ABLATIONS, SETTINGS, STRIDE, TRAINED, WINDOW
from livepapers.tasks.contagious_diseases import YEARS, read_diseases
from livepapers.tasks.coupled_series import coupled_series
from livepapers.tasks.data import SHAPEFILE, read_source
from livepapers.tasks.street_files import from_lines, from_networkx, read_packed
from livepapers.tasks.street_graph import StreetGraph, street_grid

TUNING_SEED = 1_000_003
"""Of the trainings that choose a setting; no cell has it."""
GRID = tuple((rate, scale) for rate in (3e-3, 1e-2) for scale in ("log1p", "train_max"))
BESIDE = {"tempe": ("schools", "crimes"), "soho": ("pumps", "deaths")}
"""Network -> the facilities and the weights that come with it."""
HIDDEN = 32  # units of the plain LSTM: more weights than ReGENN has outside its encoder


def _diseases(folder: Path, preset: str) -> None:
    """The counts do not depend on the preset."""
    del preset
    read = read_diseases(read_source("contagious-diseases"), where="contagious-diseases")
    np.save(folder / "counts.npy", read.values, allow_pickle=False)


def tensor(setting: Setting, seed: int, prepared: Callable[[str], Path]) -> np.ndarray:
    """`[series, steps, variables]` of a forecasting setting, up to its last year; made ones are of the seed."""
    if setting.parameters["data"] == "coupled":
        return coupled_series(numpy_generator(seed, "cities-to-series", "coupled"), 24, 30)
    counts = np.load(prepared("diseases") / "counts.npy", allow_pickle=False)
    known = counts[:, : setting.parameters["end"] - YEARS[0] + 1]
    return known.cumsum(axis=1) if setting.parameters["data"] == "cumulative" else known


def config_of(arm: str, preset: str, *, rate: float, scale: str) -> Config:
    """The settings of a trained arm; the leaky one's scaling is undone by its windows, not by `scale`."""
    made = Config.preset("smoke" if preset == "smoke" else "laptop")
    off = {ABLATIONS[arm]: False} if arm in ABLATIONS else {}
    return replace(
        made, window=WINDOW, stride=STRIDE, rate=rate, scale="none" if arm == "leaky regenn" else scale, **off
    )


def parts_of(arm: str, values: np.ndarray, config: Config) -> tuple[Windows, Windows, Windows, Split]:
    """(train, dev, test, split) of an arm."""
    given = torch.tensor(values, dtype=torch.float32)
    split = split_of(given, config)
    if arm == "leaky regenn":
        places = (split.train, torch.tensor([split.dev]), torch.tensor([split.test]))
        train, dev, test = (leaky_windows(given, at, split=split) for at in places)
        return train, dev, test, split
    return (
        train_windows(given, config, split),
        dev_windows(given, config, split),
        last_windows(given, config, split),
        split,
    )


def learner_of(arm: str, train: Windows, dev: Windows, config: Config, *, seed: int) -> ForecastLearner:
    """What trains an arm; weights, minibatches and dropout are of the seed, the same for all arms where they can be."""
    weights = generator(seed, "cities-to-series", "weights")
    if arm == "plain lstm":
        network = PlainLSTM(
            train.inputs.shape[2],
            config.stride,
            hidden=HIDDEN,
            generator=weights,
            nonnegative=config.activation != "none",
        )
    else:
        network = untrained(variable_graph(train.inputs), config, generator=weights)
    return ForecastLearner(
        network, train, dev, config=config, generator=generator(seed, "cities-to-series", "minibatches"),
        dropout_seed=derive(seed, "cities-to-series", "dropout") >> 16,
    )  # fmt: skip


def grid_of(arm: str, preset: str) -> tuple[tuple[float, str], ...]:
    """What is tried: the same for all trained arms; the leaky scaling leaves the rate alone."""
    if preset == "smoke":
        return GRID[:1]
    return tuple(dict.fromkeys((rate, "none" if arm == "leaky regenn" else scale) for rate, scale in GRID))


def _tuned(folder: Path, preset: str, *, arm: str, setting: Setting) -> None:
    """The rate and scaling with the least dev error, by whole trainings."""

    def prepared(name: str) -> Path:
        """A training that chooses settings reads the data itself: prepared parts do not ask for each other."""
        made = folder / name
        if not made.exists():
            made.mkdir()
            _diseases(made, preset)
        return made

    values = tensor(setting, TUNING_SEED, prepared)
    tried: list[tuple[float, float, str]] = []
    for rate, scale in grid_of(arm, preset):
        config = config_of(arm, preset, rate=rate, scale=scale)
        train, dev, _, _ = parts_of(arm, values, config)
        learner = learner_of(arm, train, dev, config, seed=TUNING_SEED)
        for _ in range(config.epochs):
            learner.update()
        tried.append((learner.best_error, rate, scale))
    error, rate, scale = min(tried)
    chosen = {"rate": rate, "scale": scale, "dev_error": error, "tried": [list(one) for one in tried]}
    (folder / "tuned.json").write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")


def tuned(arm: str, setting: Setting, prepared: Callable[[str], Path]) -> dict[str, Any]:
    """The setting that was chosen for an arm."""
    return json.loads((prepared(tuning_name(arm, setting.name)) / "tuned.json").read_text(encoding="utf-8"))


def tuning_name(arm: str, setting: str) -> str:
    """What the prepared part of a tuning is called."""
    return f"tuned {arm} {setting}".replace(" ", "-")


def _street_map(name: str, folder: Path) -> StreetGraph:
    if name == "manhattan":
        import networkx as nx

        return from_networkx(nx.parse_graphml(read_source("manhattan-streets").decode(), force_multigraph=True))
    if name == "bubenec":
        members, layer = [("bubenec.gpkg", read_source("bubenec-streets"))], "streets"
    else:
        members, layer = _shapefile(f"{name}-streets"), ""
    frame = read_packed(members, folder, layer=layer)
    return from_lines(frame, where=name, split=name == "soho").largest_component()


def _shapefile(name: str) -> list[tuple[str, bytes]]:
    return [(f"{name}.{ending}", read_source(f"{name}.{ending}")) for ending in SHAPEFILE]


def _network(folder: Path, preset: str, *, name: str) -> None:
    """A street network as arrays, with its own facilities and weights where it has any."""
    del preset
    if name == "grid":
        _save(folder, street_grid(numpy_generator(0, "cities-to-series", "grid"), 14, 14), {})
        return
    with tempfile.TemporaryDirectory() as place:
        graph = _street_map(name, Path(place))
        extra: dict[str, np.ndarray] = {}
        for kept in BESIDE.get(name, ()):
            frame = read_packed(_shapefile(f"{name}-{kept}"), Path(place))
            node, _ = graph.snap(frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
            count = frame["Count"].to_numpy(dtype=float) if "Count" in frame else np.ones(len(frame))
            extra[kept] = node if kept in {"schools", "pumps"} else np.bincount(node, count, minlength=graph.nodes)
    _save(folder, graph, extra)


def _save(folder: Path, graph: StreetGraph, extra: dict[str, np.ndarray]) -> None:
    ends = np.column_stack([graph.tails, graph.heads])
    texts = {"names": np.array(graph.names, dtype=np.str_), "classes": np.array(graph.classes, dtype=np.str_)}
    np.savez(
        folder / "network.npz", allow_pickle=False, x=graph.x, y=graph.y, ends=ends, lengths=graph.lengths,
        oneway=graph.oneway, unit=np.str_(graph.unit), **texts, **extra,
    )  # fmt: skip


def network(folder: Path) -> tuple[StreetGraph, dict[str, np.ndarray]]:
    """A prepared street network, and the facilities and weights that came with it."""
    with np.load(folder / "network.npz", allow_pickle=False) as kept:
        graph = StreetGraph.of(
            kept["x"], kept["y"], kept["ends"], lengths=kept["lengths"], oneway=kept["oneway"],
            names=kept["names"].tolist(), classes=kept["classes"].tolist(), unit=str(kept["unit"]),
        )  # fmt: skip
        return graph, {name: kept[name] for name in sum(BESIDE.values(), ()) if name in kept}


PREPARE: dict[str, Callable[[Path, str], None]] = {
    "diseases": _diseases,
    **{f"network-{name}": partial(_network, name=name) for name in ("tempe", "soho", "manhattan", "bubenec", "grid")},
    **{
        tuning_name(arm, setting.name): partial(_tuned, arm=arm, setting=setting)
        for setting in SETTINGS
        for arm in setting.arms
        if arm in {*TRAINED, "leaky regenn"}
    },
}
