"""What the documentation says agrees with the code: generated files, links, command lines, imports."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import click
import generate  # docs/generate.py
import pytest

from livepapers.cli import main
from livepapers.papers import catalogue

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path, *kinds: str) -> list[str]:
    return [body for kind, body in FENCE.findall(path.read_text()) if kind in kinds]


def test_generated_files_are_what_would_be_generated():
    made = generate.files()
    differing = [
        str(path.relative_to(ROOT)) for path, text in made.items() if not path.exists() or path.read_text() != text
    ]
    assert not differing, f"run make docs: {', '.join(differing)}"


def test_every_paper_that_runs_has_a_page_and_no_other():
    pages = {path.stem for path in (ROOT / "docs/papers").glob("*.md")}
    assert pages == {slug for slug in catalogue.load() if catalogue.status(slug) != "listed"}


def test_the_readme_s_table_is_replaced_and_nothing_else():
    text = f"before\n{generate.BEGIN}\nold\n{generate.END}\nafter"
    assert generate.between(text, "| new |\n") == f"before\n{generate.BEGIN}\n| new |\n{generate.END}\nafter"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_files_resolve(page: Path):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        if target == "docs/verdicts.svg" and not any(catalogue.results(slug) for slug in catalogue.load()):
            continue  # drawn when the first results are committed
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "papers"], ids=lambda page: page.name)
def test_command_lines_parse(page: Path):
    for block in blocks(page, "sh", "bash"):
        for line in block.splitlines():
            for command in re.findall(r"(?:^|&& |\$\()(livepapers [^|&>)]*)", line.split("  #")[0]):
                parse(command)


@pytest.mark.parametrize("name", [name for names in main.SECTIONS.values() for name in names])
def test_examples_of_help_pages_parse(name: str):
    command = main.group.get_command(click.Context(main.group), name)
    assert command is not None
    assert command.epilog
    for line in command.epilog.splitlines():
        parse(line)


def parse(line: str) -> None:
    """Raise a usage error for a command, option or choice that there is not."""
    words = shlex.split(line)[1:]
    if not words:
        return
    context = click.Context(main.group, info_name="livepapers")
    command = main.group.get_command(context, words[0])
    assert command is not None, line
    rest = words[1:]
    if isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command, rest = command.get_command(context, rest[0]), rest[1:]
        assert command is not None, line
    if rest == ["SLUG"] or "SLUG" in rest or "RUN" in rest:
        return
    with click.Context(command, info_name=line) as inner:
        options, _, _ = command.make_parser(inner).parse_args(list(rest))
        for parameter in command.get_params(inner):
            if parameter.name in options and isinstance(parameter.type, click.Choice):
                parameter.type_cast_value(inner, options[parameter.name])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_imports_in_examples_resolve(page: Path):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")


def test_make_run_names_claims_that_can_be_measured():
    from livepapers.lab.study import load_study

    text = (ROOT / "Makefile").read_text()
    named = re.findall(r"([a-z-]+):([A-Z]\w*)", " ".join(re.findall(r"^(?:SMOKE|LAPTOP) := (.*)$", text, re.MULTILINE)))
    assert len(named) == 4
    for slug, claim in named:
        assert claim in {one.id for one in load_study(slug).claims if not one.needs}
