"""Checkpoints keep every bit, refuse what was altered, and run no code."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save as save_tensors

from livepapers.core import checkpoint
from livepapers.core.errors import CorruptFileError
from livepapers.core.files import sha256

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(torch.tensor),
    st.integers(0, 3).map(torch.arange),
)
STATES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=5),
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
    ),
    max_size=4,
)


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


@given(STATES)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory: pytest.TempPathFactory, state: dict[str, object]):
    path = tmp_path_factory.mktemp("state") / "s.safetensors"
    checkpoint.save_state(path, state)
    assert same(checkpoint.load_state(path), state)


@settings(max_examples=200)
@given(st.integers(0, 10**9), st.integers(0, 7), st.sampled_from(["flip", "cut", "insert"]))
def test_altered_files_raise_one_kind_of_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, how: str
):
    path = tmp_path_factory.mktemp("state") / "s.safetensors"
    checkpoint.save_state(path, {"weights": torch.arange(12.0), "step": 3, "nested": {"name": "x"}})
    data = path.read_bytes()
    place %= len(data)
    spoiled = {
        "flip": data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :],
        "cut": data[:place],
        "insert": data[:place] + bytes([bit]) + data[place:],
    }[how]
    path.write_bytes(spoiled)
    try:
        loaded = checkpoint.load_state(path)
    except CorruptFileError:
        return
    # white space inside the header's padding is the one thing that may differ without harm
    assert same(loaded, {"weights": torch.arange(12.0), "step": 3, "nested": {"name": "x"}})


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 8, struct.pack("<Q", 2**62) + b"{}", b"not a checkpoint at all", struct.pack("<Q", 2) + b"[]"]
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path, data: bytes):
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(CorruptFileError):
        checkpoint.load_state(tmp_path / "s")


def test_the_newest_that_verifies_is_loaded_and_old_ones_go(tmp_path: Path):
    assert checkpoint.load_newest(tmp_path) is None
    for step in (1, 2, 3):
        checkpoint.save_step(tmp_path, step, {"step": step})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == checkpoint.KEEP
    assert checkpoint.load_newest(tmp_path) == {"step": 3}
    (tmp_path / names[-1]).write_bytes(b"torn")
    assert checkpoint.load_newest(tmp_path) == {"step": 2}


def test_only_tensors_and_json_can_be_kept(tmp_path: Path):
    for bad in ({"f": print}, {"a": {1: 2}}, {"$tensor": "x"}):
        with pytest.raises(TypeError):
            checkpoint.save_state(tmp_path / "s", bad)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_require_keys_names_what_is_wrong():
    own = {"w": torch.zeros(2)}
    checkpoint.require_keys({"w": torch.ones(2)}, own, what="net")
    for bad, words in (
        ({}, "missing ['w']"),
        ({"w": torch.zeros(2), "v": 1}, "unexpected ['v']"),
        ({"w": torch.zeros(3)}, "[3]"),
        ({"w": torch.zeros(2, dtype=torch.float64)}, "float64"),
        ({"w": [0.0, 0.0]}, "list"),
    ):
        with pytest.raises(CorruptFileError) as caught:
            checkpoint.require_keys(bad, own, what="net")
        assert words in str(caught.value)


WRITER = """
import sys
from pathlib import Path
import torch
from livepapers.core.checkpoint import save_state
save_state(Path(sys.argv[1]), {"b": torch.arange(3.0), "a": {"c": torch.ones(2), "d": [1, "x"]}})
"""


def test_equal_states_are_equal_bytes_in_any_process(tmp_path: Path):
    for seed in range(3):  # three entries stood in any order
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / f"{seed}")], env=environment, check=True)
    assert len({sha256(path) for path in tmp_path.iterdir()}) == 1


def test_files_of_earlier_versions_are_read(tmp_path: Path):
    tensors = {"/a": torch.arange(3.0)}
    text = json.dumps({"a": {"$tensor": "/a"}, "b": 2})
    metadata = {"format": checkpoint.FORMAT, "json": text, "sha256": checkpoint._digest(text, tensors)}
    (tmp_path / "old").write_bytes(save_tensors(tensors, metadata=metadata))
    assert same(checkpoint.load_state(tmp_path / "old"), {"a": torch.arange(3.0), "b": 2})
