"""Contract checks: the shape of a method's code, card and configuration."""

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from livepapers.battery.check import CheckFailedError, check, require
from livepapers.battery.subject import Role, Subject
from livepapers.core.config import Presets
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner
from livepapers.papers import catalogue

HEADINGS = ("Paper", "Idea", "Equations", "Shapes", "Deviations")
MOST_PARAMETERS = 10
MOST_LINES = 350
WINDOW = 6
MOST_COPIED = 0.10


@check(3)
def card_and_code_agree(subject: Subject) -> None:
    """The docstring names the card's slug and arXiv id."""
    text = subject.method.__doc__ or ""
    first = text.strip().splitlines()[0] if text.strip() else ""
    require(subject.slug in first, f"the first docstring line is {first!r}; it must carry the slug {subject.slug!r}")
    require(
        not subject.card.arxiv or subject.card.arxiv in text, f"the docstring does not name arXiv {subject.card.arxiv}"
    )
    require(subject.role in typing.get_args(Role), f"ROLE {subject.role!r} is unknown")


@check(4)
def docstring_has_its_headings(subject: Subject) -> None:
    """The module docstring is the paper in short: Paper, Idea, Equations, Shapes, Deviations."""
    missing = [word for word in HEADINGS if not re.search(rf"^{word}\b", subject.method.__doc__ or "", re.MULTILINE)]
    require(not missing, f"headings missing from the module docstring: {', '.join(missing)}")


@check(5)
def config_is_frozen_described_and_round_trips(subject: Subject) -> None:
    """Config is frozen, each field is typed and says its source, and every preset survives JSON."""
    config = subject.config.tiny()
    fields = dataclasses.fields(subject.config)
    try:
        setattr(config, fields[0].name, None)
    except dataclasses.FrozenInstanceError:
        pass
    else:
        raise CheckFailedError("Config can be changed after it was made")
    for name, info in subject.config.__pydantic_fields__.items():
        require(bool(info.description), f"Config.{name} does not say its source or unit")
    for preset in Presets.PRESETS:
        made = subject.config.preset(preset)
        require(subject.config.from_json(made.to_json()) == made, f"preset {preset} changes on its way through JSON")


@check(6)
def building_does_no_work(subject: Subject) -> None:
    """Building a learner spends nothing: no update, no sample, no evaluation."""
    made = subject.learner()
    if isinstance(made, Learner):
        spent = {name: amount for name, amount in made.work().items() if amount}
        require(not spent, f"a learner that was only built reports work {spent}")


@check(7)
def config_refuses_bad_values_by_name(subject: Subject) -> None:
    """An unknown field, a NaN or an out-of-range value is refused with the field's name."""
    _refused(subject, "no_such_field", 1)
    for name, info in subject.config.__pydantic_fields__.items():
        if info.annotation is float:
            _refused(subject, name, float("nan"))
        for bound in info.metadata:
            for limit, sign in (("ge", -1), ("gt", -1), ("le", 1), ("lt", 1)):
                if getattr(bound, limit, None) is not None:
                    _refused(subject, name, getattr(bound, limit) + sign)


def _refused(subject: Subject, name: str, value: Any) -> None:
    try:
        subject.config(**{name: value})
    except InputError as error:
        require(name in str(error), f"the refusal of {name}={value!r} does not name the field: {error}")
    else:
        raise CheckFailedError(f"Config accepts {name}={value!r}")


@check(8)
def files_and_signatures_are_small(subject: Subject) -> None:
    """No function takes over ten parameters, no file of the method runs over 350 lines of code."""
    for path in subject.sources:
        text = path.read_text(encoding="utf-8")
        lines = sum(1 for line in text.splitlines() if line.strip())
        require(lines <= MOST_LINES, f"{path.name} has {lines} lines; over {MOST_LINES} it becomes a package")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name != "apply":
                names = [a.arg for a in [*node.args.args, *node.args.kwonlyargs] if a.arg not in {"self", "cls"}]
                require(len(names) <= MOST_PARAMETERS, f"{path.name}: {node.name} takes {len(names)} parameters")


@check(9)
def little_is_copied_from_other_methods(subject: Subject) -> None:
    """Less than a tenth of the method's lines stand verbatim, six in a row, in another method."""
    own = {path: _windows(path) for path in subject.sources}
    folder = Path(str(subject.method.__file__)).parent
    root = folder if folder.name == "methods" else folder.parent
    others = {window for path in root.rglob("*.py") if path not in own for window in _windows(path)}
    total = sum(map(len, own.values()))
    copied = sum(window in others for windows in own.values() for window in windows)
    require(
        total == 0 or copied / total < MOST_COPIED, f"{copied} of {total} six-line windows stand in other methods too"
    )


def _windows(path: Path) -> list[tuple[str, ...]]:
    lines = [" ".join(line.split()) for line in path.read_text(encoding="utf-8").splitlines()]
    code = [line for line in lines if line and not line.startswith(("#", "import ", "from ", '"""'))]
    return [tuple(code[i : i + WINDOW]) for i in range(len(code) - WINDOW + 1)]


@check(40)
def everything_under_one_name(subject: Subject) -> None:
    """The slug has a card, a method and a study."""
    require(catalogue.study_module(subject.slug) is not None, "there is no study of that name")


@check(41)
def public_names_are_documented(subject: Subject) -> None:
    """Every public class, function and method of the paper's files has a docstring."""
    for path in subject.sources:
        for node in _public(ast.parse(path.read_text(encoding="utf-8"))):
            require(ast.get_docstring(node) is not None, f"{path.name}:{node.lineno}: {node.name} has no docstring")


def _public(module: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public classes, functions and methods; functions inside functions are nobody's interface."""
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (m for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_"))


@check(43)
def apply_documents_each_option(subject: Subject) -> None:
    """apply() annotates every parameter and describes it under Args."""
    apply = subject.method.apply
    text = inspect.getdoc(apply) or ""
    for name, parameter in inspect.signature(apply).parameters.items():
        require(parameter.annotation is not inspect.Parameter.empty, f"apply: {name} has no type")
        require(
            re.search(rf"^\s+{name}: \S", text, re.MULTILINE) is not None, f"apply: {name} is not described under Args"
        )
