"""Running the command line in this process, and a study that takes milliseconds."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from livepapers.cli.main import call
from livepapers.papers import catalogue


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line and give its exit status and output."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        status = call(list(arguments))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def small_study(monkeypatch: pytest.MonkeyPatch) -> str:
    """Every paper's study is the small one; returns the slug to use."""
    monkeypatch.setattr(catalogue, "study_module", lambda slug: "cli.small_study")
    return "hdpo"
