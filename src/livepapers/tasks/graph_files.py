"""Graphs that users bring: TUDataset folders, and CSV tables of edges, graphs and nodes.

Edges are undirected: one that stands both ways counts once. A self-loop, or an edge that stands twice the same way, is
refused: simple paths know neither.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.tables import comma_cause, read_header, read_table, read_text, to_numbers

MOST_LABELS = 200  # distinct node or edge labels that become columns


def read_tudataset(folder: Path, *, option: str) -> tuple[GraphTable, list[str]]:
    """A folder in the format of TUDataset: NAME_A.txt, NAME_graph_indicator.txt, NAME_graph_labels.txt and others.

    Node labels become columns of 0 and 1, node attributes stay numbers, edge labels become columns. Without graph
    labels the first graph attribute is the target.

    Returns:
        The graphs without targets, and the targets as texts.

    Raises:
        InputError: Naming the file and line.
    """
    if not folder.is_dir():
        raise InputError.of(option, folder, expected="a folder with NAME_A.txt and NAME_graph_indicator.txt")
    found = sorted(folder.glob("*_A.txt"))
    if len(found) != 1:
        raise InputError.of(option, f"{len(found)} files *_A.txt in {folder.name}", expected="exactly one data set")
    stem = found[0].name.removesuffix("_A.txt")

    def rows(part: str) -> np.ndarray | None:
        path = folder / f"{stem}_{part}.txt"
        return _numbers(path, option=option) if path.is_file() else None

    indicator = rows("graph_indicator")
    if indicator is None:
        raise InputError.of(option, f"no {stem}_graph_indicator.txt", expected="the graph of each node")
    graph = _whole(indicator[:, 0], where=f"{stem}_graph_indicator.txt") - 1
    if graph.min() < 0 or (np.diff(graph) < 0).any() or len(np.unique(graph)) != graph[-1] + 1:
        cause = "graphs are numbered from 1, their nodes stand together"
        raise InputError.of(f"{stem}_graph_indicator.txt", "another order", expected="1, 1, 2, 2, ...", cause=cause)
    listed = _numbers(found[0], option=option)
    if listed.shape[1] != 2:
        raise InputError.of(f"{found[0].name} line 1", f"{listed.shape[1]} numbers", expected="two node numbers")
    ends, first = _undirected(_whole(listed, where=found[0].name) - 1, len(graph), where=found[0].name)
    label = {part: rows(part) for part in ("node_labels", "node_attributes", "edge_labels")}
    for part, values in label.items():
        count = len(listed) if part == "edge_labels" else len(graph)
        if values is not None and len(values) != count:
            raise InputError.of(f"{stem}_{part}.txt", f"{len(values)} lines", expected=f"{count} lines")
    nodes = [np.ones((len(graph), 1))]
    nodes += [] if label["node_labels"] is None else [_columns(label["node_labels"], where=f"{stem}_node_labels.txt")]
    nodes += [] if label["node_attributes"] is None else [label["node_attributes"]]
    labels = label["edge_labels"]
    edges = None if labels is None else _columns(labels, where=f"{stem}_edge_labels.txt")[first]
    table = GraphTable.of(np.bincount(graph), ends, nodes=np.column_stack(nodes), edges=edges)
    return table, _graph_targets(folder, stem, len(table), option=option)


def read_edges(
    edges: Path, graphs: Path, *, nodes: Path | None, target: str
) -> tuple[GraphTable, list[str], list[str]]:
    """Graphs from CSV tables.

    Args:
        edges: Columns `graph`, `source`, `target`: names of a graph and of two of its nodes.
        graphs: Columns `graph` and the target's, which may be empty where it is to be predicted.
        nodes: Columns `graph`, `node` and any further ones, all numbers; None: nodes without attributes. Nodes without
            an edge are known from here only.
        target: Column of the targets in `graphs`.

    Returns:
        The graphs in the order of `graphs`, without targets; the targets as texts; `[nodes]` names of the nodes in the
        order of the table.

    Raises:
        InputError: Naming the file, the line and the column.
    """
    known = read_table(graphs, option="--graphs", required=("graph", target), blank=(target,))
    if known["graph"].duplicated().any():
        row = int(np.flatnonzero(known["graph"].duplicated())[0])
        where = f"--graphs {graphs.name} line {row + 2}: graph"
        raise InputError.of(where, known["graph"][row], expected="each graph once")
    number = {name: index for index, name in enumerate(known["graph"])}
    links = read_table(edges, option="--edges", required=("graph", "source", "target"))
    ends = pd.DataFrame({
        "graph": np.repeat(_graph_of(pd.Series(links["graph"]), number, where=f"--edges {edges.name}"), 2),
        "node": links[["source", "target"]].to_numpy().reshape(-1),
    })  # fmt: skip
    if nodes is None:
        listed, attributes = ends.drop_duplicates(), None
    else:
        listed, attributes = _read_nodes(nodes, number)
    listed = listed.reset_index(drop=True)
    order = np.argsort(listed["graph"].to_numpy(), kind="stable")
    place = {
        key: row
        for row, key in enumerate(zip(listed["graph"].to_numpy()[order], listed["node"].to_numpy()[order], strict=True))
    }
    missing = next(
        (row for row, key in enumerate(zip(ends["graph"], ends["node"], strict=True)) if key not in place), None
    )
    if missing is not None:
        where = f"--edges {edges.name} line {missing // 2 + 2}"
        raise InputError.of(where, f"node {ends['node'][missing]}", expected="a node that --nodes lists for its graph")
    flat = np.array([place[key] for key in zip(ends["graph"], ends["node"], strict=True)]).reshape(-1, 2)
    pairs, _ = _undirected(flat, len(place), where=f"--edges {edges.name}", first_line=2)
    sizes = np.bincount(listed["graph"], minlength=len(number))
    if not sizes.all():
        name = known["graph"][int(np.flatnonzero(sizes == 0)[0])]
        cause = "a graph without edges needs --nodes" if nodes is None else "no line of --nodes names it"
        raise InputError.of(f"--graphs {graphs.name}: graph {name}", "no nodes", expected="at least one", cause=cause)
    table = GraphTable.of(
        sizes, pairs, nodes=None if attributes is None else attributes[order], names=known["graph"].tolist()
    )
    return table, known[target].tolist(), listed["node"].to_numpy()[order].tolist()


def to_targets(
    texts: list[str], *, task: str, where: str, column: str, most_classes: int = 20
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Targets as numbers, and the names of the classes if they are classes.

    Args:
        texts: One a graph, "" where unknown.
        task: "classes", "numbers", or "auto": numbers if all are numbers and one has decimals or more than
            `most_classes` differ.
        where: What the user called the file they stand in, one a line below its header.
        column: Its column.
        most_classes: What still counts as classes.

    Raises:
        InputError: For no known target, one class only, too many classes, or a text where a number is needed.
    """
    named = f"{where}: column {column}"
    known = [text for text in texts if text]
    distinct = sorted(set(known))
    if len(distinct) < 2:
        raise InputError.of(named, distinct[0] if distinct else "no value", expected="at least two different targets")
    values = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce"), dtype=float)
    numeric = np.isfinite(values[[bool(text) for text in texts]]).all()
    decimals = numeric and bool((np.nan_to_num(values) % 1.0 != 0.0).any())
    many = numeric and (decimals or len(distinct) > most_classes)
    commas = all(map(comma_cause, distinct))  # numbers, as another country writes them: refused below
    if task == "numbers" or (task == "auto" and (many or commas)):
        filled = pd.Series([text or "0" for text in texts], name=column)
        numbers = to_numbers(filled, where=where)
        return np.where([bool(text) for text in texts], numbers, np.nan), ()
    if len(distinct) > most_classes:
        cause = "an identifier, or numbers with a misprint?"
        raise InputError.of(named, f"{len(distinct)} classes", expected=f"at most {most_classes}", cause=cause)
    place = {name: index for index, name in enumerate(distinct)}
    return np.array([place[text] if text else np.nan for text in texts]), tuple(distinct)


def _read_nodes(path: Path, number: dict[str, int]) -> tuple[pd.DataFrame, np.ndarray]:
    header = read_header(read_text(path, option="--nodes"), where=f"--nodes {path.name}")
    further = [name for name in header if name not in {"graph", "node"}]
    frame = read_table(path, option="--nodes", required=("graph", "node", *further), numbers=further)
    listed = pd.DataFrame({
        "graph": _graph_of(pd.Series(frame["graph"]), number, where=f"--nodes {path.name}"), "node": frame["node"]
    })  # fmt: skip
    if listed.duplicated().any():
        row = int(np.flatnonzero(listed.duplicated())[0])
        where = f"--nodes {path.name} line {row + 2}: node"
        raise InputError.of(where, listed["node"][row], expected="each node of a graph once")
    attributes = np.column_stack([np.ones(len(frame)), *(frame[name].to_numpy() for name in further)])
    return listed, attributes


def _graph_of(names: pd.Series, number: dict[str, int], *, where: str) -> np.ndarray:
    unknown = ~names.isin(number).to_numpy()
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise InputError.of(f"{where} line {row + 2}: graph", names[row], expected="a graph that --graphs lists")
    return names.map(number).to_numpy(dtype=np.int64)


def _graph_targets(folder: Path, stem: str, graphs: int, *, option: str) -> list[str]:
    for part in ("graph_labels", "graph_attributes"):
        path = folder / f"{stem}_{part}.txt"
        if path.is_file():
            texts = [line.split(",")[0].strip() for line in read_text(path, option=option).splitlines()]
            if len(texts) != graphs:
                raise InputError.of(path.name, f"{len(texts)} lines", expected=f"{graphs}, one for each graph")
            return texts
    raise InputError.of(option, f"no {stem}_graph_labels.txt", expected="graph labels or graph attributes")


def _numbers(path: Path, *, option: str) -> np.ndarray:
    """Lines of numbers between commas, `[lines, columns]`."""
    rows = [line.split(",") for line in read_text(path, option=option).splitlines() if line.strip()]
    values = pd.DataFrame(rows).apply(lambda column: pd.to_numeric(column, errors="coerce")).to_numpy(dtype=float)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        shown = ",".join(rows[row])
        raise InputError.of(f"{path.name} line {row + 1}", shown, expected=f"{values.shape[1]} finite numbers")
    return values


def _whole(values: np.ndarray, *, where: str) -> np.ndarray:
    if (values != np.round(values)).any():
        raise InputError.of(where, "a fraction", expected="whole numbers")
    return values.astype(np.int64)


def _columns(values: np.ndarray, *, where: str) -> np.ndarray:
    distinct, place = np.unique(values[:, 0], return_inverse=True)
    if len(distinct) > MOST_LABELS:
        raise InputError.of(where, f"{len(distinct)} labels", expected=f"at most {MOST_LABELS}", cause="attributes?")
    return np.eye(len(distinct))[place]


def _undirected(ends: np.ndarray, nodes: int, *, where: str, first_line: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Each edge once, smaller node first, and the line where it stood first."""
    outside = ((ends < 0) | (ends >= nodes)).any(axis=1)
    loops = ends[:, 0] == ends[:, 1]
    twice = pd.DataFrame(ends).duplicated().to_numpy()
    for bad, what, expected in (
        (outside, "a node that is not there", f"nodes 1 ... {nodes}"),
        (loops, "a self-loop", "two different nodes"),
        (twice, "an edge that was listed before", "each edge once, or once each way"),
    ):
        if bad.any():
            raise InputError.of(f"{where} line {int(np.flatnonzero(bad)[0]) + first_line}", what, expected=expected)
    pairs, first = np.unique(np.sort(ends, axis=1), axis=0, return_index=True)
    return pairs, first
