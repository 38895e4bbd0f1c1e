"""A method applied to a reader's own data: the form, the process that works, and what it gave back.

The form has the options of `livepapers apply`, which `docs/generate.py` writes into `forms.json`: the page must not
import a method, and PyTorch with it. Only inputs that are named here come into it: files that are uploaded, texts that
are looked up in these files, numbers and choices. An option that names a module, a folder or an environment never
does: it could load code.
"""

import contextlib
import dataclasses
import functools
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import FormData, UploadFile

from livepapers.core.errors import InputError
from livepapers.core.files import write_atomic
from livepapers.papers import catalogue
from livepapers.web import running
from livepapers.web.guard import UPLOAD_LIMIT
from livepapers.web.rendering import line
from livepapers.web.settings import Settings
from livepapers.web.store import PageStore

FOLDER, STOPPED = "page-applied", "stopped"
KEPT = 7 * 86_400.0
"""Seconds that inputs and results are kept."""
MOST = 1_000_000
"""The largest whole number that the form takes: sizes and steps, not seeds of a clock."""
TEXT = 200  # characters
FORMS = Path(__file__).parent / "forms.json"

_DOCUMENT, _TABLE = (".yml", ".yaml", ".json"), (".csv",)
FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hdpo": {"network": _DOCUMENT, "demand": _TABLE, "state": _TABLE},
    "fl-gfn": {"items": _TABLE, "graph": (".txt", ".csv", ".edges")},
    "oc-gfn": {"rewards": _TABLE},
    "simplicial-closure": {"sets": _TABLE},
    "cities-to-series": {"series": _TABLE, "streets": (".csv", ".graphml"), "junctions": _TABLE, "facilities": _TABLE},
    "pdppo": {"plant": _DOCUMENT},
    "ospo": {"trips": (".csv", ".parquet"), "zones": _TABLE},
    "fishery": {"model": _DOCUMENT},
    "yann-rl": {"model": _DOCUMENT},
    "sindy-rl": {"data": _TABLE},
    "policy-smoothing": {"returns": _TABLE},
    "debatenet": {"claims": _TABLE},
    "commuters": {"nodes": _TABLE, "flows": _TABLE},
    "gnn-graph-level": {"smiles": _TABLE, "edges": _TABLE, "graphs": _TABLE, "nodes": _TABLE},
}
"""The papers with a form, and the files that each takes, by option, with the endings that they may have."""
TEXTS: Mapping[str, frozenset[str]] = {
    "ospo": frozenset({"start"}),
    "sindy-rl": frozenset({"states", "inputs", "trajectory"}),
    "policy-smoothing": frozenset({"sigma", "budgets", "column"}),
    "oc-gfn": frozenset({"alphabet", "target"}),
    "debatenet": frozenset({"windows", "actor", "concept", "qualifier", "date", "group", "document", "levels", "drop"}),
    "commuters": frozenset({"name", "coordinates", "mass"}),
    "gnn-graph-level": frozenset({"target", "models", "scenario"}),
}
"""Options that are plain texts: names of columns, lists of numbers, letters, sequences."""
NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "fl-gfn": (("items", "graph"),),
    "oc-gfn": (("environment",), ("size",)),
    "simplicial-closure": (("sets",),),
    "cities-to-series": (("series", "streets"),),
    "sindy-rl": (("data",),),
    "policy-smoothing": (("returns",),),
    "gnn-graph-level": (("smiles", "edges"),),
}
"""Groups of inputs; one of each is needed, because what the command line takes in their place is not on the form."""
ELSEWHERE: Mapping[str, frozenset[str]] = {
    "sindy-rl": frozenset({"random_steps", "rounds", "round_steps"}),
    "policy-smoothing": frozenset({"episodes", "frames", "attack_episodes"}),
}
"""Options that go with something that is not on the form: a world, a policy."""
LEFT_OUT: Mapping[str, str] = {
    "gnn-graph-level": "Folders of TUDataset cannot be uploaded: for them use the command line, --tudataset.",
}
"""What a form cannot take although the method does, told above its inputs."""
SAMPLES: Mapping[str, Mapping[str, str]] = {
    "hdpo": {"network": "one_store.yml", "demand": "one_store_demand.csv"},
    "pdppo": {"plant": "bakery_plant.yml"},
    "fishery": {"model": "three_species.yml"},
    "yann-rl": {"model": "pendulum_mpc.yml"},
}
"""Files that ship with livepapers, by option: what such an input looks like."""

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class Field:
    """One input of a form."""

    name: str
    flag: str
    kind: str  # "file", "choice", "integer", "number", "flag" or "text"
    choices: tuple[str, ...]
    required: bool
    default: Any
    help: str
    endings: tuple[str, ...] = ()
    sample: str = ""
    multiple: bool = False  # a text whose parts between commas are given one by one
    group: tuple[str, ...] = ()  # labels of the inputs, itself included, of which one is needed

    @property
    def label(self) -> str:
        """What readers call it."""
        return _label(self.name)


@dataclass(frozen=True)
class Outcome:
    """What became of an application."""

    slug: str
    working: bool
    told: str  # how far it is, or why it failed
    result: Mapping[str, Any] | None  # as `core.application.Application.to_json`
    files: Sequence[tuple[str, str]] = ()  # (name, what it holds)


def has_form(slug: str) -> bool:
    """Whether the paper's inputs fit a form."""
    return slug in FILES and slug in catalogue.load() and catalogue.status(slug) != "listed"


@functools.cache
def fields(slug: str) -> tuple[Field, ...]:
    """The inputs of a paper's form."""
    options = json.loads(FORMS.read_text(encoding="utf-8"))[slug]
    found = [field for option in options if (field := _field(slug, option)) is not None]
    return tuple(dataclasses.replace(field, help=_in_words(field.help, found)) for field in found)


def _field(slug: str, option: Mapping[str, Any]) -> Field | None:
    name, kind = option["name"], option["kind"]
    files, texts = FILES[slug], TEXTS.get(slug, frozenset())
    unlisted = (kind == "file" and name not in files) or (kind == "text" and name not in texts)
    if unlisted or name in ELSEWHERE.get(slug, ()) or (option["multiple"] and kind != "text"):
        return None
    about, group = option["help"], next((group for group in NEEDED.get(slug, ()) if name in group), ())
    if option["multiple"]:
        about = about.removesuffix("May be repeated.") + "Several are separated by commas."
    return Field(
        name, option["flag"], kind, tuple(option["choices"]), option["required"] or group == (name,),
        option["default"], about, files.get(name, ()), SAMPLES.get(slug, {}).get(name, ""), option["multiple"],
        tuple(map(_label, group)) if len(group) > 1 else (),
    )  # fmt: skip


def _label(name: str) -> str:
    return name.replace("_", " ")


def _in_words(text: str, asked: Sequence[Field]) -> str:
    """What a method says of its options, with those that are on the form named as there."""
    labels = {field.flag: field.label for field in asked}
    return re.sub(r"--[a-z][a-z0-9-]*", lambda flag: labels.get(flag[0], flag[0]), text)


def begin(store: PageStore, settings: Settings, slug: str, given: FormData) -> str:
    """Start the method on what a form says; returns the id under which the outcome is found.

    Raises:
        InputError: A value is not one that the form takes, or a file is missing.
    """
    asked = fields(slug)
    values = {field.name: _checked(field, given.get(field.name)) for field in asked}
    _refuse_without(asked, values)
    job = secrets.token_hex(16)
    folder = store.home / FOLDER / job
    (folder / "input").mkdir(parents=True)
    words, files = ["apply", slug], {}
    try:
        for field in asked:
            value = values[field.name]
            if value and isinstance(value, bytes):
                path = f"input/{field.name}{_ending(field, given.get(field.name))}"
                (folder / path).write_bytes(value)
                files[path] = _shown(given.get(field.name))
                words.append(f"{field.flag}={path}")
            elif isinstance(value, str) and field.multiple:
                words += [f"{field.flag}={part.strip()}" for part in value.split(",") if part.strip()]
            elif value:
                words.append(field.flag if field.kind == "flag" else f"{field.flag}={value}")
        words.append("--output=output")
        started = running.launch(store, settings, words, kind="apply", slug=slug, folder=folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    write_atomic(folder / "job.json", json.dumps({"slug": slug, "process": started.name, "files": files}))
    return job


def _refuse_without(asked: Sequence[Field], values: Mapping[str, str | bytes]) -> None:
    """Raise `InputError` where of some inputs one is needed and none is given."""
    given = {field.label for field in asked if values[field.name]}
    for field in asked:
        if field.group and given.isdisjoint(field.group):
            raise InputError.of(" or ".join(field.group), "nothing", expected="one of them")


def _checked(field: Field, value: Any) -> str | bytes:
    """What was given for a field, as the command line takes it; empty where nothing was."""
    if field.kind == "file":
        return _file(field, value)
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        if field.required:
            raise InputError.of(field.label, "nothing", expected="a value")
        return ""
    if field.kind == "choice" and text not in field.choices:
        raise InputError.of(field.label, text, expected=f"one of {', '.join(field.choices)}")
    if field.kind == "integer" and not (re.fullmatch(r"-?[0-9]{1,7}", text) and abs(int(text)) <= MOST):
        raise InputError.of(field.label, text, expected=f"a whole number, at most {MOST:,}")
    if field.kind == "number" and not _finite(text):
        raise InputError.of(field.label, text, expected="a number")
    if field.kind == "text" and (len(text) > TEXT or not text.isprintable()):
        raise InputError.of(field.label, text, expected=f"at most {TEXT} printable characters")
    return text


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and len(text) <= 40
    except ValueError:
        return False


def _file(field: Field, value: Any) -> bytes:
    if not isinstance(value, UploadFile) or not value.filename:
        if field.required:
            raise InputError.of(field.label, "no file", expected=f"a file ({', '.join(field.endings)})")
        return b""
    content = value.file.read(UPLOAD_LIMIT + 1)
    if not content:
        raise InputError.of(field.label, value.filename, expected="a file that is not empty")
    _ending(field, value)
    return content


def _shown(value: Any) -> str:
    """The reader's name of an uploaded file, for readers: no path is made of it."""
    return line(PurePath(value.filename).name)[:TEXT]


def _ending(field: Field, value: Any) -> str:
    """The ending of an uploaded file; of its name only that is used for a path."""
    ending = PurePath(value.filename).suffix.lower()
    if ending not in field.endings:
        raise InputError.of(field.label, value.filename, expected=f"a file that ends with {' or '.join(field.endings)}")
    return ending


def outcome(home: Path, job: str) -> Outcome | None:
    """What became of an application, None for an id that was never given out or is too old."""
    folder = _folder(home, job)
    if folder is None:
        return None
    about = json.loads((folder / "job.json").read_bytes())
    slug = about["slug"]

    def said(text: str) -> str:
        """What the method said, in the words of the form and with the reader's names of the files."""
        text = _in_words(text, fields(slug)).replace(f"{folder}{os.sep}", "")
        for path, name in about.get("files", {}).items():
            text = text.replace(path, name)
        return text

    started = running.by_name(home, about["process"])
    if started is None:
        return Outcome(slug, working=False, told="nothing is known of its process", result=None)
    if started.alive:
        return Outcome(slug, working=True, told=said(started.last_words()), result=None)
    result = running.printed(started)
    if result is None:
        return Outcome(slug, working=False, told=said(_failure(folder, started)), result=None)
    files = [(name, about_it) for name, about_it in result["files"].items() if _result(folder, name) is not None]
    result = {**result, "headline": said(result["headline"]), "notes": [said(note) for note in result["notes"]]}
    return Outcome(slug, working=False, told="", result=result, files=files)


def _failure(folder: Path, started: running.Started) -> str:
    """Why a process that has ended gave no result."""
    told = "it was stopped" if (folder / STOPPED).exists() else started.last_words() or "it ended without a word"
    if time.time() - started.began >= running.APPLY_SECONDS and not told.startswith("Error:"):
        return f"it was stopped after {running.APPLY_SECONDS // 60} minutes; ask for less, or use the command line"
    return told.removeprefix("Error: ")


def stop(home: Path, job: str) -> bool:
    """End an application that is at work; False for an id that was never given out or is too old."""
    folder = _folder(home, job)
    if folder is None:
        return False
    started = running.by_name(home, json.loads((folder / "job.json").read_bytes())["process"])
    if started is not None and started.alive:
        (folder / STOPPED).touch()
        with contextlib.suppress(HTTPException):  # it has just ended by itself
            running.stop(started.process)
    return True


def result_file(home: Path, job: str, number: int) -> Path | None:
    """The file of that number in the list of an outcome's files."""
    folder, found = _folder(home, job), outcome(home, job)
    if folder is None or found is None or not 0 <= number < len(found.files):
        return None
    return _result(folder, found.files[number][0])


def _folder(home: Path, job: str) -> Path | None:
    folder = home / FOLDER / job
    return folder if _ID.fullmatch(job) and (folder / "job.json").is_file() else None


def _result(folder: Path, name: str) -> Path | None:
    """A file that the method wrote; None for what is no plain file inside its folder."""
    path = folder / "output" / name
    inside = path.resolve().is_relative_to((folder / "output").resolve())
    return path if inside and path.is_file() and not path.is_symlink() else None


def tidy(home: Path, now: float) -> None:
    """Delete inputs and results that are older than `KEPT`, and what their processes said and printed."""
    for folder in (home / FOLDER).glob("*"):
        if _ID.fullmatch(folder.name) and now - folder.stat().st_mtime > KEPT:
            if (folder / "job.json").is_file():
                running.forget(home, json.loads((folder / "job.json").read_bytes())["process"])
            shutil.rmtree(folder, ignore_errors=True)  # two pages over one store may tidy at once
