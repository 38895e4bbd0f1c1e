"""`livepapers apply debatenet`: a table of claims becomes networks, camps and their change."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from livepapers.core.application import Application, Content, Row, options_checked, to_csv, write
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder
from livepapers.core.rng import Seed
from livepapers.methods.debatenet.choices import Choices, cut, parse_levels
from livepapers.methods.debatenet.drawing import group_matrix_svg, network_svg, windows_svg
from livepapers.methods.debatenet.exporting import to_gexf, to_graphml
from livepapers.methods.debatenet.networks import OneMode, TwoMode
from livepapers.methods.debatenet.settings import (
    UMBRELLAS,
    Netting,
    OneModeAggregate,
    OneModeNormalisation,
)
from livepapers.methods.debatenet.summaries import Reading, changes, read_window, window_row
from livepapers.tasks.statement_files import Dates, Layout, Part, Scale, read_statements
from livepapers.tasks.statements import Scope, Statements

SLUG = "debatenet"
LEAST_PERMUTATIONS, MOST_PERMUTATIONS = 20, 10_000
"""Fewer give no standard deviation worth the name."""
MOST_EXPORTED = 12  # windows whose networks are written and drawn, the whole debate beside them
MOST_TIES = 200_000  # of a network that is written for graph tools

Search = Literal["spectral", "greedy"]
Several = Literal["keep", "split", "drop"]
By = Literal["actor", "group"]


@options_checked
def apply(
    *,
    claims: Path,
    windows: str = "",
    actor: str = "",
    concept: str = "",
    qualifier: str = "",
    date: str = "",
    group: str = "",
    document: str = "",
    dates: Dates = "auto",
    scale: Scale = "auto",
    levels: str = "",
    drop: str = "",
    duplicates: Scope = "document",
    by: By = "actor",
    several: Several = "keep",
    aggregate: OneModeAggregate = "subtract",
    normalise: OneModeNormalisation = "average",
    netting: Netting = "statement",
    weight: float = 0.0,
    degree: int = 0,
    isolates: bool = True,
    search: Search = "spectral",
    permutations: int = 100,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """See who sides with whom in a debate, and how that changes: networks of actors and of measures from claims.

    Args:
        claims: CSV with a header, a Discourse Network Analyzer database (.dna, .sqlite), or an R data file (.rda, with
            `pip install 'livepapers[rda]'`). One claim a row: who, about what, for or against; date, group and
            document where known. A cell may list categories: `[102,190]` or `102 190`.
        windows: Days as 2015-04-01..2015-05-31, several separated by commas; or week, month, quarter or year; or
            moving:60:30 (windows of 60 days, every 30); or events:200:100 (of statements). The whole when left out.
        actor: Column of who speaks; `actor`, `name`, `person` or `organization` when left out.
        concept: Column of the measures; `concept`, `claimvalues`, `category` or `code` when left out.
        qualifier: Column of for or against; `qualifier`, `cpos`, `polarity` or `agreement` when left out.
        date: Column of dates; `date`, `cdate` or `day` when left out.
        group: Column of parties or camps; `group`, `parties`, `party` or `affiliation` when left out.
        document: Column of articles; `document`, `doc_id` or `article` when left out.
        dates: How dates are written: ISO, YYYYMMDD, R's day numbers or years; seen from the column when left out.
        scale: What the qualifier is: two values, whole numbers, or texts; seen from the column when left out, and then
            a value that hardly any row has is refused as a misprint.
        levels: All values that a qualifier in numbers may have, separated by commas; others are refused.
        drop: Measures whose whole name fits this regular expression are left out: `[1-9]00|999` are DebateNet's
            umbrella codes. None when left out.
        duplicates: An equal statement of an actor counts once a document, day, week, month, year or range, or always.
        by: Whether actors are nodes, or their groups.
        several: Cells with several groups ("Grüne,SPD") are kept as a group, split (with --by group) or unknown.
        aggregate: Ties are agreement, conflict, their difference, or both alike (ignore).
        normalise: How ties are divided, see the documentation; cosine_count is the peer's "cosine".
        netting: Whether statements are compared one by one, or what an actor says on a concept is netted first.
        weight: Ties smaller than this are left out.
        degree: Actors with fewer ties than this are left out.
        isolates: Whether actors without a tie are kept.
        search: How camps are searched: spectral, or greedy from random starts.
        permutations: Permuted debates behind each z score.
        seed: Of permutations, random starts and drawings.
        output: Folder for networks (CSV, GraphML, GEXF), tables and pictures; must be new or empty.

    Returns:
        Size, camps, polarisation and the gap between groups of each window, ties of groups, changes from window to
        window, and the most central actors and measures. An actor's strength is the sum of the sizes of its ties,
        agreement and conflict alike; its net strength the sum of the ties with their signs.

    Raises:
        InputError: One line for any unusable option, file or cell; nothing is written then.
        MissingExtraError: For R data files without the package `rdata`.

    Examples:
        livepapers apply debatenet --claims claims.csv --windows month --output networks
        livepapers apply debatenet --claims debate.dna --windows 2015-04-01..2015-05-31 --by group
    """
    choices = Choices(
        aggregate=aggregate, normalise=normalise, netting=netting, duplicates=duplicates, by_group=by == "group",
        several=several, weight=weight, degree=degree, isolates=isolates, search=search, permutations=permutations,
        seed=seed,
    )  # fmt: skip
    _check(choices)
    if output is not None:
        check_output_folder(output)
    named: dict[Part, str] = {
        "actor": actor, "concept": concept, "qualifier": qualifier, "date": date, "group": group, "document": document,
    }  # fmt: skip
    columns: dict[Part, str] = {part: name for part, name in named.items() if name}
    layout = Layout(columns, dates, scale, parse_levels(levels))
    everything = read_statements(claims, layout=layout)
    kept, notes = _prepared(everything, choices, drop=drop)
    parts = cut(kept.dedupe(choices.duplicates), windows, kept=kept, everything=everything)
    readings = [read_window(part, choices) for part in parts]
    tables = _tables(readings, choices)
    notes += _remarks(readings, choices, everything)
    made = Application(SLUG, _headline(readings), tables, tuple(notes))
    return made if output is None else _write(made, output, readings, choices)


def _check(choices: Choices) -> None:
    if not 0 <= choices.weight < float("inf"):
        raise InputError.of("--weight", choices.weight, expected="a number >= 0")
    if choices.degree < 0:
        raise InputError.of("--degree", choices.degree, expected="a whole number >= 0")
    if not LEAST_PERMUTATIONS <= choices.permutations <= MOST_PERMUTATIONS:
        expected = f"a number from {LEAST_PERMUTATIONS} to {MOST_PERMUTATIONS:,}"
        raise InputError.of("--permutations", choices.permutations, expected=expected)
    if choices.seed < 0:
        raise InputError.of("--seed", choices.seed, expected="a whole number >= 0")
    if choices.several == "split" and not choices.by_group:
        cause = "a split claim is two statements of one actor"
        raise InputError.of("--several", "split", expected="keep or drop for actors", cause=cause)


def _prepared(everything: Statements, choices: Choices, *, drop: str) -> tuple[Statements, list[str]]:
    """The statements that are asked for, duplicates among them, and notes on what was left out."""
    notes = []
    kept = everything.drop_codes(drop, option="--drop") if drop else everything
    if gone := len(everything) - len(kept):
        notes.append(f"{gone} of {len(everything)} statements are on measures that --drop leaves out.")
    if not drop and (broad := len(everything) - len(everything.drop_codes(UMBRELLAS))):
        notes.append(
            f"{broad} of {len(everything)} statements are on codes that DebateNet has for whole fields and for junk, "
            f"which tie everybody; if these are such codes, --drop '{UMBRELLAS}' leaves them out."
        )
    if not len(kept):
        cause = f"all {len(everything)} statements fit --drop {drop!r}"
        raise InputError.of("--claims", "no statement", expected="at least one", cause=cause)
    kept = kept.with_groups(",", several=choices.several)
    if choices.by_group:
        known = kept.by_group()
        if not len(known):
            raise InputError.of("--by", "group", expected="a column of groups", cause="no statement has a known group")
        if lost := len(kept) - len(known):
            notes.append(f"{lost} statements of no known group were left out.")
        kept = known
    if choices.aggregate in {"conflict", "subtract"} and any(isinstance(level, str) for level in kept.levels):
        expected = "congruence or ignore, because the qualifier is a text"
        raise InputError.of("--aggregate", choices.aggregate, expected=expected)
    if doubled := len(kept) - len(kept.dedupe(choices.duplicates)):
        notes.append(f"{doubled} statements repeat an equal one within the same {choices.duplicates}; they count once.")
    return kept, notes


def _tables(readings: Sequence[Reading], choices: Choices) -> dict[str, Sequence[Row]]:
    """What is shown: all windows and changes, and of the last window with statements who and what."""
    last = [reading for reading in readings if len(reading.statements)][-1]
    tables = {
        "Windows": [window_row(reading) for reading in readings],
        "Changes": changes(readings),
        f"Camps by group, {last.name}": last.camps_by_group(),
        f"Central {'groups' if choices.by_group else 'actors'}, {last.name}": last.central_rows(),
        f"Measures, {last.name}": last.measure_rows(),
    }
    return {title: rows for title, rows in tables.items() if rows}


def _whole_tables(readings: Sequence[Reading]) -> dict[str, tuple[str, Sequence[Row]]]:
    """Name of a CSV file -> what it holds, of every window, and its rows."""
    tables = {
        "windows": ("size, polarisation and gap of each window", [window_row(reading) for reading in readings]),
        "changes": ("from each window to the next", changes(readings)),
        "camps": ("the camp of each node in each window", [r for reading in readings for r in reading.camp_rows()]),
        "group_ties": ("mean ties of groups in each window", [r for x in readings for r in x.group_rows()]),
        "central": ("nodes with most ties in each window", [r for x in readings for r in x.central_rows()]),
        "measures": ("most used measures in each window", [r for x in readings for r in x.measure_rows()]),
    }
    return {name: (about, rows) for name, (about, rows) in tables.items() if rows}


def _headline(readings: Sequence[Reading]) -> str:
    filled = [reading for reading in readings if len(reading.statements)]  # one at least, or `cut` had refused
    first, last = filled[0], filled[-1]
    nodes, ties = len(last.network.nodes), last.network.matrix.nnz // 2
    size = f"{nodes} node{'s' * (nodes != 1)}, {ties} tie{'s' * (ties != 1)} in {last.name}"
    if len(last.statements.labels["actor"]) < 2:
        return f"{size}: one voice alone, with whom nobody agrees or disagrees"
    if last is first:
        z = "" if last.z_of_q is None else f", {last.z_of_q:.1f} standard deviations above permuted debates"
        return f"{size}: polarisation {last.camps.q:.3f}{z}"
    return f"Polarisation {first.camps.q:.3f} in {first.name}, {last.camps.q:.3f} in {last.name} ({size})"


def _remarks(readings: Sequence[Reading], choices: Choices, everything: Statements) -> list[str]:
    notes = [
        f"Agreement is counted by {'statement' if choices.netting == 'statement' else 'net position'} "
        f"(--netting {choices.netting}), ties are {choices.aggregate}, normalisation {choices.normalise}."
    ]
    levels = everything.levels
    if not everything.binary and not isinstance(levels[0], str):
        notes.append(
            f"The qualifier is read as a scale of whole numbers, {levels[0]:g} to {levels[-1]:g} (--scale, --levels)."
        )
    if choices.weight or choices.degree or not choices.isolates:
        notes.append(
            "--weight, --degree and --no-isolates thin the networks that are counted, drawn and written; polarisation, "
            "camps and gaps are those of the whole."
        )
    if empty := [reading.name for reading in readings if not len(reading.statements)]:
        shown = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
        notes.append(f"{len(empty)} windows hold no statement: {shown}.")
    if mixed := sum(reading.mixed for reading in readings):
        notes.append(f"{mixed} pairs of actor and measure are mixed, for and against: --netting decides what they are.")
    if fewer := [reading for reading in readings if len(reading.null_q) < choices.permutations and reading.camps.q]:
        least = min(len(reading.null_q) for reading in fewer)
        notes.append(f"Large windows were permuted fewer times than asked for, {least} at least.")
    if not np.ptp(everything.day):
        notes.append("All statements have one date or none: there is no change to see.")
    if choices.aggregate in {"ignore", "conflict"}:
        notes.append(f"Camps rest on agreement and conflict, whatever --aggregate {choices.aggregate} draws.")
    return notes


@dataclass(frozen=True)
class _Exported:
    """A network under the names of its files."""

    stem: str
    about: str
    network: OneMode | TwoMode


def _write(made: Application, output: Path, readings: Sequence[Reading], choices: Choices) -> Application:
    chosen = readings if len(readings) <= MOST_EXPORTED else []
    notes = list(made.notes)
    if not chosen:
        notes.append(f"Over {MOST_EXPORTED} windows: their networks were not written, the tables have all of them.")
    content: dict[str, tuple[str, Content]] = {}
    for reading in chosen:
        for part in _networks(reading):
            _export(part, content, notes)
        title = f"{reading.name}: {choices.aggregate}, {choices.normalise}"
        content[f"network_{reading.stem}.svg"] = (
            f"the network of {reading.name}", network_svg(reading.network, title=title, seed=choices.seed).encode()
        )  # fmt: skip
        if len(reading.groups.groups) > 1:
            picture = group_matrix_svg(reading.groups, title=f"Ties of groups, {reading.name}")
            content[f"groups_{reading.stem}.svg"] = (f"mean ties of groups in {reading.name}", picture.encode())
    if len(readings) > 1:
        bars = windows_svg([window_row(reading) for reading in readings], title="Polarisation by window")
        content["polarisation.svg"] = ("polarisation of each window beside permuted debates", bars.encode())
    for name, (about, rows) in _whole_tables(readings).items():
        content[f"{name}.csv"] = (about, to_csv(rows).encode())
    return write(replace(made, notes=tuple(notes)), output, content)


def _networks(reading: Reading) -> list[_Exported]:
    return [
        _Exported(f"affiliation_{reading.stem}", "who says what", reading.affiliation()),
        _Exported(f"actors_{reading.stem}", "ties of actors", reading.network),
        _Exported(f"concepts_{reading.stem}", "ties of measures", reading.concepts()),
    ]


def _export(part: _Exported, content: dict[str, tuple[str, Content]], notes: list[str]) -> None:
    table = part.network.to_frame()
    content[f"{part.stem}.csv"] = (part.about, table.to_csv(index=False, lineterminator="\n").encode())
    if len(table) > MOST_TIES:
        notes.append(f"{part.stem} has {len(table)} ties: written as CSV only, graph tools would not open it.")
        return
    content[f"{part.stem}.graphml"] = (f"{part.about}, GraphML", to_graphml(part.network))
    content[f"{part.stem}.gexf"] = (f"{part.about}, GEXF", to_gexf(part.network))
