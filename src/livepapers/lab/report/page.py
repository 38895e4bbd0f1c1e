"""The report as one self-contained HTML page."""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from livepapers.lab import figures
from livepapers.lab.report.summary import by_setting, identities, notes, of_ours, of_paper, tally
from livepapers.lab.words import asked, coded, count, duration, estimate, number, p_text


def render_html(found: Mapping[str, Any]) -> str:
    """One self-contained HTML page: no script, no outside request, light and dark, from telephone to print."""
    styles = arm_classes(found)
    return _template().render(
        found,
        mark=figures.mark,
        verdict_class=figures.verdict_class,
        effect_plot=figures.effect_plot,
        curve_plot=lambda curve: figures.curve_figure(curve, styles),
        asked=asked,
        estimate=estimate,
        claimed=of_paper(found["verdicts"]),
        added=of_ours(found["verdicts"]),
        tally=tally,
        identities=identities,
        notes=notes(found),
        arm_class=styles,
        blocks=[_blocks(setting, styles) for setting in found["settings"]],
        light=figures.styles(dark=False),
        dark=figures.styles(dark=True),
        rules=rules(),
    )


@functools.cache
def rules() -> str:
    """Style rules of marks, plots and claims, wherever these are shown: reports, and the page of the paper."""
    claims = resources.files("livepapers.lab").joinpath("templates", "claims.css").read_text(encoding="utf-8")
    return figures.arm_styles() + figures.verdict_styles() + figures.MARK_STYLES + figures.PLOT_STYLES + claims


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("livepapers.lab"),
        autoescape=True,  # forced: titles, statements and errors are other people's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "coded": coded,
        "number": number,
        "duration": duration,
        "count": count,
        "p": p_text,
        "by_setting": by_setting,
    }
    return environment.get_template("report.html.j2")


def arm_classes(found: Mapping[str, Any]) -> dict[str, str]:
    """A style class an arm, the same in all figures: optimum and floor have their own, the others go by order."""
    classes, index = {}, 0
    for arm in found["arms"]:
        if arm["kind"] in {"optimum", "floor"}:
            classes[arm["arm"]] = arm["kind"]
        else:
            classes[arm["arm"]] = f"a{index % figures.ARM_CLASSES}"
            index += 1
    return classes


def _blocks(setting: Mapping[str, Any], styles: Mapping[str, str]) -> list[dict[str, Any]]:
    """For each metric of a setting: a row of dots for each arm that has it, and the ticks of their scale."""
    blocks = []
    for name in dict.fromkeys(name for arm in setting["arms"] for name in arm["metrics"]):
        arms = [arm for arm in setting["arms"] if name in arm["metrics"]]
        rows = []
        for arm in arms:
            metric = arm["metrics"][name]
            values = list(metric["values"].values())
            rows.append(figures.Row(arm["arm"], styles[arm["arm"]], values, metric["mean"], metric["interval"]))
        pictures, ticks = figures.forest(rows)
        entries = [
            {"arm": arm, "metric": arm["metrics"][name], "picture": p} for arm, p in zip(arms, pictures, strict=True)
        ]
        blocks.append({"name": name, "rows": entries, "ticks": ticks})
    return blocks
