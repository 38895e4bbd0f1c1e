"""What the sources of a method say, read without importing them: a method imports PyTorch, the page must not."""

import ast
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from livepapers.papers import catalogue
from livepapers.web.applying import SAMPLES

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Method:
    """A method as its docstrings describe it."""

    about: str  # the module's docstring: the paper in fifteen lines
    deviations: tuple[str, ...]  # from the paper, where the docstring lists them
    application: str  # what `apply` does, its docstring up to the first section
    required: tuple[str, ...]  # parameters of `apply` without a default
    places: tuple[str, ...] = ()  # parameters of `apply` that are given by their place, not by name


@functools.cache
def method(slug: str) -> Method | None:
    """The method of a paper of the catalogue, None where it has none."""
    if catalogue.status(slug) == "listed":
        return None
    base = catalogue.PACKAGE / "methods" / catalogue.module_name(slug)
    paths = [base / "__init__.py", *sorted(base.glob("*.py"))] if base.is_dir() else [base.with_suffix(".py")]
    trees = [ast.parse(path.read_bytes()) for path in paths]
    about = ast.get_docstring(trees[0]) or ""
    functions = [node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]
    apply = next((function for function in functions if function.name == "apply"), None)
    if apply is None:
        return Method(about, _deviations(about), "", ())
    told = (ast.get_docstring(apply) or "").split("\n\nArgs:")[0].split("\n\nExample")[0]
    places = tuple(argument.arg for argument in apply.args.posonlyargs)
    return Method(about, _deviations(about), told, _required(apply.args), places)


def _required(arguments: ast.arguments) -> tuple[str, ...]:
    """The names of parameters without a default."""
    places = [*arguments.posonlyargs, *arguments.args]
    named = [arg for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return tuple(arg.arg for arg in [*places[: len(places) - len(arguments.defaults)], *named])


def _deviations(about: str) -> tuple[str, ...]:
    """The entries of the section `Deviations`, numbered or not."""
    found = re.search(r"^Deviations:?\s+(.*?)(?=^\S|\Z)", about, re.MULTILINE | re.DOTALL)  # up to the next heading
    if found is None:
        return ()
    entries = re.split(r"^\s*\d+\.\s+", found[1], flags=re.MULTILINE)
    return tuple(text for entry in entries if (text := " ".join(entry.split())))


@functools.cache
def usage(slug: str) -> tuple[tuple[str, str], ...]:
    """How the method is used, as (language, code) blocks: the README's section on the paper, where it has one."""
    try:
        readme = str(metadata.metadata("livepapers").json.get("description", ""))
    except metadata.PackageNotFoundError:
        readme = ""
    section = re.search(rf"^## [^\n]*\({re.escape(slug)}\)\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    blocks = tuple((kind or "text", code.rstrip()) for kind, code in _BLOCK.findall(section[1])) if section else ()
    found = method(slug)
    if blocks or found is None:
        return blocks
    if not found.required:  # which of its inputs go together, only its help says
        return (("sh", f"livepapers apply {slug} --help"),)
    return _called(slug, found)


def _called(slug: str, found: Method) -> tuple[tuple[str, str], ...]:
    """A call of `apply` in both languages, on the files that ship with livepapers where there are such."""
    module, ours = catalogue.module_name(slug), SAMPLES.get(slug, {})
    python = {name: f'samples.path("{file}")' for name, file in ours.items()}
    words = {name: f"\"$(python -c 'from livepapers import samples; print({code})')\"" for name, code in python.items()}
    named = [name for name in found.required if name not in found.places]
    options = [words.get(name, name.upper()) for name in found.places]
    options += [f"--{name.replace('_', '-')} {words.get(name, name.upper())}" for name in named]
    given = ", ".join([python.get(name, name) for name in found.places]
                      + [f"{name}={python.get(name, '...')}" for name in named])  # fmt: skip
    imports = ("from livepapers import samples\n" if ours else "") + f"from livepapers.methods import {module}"
    return (
        ("sh", " ".join(["livepapers apply", slug, *options, "--output result"])),
        ("python", f"{imports}\n\nresult = {module}.apply({given})\nprint(result.headline)"),
    )


@functools.cache
def benchmark(slug: str) -> Mapping[str, Any] | None:
    """The committed comparison with peers (`results/benchmarks/<slug>.json`), None where there is none."""
    path = Path(catalogue.PACKAGE) / "results" / "benchmarks" / f"{catalogue.card(slug).slug}.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None


def peers(found: Mapping[str, Any]) -> Sequence[str]:
    """The packages of a comparison with their versions."""
    versions = {name: version for who in found["versions"].values() for name, version in who.items()}
    return [f"{name} {version}" for name, version in versions.items()]
