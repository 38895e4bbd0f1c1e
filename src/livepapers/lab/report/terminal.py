"""The report as tables on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livepapers.lab.report.summary import notes, of_ours, of_paper, told
from livepapers.lab.words import asked, count, duration, estimate, p_text

_TERMINAL = {
    "reproduced": ("✔", "bold green"),
    "direction only": ("↑", "blue"),
    "inconclusive": ("~", "yellow"),
    "contradicted": ("✘", "bold red"),
    "void": ("∅", "dim"),
    "not tested here": ("·", "dim"),
}


def render_terminal(found: Mapping[str, Any], console: Console) -> None:
    """Print the verdict table, what was measured, budgets and how to repeat it."""
    run = found["run"]
    console.print()
    console.print(Text(found["card"]["title"], style="bold"))
    console.print(Text(f"{found['slug']} · {run['preset']} preset · {run['date'][:10]} · {run['id']}", style="dim"))
    for note in notes(found):
        console.print(Text(note, style="yellow"))
    console.print(_verdict_table(found["verdicts"]))
    for about, verdicts in (("claims of the paper", of_paper), ("questions of ours", of_ours)):
        counted = told(verdicts(found["verdicts"]))
        if counted:
            console.print(Text(f"{about}: {counted}", style="bold"))
    for setting in found["settings"]:
        console.print(_setting_table(setting, console.width))
    console.print(_budget_table(found["arms"]))
    console.print(Text(f"Repeat: {run['command']}", style="dim"))


def _verdict_table(verdicts: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False, expand=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", ratio=5)
    table.add_column("paper", ratio=2)
    table.add_column("ours", ratio=3)
    table.add_column("n", justify="right")
    for verdict in verdicts:
        sign, style = _TERMINAL[verdict["verdict"]]
        label = Text(f"{sign} {verdict['verdict']}", style=style)
        if verdict["indicative"]:
            label.append("\n  indicative only", style="dim")
        claim = Text(f"{verdict['id']} ", style="bold").append(verdict["statement"], style="default not bold")
        table.add_row(label, claim, Text(verdict["published"]), _ours(verdict), str(verdict["n"] or ""))
    return table


def _ours(verdict: Mapping[str, Any]) -> Text:
    if verdict["effect"] is None:
        return Text(verdict["reason"], style="dim")
    mean, bounds = estimate(verdict["effect"], verdict["interval"])
    text = Text(mean, style="bold").append(f" {bounds}" if bounds else "", style="default not bold")
    wanted = asked(verdict["direction"], verdict["reference"], verdict["margin"])
    text.append(f"\n{verdict['effect_name']}; asked here: {wanted}", style="dim not bold")
    if verdict["p_holm"] is not None:
        text.append(f"; p {p_text(verdict['p_holm'])}", style="dim not bold")
    if verdict["units_needed"]:
        leaning = f": {verdict['would_be']}" if verdict.get("would_be") else ""  # results before 26-11-25 lack it
        text.append(f"; about {verdict['units_needed']:,} units would decide{leaning}", style="dim not bold")
    return text


def _setting_table(setting: Mapping[str, Any], width: int) -> Group:
    """Arms by metrics; metrics that do not fit side by side go into further tables below."""
    names = list(dict.fromkeys(name for arm in setting["arms"] for name in arm["metrics"]))
    cells = {
        (row, name): _metric(arm["metrics"].get(name)) for row, arm in enumerate(setting["arms"]) for name in names
    }
    first = max(len(arm["arm"]) for arm in setting["arms"]) + len("cells") + 8
    groups: list[list[str]] = [[]]
    room = width - first
    for name in names:
        needed = 3 + max(cell_len(name), *(_longest_line(cells[row, name]) for row in range(len(setting["arms"]))))
        if groups[-1] and needed > room:
            groups.append([])
            room = width - first
        groups[-1].append(name)
        room -= needed
    title = Text(setting["name"], style="bold").append(f"  {setting['about']}", style="dim not bold")
    return Group(title, *(_arms_table(setting["arms"], chosen, cells) for chosen in groups))


def _arms_table(
    arms: Sequence[Mapping[str, Any]], names: Sequence[str], cells: Mapping[tuple[int, str], Text]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm")
    table.add_column("cells", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for row, arm in enumerate(arms):
        done = Text(f"{arm['finished']}/{arm['cells']}", style="red" if arm["failed"] else "")
        table.add_row(Text(arm["arm"]), done, *(cells[row, name] for name in names))
    return table


def _longest_line(text: Text) -> int:
    return max(cell_len(line) for line in text.plain.split("\n"))


def _metric(metric: Mapping[str, Any] | None) -> Text:
    if metric is None:
        return Text("-", style="dim")
    mean, bounds = estimate(metric["mean"], metric["interval"])
    return Text(mean).append(f"\n{bounds}" if bounds else "", style="dim")


def _budget_table(arms: Sequence[Mapping[str, Any]]) -> Panel:
    table = Table(box=None, pad_edge=False)
    for name in ("arm", "cells", "wall", "work"):
        table.add_column(name, justify="left" if name in {"arm", "work"} else "right")
    for arm in arms:
        work = ", ".join(f"{count(amount)} {name}" for name, amount in arm["work"].items())
        table.add_row(Text(arm["arm"]), str(arm["finished"]), duration(arm["wall"]), Text(work))
    return Panel(table, title="budget of finished cells", title_align="left", border_style="dim", expand=False)
