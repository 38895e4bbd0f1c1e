"""`livepapers apply sindy-rl` on users' trajectories and environments, good and bad."""

import ctypes
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from livepapers.cli.main import group
from livepapers.core import artifact
from livepapers.core.application import Application
from livepapers.core.errors import InputError
from livepapers.methods.sindy_rl import Library, SparseModel, apply, imagine, trajectories
from livepapers.methods.sindy_rl import application as module
from livepapers.methods.sindy_rl.model_files import CANDIDATES
from livepapers.methods.sindy_rl.recorded import GOOD


def oscillator(folder: Path, *, runs: int = 6, steps: int = 80, noise: float = 0.0) -> Path:
    """x' = x + 0.1 v, v' = v - 0.1 x - 0.05 x^2 v + 0.2 u: recorded runs with random inputs."""
    draw = np.random.default_rng(0)
    lines = ["run,x,v,push"]
    for run in range(runs):
        x, v = draw.uniform(-2, 2, 2)
        for _ in range(steps):
            u = draw.uniform(-1, 1)
            shown = draw.normal(0, noise, 2) if noise else np.zeros(2)
            lines.append(f"r{run},{x + shown[0]!r},{v + shown[1]!r},{u!r}".replace("np.float64(", "").replace(")", ""))
            x, v = x + 0.1 * v, v - 0.1 * x - 0.05 * x * x * v + 0.2 * u
    path = folder / "runs.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_equations_of_recorded_runs_are_found_and_judged(tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = apply(data=oscillator(tmp_path), states="x, v", inputs="push", trajectory="run", degree=3, output=output)
    lines = [str(row["equation"]) for row in done.tables[module.EQUATIONS]]
    assert lines == ["x' = 1 x + 0.1 v", "v' = -0.1 x + 1 v - 0.05 x^2 v + 0.2 push"]
    assert "6 terms of degree 3" in done.headline
    taken = [row for row in done.tables[CANDIDATES] if row["taken"]]
    assert len(taken) == 1
    assert float(taken[0]["one step, % of changes"] or 0.0) < 1e-3
    assert sorted(path.name for path in output.iterdir()) == sorted(done.files)
    described = artifact.load(output)
    assert described.kind == "estimator"
    library = described.arguments["library"]
    assert isinstance(library, dict)
    assert library["degree"] == 3
    assert artifact.load_weights(output)["coefficients"].shape[1] == 2
    assert "next_state(const double *x, const double *u, double *y)" in (output / "model.c").read_text()
    assert r"\begin{align}" in (output / "equations.tex").read_text()


def test_noise_alone_is_said_to_be_unforeseeable(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    path = tmp_path / "noise.csv"
    path.write_text("a\n" + "\n".join(str(value) for value in np.cumsum(draw.normal(size=300))) + "\n")
    done = apply(data=path, states="a")
    assert any("nothing changes" in note for note in done.notes)


def test_circles_are_found_and_used(tmp_path: Path) -> None:
    angle = 0.1 * np.arange(200)
    path = tmp_path / "circle.csv"
    rows = [f"{np.cos(a)},{np.sin(a)}" for a in angle]
    path.write_text("c,s\n" + "\n".join(rows) + "\n")
    done = apply(data=path, states="c,s", degree=1)
    assert any("unit circle" in note for note in done.notes)
    assert trajectories.circles_in(torch.randn(50, 3)) == []


def swing(folder: Path) -> Path:
    """A pendulum: its angle turns with w, whose change is 0.75 s + 0.15 push."""
    draw = np.random.default_rng(0)
    lines = ["run,c,s,w,push"]
    for run in range(6):
        angle, w = draw.uniform(-3, 3), draw.uniform(-1, 1)
        for _ in range(80):
            push = draw.uniform(-2, 2)
            lines.append(f"r{run},{math.cos(angle)},{math.sin(angle)},{w},{push}")
            w += 0.75 * math.sin(angle) + 0.15 * push
            angle += 0.05 * w
    path = folder / "swing.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def swung(tmp_path_factory: pytest.TempPathFactory) -> tuple[Application, Path]:
    folder = tmp_path_factory.mktemp("swung")
    given: dict[str, Any] = {"states": "c,s,w", "inputs": "push", "trajectory": "run", "degree": 2}
    return apply(data=swing(folder), **given, threshold=0.01, output=folder / "out"), folder / "out"


def test_equations_on_a_circle_are_the_sparse_ones_and_say_where_they_hold(swung: tuple[Application, Path]) -> None:
    done, output = swung
    lines = [str(row["equation"]) for row in done.tables[module.EQUATIONS]]
    assert lines[2] == "w' = 0.75 s + 1 w + 0.15 push"
    assert (artifact.load_weights(output)["coefficients"][:, 2] != 0).sum() > 3  # the model keeps what repeats
    text, latex = ((output / name).read_text() for name in ("equations.txt", "equations.tex"))
    assert lines[2] in text
    for told in (text, "\n".join(done.notes)):
        assert "c and s are put back onto the unit circle after each step: c' and s' are divided by sqrt(" in told
        assert "the equations are written for c^2 + s^2 = 1" in told
    assert r"/ \sqrt{{\mathrm{c}'}^{2} + {\mathrm{s}'}^{2}} \quad \text{after each step}" in latex
    assert r"\mathrm{c}^{2} + \mathrm{s}^{2} &= 1 \quad \text{where the equations hold}" in latex


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_c_code_goes_where_the_surrogate_goes(swung: tuple[Application, Path]) -> None:
    _, output = swung
    source, library = output / "model.c", output.parent / "model.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-lm"], check=True, timeout=60)
    step = ctypes.CDLL(str(library)).next_state
    made: Any = artifact.load(output).arguments["library"]
    model = SparseModel(Library(**made), artifact.load_weights(output)["ensemble"])
    state = [math.cos(2.0), math.sin(2.0), 0.5]
    pushes = torch.linspace(-2, 2, 50, dtype=torch.float64)
    expected = imagine(model, torch.tensor([state]).double(), pushes[:, None, None], circles=[(0, 1)])[:, 0]
    found = []
    for push in pushes.tolist():
        after = (ctypes.c_double * 3)()
        step((ctypes.c_double * 3)(*state), (ctypes.c_double * 1)(push), after)
        found.append(state := list(after))
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), expected, atol=1e-4)
    assert torch.allclose(torch.tensor(found)[:, :2].norm(dim=1), torch.ones(50))


@pytest.mark.parametrize(("steps", "enough"), [(10, False), (25, True)])
def test_fewer_rows_than_terms_are_told_and_no_higher_degree_is_advised(
    tmp_path: Path, steps: int, enough: bool
) -> None:
    notes = apply(data=oscillator(tmp_path, runs=1, steps=steps), states="x,v", inputs="push", degree=2).notes
    assert any("7 steps were fitted to 12 candidate terms of degree 2" in note for note in notes) != enough
    assert any("a higher one may do better" in note for note in notes) == enough
    assert any(f"{steps - 1} steps are too few for a test part" in note for note in notes)


def test_no_higher_degree_is_advised_where_hardly_any_error_is_left(tmp_path: Path) -> None:
    done = apply(data=oscillator(tmp_path), states="x,v", inputs="push", trajectory="run", degree=3)
    taken = next(row for row in done.tables[CANDIDATES] if row["taken"])
    assert float(taken["50 steps, % of states"] or 1.0) < 100 * GOOD
    assert not any("a higher one may do better" in note for note in done.notes)


@pytest.mark.parametrize("runs", [1, 6])
def test_the_error_that_is_reported_is_of_steps_that_neither_fitted_nor_chose(tmp_path: Path, runs: int) -> None:
    """The steps of the test part are spoilt: what was chosen does not change, what is said of it does."""
    given = {"states": "x,v", "inputs": "push", "trajectory": "run", "degree": 2}
    path = oscillator(tmp_path, runs=runs, steps=81)
    parts = trajectories.split(
        trajectories.read_trajectories(path, states=["x", "v"], inputs=["push"], trajectory="run")
    )
    assert [trajectories.steps(part) for part in parts] == ([48, 16, 16] if runs == 1 else [320, 80, 80])
    before = apply(data=path, **given)  # type: ignore[arg-type]
    header, *lines = path.read_text().splitlines()
    draw = np.random.default_rng(1)
    kept = len(lines) - trajectories.steps(parts.test)
    spoilt = [
        ",".join([run, *(str(draw.uniform(-2, 2)) for _ in "xv"), push])
        for run, _, _, push in (line.split(",") for line in lines[kept:])
    ]
    path.write_text("\n".join([header, *lines[:kept], *spoilt]) + "\n")
    after = apply(data=path, **given)  # type: ignore[arg-type]
    assert after.tables == before.tables
    assert "held-out roll-outs" in before.headline
    assert after.headline != before.headline
    assert any("which neither fitted nor chose" in note for note in after.notes)
    assert any("hardly more than that nothing changes" in note for note in after.notes)


def test_coefficients_are_written_as_short_as_they_mean(tmp_path: Path) -> None:
    output = tmp_path / "out"
    apply(data=oscillator(tmp_path), states="x,v", inputs="push", trajectory="run", degree=3, output=output)
    numbers = artifact.load_weights(output)["coefficients"]
    for name in ("equations.txt", "model.c"):
        found = re.findall(r"(?<![\w.\[])\d+\.\d+(?:e-?\d+)?", (output / name).read_text())
        assert found
        assert max(map(len, found)) <= 11, found
    written = {float(text) for text in re.findall(r"\d+\.\d+(?:e-?\d+)?", (output / "model.c").read_text())}
    assert {float(np.float32(value)) for value in written} >= set(numbers[numbers != 0].abs().tolist())


@pytest.mark.parametrize(("given", "used"), [(0.0, 0.01), (0.2, 0.2)])
def test_the_threshold_of_an_environment_is_what_help_says(
    monkeypatch: pytest.MonkeyPatch, given: float, used: float
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(module, "_of_environment", lambda _env, config, _seed, _output: seen.append(config))
    apply(env="Pendulum-v1", threshold=given)
    assert (seen[0].threshold, seen[0].reward_threshold) == (used, used)
    assert "for an environment it is 0.01" in " ".join((apply.__doc__ or "").split())


BAD = {
    "neither": ({}, "exactly one of"),
    "both": ({"env": "Pendulum-v1", "data": "runs.csv"}, "exactly one of"),
    "no states": ({"data": "runs.csv"}, "states"),
    "unknown column": ({"data": "runs.csv", "states": "x,w"}, "column w"),
    "a column twice": ({"data": "runs.csv", "states": "x,x"}, "each column once"),
    "the run as a state": ({"data": "runs.csv", "states": "x", "trajectory": "x"}, "beside states"),
    "words": ({"data": "runs.csv", "states": "run"}, "finite number"),
    "each row a run": ({"data": "runs.csv", "states": "x", "trajectory": "v"}, "at least 3"),
    "constant": ({"data": "flat.csv", "states": "z"}, "a column that changes"),
    "constant input": ({"data": "flat.csv", "states": "x", "inputs": "z"}, "column z: got .*, expected a column that"),
    "degree": ({"data": "runs.csv", "states": "x", "degree": 9}, "degree"),
    "threshold": ({"data": "runs.csv", "states": "x", "threshold": -1.0}, "threshold"),
    "models": ({"data": "runs.csv", "states": "x", "models": 1}, "models"),
    "seed": ({"data": "runs.csv", "states": "x", "seed": -1}, "seed"),
    "columns of an environment": ({"env": "Pendulum-v1", "states": "x"}, "--states: got x, expected nothing"),
    "rounds of a file": (
        {"data": "runs.csv", "states": "x", "rounds": 3},
        "--rounds: got 3, expected nothing .with --data",
    ),
    "steps of a file": (
        {"data": "runs.csv", "states": "x", "random_steps": 3},
        "--random-steps: got 3, expected nothing",
    ),
    "few random steps": (
        {"env": "Pendulum-v1", "random_steps": 3},
        "random_steps: got 3, expected a whole number from 10",
    ),
    "rounds": ({"env": "Pendulum-v1", "rounds": 0}, "rounds: got 0"),
    "unknown environment": ({"env": "NoSuchThing-v0"}, "Gymnasium"),
    "unknown module": ({"env": "no_such_module:Thing-v0"}, "module:id"),
    "discrete actions": ({"env": "CartPole-v1"}, "real actions with bounds"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_gets_one_line_and_writes_nothing(name: str, tmp_path: Path) -> None:
    options, message = BAD[name]
    oscillator(tmp_path, runs=2, steps=5)
    (tmp_path / "flat.csv").write_text("x,z\n" + "".join(f"{row},1.5\n" for row in range(10)))
    given = dict(options)
    if "data" in given:
        given["data"] = tmp_path / str(given["data"])
    with pytest.raises(InputError, match=message) as caught:
        apply(**given, output=tmp_path / "out")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat.csv", "runs.csv"]


def test_columns_that_tell_the_same_are_named(tmp_path: Path) -> None:
    lines = swing(tmp_path).read_text().splitlines()
    twice = [f"{lines[0]},turned", *(f"{line},{2.0 - 3.0 * float(line.split(',')[3])}" for line in lines[1:])]
    (tmp_path / "twice.csv").write_text("\n".join(twice) + "\n")
    given: dict[str, Any] = {"inputs": "push", "trajectory": "run", "degree": 1, "threshold": 0.01}
    done = apply(data=tmp_path / "twice.csv", states="c,s,w,turned", **given)
    said = [note for note in done.notes if "tell the same" in note]
    assert len(said) == 1
    assert said[0].startswith("w and turned tell the same")
    assert not [
        note for note in apply(data=tmp_path / "swing.csv", states="c,s,w", **given).notes if "tell the same" in note
    ]


def test_an_environment_gives_equations_policies_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROUND_UPDATES", 1)
    output = tmp_path / "out"
    arguments = ["apply", "sindy-rl", "--env", "Pendulum-v1", "--random-steps", "300", "--rounds", "2"]
    arguments += ["--round-steps", "200", "--models", "5", "--output", str(output), "--json"]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0, result.output
    done = json.loads(result.stdout)
    assert sorted(path.name for path in output.iterdir()) == sorted(done["files"])
    assert not (tmp_path / "out.partial").exists()
    assert "900 real steps" in done["headline"]  # 200 to look, 300 random ones, twice 200
    names = [row["policy"] for row in done["tables"][module.POLICIES]]
    assert names == ["network", "dictionary", "random"]
    equations = [row["equation"] for row in done["tables"][module.EQUATIONS]]
    assert [line.split(" = ")[0] for line in equations] == ["x1'", "x2'", "x3'", "reward", "u1"]
    assert any("x1 and x2 are put back onto the unit circle" in note for note in done["notes"])
    assert "x1' and x2' are divided by sqrt(" in (output / "equations.txt").read_text()
    assert "hypot(y[0], y[1])" in (output / "model.c").read_text()
    for folder in (output, output / "dictionary"):
        described = artifact.load(folder)
        assert described.spaces["task"] == {"name": "gymnasium:Pendulum-v1", "arguments": {}}
        assert artifact.load_network(folder)(torch.zeros(4, 3)).shape == (4, 1)
    result = CliRunner().invoke(group, ["evaluate", str(output / "dictionary"), "--episodes", "2", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["slug"] == "sindy-rl"
