"""Checkpoints: one safetensors file, tensors plus JSON, hashed, written atomically, read without running code."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from livepapers.core.errors import CorruptFileError, plainly
from livepapers.core.files import write_atomic
from livepapers.core.learner import State

FORMAT = "livepapers-state-1"
KEEP = 2
"""How many checkpoints of one run stay on disk: the newest, and one behind it should the newest not verify."""


def save_state(path: Path, state: State) -> None:
    """Write a nested state of tensors and JSON values to `path`, whole or not at all."""
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _split(state, tensors, "")
    text = json.dumps(skeleton, sort_keys=True, allow_nan=True)
    about = {"format": FORMAT, "json": text, "sha256": _digest(text, tensors)}
    metadata = {"state": json.dumps(about, sort_keys=True)}  # one entry: several are written in any order
    write_atomic(path, save_tensors(tensors, metadata=metadata))


def load_state(path: Path) -> dict[str, Any]:
    """Read a state written by `save_state`.

    Raises:
        CorruptFileError: The file is truncated, altered, or no checkpoint of ours.
    """
    data = path.read_bytes()
    try:
        tensors = load_tensors(data)
        length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + length])["__metadata__"]
        about = json.loads(metadata["state"]) if "state" in metadata else metadata  # older files had three entries
        text, expected, kind = about["json"], about["sha256"], about["format"]
        skeleton = json.loads(text)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptFileError(f"{path}: not a readable checkpoint ({plainly(error)})") from None
    if kind != FORMAT:
        raise CorruptFileError(f"{path}: format {kind!r}, expected {FORMAT!r} (written by another version?)")
    if _digest(text, tensors) != expected:
        raise CorruptFileError(f"{path}: content hash differs (the file was altered after it was written)")
    return _join(skeleton, tensors)


def save_step(folder: Path, step: int, state: State) -> None:
    """Write the checkpoint of `step` into `folder` and drop all but the newest `KEEP`."""
    save_state(folder / f"step-{step:010d}.safetensors", state)
    for old in _steps(folder)[KEEP:]:
        old.unlink(missing_ok=True)


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint in `folder` that verifies, or None when there is none."""
    for path in _steps(folder):
        try:
            return load_state(path)
        except (CorruptFileError, FileNotFoundError):
            continue
    return None


def require_keys(state: Mapping[str, Any], expected: Mapping[str, Any], *, what: str) -> None:
    """Raise `CorruptFileError` unless `state` has exactly the tensors that `expected` has: names, shapes, dtypes."""
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        raise CorruptFileError(f"{what}: missing {missing or 'nothing'}, unexpected {extra or 'nothing'}")
    for name, value in expected.items():
        if not isinstance(value, torch.Tensor):
            continue
        got = state[name]
        if not isinstance(got, torch.Tensor) or got.shape != value.shape or got.dtype != value.dtype:
            shown = f"{list(got.shape)} {got.dtype}" if isinstance(got, torch.Tensor) else type(got).__name__
            raise CorruptFileError(f"{what}: {name} is {shown}, expected {list(value.shape)} {value.dtype}")


def _steps(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _split(value: Any, tensors: dict[str, torch.Tensor], name: str) -> Any:
    """Replace each tensor by a reference; refuse what neither a tensor nor JSON can hold."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"$tensor": name}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(f"state key {key!r} at {name or 'the top'}: keys are strings that do not start with $")
        return {key: _split(item, tensors, f"{name}/{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_split(item, tensors, f"{name}/{index}") for index, item in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"state value at {name or 'the top'} is {type(value).__name__}: only tensors and JSON values are kept"
    )


def _join(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$tensor"}:
            return tensors[value["$tensor"]]
        return {key: _join(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    return value


def _digest(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in _sorted(tensors):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()


def _sorted(tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    yield from sorted(tensors.items())
