"""Artifacts: what a method leaves behind, as a folder of JSON and safetensors; never code, never pickle.

    <folder>/artifact.json      kind, architecture by registered name and arguments, spaces, what made it, hashes
    <folder>/weights.safetensors
    <folder>/...                further files, each with its hash in artifact.json

The description carries a digest of itself. Both find damage and careless edits, not somebody who computes them anew.

An architecture's registered name is `<layer>.<module>:<Class>`, e.g. `methods.hdpo:GraphPolicy`; it resolves only to
classes that the livepapers module lists in its own `ARCHITECTURES`, so a file can never name other code.
"""

import hashlib
import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from livepapers import __version__
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import sha256, write_atomic
from livepapers.core.learner import JSON

Kind = Literal["policy", "network", "sampler", "forecaster", "estimator", "rule", "archive"]
FORMAT = 2
"""1 had no digest: what it says of itself cannot be verified, so it is made again."""
WEIGHTS = "weights.safetensors"
_NAME = re.compile(r"(blocks|baselines|methods)\.([a-z][a-z0-9_]*):([A-Z][A-Za-z0-9]*)")
_LARGEST_JSON = 32 << 20  # a controller of thousands of regions has several MB
_IN_JSON: dict[type, str] = {
    dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip


@dataclass(frozen=True)
class Artifact:
    """The description of an artifact; `artifact.json` holds exactly these fields."""

    kind: Kind
    slug: str  # the paper whose method made it
    architecture: str  # registered name, "" for artifacts without a network
    arguments: dict[str, JSON]  # keyword arguments that rebuild the network
    made_by: dict[str, JSON]  # config, seed, data hashes, command: what another person needs to make it again
    spaces: dict[str, JSON] = field(default_factory=dict)  # shapes, units and names of inputs and outputs
    files: dict[str, str] = field(default_factory=dict)  # file -> sha256, filled by `save`
    version: str = __version__
    format: int = FORMAT
    digest: str = ""  # SHA-256 of all the other fields, filled by `save`

    @property
    def named_kind(self) -> str:
        """The kind in a sentence: "a policy", "an estimator"."""
        return f"{'an' if self.kind[0] in 'aeiou' else 'a'} {self.kind}"


def digest_of(described: Mapping[str, Any]) -> str:
    """The SHA-256 of a description's fields but `digest`, whatever their order and spacing in the file."""
    fields_of = {name: value for name, value in described.items() if name != "digest"}
    same = json.loads(json.dumps(fields_of))  # what is read back: lists for tuples, texts for keys
    return hashlib.sha256(json.dumps(same, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def save(
    folder: Path,
    artifact: Artifact,
    *,
    weights: Mapping[str, Tensor] | None = None,
    files: Mapping[str, str] | None = None,
) -> Artifact:
    """Write an artifact into `folder` (which the caller makes whole with `core.files.new_folder`).

    Args:
        folder: An existing folder.
        artifact: The description; its `files`, `format` and `digest` are filled in.
        weights: Tensors for `weights.safetensors`.
        files: Further text files, name -> content.
    """
    if artifact.architecture:
        resolve(artifact.architecture)  # a name that cannot be loaded again is a bug of the writer
    if weights is not None:
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()}
        write_atomic(folder / WEIGHTS, save_tensors(tensors))
    for name, content in (files or {}).items():
        write_atomic(folder / name, content)
    names = [*([WEIGHTS] if weights is not None else []), *(files or {})]
    hashes = {name: sha256(folder / name) for name in names}
    complete = replace(artifact, files=hashes, format=FORMAT)
    complete = replace(complete, digest=digest_of(asdict(complete)))
    write_atomic(folder / "artifact.json", json.dumps(asdict(complete), indent=2, sort_keys=True) + "\n")
    return complete


def load(folder: Path) -> Artifact:
    """Read and verify the description, its digest and the hashes of all files; raises `CorruptFileError`."""
    path = folder / "artifact.json"
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise CorruptFileError(f"{path}: larger than {_LARGEST_JSON} bytes; not an artifact of ours")
        values = json.loads(path.read_text(encoding="utf-8"))
        _require_fields(values)
        artifact = Artifact(**values)
        _check_types(artifact)
        digest = digest_of(values)
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path}: not a readable artifact ({plainly(error)})") from None
    if artifact.format != FORMAT or artifact.kind not in get_args(Kind):
        raise CorruptFileError(
            f"{path}: format {artifact.format!r}, kind {artifact.kind!r} (written by another version? make it again)"
        )
    if artifact.digest != digest:
        raise CorruptFileError(f"{path}: altered after it was written")
    for name, expected in artifact.files.items():
        if Path(name).name != name:
            raise CorruptFileError(f"{path}: file name {name!r} leaves the folder")
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise CorruptFileError(f"{folder / name}: missing or altered after it was written")
    return artifact


def _require_fields(values: Any) -> None:
    """Raise `ValueError` for what is no object, or one with other fields than `Artifact` has."""
    if not isinstance(values, dict):
        raise ValueError("it holds no object")  # noqa: TRY004 - content of a file, not a caller's argument
    known = {one.name: one.default is MISSING and one.default_factory is MISSING for one in fields(Artifact)}
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"no field is called {unknown[0]!r}; written by another version?")
    if missing := [name for name, needed in known.items() if needed and name not in values]:
        raise ValueError(f"the field {missing[0]!r} is missing")


def _check_types(artifact: Artifact) -> None:
    """Raise `ValueError` for a field that JSON filled with something else than `Artifact` says."""
    expected = {"kind": str, "slug": str, "architecture": str, "version": str, "format": int, "digest": str}
    expected |= {"arguments": dict, "made_by": dict, "spaces": dict, "files": dict}
    for name, kind in expected.items():
        if type(value := getattr(artifact, name)) is not kind:
            raise ValueError(f"{name} is {_IN_JSON[type(value)]}, expected {_IN_JSON[kind]}")
    for name, digest in artifact.files.items():
        if type(digest) is not str:
            raise ValueError(f"the hash of {name} is {_IN_JSON[type(digest)]}, expected {_IN_JSON[str]}")


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of an artifact; raises `CorruptFileError`."""
    try:
        return load_tensors((folder / WEIGHTS).read_bytes())
    except (OSError, SafetensorError) as error:
        raise CorruptFileError(f"{folder / WEIGHTS}: not readable ({plainly(error)})") from None


def load_network(folder: Path) -> nn.Module:
    """Rebuild the network of an artifact and load its weights; raises `CorruptFileError`."""
    artifact = load(folder)
    build = resolve(artifact.architecture)
    try:
        _require_arguments(build, artifact.arguments)
        network = build(**artifact.arguments)
    except (TypeError, ValueError) as error:
        raise CorruptFileError(f"{folder}: {artifact.architecture} refuses its arguments ({plainly(error)})") from None
    weights = load_weights(folder)
    require_keys(weights, network.state_dict(), what=str(folder / WEIGHTS))
    network.load_state_dict(weights)
    return network.eval()


def _require_arguments(build: Callable[..., nn.Module], arguments: Mapping[str, JSON]) -> None:
    """Raise `ValueError` for names that the architecture does not take, or needs and does not get."""
    known = inspect.signature(build).parameters
    if unknown := [name for name in arguments if name not in known]:
        raise ValueError(f"it has no {unknown[0]!r}")
    if missing := [name for name, one in known.items() if one.default is one.empty and name not in arguments]:
        raise ValueError(f"{missing[0]!r} is missing")


def load_policy(folder: Path) -> tuple[Artifact, nn.Module]:
    """Read and rebuild a policy; raises `InputError` for an artifact of another kind, `CorruptFileError` as `load`."""
    described = load(folder)
    if described.kind != "policy" or not described.architecture:
        raise InputError.of("artifact", f"{described.named_kind} in {folder}", expected="a policy")
    return described, load_network(folder)


def resolve(name: str) -> Callable[..., nn.Module]:
    """The class behind a registered name; raises `CorruptFileError` for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise CorruptFileError(f"architecture {name!r}: expected a registered name such as methods.hdpo:GraphPolicy")
    layer, module_name, class_name = match.groups()
    try:
        module = importlib.import_module(f"livepapers.{layer}.{module_name}")
    except ModuleNotFoundError:
        raise CorruptFileError(f"architecture {name!r}: livepapers has no module {layer}.{module_name}") from None
    registered: Mapping[str, Any] = getattr(module, "ARCHITECTURES", {})
    if class_name not in registered:
        known = ", ".join(sorted(registered)) or "none"
        raise CorruptFileError(f"architecture {name!r}: not registered there (registered: {known})")
    return registered[class_name]
