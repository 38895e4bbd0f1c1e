"""Artifacts carry weights and words, never code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from livepapers.blocks.policies import QPolicy
from livepapers.core import artifact
from livepapers.core.artifact import Artifact
from livepapers.core.errors import CorruptFileError
from livepapers.tasks.cart_pole import CartPole

WEIGHTS = {"a": torch.arange(4.0), "b": torch.ones(2, 3)}


def write(folder: Path) -> Artifact:
    made = Artifact("policy", "hdpo", "", {}, {"seed": 3})
    return artifact.save(folder, made, weights=WEIGHTS, files={"equations.txt": "x = y\n"})


def test_a_saved_artifact_loads_with_its_weights(tmp_path: Path):
    assert artifact.load(tmp_path) == write(tmp_path) if write(tmp_path) else None
    loaded = artifact.load_weights(tmp_path)
    assert loaded.keys() == WEIGHTS.keys()
    assert all(torch.equal(loaded[name], WEIGHTS[name]) for name in WEIGHTS)


@pytest.mark.parametrize(
    "name",
    [
        "os:System",
        "core.artifact:Path",
        "methods.hdpo",
        "methods.no_such:Net",
        "blocks.networks:Sequential",
        "methods.hdpo:__import__",
        "",
    ],
)
def test_only_registered_architectures_resolve(name: str):
    with pytest.raises(CorruptFileError):
        artifact.resolve(name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 99),
        ("kind", "virus"),
        ("surprise", 1),
        ("files", {"../../etc/passwd": "0"}),
        ("files", {"gone": "0"}),
        ("files", []),
        ("files", {"equations.txt": 5}),
        ("kind", ["policy"]),
        ("slug", None),
        ("architecture", 5),
        ("arguments", []),
        ("made_by", "me"),
        ("spaces", None),
        ("version", 1.0),
        ("format", True),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path: Path, key: str, value: object):
    write(tmp_path)
    path = tmp_path / "artifact.json"
    changed = {**json.loads(path.read_text()), key: value}
    path.write_text(json.dumps({**changed, "digest": artifact.digest_of(changed)}))
    with pytest.raises(CorruptFileError) as caught:
        artifact.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert "artifact.json: altered" not in str(caught.value)


@pytest.mark.parametrize("key", ["made_by", "spaces", "arguments", "slug", "version", "digest"])
def test_a_changed_description_is_refused(tmp_path: Path, key: str):
    made = Artifact("policy", "hdpo", "", {"horizon": 200, "parts": [1, 2]}, {"noise": 0.2}, {"task": {"noise": 0.2}})
    artifact.save(tmp_path, made, weights=WEIGHTS)
    path = tmp_path / "artifact.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(values.items(), reverse=True))))
    assert artifact.load(tmp_path).arguments == {"horizon": 200, "parts": [1, 2]}  # the same in another order
    path.write_text(json.dumps({**values, key: {"noise": 0.9} if isinstance(values[key], dict) else "other"}))
    with pytest.raises(CorruptFileError, match=r"artifact\.json: altered after it was written$"):
        artifact.load(tmp_path)
    path.write_text(json.dumps({name: value for name, value in values.items() if name != key}))
    with pytest.raises(CorruptFileError):
        artifact.load(tmp_path)


def test_descriptions_without_a_digest_are_those_of_another_version(tmp_path: Path):
    write(tmp_path)
    path = tmp_path / "artifact.json"
    values = json.loads(path.read_text())
    del values["digest"]
    path.write_text(json.dumps({**values, "format": 1}))
    with pytest.raises(CorruptFileError, match=r"format 1.*written by another version"):
        artifact.load(tmp_path)


def test_an_artifact_that_was_read_can_be_written_again(tmp_path: Path):
    write(tmp_path)
    read = artifact.load(tmp_path)
    (tmp_path / "again").mkdir()
    artifact.save(tmp_path / "again", read, weights=artifact.load_weights(tmp_path))
    assert artifact.load(tmp_path / "again").made_by == read.made_by


def test_altered_files_and_depth_bombs_are_refused(tmp_path: Path):
    write(tmp_path)
    (tmp_path / "equations.txt").write_text("x = z\n")
    with pytest.raises(CorruptFileError, match="altered"):
        artifact.load(tmp_path)
    (tmp_path / "artifact.json").write_text("[" * 200_000)
    with pytest.raises(CorruptFileError):
        artifact.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file or directory"),
        ("[]", "it holds no object"),
        ("{}", "the field 'kind' is missing"),
        ('{"kind": "policy", "surprise": 1}', "no field is called 'surprise'; written by another version?"),
        ('{"kind": "policy", "slug": 5, "architecture": "", "arguments": {}, "made_by": {}}',
         "slug is a whole number, expected a text"),
    ],
)  # fmt: skip
def test_what_is_no_artifact_is_told_in_words_for_people(tmp_path: Path, text: str | None, said: str):
    if text is not None:
        (tmp_path / "artifact.json").write_text(text)
    with pytest.raises(CorruptFileError) as caught:
        artifact.load(tmp_path)
    assert str(caught.value).endswith(f"not a readable artifact ({said})")


@pytest.mark.parametrize(("changes", "said"), [({"depth": 3}, "it has no 'depth'"), ({"hidden": 3}, "another kind")])
def test_arguments_that_an_architecture_does_not_take_are_named(tmp_path: Path, changes: dict[str, Any], said: str):
    game = CartPole(20)
    made = QPolicy(game.observation_space, game.action_space, hidden=(4,))
    described = Artifact("policy", "hdpo", "blocks.policies:QPolicy", {**made.arguments, **changes}, {})
    artifact.save(tmp_path, described, weights=made.state_dict())
    with pytest.raises(CorruptFileError, match=f"refuses its arguments .*{said}"):
        artifact.load_network(tmp_path)
    described = Artifact("policy", "hdpo", "blocks.policies:QPolicy", {}, {})
    artifact.save(tmp_path, described, weights=made.state_dict())
    with pytest.raises(CorruptFileError, match="is missing"):
        artifact.load_network(tmp_path)
