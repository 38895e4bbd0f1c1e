"""`livepapers apply gnn-graph-level`: which model suits the user's own graphs, and what it predicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import networkx as nx
import numpy as np

from livepapers.core.application import Application, Content, Row, options_checked, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.loop import drive
from livepapers.core.rng import Seed, derive, numpy_generator
from livepapers.methods.gnn_graph_level.features import PathFeatures
from livepapers.methods.gnn_graph_level.harness import NETWORKS, TABLES, TableModel, average_ranks, evaluate
from livepapers.methods.gnn_graph_level.harness import network_config as configured
from livepapers.methods.gnn_graph_level.paths import LONGEST
from livepapers.methods.gnn_graph_level.plot import importance_svg, ranking_svg
from livepapers.methods.gnn_graph_level.settings import Config
from livepapers.methods.gnn_graph_level.training import GraphLearner
from livepapers.tasks.graph_files import read_edges, read_tudataset, to_targets
from livepapers.tasks.graph_scenarios import Scenario, Split, perturb, split, thin
from livepapers.tasks.graphs import GraphTable, ragged
from livepapers.tasks.molecules import read_smiles

SLUG = "gnn-graph-level"
COMPARED = ("path-adaptive", "gin", "wl-svm", "boosting", "prior")
MOST_GRAPHS, MOST_EDGES = 20_000, 2_000_000
_OURS = frozenset({"path-adaptive", "path-random", "path", "rooted"})
_DRAWN = 6
_SCORES = {"wl-svm": "decision score"}  # a distance from the border without a unit; of all others a probability


@dataclass(frozen=True, eq=False)
class Given:
    """The user's graphs."""

    table: GraphTable
    nodes: Sequence[str | int]  # [nodes] a name, an atom's number in its molecule from 0, or a number of TUDataset
    atoms: bool  # whether nodes are atoms


@dataclass(frozen=True, eq=False)
class Outcome:
    """One model in one repeat."""

    validation: float  # score there
    test: dict[str, float]
    predictions: np.ndarray  # of the test graphs, then of the unlabelled ones
    importance: np.ndarray | None  # of the edges of the graphs that are drawn


@options_checked
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
    seed: Seed = 0,
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
        scenario: clean, noise:SHARE of the edges of labelled graphs moved, imbalance:FACTOR of the smallest class,
            shots:LABELS a class.
        k: Edges of the longest paths; cycles up to k + 1 edges are known to the path models.
        epochs: Of each network, at most.
        repeats: Splits that are drawn.
        seed: Of splits, weights and batches.
        output: Folder for models.csv, predictions.csv, counts.csv, importance.csv, two figures and application.json;
            must be new or empty.

    Returns:
        The models by their mean rank with all measures; predictions of the model that did best on the validation
        graphs, classes with its probability for them (of wl-svm its decision score, which is none), numbers in the
        target's unit; paths and cycles of each graph; and the importance, from 0 to 1, that edges of some graphs have
        for path-adaptive, by the names of their nodes (in SMILES the atoms' numbers, from 0).

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
    given = _read(smiles, tudataset, edges, graphs, nodes, target=target, task=task)
    table = given.table
    if hard.needs_classes and not table.classes:
        raise InputError.of("--scenario", scenario, expected="clean or noise", cause="the targets are numbers")
    config = Config(k=k, epochs=epochs, patience=max(epochs // 5, 5))
    cells = [_repeat(table, hard, names, config, seed=derive(seed, SLUG, number)) for number in range(repeats)]
    made = _report(given, cells, names, config=config, scenario=scenario)
    return made if output is None else _write(made, cells, given, names, output=output)


def _read(
    smiles: Path | None, tudataset: Path | None, edges: Path | None, graphs: Path | None, nodes: Path | None, *,
    target: str, task: str,
) -> Given:  # fmt: skip
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
        where = f"--graphs {graphs.name}"
        table, texts, called = read_edges(edges, graphs, nodes=nodes, target=target)
    elif smiles is not None:
        where = f"--smiles {smiles.name}"
        table, texts = read_smiles(smiles, option="--smiles", target=target)
        called = (np.arange(len(table.owner)) - table.pointers[table.owner]).tolist()
    else:
        where = f"--tudataset {(tudataset or Path()).name}"
        table, texts = read_tudataset(tudataset or Path(), option="--tudataset")
        called = list(range(1, len(table.owner) + 1))
    for what, count, most in (("graphs", len(table), MOST_GRAPHS), ("edges", len(table.ends), MOST_EDGES)):
        if count > most:
            raise InputError.of(what, f"{count:,}", expected=f"at most {most:,}", cause="take a part of them")
    values, classes = to_targets(texts, task=task, where=where, column=target)
    return Given(replace(table, targets=values[:, None], classes=classes), called, smiles is not None)


@dataclass(frozen=True, eq=False)
class Repeat:
    """One split and what every model did on it."""

    table: GraphTable  # as the scenario left it
    parts: Split
    outcomes: Mapping[str, Outcome]


def _repeat(table: GraphTable, hard: Scenario, names: Sequence[str], config: Config, *, seed: int) -> Repeat:
    rng = numpy_generator(seed, SLUG, "split")
    parts = split(table, rng, validation=0.15, test=0.2)
    asked = np.concatenate([parts.test, parts.unlabelled])  # before labels are taken away
    if hard.noise:  # what is to be predicted stays as it is
        table = perturb(table, rng, share=np.where(np.isfinite(table.targets[:, 0]), hard.noise, 0.0))
    if hard.needs_classes:
        labels = table.targets[parts.train, 0].astype(np.int64)
        rare = int(np.bincount(labels, minlength=len(table.classes)).argmin())
        parts = thin(table, parts, rng, scenario=hard, rare=rare)
    outcomes = {}
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
        outcomes[name] = Outcome(
            evaluate(table, parts.validation, watched)["score"],
            evaluate(table, parts.test, found[: len(parts.test)]), found, importance,
        )  # fmt: skip
    return Repeat(table, replace(parts, unlabelled=asked[len(parts.test) :]), outcomes)


def _report(
    given: Given, cells: Sequence[Repeat], names: Sequence[str], *, config: Config, scenario: str
) -> Application:
    table = given.table
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
    counts, sampled = _counts(table, config)
    tables: dict[str, Sequence[Row]] = {
        "Models": rows,
        "Predictions": _predictions(cells, chosen),
        "Paths and cycles": counts,
    }
    if cells[0].outcomes.get("path-adaptive") is not None:
        tables["Importance of edges"] = _importance(cells[0], given.nodes)
    notes = _notes(given, cells, config=config, scenario=scenario, sampled=sampled)
    headline = (
        f"{chosen}, best on the validation graphs: {shown} on the test graphs, mean of {len(cells)} splits "
        f"({len(table)} graphs, {scenario})"
    )
    return Application(SLUG, headline, tables, notes)


def _notes(given: Given, cells: Sequence[Repeat], *, config: Config, scenario: str, sampled: int) -> tuple[str, ...]:
    tests = len(cells[0].parts.test)
    notes = [
        f"Networks: {config.hidden} wide, {config.layers} layers, learning rate {config.learning_rate:g}, not tuned."
    ]
    if tests < 50:
        notes.append(f"Only {tests} test graphs in a split: differences between models are indicative only.")
    if sampled:
        notes.append(
            f"Paths of {sampled} nodes were sampled, over {config.max_paths:,} of one length: paths and cycles of "
            "their graphs are estimates."
        )
    if scenario != "clean":
        notes.append(f"Scenario {scenario}: figures say how models cope with it, not how good your data are.")
    if scenario.startswith("noise") and len(cells[0].parts.unlabelled):
        notes.append("Graphs without a target were predicted as they are: noise moved edges of the others only.")
    if given.atoms and any("." in name for name in given.table.names):
        notes.append("Some SMILES hold several molecules (salts?); each is one graph of unconnected parts.")
    return tuple(notes)


def _predictions(cells: Sequence[Repeat], chosen: str) -> list[Row]:
    """Test graphs of the first split, and graphs without a target by the mean over splits."""
    first = cells[0]
    tests = len(first.parts.test)
    found = first.outcomes[chosen].predictions.copy()
    found[tests:] = np.mean([cell.outcomes[chosen].predictions[len(cell.parts.test) :] for cell in cells], axis=0)
    rows: list[Row] = []
    table, score = first.table, _SCORES.get(chosen, "probability")
    for place, graph in enumerate(np.concatenate([first.parts.test, first.parts.unlabelled])):
        known = table.targets[graph, 0]
        row: dict[str, str | float | None] = {"graph": table.names[graph], "part": "test" if place < tests else "new"}
        if table.classes:
            row["known"] = table.classes[int(known)] if np.isfinite(known) else ""
            row["predicted"] = table.classes[int(found[place].argmax())]
            row[score] = float(found[place].max())
        else:
            row["known"] = float(known) if np.isfinite(known) else None
            row["predicted"] = float(found[place, 0])
        rows.append(row)
    return rows


def _counts(table: GraphTable, config: Config) -> tuple[list[Row], int]:
    """Paths and cycles of each graph, whole numbers also where they are estimates, and how many nodes were sampled."""
    features = PathFeatures(config.k, max_paths=config.max_paths)
    names, labels = features.count_names(), features.labels(table)
    counts = np.rint(features.counts_of(labels)).astype(np.int64).tolist()
    rows: list[Row] = [
        {"graph": name, "nodes": size, "edges": edges, **dict(zip(names, row, strict=True))}
        for name, size, edges, row in zip(
            table.names, table.sizes.tolist(), np.diff(table.edge_pointers).tolist(), counts, strict=True
        )
    ]
    return rows, labels.sampled


def _importance(cell: Repeat, nodes: Sequence[str | int]) -> list[Row]:
    """Edges of the graphs that are drawn, with their importance for path-adaptive."""
    table, graphs, weights = cell.table, _drawn(cell), cell.outcomes["path-adaptive"].importance
    ends = table.ends[ragged(table.edge_pointers, graphs)[0]]
    return [
        {"graph": table.names[table.owner[a]], "node": nodes[a], "other node": nodes[b], "importance": float(weight)}
        for (a, b), weight in zip(ends.tolist(), weights if weights is not None else [], strict=True)
    ] or [{"graph": table.names[graphs[0]], "node": "", "other node": "", "importance": None}]


def _drawn(cell: Repeat) -> np.ndarray:
    return np.concatenate([cell.parts.test, cell.parts.unlabelled])[:_DRAWN]


def _write(
    made: Application, cells: Sequence[Repeat], given: Given, names: Sequence[str], *, output: Path
) -> Application:
    files = {
        "models.csv": ("Models", "all models with rank and measures"),
        "predictions.csv": (
            "Predictions",
            "test graphs of the first split, and graphs without a target, by the best on validation",
        ),
        "counts.csv": ("Paths and cycles", "paths and cycles of each graph; estimates where a node has too many"),
        "importance.csv": ("Importance of edges", "importance of the edges of the graphs that are drawn"),
    }
    content: dict[str, tuple[str, Content]] = {
        name: (about, to_csv(made.tables[title])) for name, (title, about) in files.items() if title in made.tables
    }
    scores = {name: [cell.outcomes[name].test["score"] for cell in cells] for name in names}
    factor, unit = (
        (1.0, "macro-F1 on test graphs, %") if given.table.classes else (-1.0, "mean absolute error, test graphs")
    )
    order = [str(row["model"]) for row in made.tables["Models"]]
    ranking = ranking_svg(
        [(name, [factor * score for score in scores[name]]) for name in order],
        title="Models, best mean rank first", unit=unit, ours=_OURS,
    )  # fmt: skip
    content["models.svg"] = ("the models side by side", ranking)
    if "path-adaptive" in names:
        picture = importance_svg(_pictures(cells[0], given.nodes, atoms=given.atoms))
        content["importance.svg"] = ("some graphs with their important edges", picture)
    return write(made, output, content)


def _pictures(cell: Repeat, nodes: Sequence[str | int], *, atoms: bool) -> list[tuple[str, nx.Graph]]:
    from livepapers.tasks.molecules import ELEMENTS

    weights = cell.outcomes["path-adaptive"].importance
    pictures, done = [], 0
    for graph in _drawn(cell):
        picture = cell.table.to_networkx(int(graph))
        begin, end = cell.table.pointers[graph : graph + 2].tolist()
        for node, name in enumerate(nodes[begin:end]):
            picture.nodes[node]["name"] = str(name)
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
