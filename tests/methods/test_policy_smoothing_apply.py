"""`livepapers apply policy-smoothing`: artifacts, ONNX files and recorded returns, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch

from livepapers.cli.apply import method_command
from livepapers.core import artifact
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.methods.policy_smoothing import Certificate, LinearPolicy, application, apply, certify, shift
from livepapers.methods.policy_smoothing.application import parse_budgets, parse_sigma
from livepapers.tasks import worlds

WORLD = {"name": "stacked", "arguments": {"world": "cart-pole", "arguments": {"horizon": 40}, "frames": 5}}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """An artifact of a linear policy that keeps the pole up for a while."""
    task = worlds.make(str(WORLD["name"]), WORLD["arguments"])  # type: ignore[arg-type]
    made = LinearPolicy(task.observation_space, task.action_space)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([0.05, 0.35, 1.0, 0.9]).repeat(5)[None])
    folder = tmp_path / "policy"
    folder.mkdir()
    described = artifact.Artifact(
        "policy", "policy-smoothing", "methods.policy_smoothing:LinearPolicy", made.arguments, {"seed": 0},
        {"task": WORLD},
    )  # fmt: skip
    artifact.save(folder, described, weights=made.state_dict())
    return folder


@pytest.fixture
def returns(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.csv"
    values = [200] * 970 + list(range(100, 130))
    path.write_text("episode,return,length\n" + "".join(f"{i},{v},{v}\n" for i, v in enumerate(values)))
    return path


def test_an_artifact_is_certified_in_its_own_world(policy: Path, tmp_path: Path):
    done = apply(policy, sigma="0.2", episodes=300, budgets="0:0.4:0.2", success=40.0, output=tmp_path / "out")
    rows = done.tables["Certificate"]
    assert [row["budget"] for row in rows] == [0.0, 0.2, 0.4]
    assert all(float(row["mean"] or 0) <= float(row["ceiling"] or 0) for row in rows)
    assert float(rows[0]["success"] or 0) > 0.5
    assert "no adversary with budget 0.4 brings the mean below" in done.headline
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(done.files)
    kept = Certificate.from_json(json.loads((tmp_path / "out" / "certificate.json").read_text()))
    assert float(kept.mean(0.2)) == pytest.approx(float(rows[1]["mean"] or 0), rel=1e-5)
    picture = (tmp_path / "out" / "certificate.svg").read_text()
    assert picture.startswith("<svg")
    assert "ceiling" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")
    assert len((tmp_path / "out" / "returns.csv").read_text().splitlines()) == 301


def test_an_exported_policy_gets_the_same_certificate(policy: Path, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    from livepapers.lab.evaluation import load_policy
    from livepapers.lab.onnx_export import export

    export(load_policy(policy), tmp_path / "policy.onnx", probes=16)
    simulator = worlds.simulator("cart-pole", {"horizon": 40})
    theirs = certify(tmp_path / "policy.onnx", simulator, sigma=0.2, episodes=200, seed=3)
    ours = certify(policy, simulator, sigma=0.2, episodes=200, seed=3)
    assert np.array_equal(ours.returns, theirs.returns)
    assert np.array_equal(ours.mean(np.linspace(0, 1, 5)), theirs.mean(np.linspace(0, 1, 5)))


def test_an_attack_stands_above_the_certificate(policy: Path):
    done = apply(policy, sigma="0.2", episodes=300, budgets="0.2", attack_episodes=24)
    row = done.tables["Certificate"][0]
    assert float(row["attacked"] or 0) >= float(row["mean"] or 0)
    assert any("lies between the certificate and what it would leave" in note for note in done.notes)
    assert not any("returned less than is certified" in note for note in done.notes)


def test_a_gymnasium_world_and_one_sigma_a_feature(policy: Path):
    done = apply(
        policy, sigma="0.1,0.2,0.05,0.2", env="CartPole-v1", episodes=3, budgets="0,1", lowest=0.0, highest=500.0
    )
    assert any("in standard deviations" in note for note in done.notes)
    assert any("3 episodes are few" in note for note in done.notes)
    assert [row["budget"] for row in done.tables["Certificate"]] == [0.0, 1.0]


def test_recorded_returns_are_certified(returns: Path, tmp_path: Path):
    done = apply(sigma="0.2", returns=returns, lowest=0.0, highest=200.0, output=tmp_path / "out")
    assert "1,000 returns of episodes.csv" in done.headline
    table = done.tables["Certificate"]
    expected = Certificate.from_returns([200.0] * 970 + list(range(100, 130)), 0.2, lowest=0.0, highest=200.0)
    assert float(table[4]["mean"] or 0) == pytest.approx(float(expected.mean(0.4)), rel=1e-5)
    demands = done.tables["Demands"]
    assert float(demands[-1]["up to budget"] or 0) <= float(demands[-2]["up to budget"] or 0)


def test_what_no_return_can_miss_is_said_to_hold_always(tmp_path: Path):
    path = tmp_path / "returns.csv"
    path.write_text("return\n" + "0\n" * 100 + "200\n" * 900)
    done = apply(sigma="0.2", returns=path, lowest=0.0, output=tmp_path / "out")
    always = {"return at least": 0.0, "up to budget": "always: no return is lower"}
    assert done.tables["Demands"][:2] == [{**always, "in a share of": share} for share in (0.5, 0.9)]
    assert float(done.tables["Demands"][2]["up to budget"] or 0) > 0
    assert "always: no return is lower" in (tmp_path / "out" / "demands.csv").read_text()
    assert {
        row["success"] for row in apply(sigma="0.2", returns=path, lowest=0.0, success=0.0).tables["Certificate"]
    } == {1.0}


@pytest.mark.parametrize("bounds", [(None, None), (0.0, 2.0)])
def test_a_table_of_demands_is_wrong_at_most_as_often_as_it_says(bounds: tuple[float | None, float | None]):
    """Its returns are chosen by what came out: bounds for one return each were wrong in 7.7 % of such tables."""
    values, chances = np.arange(3.0), np.array([0.04, 0.3, 0.66])
    stream, wrong, told = np.random.default_rng(0), 0, 0
    for _ in range(600):
        returns = stream.choice(values, 200, p=chances)
        found = Certificate.from_returns(returns, 1.0, lowest=bounds[0], highest=bounds[1])
        rows = [row for row in application._demands(found, None) if row["up to budget"] != application.ALWAYS]
        columns = ("up to budget", "return at least", "in a share of")
        claimed = [[float(row[name] or 0) for name in columns] for row in rows if row["up to budget"]]
        told += len(claimed)
        wrong += any(
            shift(chances[values >= level].sum(), budget) < share - 1e-5  # the table shows six digits
            for budget, level, share in claimed
        )
    assert wrong <= 0.05 * 600
    assert told > 600


def test_a_return_asked_for_beforehand_gets_the_bound_of_its_own(returns: Path):
    found = Certificate.from_returns([200.0] * 970 + list(range(100, 130)), 0.2)
    rows = apply(sigma="0.2", returns=returns, success=200.0).tables["Demands"]
    assert float(rows[0]["up to budget"] or 0) == pytest.approx(found.max_budget(200.0), rel=1e-5)
    assert found.max_budget(200.0, chosen=True) < found.max_budget(200.0)


@pytest.mark.parametrize("given_", [{"sigma": "0.1,0.2,0.05,0.2"}, {"kind": "onnx"}])
def test_an_attack_that_cannot_be_made_is_refused_before_any_episode(
    given_: dict[str, str], policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, sigma = policy, given_.get("sigma", "0.2")
    if "kind" in given_:
        pytest.importorskip("onnxruntime")
        from livepapers.lab.evaluation import load_policy
        from livepapers.lab.onnx_export import export

        source = tmp_path / "policy.onnx"
        export(load_policy(policy), source, probes=16)
    monkeypatch.setattr(application, "certify", lambda *_, **__: pytest.fail("episodes were played"))
    with pytest.raises(InputError, match=r"^attack-episodes: got 5, expected 0 with"):
        apply(source, sigma=sigma, attack_episodes=5)
    with pytest.raises(InputError, match=r"^success: got nan"):
        apply(policy, sigma="0.2", success=float("nan"))


def test_bounds_that_an_episode_breaks_are_named(policy: Path):
    broken: list[tuple[dict[str, Any], str]] = [
        ({"highest": 10.0}, r"^highest: got 10\.0, expected at least 40, which one of the episodes returned"),
        ({"lowest": 41.0, "highest": 50.0}, r"^lowest: got 41\.0, expected at most"),
        ({"lowest": 60.0}, "^lowest and highest: got 60 and 40"),
        ({"env": "CartPole-v1", "estimator": "levels"}, "^estimator: got levels"),
    ]
    for given_, says in broken:
        with pytest.raises(InputError, match=says):
            apply(policy, sigma="0.2", episodes=3, **given_)


def test_without_a_lowest_return_only_quantiles_are_certified(returns: Path):
    done = apply(sigma="0.2", returns=returns)
    assert set(done.tables["Certificate"][0]) == {"budget", "median"}
    assert "median" in done.headline
    assert any("--lowest" in note for note in done.notes)


def test_a_budget_a_step_becomes_a_budget(returns: Path):
    done = apply(sigma="0.2", returns=returns, budgets="0", per_step=0.05, horizon=100, lowest=0.0)
    assert [row["budget"] for row in done.tables["Certificate"]] == [0.0, 0.5]


def test_nothing_certified_is_said_aloud(tmp_path: Path):
    path = tmp_path / "few.csv"
    path.write_text("return\n1\n2\n")
    done = apply(sigma="0.2", returns=path, budgets="5", lowest=0.0)
    assert "NOTHING is certified" in done.headline


def test_ranges_and_lists_of_numbers():
    assert parse_budgets("0:1:.25") == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert parse_budgets("0.3,0.1,0.1") == [0.1, 0.3]
    assert parse_budgets("0.2:0.2:1") == [0.2]
    assert parse_sigma("0.2") == 0.2
    assert parse_sigma("0.2, 1") == (0.2, 1.0)


def test_the_command_line_takes_the_artifact_in_its_place(policy: Path):
    made = method_command("policy-smoothing", apply)
    assert [p.name for p in made.params if isinstance(p, click.Argument)] == ["artifact"]
    assert "[ARTIFACT]" in made.get_usage(click.Context(made, info_name="policy-smoothing"))


def _bad(**given: object) -> dict[str, object]:
    return {"sigma": "0.2", **given}


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (_bad(sigma="0"), "sigma: got 0, expected numbers > 0"),
        (_bad(sigma="-0.1"), "sigma"),
        (_bad(sigma="much"), "sigma: got much, expected a finite number"),
        (_bad(sigma="nan"), "sigma"),
        (_bad(sigma=""), "sigma: got nothing"),
        (_bad(budgets="0:1"), "budgets.*first:last:step"),
        (_bad(budgets="1:0:0.1"), "budgets"),
        (_bad(budgets="0:1:0"), "budgets"),
        (_bad(budgets="0:1:0.0001"), "at most 200 budgets"),
        (_bad(budgets="-1,0"), "budgets.*>= 0"),
        (_bad(budgets="a,b"), "budgets: got a"),
        (_bad(confidence=95.0), "confidence"),
        (_bad(confidence=0.2), "confidence"),
        (_bad(per_step=0.1), "per-step and horizon"),
        (_bad(horizon=10), "per-step and horizon"),
        (_bad(column="score"), "column score: got nothing"),
        (_bad(env="CartPole-v1"), "--env: got CartPole-v1, expected nothing .with --returns"),
        (_bad(frames=3), "--frames: got 3, expected nothing"),
        (_bad(attack_episodes=3), "--attack-episodes: got 3, expected nothing"),
        (_bad(episodes=500), "--episodes: got 500, expected nothing"),
        (_bad(seed=3), "--seed: got 3, expected nothing"),
        (_bad(lowest=150.0), "returns: got 100.0, expected none below lowest"),
        (_bad(highest=150.0), "none above highest"),
        (_bad(estimator="levels"), "estimator"),
        (_bad(success=float("nan")), "success: got nan"),
    ],
)
def test_bad_options_get_one_line_and_nothing_is_written(given_, says: str, returns: Path, tmp_path: Path):
    with pytest.raises(InputError, match=says) as raised:
        apply(returns=returns, output=tmp_path / "out", **given_)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("return\n", "at least one row"),
        ("returns\n1\n", "'returns' meant"),
        ("return\n1\nlost\n", "line 3: return"),
        ("return\n1\n\n,\n", "return"),
        ("return\nnan\n", "line 2: return"),
        ("return\n1e30\n", "too large"),
        ("return,return\n1,2\n", "it twice"),
    ],
)
def test_bad_files_of_returns_get_one_line(text: str, says: str, tmp_path: Path):
    path = tmp_path / "returns.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        apply(sigma="0.2", returns=path, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_policies_that_cannot_be_certified_get_one_line(policy: Path, returns: Path, tmp_path: Path):
    for words, says in (
        ((policy, {"returns": returns}), "exactly one of them"),
        ((None, {}), "ARTIFACT and --returns: got neither"),
        ((tmp_path / "absent", {}), "no such file"),
        ((returns, {}), "an .onnx file"),
        ((policy, {"env": "NoSuch-v0"}), "env"),
        ((policy, {"env": "no_such_module:Thing-v0"}), "env"),
        ((policy, {"env": "mountain-car"}), "those of the policy"),
        ((policy, {"frames": 2}), "frames: got 2"),
        ((policy, {"sigma": "0.1,0.2"}), "sigma: got 2 numbers"),
        ((policy, {"output": returns}), "output"),
    ):
        place, given_ = words
        with pytest.raises(InputError, match=says):
            apply(place, **{"sigma": "0.2", "episodes": 2, **given_})
    described = artifact.load(policy)
    (policy / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(CorruptFileError, match="altered"):
        apply(policy, sigma="0.2")
    artifact.save(policy, replace(described, kind="rule"))
    with pytest.raises(InputError, match=r"got a rule in .*, expected a policy"):
        apply(policy, sigma="0.2")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a graph")
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match="an ONNX file"):
        apply(bad, sigma="0.2", env="cart-pole")


def test_places_may_be_texts(policy: Path, returns: Path, tmp_path: Path):
    typed: Any = apply
    for name, given in (("one", {"returns": str(returns)}), ("two", {"episodes": 5})):
        source = (str(policy),) if name == "two" else ()
        made = typed(*source, sigma="0.2", output=str(tmp_path / name), **given)
        assert made.output == tmp_path / name
        assert (tmp_path / name / "curve.csv").is_file()


def test_an_attack_below_the_certificate_is_told_as_what_it_is():
    found = Certificate.from_returns(np.arange(100.0), 0.2, lowest=0.0, highest=200.0, estimator="band")
    notes = application._notes(found, None, {0.0: 60.0, 0.1: 1.0}, recorded=False)
    assert float(found.mean(0.1)) > 1.0
    assert any(note.startswith("at budget 0.1 these few episodes returned less than is certified") for note in notes)


def test_python_may_give_numbers_and_sequences(policy: Path):
    given: Any = {"sigma": (0.1, 0.2, 0.05, 0.2), "budgets": [0, 0.5], "episodes": 20, "highest": 40.0}
    typed = apply(policy, sigma="0.1,0.2,0.05,0.2", budgets="0,0.5", episodes=20, highest=40.0)
    assert apply(policy, **given).tables == typed.tables
    alone: Any = 0.2
    assert apply(policy, sigma=alone, budgets="0", episodes=5).headline
