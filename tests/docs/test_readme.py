"""The README's commands and code run as they stand, in order, in one folder; only the amounts of work are smaller."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALLER = {
    "--demand sales.csv": "--demand sales.csv --updates 3",
    "hdpo.apply(network, demand)": "hdpo.apply(network, demand, updates=3)",
    "--size 3 --samples 2000": "--size 3 --samples 200 --updates 20",
    "range(200)": "range(20)",
}
"""What the README says, and what takes a test's time instead; each must be there."""
OF_THE_CHECKOUT = ("make ",)
"""Blocks that begin like this install and change the clone; CI and the tests of `new` run what they call."""


def blocks() -> list[tuple[str, str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [(kind, body) for kind, body in FENCE.findall(text) if not body.startswith(OF_THE_CHECKOUT)]


def test_every_amount_that_is_made_smaller_is_in_the_readme_once():
    text = "".join(body for _, body in blocks())
    assert {part: text.count(part) for part in SMALLER} == dict.fromkeys(SMALLER, 1)


def test_no_block_leaves_the_folder():
    assert not [body for kind, body in blocks() if kind == "sh" and re.search(r"^\s*cd\b|~/", body, re.MULTILINE)]


@pytest.mark.slow
def test_the_readme_runs_from_its_first_block_to_its_last(tmp_path: Path):
    (tmp_path / "src" / "livepapers").mkdir(parents=True)
    shutil.copytree(ROOT / "src" / "livepapers" / "samples", tmp_path / "src" / "livepapers" / "samples")
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    for kind, body in blocks():
        for part, less in SMALLER.items():
            body = body.replace(part, less)  # noqa: PLW2901 - the same block, with less work
        command = [sys.executable, "-W", "error", "-c", body] if kind == "python" else ["bash", "-euc", body]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
    assert {"orders", "schedule", "sampler", "meetings.csv"} <= {path.name for path in tmp_path.iterdir()}
