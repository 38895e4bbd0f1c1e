"""`apply` prints what a method gives back, and imports no method before it is named."""

import importlib
import shlex
import sys
import types
from pathlib import Path

import pytest

from cli.conftest import Cli
from livepapers.cli import apply, signature
from livepapers.core import loop
from livepapers.core.application import Application
from livepapers.core.errors import InputError, Interrupted
from livepapers.core.files import unfinished
from livepapers.core.learner import Learner, State
from livepapers.papers import catalogue


class Still(Learner):
    """Learns nothing."""

    def update(self) -> dict[str, float]:
        return {"loss": 0.0}

    def state_dict(self) -> State:
        return {}

    def load_state_dict(self, state: State) -> None:
        pass

    def work(self) -> dict[str, int]:
        return {}


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method of hdpo is a stand-in that answers at once."""

    def apply(*, data: Path, amounts: list[float] | None = None, output: Path | None = None) -> Application:
        """Add up amounts.

        Args:
            data: A file.
            amounts: What to add.
            output: A folder.

        Examples:
            livepapers apply hdpo --data a.csv
        """
        if data.name == "bad.csv":
            raise InputError.of("--data bad.csv line 3: sales", "-4", expected="a number >= 0")
        rows = [{"name": "a", "cost": 1.23456, "good": True}, {"name": "b", "cost": float("nan"), "good": False}]
        files = {} if output is None else {"orders.csv": "what to order", "a.json": "the rest"}
        return Application("hdpo", f"sum {sum(amounts or [])}", {"Costs": rows}, ("a note",), files, output)

    module = types.ModuleType("stand_in_method")
    module.apply = apply  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in_method", module)
    monkeypatch.setattr(catalogue, "method_module", lambda slug: "stand_in_method" if slug == "hdpo" else None)


def test_the_headline_comes_first_then_tables_notes_and_files(cli: Cli, tmp_path: Path):
    lines = cli("apply", "hdpo", "--data", "a.csv", "--amounts", "1.5", "--amounts", "2", "--output", str(tmp_path)).out
    assert lines.splitlines() == [
        "sum 3.5", "", "Costs", "name   cost  good", "a     1.235  yes", "b       nan  no", "", "Notes", "- a note", "",
        f"Written to {tmp_path}", "  orders.csv  what to order", "  a.json      the rest",
    ]  # fmt: skip


def test_json_holds_the_same_and_is_valid(cli: Cli):
    found = cli("apply", "hdpo", "--data", "a.csv", "--json").json
    assert found["headline"] == "sum 0"
    assert found["tables"]["Costs"][1] == {"name": "b", "cost": None, "good": False}
    assert found["output"] is None


def test_progress_says_which_learner_is_at_work(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(apply, "SECONDS_BETWEEN_LINES", 0.0)
    with apply.progress():
        for name in ("hdpo", "", ""):
            loop.drive(Still(), 1, name=name)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"training {name}: step 1 of 1" for name in ("hdpo", "learner 2", "learner 3")]


def test_progress_tells_of_work_that_trains_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(apply, "SECONDS_BETWEEN_LINES", 0.0)
    with apply.progress():
        assert list(loop.counted("ab", name="tuning")) == ["a", "b"]
        loop.drive(Still(), 1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["tuning: step 1 of 2", "tuning: step 2 of 2", "training learner 1: step 1 of 1"]
    assert list(loop.counted("ab", name="tuning")) == ["a", "b"]  # with nobody listening


@pytest.mark.parametrize("when", [KeyboardInterrupt(), Interrupted("stopped after step 1 of 2")])
def test_ctrl_c_gives_the_same_status_before_training_and_within(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, when: BaseException
):
    def stopped(*, data: Path) -> Application:
        raise when

    monkeypatch.setattr(sys.modules["stand_in_method"], "apply", stopped)
    outcome = cli("apply", "hdpo", "--data", "x")
    assert outcome.status == 3
    assert outcome.err.startswith("stopped")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("kept", [True, False])
def test_what_was_stopped_says_whether_it_goes_on(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool
):
    def stopped(*, output: Path | None = None) -> Application:
        with unfinished(output) as partial:
            if kept and partial is not None:
                (partial / "step-1").write_text("x")
            raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["stand_in_method"], "apply", stopped)
    anew = "stopped; nothing was kept: the same command begins anew\n"
    on = "stopped; the same command goes on from its last checkpoint\n"
    outcome = cli("apply", "hdpo", "--output", str(tmp_path / "out"))
    assert (outcome.status, outcome.err) == (3, on if kept else anew)
    assert cli("apply", "hdpo").err == anew


def test_bad_input_is_one_line(cli: Cli):
    outcome = cli("apply", "hdpo", "--data", "bad.csv")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "Error: --data bad.csv line 3: sales: got -4, expected a number >= 0\n"


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("data", "--data"), ("test_episodes", "--test-episodes"), ("test-episodes", "--test-episodes"),
        ("data and test_episodes", "--data and --test-episodes"), ("--data", "--data"), ("world", "world"),
        ("data: past", "data: past"), ("no and option", "no and option"),
    ],
)  # fmt: skip
def test_a_message_names_an_option_as_it_is_typed(cli: Cli, monkeypatch: pytest.MonkeyPatch, field: str, shown: str):
    def refuses(*, data: Path, test_episodes: int = 1) -> Application:
        raise InputError.of(field, data, expected="another")

    with pytest.raises(InputError, match=f"^{field}: got x"):
        refuses(data=Path("x"))
    monkeypatch.setattr(sys.modules["stand_in_method"], "apply", refuses)
    assert cli("apply", "hdpo", "--data", "x").err == f"Error: {shown}: got x, expected another\n"


def test_the_help_page_shows_the_method_s_options_and_examples(cli: Cli):
    shown = cli("apply", "hdpo", "--help").out
    assert "--amounts NUMBER" in shown
    assert "[required]" in shown
    assert "Examples:\n  livepapers apply hdpo --data a.csv" in shown


@pytest.mark.parametrize("slug", [slug for slug in catalogue.load() if catalogue.status(slug) != "listed"])
def test_every_method_shows_examples_that_can_be_typed(slug: str):
    method = importlib.import_module(f"livepapers.methods.{slug.replace('-', '_')}")
    shown = signature.documentation(method.apply).examples.replace("\\\n", " ").splitlines()
    assert len(shown) >= 2
    for line in shown:
        words = shlex.split(line)
        assert words[:3] == ["livepapers", "apply", slug]
        apply.method_command(slug, method.apply).make_context(slug, words[3:])


def test_a_paper_without_a_method_is_refused(cli: Cli):
    outcome = cli("apply", "roguelike-npc", "--help")
    assert outcome.status == 2
    assert "expected a paper with a method (hdpo)" in outcome.err


def test_the_list_of_methods_imports_none(cli: Cli, monkeypatch):
    monkeypatch.delitem(sys.modules, "stand_in_method")
    assert "Deep Reinforcement Learning for Inventory Networks" in cli("apply", "--help").out
