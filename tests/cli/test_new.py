"""`new` writes stubs that lint and types accept, that say what is missing, and never touches a file."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Cli
from livepapers.cli import checkout, new
from livepapers.core.errors import InputError
from livepapers.papers import catalogue

ROOT = Path(__file__).parents[2]
CARD = [
    "--title",
    'A "Quoted" \\ Title',
    "--author",
    "Ada Lovelace",
    "--arxiv",
    "2501.01234",
    "--submitted",
    "2025-01-03",
]
LISTED = [slug for slug in catalogue.load() if not catalogue.method_module(slug)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkout, "root", lambda needed_for: tmp_path)
    return tmp_path


def test_a_listed_paper_gets_method_study_oracles_and_tests(cli: Cli, root: Path):
    outcome = cli("new", "dita")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        "src/livepapers/methods/dita.py", "src/livepapers/studies/dita.py", "src/livepapers/battery/oracles/dita.py",
        "tests/methods/test_dita.py", "tests/studies/test_dita.py",
    ]  # fmt: skip
    for name in outcome.out.splitlines():
        assert "issing" in (root / name).read_text()


def test_an_unlisted_paper_gets_a_card_that_parses(cli: Cli, root: Path):
    outcome = cli("new", "my-paper", *CARD, "--field", "graphs")
    assert outcome.status == 0
    text = (root / "src/livepapers/papers/my-paper.toml").read_text()
    assert catalogue.parse(text, "my-paper.toml").title == 'A "Quoted" \\ Title'


def test_an_unlisted_paper_needs_its_facts(cli: Cli, root: Path):
    outcome = cli("new", "my-paper", *CARD)
    assert outcome.status == 2
    assert outcome.err == "Error: --field: got nothing, expected a value (my-paper has no card yet)\n"
    for slug in ("My Paper!", "Bad_Slug"):
        outcome = cli("new", slug)
        assert (outcome.status, outcome.err) == (
            2, f"Error: slug: got {slug}, expected lower-case words joined by hyphens\n"
        )  # fmt: skip
    assert not list(root.iterdir())


def test_existing_files_are_never_touched(cli: Cli, root: Path):
    study = root / "src/livepapers/studies/dita.py"
    study.parent.mkdir(parents=True)
    study.write_text("mine")
    outcome = cli("new", "dita")
    assert outcome.status == 2
    assert "src/livepapers/studies/dita.py exists" in outcome.err
    assert study.read_text() == "mine"
    assert [path for path in root.rglob("*") if path.is_file()] == [study]


def test_a_package_counts_as_existing(root: Path):
    (root / "src/livepapers/methods/dita").mkdir(parents=True)
    with pytest.raises(InputError, match=r"\(src/livepapers/methods/dita exists\)"):
        new.write(root, "dita")


def test_the_stubs_pass_lint_and_format(root: Path):
    for slug in LISTED:
        new.write(root, slug)
    (root / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "."], cwd=root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_a_skeleton_stays_listed_until_nothing_says_missing(root: Path, monkeypatch: pytest.MonkeyPatch):
    new.write(root, "dita")
    package = root / "src" / "livepapers"
    monkeypatch.setattr(catalogue, "PACKAGE", package)
    assert catalogue.method_module("dita")
    assert catalogue.status("dita") == "listed"
    method, study = package / "methods" / "dita.py", package / "studies" / "dita.py"
    study.write_text(study.read_text().partition("    raise NotImplementedError")[0] + "    return {}\n")
    assert catalogue.status("dita") == "listed"
    text = re.sub(r"raise NotImplementedError\(.*\)", "return made()", method.read_text())
    method.unlink()
    (package / "methods" / "dita").mkdir()
    (package / "methods" / "dita" / "__init__.py").write_text(text)
    assert catalogue.status("dita") == "runs"


def test_the_stubs_can_be_imported_as_they_are(root: Path):
    new.write(root, "dita")
    paths = [str(path) for path in root.rglob("*.py") if "tests" not in path.parts]
    code = "import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path)"
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, check=False)
    assert (len(paths), done.returncode) == (3, 0), done.stderr
