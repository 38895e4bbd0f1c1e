"""The command line's promises: quick, lazy, one line an error, never a traceback."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.conftest import Cli
from livepapers.cli import main
from livepapers.core.errors import CorruptFileError, Interrupted, MissingExtraError

HEAVY = ("torch", "numpy", "pandas", "matplotlib", "scipy", "sqlalchemy", "pydantic")
COMMANDS = [name for names in main.SECTIONS.values() for name in names]


def fresh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "livepapers", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_list_takes_under_three_tenths_of_a_second():
    """Processor time, start of the interpreter included: wall time is the same on a machine that is free."""
    assert min(_seconds("list") for _ in range(5)) < 0.3


def _seconds(*arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert fresh(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "--json"],
        ["show", "hdpo"],
        ["search", "stock"],
        ["cite", "hdpo"],
        ["--help"],
        ["run", "--help"],
    ],
)
def test_reading_the_catalogue_imports_nothing_heavy(arguments: list[str]):
    code = (
        "import sys\nfrom livepapers.cli.main import call\n"
        f"status = call({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing_heavy():
    code = f"import livepapers, sys; print([name for name in {(*HEAVY, 'click', 'rich')!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page_with_examples(cli: Cli, name: str):
    outcome = cli(name, "--help")
    assert outcome.status == 0
    assert "Examples:\n  livepapers " + name in outcome.out


def test_every_module_of_a_command_is_on_the_help_page(cli: Cli):
    folder = Path(main.__file__).parent
    modules = {
        path.stem
        for path in folder.glob("*.py")
        if "\n@click.command(" in path.read_text() or '\n@click.group(\n    "apply"' in path.read_text()
    }
    assert modules == {main.MODULES.get(name, name) for name in COMMANDS}
    assert all(f"\n  {name} " in cli("--help").out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str):
    made = main.group.get_command(click.Context(main.group), name)
    assert made is not None
    for parameter in made.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def test_the_help_page_has_a_line_for_each_command_and_cuts_none(cli: Cli):
    shown = cli("--help").out
    assert "..." not in shown.replace("[ARGS]...", "")
    assert max(map(len, shown.splitlines())) <= 80


def test_an_unknown_command_names_a_close_one(cli: Cli):
    outcome = cli("lst")
    assert outcome.status == 2
    assert "Did you mean list?" in outcome.err


def test_an_unknown_slug_is_one_line_with_close_ones(cli: Cli):
    outcome = cli("show", "hdpp")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("Error: slug: got hdpp, expected one of")
    assert "did you mean" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "beginning"),
    [
        (MissingExtraError("ray", "ray"), 2, "Error: ray is not installed; run: pip install"),
        (CorruptFileError("a file\nis broken"), 2, "Error: a file is broken"),
        (Interrupted("stopped; go on with: livepapers resume x"), 3, "stopped; go on with: livepapers resume x"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (ZeroDivisionError("division by zero"), 1, "Error: unexpected ZeroDivisionError: division by zero (a fault of"),
    ],
)
def test_errors_are_one_line_and_a_status(cli: Cli, monkeypatch, error: BaseException, status: int, beginning: str):
    _raise_in_list(monkeypatch, error)
    outcome = cli("list")
    assert outcome.status == status
    assert outcome.err.lstrip().startswith(beginning)
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "hdpo", "--seeds", "0"], "'--seeds': 0 is not in the range x>=1"),
        (["run", "--presett", "smoke"], "--presett"),
        (["run"], "Missing argument 'SLUG'"),
        (["search", " "], "words: got"),
        (
            ["report", "--html", "nowhere/page.html"],
            "Error: --html: got nowhere/page.html, expected a place in a folder that",
        ),
    ],
)
def test_a_usage_error_is_one_line_that_says_where_to_read(cli: Cli, words: list[str], said: str):
    outcome = cli(*words)
    assert (outcome.status, outcome.out) == (2, "")
    assert said in outcome.err
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert ("--help`" in outcome.err) == (": got" not in outcome.err)


def test_debug_shows_the_traceback_of_an_unexpected_error(cli: Cli, monkeypatch):
    _raise_in_list(monkeypatch, ZeroDivisionError("division by zero"))
    assert "Traceback" in cli("list", "--debug").err
    assert "Traceback" in cli("--debug", "list").err


def _raise_in_list(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    from livepapers.papers import catalogue

    def fail() -> None:
        raise error

    monkeypatch.setattr(catalogue, "load", fail)


def test_a_closed_pipe_is_no_error():
    shown = "import sys\nfrom livepapers.cli.main import main\nmain(['list', '--json'])"
    with subprocess.Popen(
        [sys.executable, "-c", shown], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_terminal_that_lacks_a_letter_gets_a_question_mark():
    done = fresh("show", "sapo", PYTHONIOENCODING="iso8859-2")
    assert done.returncode == 0
    assert "Edward Phillip Flores Nu?o" in done.stdout


def test_json_loses_no_letter_there():
    done = fresh("show", "sapo", "--json", PYTHONIOENCODING="iso8859-2")
    assert "Edward Phillip Flores Nuño" in json.loads(done.stdout)["authors"]


def test_colour_is_for_terminals_and_only_when_wanted(cli: Cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "\x1b[" not in cli("list").out


def test_columns_bounds_the_width(cli: Cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, cli("list").out.splitlines())) <= 80


def test_a_row_on_a_pipe_is_one_line(cli: Cli):
    rows = cli("list").out.splitlines()
    assert len(rows) == 1 + len(cli("list", "--json").json)


WORDS = st.one_of(
    st.sampled_from([*COMMANDS, "hdpo", "fl-gfn", "graphs", "listed", "smoke", "0", "-1", "--", "-", "", "C1,,"]),
    st.sampled_from(["--json", "--help", "--field", "--status", "--seeds", "--tag", "--preset", "--store", "--limit"]),
    st.sampled_from(["--ris", "--version", "--debug", "--html", "--claims"]),
    st.text(max_size=12),
)

# Commands that would start real work, write into the checkout or look over the machine are left to their own tests.
IDLE = [name for name in COMMANDS if name not in {"run", "resume", "check", "bench", "new", "doctor", "apply", "serve"}]


@given(st.sampled_from(IDLE), st.lists(WORDS, max_size=5))
@settings(max_examples=150)
def test_any_words_give_a_result_or_a_usage_error(capsys, name: str, words: list[str]):
    status = main.call([name, *words])
    captured = capsys.readouterr()
    assert status in {0, 2}
    assert "Traceback" not in captured.err
    assert "a fault of livepapers" not in captured.err
    if status == 0 and "--json" in words and "--help" not in words and "-h" not in words and captured.out:
        json.loads(captured.out)


@given(
    st.sampled_from(["run", "apply", "check", "bench", "new", "doctor", "resume", "nonsense", "-x"]),
    st.text(min_size=1, max_size=20),
)
@settings(max_examples=100)
def test_an_option_nobody_knows_is_a_usage_error(capsys, name: str, word: str):
    assert main.call([name, f"--no-such-{word}"]) == 2
    assert "Traceback" not in capsys.readouterr().err
