"""Writes what the documentation repeats: pages of papers, the index, the command reference, the README's table.

Everything comes from cards, docstrings, studies and committed results; nothing is typed twice. `make docs` runs this
file, and a test fails when a generated file differs from what it would write.

    python docs/generate.py            write
    python docs/generate.py --check    name the files that differ, exit status 1 if there are any
"""

import dataclasses
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from livepapers.cli import main as command_line
from livepapers.cli.apply import method_command
from livepapers.cli.signature import fields, options
from livepapers.core.files import write_atomic
from livepapers.lab import figures
from livepapers.lab.report.summary import by_setting, of_paper, told
from livepapers.lab.study import PRESETS, Study, Table, load_study
from livepapers.lab.words import asked, duration, estimate, number, p_text, ratio_text
from livepapers.papers import catalogue, citation
from livepapers.web import applying
from livepapers.web.settings import PASSWORD, TOKEN, Settings

ROOT = Path(__file__).parents[1]
NOTICE = "<!-- Written by docs/generate.py; `make docs` writes it anew. -->"
BENCHMARKS = ROOT / "src/livepapers/results/benchmarks"
BEGIN, END = "<!-- papers: written by docs/generate.py -->", "<!-- end of papers -->"
HELP_WIDTH = 100
SHOWN = (
    "Mean over seeds [95 %] (seeds). Fewer than six seeds get no interval, and none goes beyond the seeds' own range: "
    "what lies there is an artefact of small samples."
)


def files() -> dict[Path, str]:
    """Every generated file and its content."""
    slugs = [slug for slug in catalogue.load() if catalogue.status(slug) != "listed"]
    readme = ROOT / "README.md"
    made = {ROOT / "docs" / "papers" / f"{slug}.md": paper_page(slug) for slug in slugs}
    made[ROOT / "docs" / "index.md"] = index_page()
    made[ROOT / "docs" / "commands.md"] = commands_page()
    measured = [found for slug in slugs if (found := catalogue.results(slug))]
    if measured:
        made[ROOT / "docs" / "verdicts.svg"] = figures.verdict_figure(measured)
    made[applying.FORMS] = forms()
    made[readme] = between(readme.read_text(encoding="utf-8"), papers_table(slugs, folder="docs/papers"))
    return made


def between(text: str, table: str) -> str:
    """The README with its table replaced."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table + END + rest.split(END)[1]


# ---- the index ----


def index_page() -> str:
    """All papers: those with a study first, then the others by field."""
    cards = catalogue.load()
    ready = [slug for slug in cards if catalogue.status(slug) != "listed"]
    lines = [NOTICE, "", "# livepapers", "", "- [Commands](commands.md)"]
    lines += [f"- [{_title(path)}](tutorials/{path.name})" for path in sorted((ROOT / "docs/tutorials").glob("*.md"))]
    lines += ["", "## Papers that run", "", papers_table(ready, folder="papers"), "## Papers that are listed", ""]
    lines += ["They have a card; `livepapers show SLUG` prints it. Nothing is claimed about them.", ""]
    for name, about in catalogue.FIELDS.items():
        listed = [card for card in cards.values() if card.field == name and card.slug not in ready]
        if listed:
            lines += [f"### {name}: {about}", ""]
            lines += [f"- `{card.slug}` [{card.title}]({card.link}), {card.year}" for card in listed] + [""]
    engine = "\n\n".join(_benchmarks("ppo")).replace("## Benchmarks", "## The engine that papers share: PPO", 1)
    return "\n".join(lines) + (f"\n{engine}\n\n{_equivalence()}\n" if engine else "")


def _equivalence() -> str:
    """Whether our PPO and Stable-Baselines3's learn alike, as `benchmarks/ppo/equivalence.py` measured it."""
    found = json.loads((BENCHMARKS / "ppo-equivalence.json").read_text(encoding="utf-8"))
    lines = ["| quarter of training | ours | Stable-Baselines3 | 90 % interval of the difference | margin | p |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in found["quarters"]:
        low, high = row["interval"]
        lines.append(
            f"| {row['quarter']} | {row['ours']:.1f} | {row['theirs']:.1f} | [{low:.1f}, {high:.1f}] | "
            f"{row['margin']:g} | {p_text(row['p'])} |"
        )
    first = found.get("ten seeds first", {"quarters": []})["quarters"]  # a shorter run that was looked at before
    undecided = not all(row["equivalent"] for row in first)
    before = "The first ten of these seeds alone had not been enough to show it." if undecided else ""
    settings, verdict = found["settings"], "coincide" if found["coincide"] else "are not shown to coincide"
    return (
        f"Mean return of the training episodes on CartPole-v1 at equal settings, {settings['seeds']} seeds of "
        f"{settings['steps']:,} steps each ({found['date']}, `benchmarks/ppo/equivalence.py`): the curves {verdict}. "
        f"{before}\n\n" + "\n".join(lines)
    )


def papers_table(slugs: Sequence[str], *, folder: str) -> str:
    """Papers with their computed status and the verdicts on their claims."""
    lines = ["| paper | title | status | verdicts on the paper's claims (ours are on its page) |", "|---|---|---|---|"]
    for slug in slugs:
        results = catalogue.results(slug)
        verdicts = told(of_paper(results["current"]["verdicts"])) if results else "not measured yet"
        title = _cell(catalogue.card(slug).title)
        lines.append(f"| [{slug}]({folder}/{slug}.md) | {title} | {catalogue.status(slug)} | {verdicts} |")
    return "\n".join([*lines, ""])


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


# ---- one paper ----


def paper_page(slug: str) -> str:
    """Card, verdicts, method, application, study, benchmarks, citation of one paper."""
    card, study, results = catalogue.card(slug), load_study(slug), catalogue.results(slug)
    module = importlib.import_module(str(catalogue.method_module(slug)))
    code = f"[{card.code_url}]({card.code_url}) (licence: {card.code_licence})" if card.code_url else "none published"
    venue = f", {card.venue}" if card.venue else ""
    apply_help = help_text(method_command(slug, module.apply), f"livepapers apply {slug}")
    sections = [
        f"{NOTICE}\n\n# {slug}: {card.title}",
        f"{', '.join(card.authors)}. [{card.link}]({card.link}){venue}, {card.year}. Their code: {code}.",
        card.summary,
        "## Verdicts\n\n" + (_verdicts(results["current"]) if results else _claims(study)),
        *(_figures(table, results["current"]) for table in study.tables if results),
        f"## Method\n\n```text\n{inspect.cleandoc(module.__doc__ or '')}\n```",
        f"## On your own data\n\n```text\n{apply_help}\n```",
        f"## In Python\n\n{_python(module)}",
        "## Study\n\n" + _study(study),
        *_benchmarks(slug),
        f"## Citation\n\n```bibtex\n{citation.bibtex(card).strip()}\n```",
    ]
    return "\n\n".join(sections) + "\n"


def _python(module: ModuleType) -> str:
    """What a method offers to programs: functions and classes with their arguments and the first line they say."""
    rows = []
    for name in module.__all__:
        made = getattr(module, name)
        plain = made if inspect.isclass(made) else inspect.unwrap(made)  # what keeps its results is a function too
        if (inspect.isclass(plain) or inspect.isfunction(plain)) and (said := inspect.getdoc(plain)):
            rows.append(f"| `{name}({_arguments(made)})` | {_cell(said.splitlines()[0])} |")
    return "\n".join(
        [
            _first_steps(module),
            "| name | what it is |",
            "|---|---|",
            *rows,
        ]
    )


def _first_steps(module: ModuleType) -> str:
    """Lines to type: the smallest whole problem, and what `apply` is told."""
    short = module.__name__.rpartition(".")[2]
    made, tiny = f"{short}.example", f"{short}.Config.tiny()"
    tried = f"print({made}({tiny}, seed=0))  # the smallest whole problem"
    if module.ROLE == "learner":
        tried = f"learner = {made}({tiny}, seed=0)  # the smallest whole problem\nprint(learner.update())"
    lines = f"from livepapers.methods import {short}\n\n{tried}\nhelp({short}.apply)  # on data of your own"
    return f"```python\n{lines}\n```\n"


def _arguments(made: Callable[..., Any]) -> str:
    """Names of arguments, `*` before those that have to be named; those that may be left out become dots."""
    given = inspect.signature(made).parameters.values()
    needed = [one for one in given if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
    named = [one.name for one in needed if one.kind is one.KEYWORD_ONLY]
    first = [one.name for one in needed if one.kind is not one.KEYWORD_ONLY]
    return ", ".join([*first, *(["*", *named] if named else []), *(["..."] if len(needed) < len(given) else [])])


def _verdicts(current: Mapping[str, Any]) -> str:
    run = current["run"]
    lines = ["| claim | where | paper | ours | n | verdict |", "|---|---|---|---|---|---|"]
    for found in current["verdicts"]:
        statement = f"**{found['id']}** {_cell(found['statement'])}"
        verdict = found["verdict"] + (", indicative only" if found["indicative"] else "")
        row = (
            statement,
            _cell(found["where"]),
            _cell(found["published"]),
            _ours(found),
            str(found["n"] or ""),
            verdict,
        )
        lines.append(f"| {' | '.join(row)} |")
    machine, commit = run["machine"], run["git_commit"] or "unknown"
    spent = duration(sum(arm["wall"] for arm in current["arms"]))
    lines += [
        "",
        f"Measured {run['date'][:10]} at the {run['preset']} preset by run `{run['id']}` of commit `{commit[:12]}` on "
        f"{machine.get('cpu', 'an unknown processor')}, {machine['cores']} cores; its cells took {spent} together, "
        f"each on one core. Again: `{run['command']}`.",
    ]
    return "\n".join(lines)


def _ours(found: Mapping[str, Any]) -> str:
    if found["effect"] is None:
        return _cell(found["reason"])
    text = " ".join(part for part in estimate(found["effect"], found["interval"]) if part)
    if found["p_holm"] is not None:
        text += f", p {p_text(found['p_holm'])}"
    pooled = by_setting(found)
    wanted = asked(found["direction"], found["reference"], found["margin"])
    by = f"<br>by setting: {_cell(pooled)}" if pooled else ""
    return f"{_cell(text)}<br>{_cell(found['effect_name'])}; asked here: {wanted}{by}"


def _figures(table: Table, current: Mapping[str, Any]) -> str:
    """The means of a metric over seeds, with their intervals: a row an arm, a column a setting."""
    settings = {found["name"]: found for found in current["settings"] if found["name"] in table.settings}
    columns = [name for name in table.settings if name in settings]
    rows: dict[str, dict[str, str]] = {}
    for name in columns:
        for arm in settings[name]["arms"]:
            if table.metric in arm["metrics"]:
                metric = arm["metrics"][table.metric]
                shown = " ".join(part for part in estimate(metric["mean"], metric["interval"]) if part)
                rows.setdefault(arm["arm"], {})[name] = f"{shown} ({len(metric['values'])})"
    lines = [f"| arm | {' | '.join(map(_cell, columns))} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {_cell(arm)} | {' | '.join(row.get(name, '') for name in columns)} |" for arm, row in rows.items()]
    return f"### {table.about}\n\n{SHOWN}\n\n" + "\n".join(lines)


def _claims(study: Study) -> str:
    lines = ["Not measured yet. The claims, fixed before the run:", "", "| claim | where | paper |", "|---|---|---|"]
    lines += [f"| **{c.id}** {_cell(c.statement)} | {_cell(c.where)} | {_cell(c.published)} |" for c in study.claims]
    return "\n".join(lines)


def _study(study: Study) -> str:
    lines = ["| arm | kind | what it is |", "|---|---|---|"]
    lines += [f"| {_cell(arm.name)} | {arm.kind} | {_cell(arm.about)} |" for arm in study.arms.values()]
    lines += ["", f"| setting | what it is | seeds at {', '.join(PRESETS)} |", "|---|---|---|"]
    for setting in study.settings.values():
        seeds = ", ".join(str(setting.seeds.get(preset, "-")) for preset in PRESETS)
        lines.append(f"| {_cell(setting.name)} | {_cell(setting.about)} | {seeds} |")
    if study.deviations:
        lines += ["", "Deviations from the paper:", "", *[f"{i}. {text}" for i, text in enumerate(study.deviations, 1)]]
    return "\n".join(lines)


def _benchmarks(slug: str) -> Iterator[str]:
    path = BENCHMARKS / f"{slug}.json"
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = ["| figure | ours | peer | theirs | ratio |", "|---|---|---|---|---|"]
    for row in found["rows"]:
        ours, theirs = (
            f"{number(row[key])} {row['unit']}" if row[key] is not None else "" for key in ("ours", "theirs")
        )
        ratio = "" if row["ratio"] is None else ratio_text(row["ratio"])
        lines.append(f"| {_cell(row['figure'])} | {ours} | {_cell(row['peer'])} | {theirs} | {ratio} |")
    versions = {name: version for who in found["versions"].values() for name, version in who.items()}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    machine = found["machine"]
    yield "## Benchmarks\n\n" + "\n".join(
        [
            f"A ratio above 1 means that we are ahead. `livepapers bench {slug}` measures again.",
            "",
            *lines,
            "",
            f"Measured {found['date']}, median of {found['repeats']} turns, one thread, on "
            f"{machine.get('cpu', 'an unknown processor')}; {told}.",
        ]
    )


def _cell(text: str) -> str:
    """Text that stays inside one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


# ---- the command reference ----


def commands_page() -> str:
    """The help page of every command."""
    group = command_line.group
    lines = [NOTICE, "", "# Commands", "", (command_line.__doc__ or "").split("\n\n", 1)[1].strip(), ""]
    lines += ["```text", help_text(group, "livepapers"), "```", ""]
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                lines += [f"## {name}", "", "```text", help_text(command, f"livepapers {name}"), "```", ""]
            if name == "serve":
                lines += [*_page_settings(), ""]
    return "\n".join(lines)


def forms() -> str:
    """The options of the methods that the page has forms for: it must not import a method to learn them."""
    methods = {slug: importlib.import_module(catalogue.method_module(slug) or "") for slug in applying.FILES}
    found = {slug: fields(options(method.apply)) for slug, method in methods.items()}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _page_settings() -> Iterator[str]:
    """The keys that the settings file of the page may have."""
    yield "### The settings file"
    yield ""
    yield f"Secrets stay out of it: the mail password is in `${PASSWORD}`, the token for runs in `${TOKEN}`."
    yield ""
    yield "| key | default | what it is |"
    yield "|---|---|---|"
    for field in dataclasses.fields(Settings):
        about = Settings.__pydantic_fields__[field.name].description  # type: ignore[attr-defined]
        yield f"| `{field.name}` | `{getattr(Settings(), field.name)!r}` | {_cell(about)} |"


def help_text(command: click.Command, name: str) -> str:
    """What `--help` prints, as wide as it is in the documentation."""
    settings = {**command.context_settings, "terminal_width": HELP_WIDTH, "max_content_width": HELP_WIDTH}
    settings |= {"help_option_names": ["-h", "--help"]}
    return click.Context(command, info_name=name, **settings).get_help()


def main() -> int:
    """Write the files, or with `--check` only compare them."""
    made = files()
    differing = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in differing:
            print(f"{path.relative_to(ROOT)} differs; run make docs")
        return 1 if differing else 0
    for path in differing:
        write_atomic(path, made[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
