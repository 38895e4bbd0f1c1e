"""The code of the tutorials runs as it stands, block after block, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
FENCE = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_there_are_tutorials():
    assert TUTORIALS
    assert all(FENCE.search(path.read_text()) for path in TUTORIALS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "tutorial", [pytest.param(path, marks=pytest.mark.xdist_group(path.stem), id=path.stem) for path in TUTORIALS]
)
def test_tutorial(tutorial: Path, tmp_path: Path):
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    for kind, body in FENCE.findall(tutorial.read_text()):
        command = [sys.executable, "-W", "error", "-c", body] if kind == "python" else ["bash", "-euc", body]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
