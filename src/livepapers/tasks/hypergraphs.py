"""Temporal hypergraphs: sets of nodes with a time, kept as flat arrays, and the files they come from.

Readers: the ScHoLP text format, contact lists (one simplex per maximal clique and snapshot), the co-change history of
a git repository, CSV tables of timestamped sets. Generated ones are in `hypergraph_models`.

A simplex is a *set*: its nodes are sorted and a node listed twice counts once. Repeated simplices are kept, they carry
the tie strengths. Times are int64 in whatever unit the source has.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
from scipy import sparse

from livepapers.core.errors import InputError
from livepapers.tasks.tables import read_table, read_text

LARGEST_SIMPLEX = 25  # the paper drops larger ones: a set of s nodes has C(s, 3) triples
MOST_NODES = 2_000_000  # three node numbers share one 63-bit key
DENSE_PAIRS = 2**18  # up to 512 nodes, all pairs fit a small table
_CHUNK = 4_000_000  # array elements handled at once


@dataclass(frozen=True, eq=False)
class TemporalSimplices:
    """A sequence of simplices with times.

    Simplex s has the nodes `members[pointers[s]:pointers[s + 1]]`, ascending and distinct, and the time `times[s]`.
    Nodes are numbered 0 ... `nodes` - 1; cutting by time keeps the numbering, so a node may be in no simplex.
    """

    members: np.ndarray  # [sum of sizes] int64
    pointers: np.ndarray  # [simplices + 1] int64
    times: np.ndarray  # [simplices] int64
    labels: tuple[str, ...]  # [nodes] what a person calls each node

    @classmethod
    def from_arrays(
        cls, members: np.ndarray, sizes: np.ndarray, *, times: np.ndarray, labels: Sequence[str] | None = None
    ) -> "TemporalSimplices":
        """Build from concatenated members, the format of ScHoLP's files.

        Args:
            members: `[sum of sizes]` integers; any numbers when `labels` is None (they become the labels, in ascending
                order), else positions in `labels`.
            sizes: `[simplices]` number of entries of each simplex, >= 1.
            times: `[simplices]` integers.
            labels: `[nodes]` names.

        Raises:
            InputError: For lengths that do not fit, sizes below 1, non-integers, numbers outside `labels`.
        """
        members, sizes, times = _whole("simplices", members), _whole("nverts", sizes), _whole("times", times)
        if len(sizes) != len(times):
            raise InputError.of("times", f"{len(times)} entries", expected=f"{len(sizes)}, one for each simplex")
        if not len(sizes):
            raise InputError.of("simplices", "none", expected="at least one simplex", cause="an empty file?")
        if sizes.min() < 1:
            place = int(np.flatnonzero(sizes < 1)[0])
            raise InputError.of(f"nverts entry {place + 1}", int(sizes[place]), expected="a size >= 1")
        if sizes.max() > len(members):  # asked first: the sum of such sizes may not fit its integers
            place = int(sizes.argmax())
            expected = f"at most {len(members)}, the number of entries in simplices"
            raise InputError.of(f"nverts entry {place + 1}", int(sizes[place]), expected=expected)
        if sizes.sum() != len(members):
            cause = "files of different data sets, or one is cut short?"
            raise InputError.of(
                "nverts",
                f"a sum of {sizes.sum()}",
                expected=f"{len(members)}, the number of entries in simplices",
                cause=cause,
            )
        if labels is None:
            names, members = np.unique(members, return_inverse=True)
            labels = [str(name) for name in names]
        elif members.min() < 0 or members.max() >= len(labels):
            worst = int(members.max() if members.max() >= len(labels) else members.min())
            raise InputError.of("simplices", f"node {worst}", expected=f"0 ... {len(labels) - 1}, as there are labels")
        if len(labels) > MOST_NODES:
            raise InputError.of("nodes", len(labels), expected=f"at most {MOST_NODES}")
        owner = np.repeat(np.arange(len(sizes)), sizes)
        keys = owner * len(labels) + members
        if len(keys) > 1 and not (np.diff(keys) > 0).all():
            keys = np.unique(keys)
        owner, members = np.divmod(keys, len(labels))
        pointers = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(sizes)))])
        return cls(members, pointers, times, tuple(labels))

    @classmethod
    def from_lists(cls, sets: Iterable[Iterable[object]], times: Iterable[int]) -> "TemporalSimplices":
        """Build from Python collections of nodes; labels are the nodes' texts, numbered in sorted order.

        Raises:
            InputError: For an empty set or lengths that do not fit.
        """
        listed = [[str(node) for node in nodes] for nodes in sets]
        names = sorted({node for nodes in listed for node in nodes}, key=lambda name: (len(name), name))
        number = {name: index for index, name in enumerate(names)}
        members = np.array([number[node] for nodes in listed for node in nodes], dtype=np.int64)
        sizes = np.array([len(nodes) for nodes in listed], dtype=np.int64)
        return cls.from_arrays(members, sizes, times=np.array(list(times), dtype=np.int64), labels=names)

    @property
    def nodes(self) -> int:
        """The number of node numbers."""
        return len(self.labels)

    @property
    def sizes(self) -> np.ndarray:
        """`[simplices]` number of nodes of each simplex."""
        return np.diff(self.pointers)

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        for index, time in enumerate(self.times):
            yield self.members[self.pointers[index] : self.pointers[index + 1]], int(time)

    def present(self) -> np.ndarray:
        """`[nodes]` bool: the node is in at least one simplex."""
        return np.bincount(self.members, minlength=self.nodes) > 0

    def incidence(self) -> sparse.csr_array:
        """A of the paper: `[nodes, simplices]` int32, 1 where the node is in the simplex."""
        ones = np.ones(len(self.members), dtype=np.int32)
        return sparse.csr_array((ones, self.members, self.pointers), shape=(len(self), self.nodes)).T.tocsr()

    def projected(self) -> sparse.csr_array:
        """W of section 3.1: `[nodes, nodes]` int32, the number of simplices that hold both; the diagonal is empty."""
        if self.nodes**2 <= DENSE_PAIRS:
            return sparse.csr_array(self._dense_projection())
        incidence = self.incidence()
        weights = sparse.csr_array(incidence @ incidence.T)
        weights.setdiag(0)
        weights.eliminate_zeros()
        weights.sort_indices()
        return weights

    def _dense_projection(self) -> np.ndarray:
        """The same as a dense array: for few nodes, counting pairs in place beats a sparse product many times."""
        counts = np.zeros(self.nodes**2, dtype=np.int64)
        for rows in self._rows_by_size(2):
            for a, b in combinations(range(rows.shape[1]), 2):
                counts += np.bincount(rows[:, a] * self.nodes + rows[:, b], minlength=len(counts))
        upper = counts.reshape(self.nodes, self.nodes).astype(np.int32)
        return upper + upper.T

    def select(self, chosen: np.ndarray) -> "TemporalSimplices":
        """The simplices where `chosen` (`[simplices]` bool) is true; node numbers and labels stay."""
        sizes = self.sizes[chosen]
        members = self.members[np.repeat(chosen, self.sizes)]
        return TemporalSimplices(members, np.concatenate([[0], np.cumsum(sizes)]), self.times[chosen], self.labels)

    def limited(self, largest: int = LARGEST_SIMPLEX) -> "TemporalSimplices":
        """Without the simplices of more than `largest` nodes."""
        return self.select(self.sizes <= largest)

    def cut(self, percent: float) -> int:
        """The rounded percentile (linear interpolation) of the times, repeats included (section 3.2)."""
        return round(float(np.percentile(self.times, percent)))

    def until(self, percent: float) -> "TemporalSimplices":
        """The simplices up to the time `cut(percent)`; 100 keeps all."""
        return self if percent >= 100 else self.select(self.times <= self.cut(percent))

    def between(self, start: float, end: float) -> "TemporalSimplices":
        """The simplices after `cut(start)` and up to `cut(end)`."""
        inside = self.times > self.cut(start)
        return self.select(inside if end >= 100 else inside & (self.times <= self.cut(end)))

    def subsets(self, order: int) -> tuple[np.ndarray, np.ndarray]:
        """All distinct node sets of size `order` that are inside some simplex.

        Returns:
            `[subsets, order]` int64 nodes, ascending in each row and row by row, and `[subsets]` int64: in how many
            simplices each one is.

        Raises:
            InputError: If the key of `order` node numbers does not fit 63 bits.
        """
        if self.nodes**order >= 2**63:
            raise InputError.of("nodes", self.nodes, expected=f"at most {int(2 ** (63 / order))} for groups of {order}")
        keys = [np.zeros(0, np.int64)]
        counts = [np.zeros(0, np.int64)]
        for rows, weights in self._by_size(order):
            columns = np.array(list(combinations(range(rows.shape[1]), order)))
            step = max(1, _CHUNK // len(columns))
            for start in range(0, len(rows), step):
                part = encode(rows[start : start + step, columns].reshape(-1, order), self.nodes)
                found, total = _tally(part, np.repeat(weights[start : start + step], len(columns)))
                keys.append(found)
                counts.append(total)
        found, total = _tally(np.concatenate(keys), np.concatenate(counts))
        return decode(found, self.nodes, order=order), total

    def _by_size(self, smallest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each size >= `smallest`: `[distinct simplices, size]` members and how often each occurs."""
        for rows in self._rows_by_size(smallest):
            size = rows.shape[1]
            if self.nodes**size < 2**63:
                keys, counts = np.unique(encode(rows, self.nodes), return_counts=True)
                yield decode(keys, self.nodes, order=size), counts
            else:
                yield rows, np.ones(len(rows), dtype=np.int64)

    def _rows_by_size(self, smallest: int) -> Iterator[np.ndarray]:
        """The simplices of each size >= `smallest` in turn: `[simplices of the size, size]` members."""
        sizes = self.sizes
        for size in np.flatnonzero(np.bincount(sizes)):
            if size >= smallest:
                starts = self.pointers[:-1][sizes == size]
                yield self.members[starts[:, None] + np.arange(size)]


def encode(rows: np.ndarray, nodes: int) -> np.ndarray:
    """Ascending rows of node numbers `[rows, order]` as one int64 each, ordered as the rows are."""
    keys = rows[:, 0].astype(np.int64)
    for column in range(1, rows.shape[1]):
        keys = keys * nodes + rows[:, column]
    return keys


def decode(keys: np.ndarray, nodes: int, *, order: int) -> np.ndarray:
    """The inverse of `encode`: `[rows, order]` int64."""
    rows = np.empty((len(keys), order), dtype=np.int64)
    for column in range(order - 1, 0, -1):
        keys, rows[:, column] = np.divmod(keys, nodes)
    rows[:, 0] = keys
    return rows


def _tally(keys: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys, ascending, and the sum of their weights."""
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1)) if len(keys) else np.zeros(0, np.int64)
    return keys[first], np.add.reduceat(weights, first) if len(first) else weights


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InputError.of(name, f"{array.dtype} {array.shape}", expected="a one-dimensional array of whole numbers")
    return array.astype(np.int64)


# ---------------------------------------------------------------------------------------------------------------- files


def read_scholp(prefix: Path, *, option: str = "--hypergraph") -> TemporalSimplices:
    """Read the ScHoLP text format: PREFIX-simplices.txt, PREFIX-nverts.txt, PREFIX-times.txt, one integer a line.

    PREFIX-node-labels.txt (lines "number name") is used when present. A folder stands for the prefix FOLDER/NAME when
    it holds exactly one such triple.

    Raises:
        InputError: For a missing file, a line that is no integer, files that do not fit each other.
    """
    if os.path.isdir(prefix):  # noqa: PTH112 - Path.is_dir raises for too long a name
        triples = sorted(prefix.glob("*-simplices.txt"))
        if len(triples) != 1:
            raise InputError.of(option, str(prefix), expected="a prefix, or a folder with one NAME-simplices.txt")
        prefix = triples[0].with_name(triples[0].name.removesuffix("-simplices.txt"))
    parts = {name: prefix.with_name(f"{prefix.name}-{name}.txt") for name in ("simplices", "nverts", "times")}
    arrays = {name: _read_integers(path, option=option) for name, path in parts.items()}
    try:
        made = TemporalSimplices.from_arrays(arrays["simplices"], arrays["nverts"], times=arrays["times"])
    except InputError as error:
        raise InputError(f"{option} {prefix.name}: {error}") from None
    labels = prefix.with_name(f"{prefix.name}-node-labels.txt")
    if not labels.exists():
        return made
    names = dict(
        line.split(maxsplit=1) for line in read_text(labels, option=option).splitlines() if " " in line.strip()
    )
    return TemporalSimplices(made.members, made.pointers, made.times, tuple(names.get(n, n) for n in made.labels))


def write_scholp(simplices: TemporalSimplices, prefix: Path) -> None:
    """Write the three files (and the labels) that `read_scholp` reads; nodes are numbered from 1."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    contents = {"simplices": simplices.members + 1, "nverts": simplices.sizes, "times": simplices.times}
    for name, values in contents.items():
        text = "\n".join(map(str, values.tolist())) + "\n"
        prefix.with_name(f"{prefix.name}-{name}.txt").write_text(text, encoding="utf-8")
    lines = [f"{index + 1} {label}\n" for index, label in enumerate(simplices.labels)]
    prefix.with_name(f"{prefix.name}-node-labels.txt").write_text("".join(lines), encoding="utf-8")


def read_sets(path: Path, *, option: str = "--sets") -> TemporalSimplices:
    """Read a CSV table with the columns `time` and `members`, one set a line.

    `time` is a whole number, or a date in ISO 8601 (then the unit is seconds); `members` are names separated by `;`.

    Raises:
        InputError: Naming the line of the first bad time or empty set.
    """
    table = read_table(path, option=option, required=["time", "members"])
    sets = [[name.strip() for name in text.split(";") if name.strip()] for text in table["members"]]
    empty = next((line for line, names in enumerate(sets, start=2) if not names), None)
    if empty is not None:
        raise InputError.of(f"{option} {path.name} line {empty}: members", "no name", expected="names separated by ;")
    return TemporalSimplices.from_lists(
        sets, _read_times(table["time"].tolist(), where=f"{option} {path.name}").tolist()
    )


def from_contacts(
    times: np.ndarray, pairs: np.ndarray, *, labels: Sequence[str], snapshot: int | None = None
) -> TemporalSimplices:
    """One simplex for each maximal clique of the contact graph of each snapshot.

    Args:
        times: `[contacts]` int64.
        pairs: `[contacts, 2]` int64 positions in `labels`; self-contacts are ignored.
        labels: `[nodes]` names.
        snapshot: Width of a snapshot in the unit of `times`; None: each distinct time is one.

    Returns:
        Simplices ordered by time; the time of a simplex is the start of its snapshot.
    """
    frames = times if snapshot is None else times - np.mod(times, snapshot)
    pairs = np.sort(pairs, axis=1)
    rows = np.unique(np.column_stack([frames, pairs])[pairs[:, 0] != pairs[:, 1]], axis=0)
    sets: list[list[int]] = []
    when: list[int] = []
    for frame in np.split(rows, np.flatnonzero(np.diff(rows[:, 0])) + 1):
        cliques = sorted(sorted(clique) for clique in nx.find_cliques(nx.Graph(frame[:, 1:].tolist())))
        sets += cliques
        when += [int(frame[0, 0])] * len(cliques)
    members = np.array([node for nodes in sets for node in nodes], dtype=np.int64)
    sizes = np.array([len(nodes) for nodes in sets], dtype=np.int64)
    return TemporalSimplices.from_arrays(members, sizes, times=np.array(when, dtype=np.int64), labels=labels)


def read_contacts(text: str, *, where: str) -> TemporalSimplices:
    """Contacts as the SocioPatterns collaboration publishes them: lines "time i j ..." separated by blanks or tabs.

    Raises:
        InputError: Naming the first line that is not of that form.
    """
    fields = [line.split(maxsplit=3)[:3] for line in text.splitlines() if line.strip()]
    bad = next((n for n, row in enumerate(fields, 1) if len(row) < 3 or not all(map(_is_integer, row))), None)
    if bad is not None or not fields:
        raise InputError.of(f"{where} line {bad or 1}", "another form", expected="time, i, j as whole numbers")
    table = np.array(fields, dtype=np.int64)
    names, numbers = np.unique(table[:, 1:], return_inverse=True)
    return from_contacts(table[:, 0], numbers.reshape(-1, 2), labels=[str(name) for name in names])


def _read_integers(path: Path, *, option: str) -> np.ndarray:
    lines = read_text(path, option=option).split()
    try:
        return np.array(lines, dtype=np.int64)
    except (ValueError, OverflowError):
        place = next((n for n, word in enumerate(lines) if not _is_integer(word) or abs(int(word)) >= 2**63), 0)
        raise InputError.of(f"{option} {path.name} entry {place + 1}", lines[place], expected="an integer") from None


def _is_integer(word: str) -> bool:
    return word.removeprefix("-").isdecimal()


def _read_times(words: list[str], *, where: str) -> np.ndarray:
    numeric = [_is_integer(word) and abs(int(word)) < 2**63 for word in words]
    if all(numeric):
        return np.array([int(word) for word in words], dtype=np.int64)
    dates = pd.to_datetime(pd.Series(words), format="ISO8601", errors="coerce", utc=True)
    neither = np.flatnonzero(dates.isna().to_numpy() & ~np.array(numeric))
    others = np.flatnonzero(np.array(numeric) != numeric[0])
    if len(neither) or len(others):
        line = int(neither[0] if len(neither) else others[0])
        cause = "" if len(neither) else "numbers and dates are mixed"
        expected = "a whole number, or ISO 8601 dates throughout"
        raise InputError.of(f"{where} line {line + 2}: time", words[line], expected=expected, cause=cause)
    return ((dates - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)).to_numpy(dtype=np.int64)


# ------------------------------------------------------------------------------------------------------------------ git


def read_git(repository: Path, *, option: str = "--git") -> tuple[TemporalSimplices, frozenset[str]]:
    """The co-change history: one simplex for each commit, its nodes the files it touched, its time the commit time.

    Merge commits are left out, renamed files keep one identity under their newest name.

    Returns:
        The history in order of time, and the files that exist at HEAD.

    Raises:
        InputError: For a folder that is no git repository, has no commits, or a missing git program.
    """
    if not os.path.isdir(repository):  # noqa: PTH112 - as above
        raise InputError.of(option, str(repository), expected="a folder with a git repository")
    command = [
        "log",
        "--no-show-signature",
        "--no-ext-diff",
        "--no-textconv",
        "--no-merges",
        "--name-status",
        "-M",
        "-z",
        "--format=%x02%ct",
        "HEAD",
    ]
    log = _git(repository, command, option=option)
    alive = frozenset(
        _git(repository, ["ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD"], option=option).split("\0")
    ) - {""}
    sets, times = _parse_log(log)
    if not sets:
        raise InputError.of(option, str(repository), expected="commits that change files", cause="the history is empty")
    order = np.argsort(np.array(times), kind="stable")
    return TemporalSimplices.from_lists([sets[i] for i in order], [times[i] for i in order]), alive


# A repository's own configuration may name programs: none of them is run. Signature checks and file monitors are
# switched off; a partial clone must not fetch what it lacks, for that starts whatever program the remote's URL names.
_HARMLESS = ("-c", "log.showSignature=false", "-c", "core.fsmonitor=false", "-c", "log.showRoot=true")
_NO_TRANSPORT = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def _git(repository: Path, arguments: list[str], *, option: str) -> str:
    try:
        done = subprocess.run(
            ["git", *_HARMLESS, "-C", str(repository), *arguments],
            capture_output=True,
            check=False,
            env={**os.environ, **_NO_TRANSPORT},
        )
    except FileNotFoundError:
        raise InputError.of(option, str(repository), expected="git installed", cause="no program git on PATH") from None
    if done.returncode:
        cause = (done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"])[0]
        raise InputError.of(option, str(repository), expected="a git repository with commits", cause=cause)
    return done.stdout.decode("utf-8", errors="replace")


def _parse_log(log: str) -> tuple[list[list[str]], list[int]]:
    """Sets of files and times, oldest commit first, from `git log -z --name-status` output (newest first)."""
    tokens = iter(log.split("\0"))
    newest: dict[str, str] = {}  # a file's name at this point of the history -> its newest name
    sets: list[list[str]] = []
    times: list[int] = []
    for token in tokens:
        token = token.strip("\n")  # noqa: PLW2901 - the status follows the header on a new line
        if token.startswith("\x02"):
            sets.append([])
            times.append(int(token[1:]))
        elif token:
            path = next(tokens)
            if token[0] in "RC":
                old, path = path, next(tokens)
                if token[0] == "R":
                    newest[old] = newest.get(path, path)
            sets[-1].append(newest.get(path, path))
            if token[0] == "A":
                newest.pop(path, None)  # an older file of this name was another one, deleted before
    kept = [(names, time) for names, time in zip(sets, times, strict=True) if names]
    kept.reverse()
    return [names for names, _ in kept], [time for _, time in kept]
