"""`livepapers apply gnn-graph-level`: which model suits the user's own graphs, and what it predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import networkx as nx
import numpy as np

from livepapers.core.application import Application, Content, Row, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.loop import drive
from livepapers.core.rng import derive, numpy_generator
from livepapers.methods.gnn_graph_level.features import PathFeatures
from livepapers.methods.gnn_graph_level.harness import NETWORKS, TABLES, TableModel, average_ranks, evaluate
from livepapers.methods.gnn_graph_level.harness import network_config as configured
from livepapers.methods.gnn_graph_level.paths import LONGEST
from livepapers.methods.gnn_graph_level.plot import importance_svg, ranking_svg
from livepapers.methods.gnn_graph_level.settings import Config
from livepapers.methods.gnn_graph_level.training import GraphLearner
from livepapers.tasks.graph_files import read_edges, read_tudataset, to_targets
from livepapers.tasks.graph_scenarios import Scenario, Split, perturb, split, thin
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.molecules import read_smiles

SLUG = "gnn-graph-level"
COMPARED = ("path-adaptive", "gin", "wl-svm", "boosting", "prior")
MOST_GRAPHS, MOST_EDGES = 20_000, 2_000_000
_OURS = frozenset({"path-adaptive", "path-random", "path", "rooted"})
_DRAWN = 6


@dataclass(frozen=True, eq=False)
class Outcome:
    """One model in one repeat."""

    validation: float  # score there
    test: dict[str, float]
    predictions: np.ndarray  # of the test graphs, then of the unlabelled ones
    importance: np.ndarray | None  # of the edges of the graphs that are drawn


def apply(
    *,
    smiles: Path | None = None,
    tudataset: Path | None = None,
    edges: Path | None = None,
    graphs: Path | None = None,
    nodes: Path | None = None,
    target: str = "target",
    task: Literal["auto", "classes", "numbers"] = "auto",
    models: Sequence[str] = (),
    scenario: str = "clean",
    k: int = 3,
    epochs: int = 60,
    repeats: int = 3,
    seed: int = 0,
    output: Path | None = None,
) -> Application:
    """Compare models of whole graphs on your own, on equal terms, and predict for those without a target.

    Give molecules (--smiles), a folder of TUDataset (--tudataset), or tables (--edges and --graphs). A fifth of the
    labelled graphs is the test in each repeat, 15 % of the rest decides when to stop.

    Args:
        smiles: CSV with the columns smiles and the target's; needs the extra `molecules`.
        tudataset: Folder with NAME_A.txt, NAME_graph_indicator.txt, NAME_graph_labels.txt and so on.
        edges: CSV with the columns graph, source, target: names of a graph and of two of its nodes; undirected.
        graphs: CSV with the columns graph and the target's; empty cells are predicted.
        nodes: CSV with the columns graph, node and any number of numeric attributes; needed for nodes without edges.
        target: Column of the targets, in --smiles or --graphs.
        task: classes, numbers, or auto: numbers if one has decimals or more than 20 differ.
        models: path-adaptive, path-random, path, rooted, gcn, gin, sage, topk, ego, graphcl, wl-svm, boosting, prior;
            none: path-adaptive, gin, wl-svm, boosting and prior.
        scenario: clean, noise:SHARE of edges moved, imbalance:FACTOR of the smallest class, shots:LABELS a class.
        k: Edges of the longest paths; cycles up to k + 1 edges are known to the path models.
        epochs: Of each network, at most.
        repeats: Splits that are drawn.
        seed: Of splits, weights and batches.
        output: Folder for models.csv, predictions.csv, counts.csv, importance.csv, two figures and application.json;
            must be new or empty.

    Returns:
        The models by their mean rank with all measures, predictions, paths and cycles of each graph, and the
        importance that edges of some graphs have for path-adaptive.

    Raises:
        InputError: One line for any unusable option or file; nothing is written then.
        MissingExtraError: --smiles without RDKit.

    Examples:
        livepapers apply gnn-graph-level --smiles compounds.csv --target solubility --output compared
        livepapers apply gnn-graph-level --tudataset MUTAG --models path-adaptive --models ego --json
        livepapers apply gnn-graph-level --edges edges.csv --graphs graphs.csv --scenario noise:0.2
    """
    names = tuple(dict.fromkeys(models or COMPARED))
    for name in names:
        if name not in NETWORKS and name not in TABLES:
            raise InputError.of("--models", name, expected=f"one of {', '.join([*NETWORKS, *TABLES])}")
    for option, value, most in (("--k", k, LONGEST), ("--epochs", epochs, 10_000), ("--repeats", repeats, 100)):
        if not 1 <= value <= most:
            raise InputError.of(option, value, expected=f"a whole number from 1 to {most:,}")
    hard = Scenario.parse(scenario, field="--scenario")
    if output is not None:
        check_output_folder(output)
    table = _read(smiles, tudataset, edges, graphs, nodes, target=target, task=task)
    if hard.needs_classes and not table.classes:
        raise InputError.of("--scenario", scenario, expected="clean or noise", cause="the targets are numbers")
    config = Config(k=k, epochs=epochs, patience=max(epochs // 5, 5))
    cells = [_repeat(table, hard, names, config, seed=derive(seed, SLUG, number)) for number in range(repeats)]
    made = _report(table, cells, names, config=config, scenario=scenario, atoms=smiles is not None)
    return made if output is None else _write(made, cells, table, names, output=output, atoms=smiles is not None)


def _read(
    smiles: Path | None, tudataset: Path | None, edges: Path | None, graphs: Path | None, nodes: Path | None, *,
    target: str, task: str,
) -> GraphTable:  # fmt: skip
    given = [name for name, path in (("--smiles", smiles), ("--tudataset", tudataset), ("--edges", edges)) if path]
    if len(given) != 1:
        found = " and ".join(given) or "none"
        raise InputError.of("source", found, expected="exactly one of --smiles, --tudataset, --edges")
    for option, path in (("--graphs", graphs), ("--nodes", nodes)):
        if path is not None and edges is None:
            raise InputError.of(option, path, expected="nothing without --edges")
    if edges is not None:
        if graphs is None:
            raise InputError.of("--graphs", "nothing", expected="a CSV with the graphs' targets beside --edges")
        table, texts = read_edges(edges, graphs, nodes=nodes, target=target)
    elif smiles is not None:
        table, texts = read_smiles(smiles, option="--smiles", target=target)
    else:
        table, texts = read_tudataset(tudataset or Path(), option="--tudataset")
    for what, count, most in (("graphs", len(table), MOST_GRAPHS), ("edges", len(table.ends), MOST_EDGES)):
        if count > most:
            raise InputError.of(what, f"{count:,}", expected=f"at most {most:,}", cause="take a part of them")
    values, classes = to_targets(texts, task=task, option=f"column {target}")
    return replace(table, targets=values[:, None], classes=classes)


@dataclass(frozen=True, eq=False)
class Repeat:
    """One split and what every model did on it."""

    table: GraphTable  # as the scenario left it
    parts: Split
    outcomes: Mapping[str, Outcome]
    sampled: int  # roots whose paths were too many


def _repeat(table: GraphTable, hard: Scenario, names: Sequence[str], config: Config, *, seed: int) -> Repeat:
    rng = numpy_generator(seed, SLUG, "split")
    parts = split(table, rng, validation=0.15, test=0.2)
    asked = np.concatenate([parts.test, parts.unlabelled])  # before labels are taken away
    if hard.noise:
        table = perturb(table, rng, share=hard.noise)
    if hard.needs_classes:
        labels = table.targets[parts.train, 0].astype(np.int64)
        rare = int(np.bincount(labels, minlength=len(table.classes)).argmin())
        parts = thin(table, parts, rng, scenario=hard, rare=rare)
    outcomes, sampled = {}, 0
    for name in names:
        if name in TABLES:
            model = TableModel(name, config, seed % 2**31)
            both = model.predict(table, parts, np.concatenate([parts.validation, asked]))
            watched, found, importance = both[: len(parts.validation)], both[len(parts.validation) :], None
        else:
            learner = GraphLearner(table, parts, config=configured(name, config), seed=seed)
            drive(learner, learner.config.epochs, name=name)
            watched, found = learner.predict(parts.validation), learner.predict(asked)
            adaptive = learner.config.contrast == "adaptive"
            importance = learner.edge_importance(asked[:_DRAWN]) if adaptive else None
            sampled = max(sampled, learner.sampled)
        outcomes[name] = Outcome(
            evaluate(table, parts.validation, watched)["score"],
            evaluate(table, parts.test, found[: len(parts.test)]), found, importance,
        )  # fmt: skip
    return Repeat(table, replace(parts, unlabelled=asked[len(parts.test) :]), outcomes, sampled)


def _report(
    table: GraphTable, cells: Sequence[Repeat], names: Sequence[str], *, config: Config, scenario: str, atoms: bool
) -> Application:
    ranks = average_ranks({
        str(number): {name: cell.outcomes[name].test["score"] for name in names} for number, cell in enumerate(cells)
    })  # fmt: skip
    chosen = max(names, key=lambda name: float(np.mean([cell.outcomes[name].validation for cell in cells])))
    rows: list[dict[str, str | float]] = []
    for name in sorted(names, key=lambda name: ranks[name]):
        tests = [cell.outcomes[name].test for cell in cells]
        shared = [measure for measure in tests[0] if measure != "score" and all(measure in test for test in tests)]
        row: dict[str, str | float] = {"model": name, "mean rank": ranks[name]}
        for measure in shared:
            values = [test[measure] for test in tests]
            row |= {measure: float(np.mean(values)), f"{measure} deviation": float(np.std(values))}
        rows.append(row)
    measure = "macro_f1" if table.classes else "mae"
    best = next(row for row in rows if row["model"] == chosen)
    shown = f"macro-F1 {best[measure]:.1f} %" if table.classes else f"mean absolute error {best[measure]:.3g}"
    tables: dict[str, Sequence[Row]] = {
        "Models": rows,
        "Predictions": _predictions(cells, chosen),
        "Paths and cycles": _counts(table, config),
    }
    if cells[0].outcomes.get("path-adaptive") is not None:
        tables["Importance of edges"] = _importance(cells[0])
    notes = _notes(table, cells, config=config, scenario=scenario, atoms=atoms)
    headline = (
        f"{chosen}, best on the validation graphs: {shown} on the test graphs, mean of {len(cells)} splits "
        f"({len(table)} graphs, {scenario})"
    )
    return Application(SLUG, headline, tables, notes)


def _notes(
    table: GraphTable, cells: Sequence[Repeat], *, config: Config, scenario: str, atoms: bool
) -> tuple[str, ...]:
    tests = len(cells[0].parts.test)
    notes = [
        f"Networks: {config.hidden} wide, {config.layers} layers, learning rate {config.learning_rate:g}, not tuned."
    ]
    if tests < 50:
        notes.append(f"Only {tests} test graphs in a split: differences between models are indicative only.")
    if cells[0].sampled:
        notes.append(f"Paths of {cells[0].sampled} nodes were sampled, over {config.max_paths:,} of one length.")
    if scenario != "clean":
        notes.append(f"Scenario {scenario}: figures say how models cope with it, not how good your data are.")
    if atoms and any("." in name for name in table.names):
        notes.append("Some SMILES hold several molecules (salts?); each is one graph of unconnected parts.")
    return tuple(notes)


def _predictions(cells: Sequence[Repeat], chosen: str) -> list[Row]:
    """Test graphs of the first split, and graphs without a target by the mean over splits."""
    first = cells[0]
    tests = len(first.parts.test)
    found = first.outcomes[chosen].predictions.copy()
    found[tests:] = np.mean([cell.outcomes[chosen].predictions[len(cell.parts.test) :] for cell in cells], axis=0)
    rows: list[Row] = []
    table = first.table
    for place, graph in enumerate(np.concatenate([first.parts.test, first.parts.unlabelled])):
        known = table.targets[graph, 0]
        row: dict[str, str | float | None] = {"graph": table.names[graph], "part": "test" if place < tests else "new"}
        if table.classes:
            row["known"] = table.classes[int(known)] if np.isfinite(known) else ""
            row["predicted"] = table.classes[int(found[place].argmax())]
            row["score"] = float(found[place].max())
        else:
            row["known"] = float(known) if np.isfinite(known) else None
            row["predicted"] = float(found[place, 0])
        rows.append(row)
    return rows


def _counts(table: GraphTable, config: Config) -> list[Row]:
    features = PathFeatures(config.k, max_paths=config.max_paths)
    names = features.count_names()
    return [
        {"graph": name, "nodes": int(size), "edges": int(edges), **dict(zip(names, map(float, row), strict=True))}
        for name, size, edges, row in zip(
            table.names, table.sizes, np.diff(table.edge_pointers), features.counts(table), strict=True
        )
    ]


def _importance(cell: Repeat) -> list[Row]:
    """Edges of the graphs that are drawn, with their importance for path-adaptive."""
    graphs, weights = _drawn(cell), cell.outcomes["path-adaptive"].importance
    seen = cell.table.select(graphs)
    ends = seen.ends - seen.pointers[seen.owner[seen.ends[:, 0]]][:, None]
    return [
        {"graph": seen.names[seen.owner[first]], "node": int(a), "other node": int(b), "importance": float(weight)}
        for first, (a, b), weight in zip(seen.ends[:, 0], ends, weights if weights is not None else [], strict=True)
    ] or [{"graph": seen.names[0], "node": 0, "other node": 0, "importance": None}]


def _drawn(cell: Repeat) -> np.ndarray:
    return np.concatenate([cell.parts.test, cell.parts.unlabelled])[:_DRAWN]


def _write(
    made: Application, cells: Sequence[Repeat], table: GraphTable, names: Sequence[str], *, output: Path, atoms: bool
) -> Application:
    files = {
        "models.csv": ("Models", "all models with rank and measures"),
        "predictions.csv": ("Predictions", "test graphs of the first split, and graphs without a target"),
        "counts.csv": ("Paths and cycles", "paths and cycles of each graph; estimates where a node has too many"),
        "importance.csv": ("Importance of edges", "importance of the edges of the graphs that are drawn"),
    }
    content: dict[str, tuple[str, Content]] = {
        name: (about, to_csv(made.tables[title])) for name, (title, about) in files.items() if title in made.tables
    }
    scores = {name: [cell.outcomes[name].test["score"] for cell in cells] for name in names}
    factor, unit = (1.0, "macro-F1 on test graphs, %") if table.classes else (-1.0, "mean absolute error, test graphs")
    order = [str(row["model"]) for row in made.tables["Models"]]
    ranking = ranking_svg(
        [(name, [factor * score for score in scores[name]]) for name in order],
        title="Models, best mean rank first", unit=unit, ours=_OURS,
    )  # fmt: skip
    content["models.svg"] = ("the models side by side", ranking)
    if "path-adaptive" in names:
        picture = importance_svg(_pictures(cells[0], atoms=atoms))
        content["importance.svg"] = ("some graphs with their important edges", picture)
    return write(made, output, content)


def _pictures(cell: Repeat, *, atoms: bool) -> list[tuple[str, nx.Graph]]:
    from livepapers.tasks.molecules import ELEMENTS

    weights = cell.outcomes["path-adaptive"].importance
    pictures, done = [], 0
    for graph in _drawn(cell):
        picture = cell.table.to_networkx(int(graph))
        first, last = cell.table.edge_pointers[graph : graph + 2]
        ends = (cell.table.ends[first:last] - cell.table.pointers[graph]).tolist()
        for (a, b), weight in zip(ends, [] if weights is None else weights[done : done + len(ends)], strict=True):
            picture.edges[a, b]["importance"] = float(weight)
        done += len(ends)
        if atoms:
            rows = cell.table.nodes[cell.table.pointers[graph] : cell.table.pointers[graph + 1], : len(ELEMENTS)]
            for node, row in enumerate(rows):
                picture.nodes[node]["label"] = ELEMENTS[int(row.argmax())] if row.any() else "*"
        pictures.append((cell.table.names[graph], picture))
    return pictures
