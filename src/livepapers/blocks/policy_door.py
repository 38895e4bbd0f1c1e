"""One door for policies of any origin: artifact folders, ONNX files, torch modules, functions, objects with `predict`.

Whatever comes in acts on batches afterwards: observations `[lane, ...]` and, where the world states one, a mask
`[lane, action]` go in, actions `[lane, ...]` come out. Actions, not logits: `require_actions` refuses anything else.
"""

import importlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from torch import Tensor, nn

from livepapers.blocks.policies import GreedyPolicy
from livepapers.core import artifact as artifacts
from livepapers.core.errors import InputError, MissingExtraError
from livepapers.core.user_code import running

Act: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]
PolicySource: TypeAlias = "Path | nn.Module | AnyPolicy | Callable[..., Any] | Any"
"""An artifact folder or ONNX file; a torch module or function, batched observations in, actions out; or what has
`predict`."""

TASK = "livepapers.task"
"""The entry of an ONNX file's metadata that says which world its policy was made for, in JSON."""

_FICKLE = (nn.Dropout, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


CLOSE, MOST_OTHERWISE = 1e-4, 0.1
"""Values that differ by less (in shares of the largest) are equal; share of decisions that may differ from values'."""


@dataclass(frozen=True)
class AnyPolicy:
    """A policy that came through the door.

    Attributes:
        act: Observations `[lane, ...]`, mask or None -> actions `[lane, ...]`.
        about: What it is, for messages.
        shape: Of one observation, stack included; None where the policy does not say it.
        actions: Its action space, where it says one.
        task: The world it was made for, {"name": ..., "arguments": ...}, where it says one.
        network: The torch module behind it, where there is one: what attacks and diagnoses look into.
        restart: Called with the lanes `[lane]` bool that start an episode, for policies with a memory.
    """

    act: Act
    about: str
    shape: tuple[int, ...] | None = None
    actions: gymnasium.Space[Any] | None = None
    task: Mapping[str, Any] | None = None
    network: nn.Module | None = None
    restart: Callable[[Tensor], None] | None = field(default=None, compare=False)

    @property
    def values(self) -> Callable[[Tensor], Tensor] | None:
        """Differentiable preferences of discrete actions, `[lane, ...] -> [lane, actions]`; None where it has none."""
        found = getattr(self.network, "values", None)
        if callable(found):
            return cast("Callable[[Tensor], Tensor]", found)
        if isinstance(self.network, GreedyPolicy) and isinstance(self.network.action_space, Discrete):
            return _logits(self.network)
        return None


def as_policy(source: PolicySource) -> AnyPolicy:
    """Let a policy in.

    Raises:
        InputError: It is no policy, or acts on a simulator's states instead of observations.
        CorruptFileError: An artifact does not verify.
        MissingExtraError: An ONNX file, and onnxruntime is not installed.
    """
    if isinstance(source, AnyPolicy):
        return source
    if isinstance(source, (str, Path)):
        path = Path(source)
        return _of_folder(path) if path.is_dir() else _of_onnx(path)
    if isinstance(source, nn.Module):
        return _of_module(source, about=type(source).__name__, task=None)
    if callable(getattr(source, "predict", None)):
        return AnyPolicy(_predicting(source), f"{type(source).__name__}.predict", *_spaces(source))
    if callable(source):
        name = getattr(source, "__name__", type(source).__name__)
        return AnyPolicy(_called(source, name), name, *_spaces(source), restart=_restart(source))
    raise InputError.of("policy", source, expected="an artifact, an ONNX file, a torch module or a function")


def require_actions(actions: Tensor, space: gymnasium.Space[Any], lanes: int, *, about: str) -> Tensor:
    """What a policy gave, if it is one action of the space a lane; booleans become 0 and 1.

    Real actions beyond a box are let through: worlds get them clipped.

    Args:
        actions: What it gave.
        space: Of one lane's action.
        lanes: How many act.
        about: The policy, for messages.

    Raises:
        InputError: They have another shape, are of another kind, or no actions of the space.
    """
    wanted, shape = [lanes, *(space.shape or ())], list(actions.shape)
    if shape != wanted:
        logits = isinstance(space, Discrete) and shape == [lanes, int(space.n)]
        cause = "are these logits? a policy gives actions, such as their argmax(1)" if logits else ""
        shown = f"{about}, whose actions have the shape {shape}"
        raise InputError.of("policy", shown, expected=f"{wanted}, one of {space} a lane", cause=cause)
    if isinstance(space, (Discrete, MultiDiscrete)):
        if actions.is_floating_point() or actions.is_complex():
            raise InputError.of("policy", f"{about}, which gives {actions.dtype}", expected=f"whole numbers of {space}")
        actions = actions.long() if actions.dtype == torch.bool else actions
        first, count = (torch.as_tensor(each) for each in (space.start, getattr(space, "nvec", getattr(space, "n", 0))))
        outside = (actions < first) | (actions >= first + count)
        if bool(outside.any()):
            shown = f"{about}, which took action {int(actions[outside][0])}"
            raise InputError.of("policy", shown, expected=f"actions of {space}")
    elif not bool(torch.isfinite(actions).all()):
        raise InputError.of("policy", f"{about}, some of whose actions are not finite", expected="finite numbers")
    return actions


def frames_of(policy: AnyPolicy, space: gymnasium.Space[Any]) -> int:
    """How many observations of `space` the policy sees together; 1 for one that does not say its shape.

    Raises:
        InputError: Its input is no whole number of observations.
    """
    own, single = policy.shape, space.shape or ()
    if own is None or own == single:
        return 1
    if own[1:] == single or (len(own) == 1 and single and own[0] % math.prod(single) == 0):
        return own[0] if own[1:] == single else own[0] // math.prod(single)
    cause = "was it made for another world?"
    raise InputError.of("policy", f"observations of shape {own}", expected=f"{single}, or several of them", cause=cause)


def _of_folder(path: Path) -> AnyPolicy:
    described, network = artifacts.load_policy(path)
    task = described.spaces.get("task")
    about = f"{described.architecture} of {described.slug}"
    return _of_module(network, about=about, task=task if isinstance(task, dict) else None)


def _of_module(network: nn.Module, *, about: str, task: Mapping[str, Any] | None) -> AnyPolicy:
    if getattr(network, "takes", "observation") != "observation":
        cause = "it acts on a simulator's states, which nobody observes with noise"
        raise InputError.of("policy", about, expected="a policy of observations", cause=cause)
    if any(part.training for part in network.modules() if isinstance(part, _FICKLE)):
        cause = "call .eval() first: dropout and batch statistics would make it another policy at every step"
        raise InputError.of("policy", f"{about} in training mode", expected="a module in evaluation mode", cause=cause)
    return AnyPolicy(
        _called(network, about), about, *_spaces(network), task=task, network=network, restart=_restart(network)
    )


def _of_onnx(path: Path) -> AnyPolicy:
    if path.suffix != ".onnx":
        cause = "no such file or folder" if not path.exists() else "it ends in neither"
        raise InputError.of("artifact", path, expected="a folder with artifact.json, or an .onnx file", cause=cause)
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        raise MissingExtraError("onnxruntime", "export") from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the same bytes on any number of cores
    try:
        session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise InputError.of(
            "artifact", path, expected="a readable file", cause=(error.strerror or "").lower()
        ) from None
    except Exception as error:  # noqa: BLE001 - the runtime has exception types of its own, one for each fault of a file
        raise InputError.of("artifact", path, expected="an ONNX file", cause=str(error)) from None
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if inputs[0].type != "tensor(float)" or len(inputs) > 2 or len(outputs) != 1:
        shown = f"inputs {[each.name for each in inputs]}, outputs {[each.name for each in outputs]}"
        cause = "livepapers export writes such files"
        raise InputError.of("artifact", f"{path.name}: {shown}", expected="observation (, mask) -> action", cause=cause)
    if inputs[0].shape and isinstance(inputs[0].shape[0], int):
        shown = f"{path.name}: a batch of {inputs[0].shape[0]}"
        cause = "export it with a dynamic batch axis"
        raise InputError.of("artifact", shown, expected="batches of any size", cause=cause)

    def act(seen: Tensor, mask: Tensor | None) -> Tensor:
        given = {inputs[0].name: seen.to(torch.float32).numpy()}
        if len(inputs) == 2:
            given[inputs[1].name] = _required(mask, path).numpy()
        with running(path.name, field="artifact"):
            return torch.from_numpy(session.run(None, given)[0])

    shape = inputs[0].shape[1:]
    known = tuple(shape) if all(isinstance(size, int) for size in shape) else None
    said = session.get_modelmeta().custom_metadata_map.get(TASK)
    return AnyPolicy(act, f"ONNX file {path.name}", known, task=None if said is None else _task(said, path))


def _task(said: str, path: Path) -> Mapping[str, Any]:
    try:
        task = json.loads(said)
    except ValueError:
        task = None
    if not isinstance(task, dict):
        cause = "livepapers export writes it; was the file changed since?"
        raise InputError.of(f"{path.name}: metadata {TASK}", said, expected="a JSON object", cause=cause)
    return task


def _required(mask: Tensor | None, path: Path) -> Tensor:
    if mask is None:
        cause = "this world allows every action; the file was made for one that does not"
        raise InputError.of("artifact", f"{path.name}, which takes a mask", expected="no mask", cause=cause)
    return mask


def require_largest(policy: AnyPolicy, seen: Tensor, actions: Tensor, space: Discrete) -> None:
    """Refuse values that are not those by which a policy acts; a policy without values passes.

    Args:
        policy: The policy.
        seen: Observations `[lane, ...]`.
        actions: What it did there, `[lane]`.
        space: Of the actions.

    Raises:
        InputError: They are not one for each action, or the largest is another action's in over a tenth of the lanes.
    """
    if policy.values is None:
        return
    values = policy.values(seen).detach()
    if values.shape != (len(seen), space.n):
        shown = f"{policy.about}, whose values are {list(values.shape)} for {len(seen)} observations"
        raise InputError.of("policy", shown, expected=f"[{len(seen)}, {space.n}]: one an action")
    taken = values.gather(1, (actions.long() - int(space.start))[:, None])[:, 0]
    best = values.amax(1)
    other = float((taken < best - CLOSE * best.abs().clamp(min=1.0)).double().mean())
    if other > MOST_OTHERWISE:
        shown = f"{policy.about}, which takes another action than that of its largest value in {100 * other:.0f} %"
        cause = "are they of another network, or negative?"
        raise InputError.of("policy", shown, expected="the values by which it acts", cause=cause)


def takes_mask(policy: Callable[..., Any]) -> bool:
    """Whether a function or module is given a mask beside observations: its second parameter is one, or must be given.

    What takes observations alone acts as it does elsewhere; its world says what becomes of an action that is not
    allowed.
    """
    called = policy.forward if isinstance(policy, nn.Module) else policy
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):  # compiled code may not say what it takes
        return True
    placed = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)][:2]
    if len(placed) < 2:
        return any(one.kind is one.VAR_POSITIONAL for one in parameters)
    return placed[1].default is placed[1].empty or "mask" in placed[1].name


def _called(policy: Callable[..., Any], name: str) -> Act:
    masked = takes_mask(policy)

    def act(seen: Tensor, mask: Tensor | None) -> Tensor:
        with running(name, field="policy"):
            answer = policy(seen, mask) if masked and mask is not None else policy(seen)
        return _as_actions(answer, name)

    return act


def _predicting(source: Any) -> Act:
    """As agents of Stable-Baselines3 act: arrays in, (actions, memory) out, the most likely ones that are allowed."""
    name = f"{type(source).__name__}.predict"
    masked = _takes_masks(source.predict)

    def act(seen: Tensor, mask: Tensor | None) -> Tensor:
        given = {"action_masks": mask.numpy()} if masked and mask is not None else {}
        with running(name, field="policy"):
            answer = source.predict(seen.numpy(), deterministic=True, **given)
        actions, *memory = answer if isinstance(answer, tuple) else (answer,)
        if any(part is not None for part in memory):
            cause = "what it remembers would be lost at every step; give a function with restart(lanes) that keeps it"
            raise InputError.of("policy", f"{name}, which returns a state", expected="no memory", cause=cause)
        return _as_actions(actions, name)

    return act


def _takes_masks(predict: Callable[..., Any]) -> bool:
    """Whether `predict` has the parameter of MaskablePPO."""
    try:
        return "action_masks" in inspect.signature(predict).parameters
    except (TypeError, ValueError):  # compiled code may not say what it takes
        return False


def _as_actions(answer: Any, name: str) -> Tensor:
    if isinstance(answer, Tensor):
        return answer
    try:
        return torch.as_tensor(np.asarray(answer))
    except (TypeError, ValueError, RuntimeError):  # of which kind it is depends on what came
        shown = f"{name}, which gave {'nothing' if answer is None else f'a {type(answer).__name__}'}"
        raise InputError.of("policy", shown, expected="actions, as a tensor or an array") from None


def _spaces(source: Any) -> tuple[tuple[int, ...] | None, gymnasium.Space[Any] | None]:
    seen, actions = getattr(source, "observation_space", None), getattr(source, "action_space", None)
    shape = tuple(seen.shape) if isinstance(seen, Box) else None
    return shape, actions if isinstance(actions, gymnasium.Space) else None


def _restart(source: Any) -> Callable[[Tensor], None] | None:
    found = getattr(source, "restart", None)
    return cast("Callable[[Tensor], None]", found) if callable(found) else None


def _logits(policy: GreedyPolicy) -> Callable[[Tensor], Tensor]:
    def values(seen: Tensor) -> Tensor:
        features = seen.flatten(1).to(torch.float32)
        return policy.actor(features if policy.normaliser is None else policy.normaliser(features))

    return values
