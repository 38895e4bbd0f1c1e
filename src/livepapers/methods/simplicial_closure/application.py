"""`livepapers apply simplicial-closure`: which groups are likely to meet next, in the user's own data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from livepapers.core.application import Application, Row, options_checked, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.rng import numpy_generator
from livepapers.methods.simplicial_closure.closure import closure_table
from livepapers.methods.simplicial_closure.prediction import (
    PredictionTask,
    bootstrap,
    evaluate,
    prediction_task,
    recommend,
    score_by,
)
from livepapers.methods.simplicial_closure.scores import DENSE_NODES, OldData
from livepapers.methods.simplicial_closure.scores import score as score_triangles
from livepapers.methods.simplicial_closure.settings import COMPARED, Config
from livepapers.methods.simplicial_closure.structure import describe
from livepapers.tasks.hypergraphs import LARGEST_SIMPLEX, TemporalSimplices, read_git, read_scholp, read_sets

SLUG = "simplicial-closure"
MOST_TOP = 100_000
_RESAMPLED = 20_000_000  # triangles times resamples, at most: a few seconds a score

Score = Literal[
    "harmonic",
    "geometric",
    "arithmetic",
    "common",
    "jaccard",
    "adamic_adar",
    "proj_pa",
    "simplex_pa",
    "katz",
    "katz_weighted",
    "ppr",
    "ppr_weighted",
    "simplicial_ppr",
    "logistic",
]


@options_checked
def apply(
    *,
    git: Path | None = None,
    hypergraph: Path | None = None,
    sets: Path | None = None,
    top: int = 20,
    score: Score = "harmonic",
    split: float = 80.0,
    output: Path | None = None,
) -> Application:
    """List the groups of three that are likely to meet next, after a backtest on the data's own last part.

    Give exactly one of the three sources. Sets of more than 25 members are left out, as in the paper.

    Args:
        git: A git repository: sets are the files that a commit changes, renames followed, merges left out. Only
            files that exist at HEAD are recommended.
        hypergraph: Prefix of a ScHoLP text triple (PREFIX-simplices.txt, PREFIX-nverts.txt, PREFIX-times.txt).
        sets: CSV with the columns `time` (whole number or ISO 8601) and `members` (names separated by `;`).
        top: How many groups to list.
        score: The score that ranks the groups; the backtest shows all of them side by side.
        split: Percentile of the times at which the backtest's old data end, in percent.
        output: Folder for predictions.csv, backtest.csv, closure.csv and application.json; must be new or empty.

    Returns:
        The ranked groups, the backtest (average precision relative to a random order, with a 95 % interval over
        resampled triangles), closure probabilities by configuration, and what the data are.

    Raises:
        InputError: One line for any unusable option, file or data; nothing is written then.

    Examples:
        livepapers apply simplicial-closure --sets meetings.csv --top 10 --output next
        livepapers apply simplicial-closure --git . --split 90 --json
        livepapers apply simplicial-closure --hypergraph data/email-Enron --score harmonic
    """
    _check_options({"--git": git, "--hypergraph": hypergraph, "--sets": sets}, top=top, split=split)
    if output is not None:
        check_output_folder(output)
    simplices, among = _read(git=git, hypergraph=hypergraph, sets=sets)
    kept = simplices.limited()
    if not len(kept):
        raise InputError.of("data", f"{len(simplices)} sets", expected=f"sets of at most {LARGEST_SIMPLEX} members")
    config = Config(split=split, validation=split * 0.75)
    task = prediction_task(kept, start=split)
    backtest, notes = _backtest(kept, task, config=config, score=score)
    groups = _groups(kept, score=score, top=top, among=among, config=config)
    if dropped := len(simplices) - len(kept):
        notes.insert(
            0, f"{dropped} of {len(simplices)} sets have more than {LARGEST_SIMPLEX} members and were left out."
        )
    tables: dict[str, Sequence[Row]] = {
        "Likely to meet next": groups,
        "Backtest": backtest,
        "Closure probability by ties of three": closure_table(kept, start=split).rows(),
        "Data": [{"what": name, "value": value} for name, value in describe(kept).items()],
    }
    chosen = next(row for row in backtest if row["score"] == score)
    headline = (
        f"{score}: {chosen['relative']:.2f} times the average precision of a random order on the last "
        f"{100 - split:g} % of the history ({int(task.labels.sum())} of {len(task.labels)} open triangles closed)"
    )
    made = Application(SLUG, headline, tables, tuple(notes))
    return made if output is None else _write(made, output)


def _check_options(sources: Mapping[str, Path | None], *, top: int, split: float) -> None:
    given = [name for name, path in sources.items() if path is not None]
    if len(given) != 1:
        raise InputError.of("source", " and ".join(given) or "none", expected=f"exactly one of {', '.join(sources)}")
    if not 1 <= top <= MOST_TOP:
        raise InputError.of("--top", top, expected=f"a whole number from 1 to {MOST_TOP}")
    if not 1 <= split <= 99:
        raise InputError.of("--split", split, expected="a percentile from 1 to 99", cause="percent, not a share")


def _read(
    *, git: Path | None, hypergraph: Path | None, sets: Path | None
) -> tuple[TemporalSimplices, frozenset[str] | None]:
    if git is not None:
        return read_git(git)
    if hypergraph is not None:
        return read_scholp(hypergraph), None
    if sets is not None:
        return read_sets(sets), None
    raise InputError.of("source", "none", expected="a git repository, a hypergraph or sets")


def _backtest(
    simplices: TemporalSimplices, task: PredictionTask, *, config: Config, score: str
) -> tuple[list[Row], list[str]]:
    """One row for each score, best first, and notes on those that could not be had."""
    rows: list[dict[str, str | float]] = []
    notes: list[str] = []
    resamples = int(np.clip(_RESAMPLED // len(task.labels), 20, config.resamples))
    for name in COMPARED:
        if name == "simplicial_ppr" != score and len(task.old.skeleton.keys) > DENSE_NODES:
            notes.append(f"{name} was left out of the backtest: over {DENSE_NODES} edges; ask for it with --score.")
            continue
        try:
            values = score_by(task.old, name, config=config, history=simplices)
        except InputError as error:
            if name == score:
                raise
            notes.append(f"{name} could not be scored: {error}")
            continue
        found = evaluate(task.labels, values)
        rng = numpy_generator(0, SLUG, "backtest")  # the same resamples for every score
        low, high = np.nanpercentile(bootstrap(task.labels, values, rng=rng, resamples=resamples), [2.5, 97.5])
        rows.append(
            {"score": name, "relative": found["relative"], "low": float(low), "high": float(high), "ap": found["ap"]}
        )
    rows.append({"score": "random", "relative": 1.0, "low": 1.0, "high": 1.0, "ap": task.rate})
    rows.sort(key=lambda row: -float(row["relative"]))
    best = str(rows[0]["score"])
    if best != score:
        notes.append(f"{best} did best in the backtest; you asked for {score}.")
    if task.labels.sum() < 30:
        notes.append(f"Only {task.labels.sum()} triangles closed in the backtest: the comparison is indicative only.")
    return [*rows], notes


def _groups(
    simplices: TemporalSimplices, *, score: str, top: int, among: frozenset[str] | None, config: Config
) -> list[Row]:
    """The best open triangles of the whole history."""
    everything = OldData.of(simplices)
    if score == "logistic":
        values = score_by(everything, score, config=config, history=simplices)
    else:
        values = score_triangles(everything, score)
    best = recommend(everything, values, top=top, among=None if among is None else sorted(among))
    if not best:
        raise InputError.of("data", "no open triangle", expected="three members that met in pairs but never together")
    rows: list[Row] = []
    for rank, index in enumerate(best, start=1):
        names = [simplices.labels[node] for node in everything.triangles[index]]
        a, b, c = sorted(names)
        met = [int(weight) for weight in sorted(everything.tie_weights[index], reverse=True)]
        rows.append(
            {
                "rank": rank,
                "a": a,
                "b": b,
                "c": c,
                "score": float(values[index]),
                "met in pairs": " ".join(map(str, met)),
            }
        )
    return rows


def _write(made: Application, output: Path) -> Application:
    files = {
        "predictions.csv": ("Likely to meet next", "the ranked groups"),
        "backtest.csv": ("Backtest", "every score on the last part of the history"),
        "closure.csv": ("Closure probability by ties of three", "closure probability by configuration"),
    }
    return write(made, output, {name: (about, to_csv(made.tables[title])) for name, (title, about) in files.items()})
