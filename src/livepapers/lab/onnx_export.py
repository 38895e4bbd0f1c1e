"""A saved policy as an ONNX file that gives the same actions: parity is checked before the file is put in place."""

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks.policy_door import TASK, takes_mask
from livepapers.core.errors import InputError, LivepapersError, MissingExtraError
from livepapers.core.files import write_atomic
from livepapers.core.rng import derive
from livepapers.lab.evaluation import SavedPolicy, act, check_fit
from livepapers.tasks import worlds

TOLERANCE = 1e-5
"""Largest difference of an action, relative to its size where that is over 1."""

OPSET = 17


def export(policy: SavedPolicy, path: Path, *, env: str | None = None, seed: int = 0, probes: int = 256) -> float:
    """Write the policy to `path`; returns the largest difference of actions that was seen.

    Inputs: `observation` `[batch, ...]` float32, and `mask` where the policy takes one and its world states it:
    which actions are allowed. Output: `action`. The file's metadata says which world it was made for, as the artifact
    does.

    Args:
        policy: What is written; it must act on observations.
        path: The new file; whole and verified, or not there.
        env: Where states are visited, instead of the policy's own world: a registered name or a Gymnasium id.
        seed: Of the observations on which both are compared.
        probes: How many random and how many visited ones.

    Raises:
        MissingExtraError: `onnx` or `onnxruntime` is not installed.
        InputError: The policy acts on states, nothing says what it observes, or its decisions are none of ONNX.
        LivepapersError: The file would give other actions.
    """
    try:
        import onnx
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "export") from None
    batches = [_random(_observed(policy, env), probes, seed), *_visited(policy, env, probes, seed)]
    masks = [mask for _, mask in batches[1:]]
    masked = bool(masks) and masks[0] is not None
    if masked:
        batches[0] = (batches[0][0], masks[0][:1].expand(len(batches[0][0]), -1))  # type: ignore[index]
    model = _written(policy, batches[0], masked=masked)
    task = policy.description.spaces.get("task")
    if task:
        onnx.helper.set_model_props(model, {TASK: json.dumps(task)})
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    worst = max(_difference(policy, session, batch) for batch in batches)
    if not worst <= TOLERANCE:
        raise LivepapersError(f"the file would differ by {worst:.3g} in an action (allowed: {TOLERANCE}); not written")
    write_atomic(path, content)
    return worst


Batch = tuple[Tensor, Tensor | None]


def _observed(policy: SavedPolicy, env: str | None) -> Box:
    """What the policy sees: as it says itself, or as its world says."""
    if policy.takes != "observation":
        raise _refused(policy, "it acts on a simulator's states, which no file outside livepapers has")
    if reason := getattr(policy.network, "beyond_tensors", ""):
        raise _refused(policy, reason)
    space = getattr(policy.network, "observation_space", None)
    if space is None and (env or policy.description.spaces.get("task")):
        name, arguments = worlds.asked_for(env, policy.task, field="artifact")
        with worlds.opened(name, arguments) as task:
            space = task.observation_space
    if isinstance(space, Box):
        return space
    raise _refused(policy, "neither it nor a world says what it observes" if space is None else f"it observes {space}")


def _refused(policy: SavedPolicy, cause: str) -> InputError:
    expected = "a policy that a file of tensors can hold"
    return InputError.of("artifact", policy.description.architecture, expected=expected, cause=cause)


class _Constant(nn.Module):
    """The one action `[1, ...]` of a policy that looks at nothing, for as many observations as there are."""

    action: Tensor

    def __init__(self, action: Tensor) -> None:
        super().__init__()
        self.register_buffer("action", action)

    def forward(self, observation: Tensor, mask: Tensor | None = None) -> Tensor:
        del mask
        return self.action.expand(observation.shape[0], *self.action.shape[1:])


def _written(policy: SavedPolicy, batch: Batch, *, masked: bool) -> Any:
    """The model, with all inputs that whoever runs it gives, also those that the policy does not look at."""
    from onnx import helper

    names = ["observation", "mask"][: 2 if masked else 1]
    inputs = tuple(part for part in batch if part is not None)
    model = _traced(policy, policy.network, inputs, names)
    if not model.graph.input:  # the tracer has dropped them all, and with them how many observations there are
        with torch.no_grad():
            model = _traced(policy, _Constant(policy.network(*inputs)[:1]), inputs, names)
    for place, (name, given) in enumerate(zip(names, inputs, strict=True)):
        if name not in {one.name for one in model.graph.input}:
            kind = helper.np_dtype_to_tensor_dtype(given.numpy().dtype)
            unused = helper.make_tensor_value_info(name, kind, ["batch", *given.shape[1:]])
            model.graph.input.insert(place, unused)
    return model


def _traced(policy: SavedPolicy, network: nn.Module, inputs: tuple[Tensor, ...], names: list[str]) -> Any:
    import onnx

    buffer = io.BytesIO()
    with warnings.catch_warnings(), _unlogged():
        # the exporter that torch prefers needs one more package and writes the same few operators
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network, inputs, buffer, dynamo=False, opset_version=OPSET, input_names=names,  # type: ignore[arg-type]
                output_names=["action"], dynamic_axes={name: {0: "batch"} for name in [*names, "action"]},
            )  # fmt: skip
        except torch.onnx.errors.OnnxExporterError as error:
            raise _refused(policy, f"a step of it is none of ONNX's: {str(error).splitlines()[0]}") from None
    return onnx.load_from_string(buffer.getvalue())


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the exporter from printing whole graphs to standard output: PyTorch turns its log on, whatever one asks."""
    log = getattr(torch._C, "_jit_onnx_log", None)
    if log is None:  # another PyTorch
        yield
        return
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def _random(space: Box, count: int, seed: int) -> Batch:
    """Observations from the space: uniform between bounds, normal where there are none."""
    stream = np.random.default_rng(derive(seed, "export", "random"))
    low, high = (np.asarray(side, dtype=np.float64) for side in (space.low, space.high))
    bounded = np.isfinite(low) & np.isfinite(high) & (high - low < 1e6)
    shape = (count, *space.shape)
    between = np.where(bounded, low, 0.0) + stream.random(shape) * np.where(bounded, high - low, 0.0)
    anywhere = np.clip(stream.normal(0.0, 3.0, shape), low, high)
    return torch.from_numpy(np.where(bounded, between, anywhere).astype(np.float32)), None


@torch.no_grad()
def _visited(policy: SavedPolicy, env: str | None, count: int, seed: int) -> list[Batch]:
    """What the policy sees in its world, if the artifact or a person names one."""
    if not (env or policy.description.spaces.get("task")):
        return []
    name, arguments = worlds.asked_for(env, policy.task, field="artifact")
    batches: list[Batch] = []
    with worlds.opened(name, arguments, lanes=4 if name.startswith(worlds.GYMNASIUM) else 16) as task:
        check_fit(policy, task, world=name)
        observation = task.reset(derive(seed, "export", "visited") >> 32)
        for _ in range(max(1, count // task.lanes)):
            batches.append((observation.to(torch.float32), task.mask() if takes_mask(policy.network) else None))
            observation = task.step(act(policy, task, observation)).observation
    return batches


def _difference(policy: SavedPolicy, session: Any, batch: Batch) -> float:
    observation, mask = batch
    given = {"observation": observation.numpy()} | ({} if mask is None else {"mask": mask.numpy()})
    theirs = torch.from_numpy(session.run(None, given)[0]).double()
    with torch.no_grad():
        ours = (policy.network(observation) if mask is None else policy.network(observation, mask)).double()
    if ours.shape != theirs.shape:
        return float("inf")
    return float(((ours - theirs).abs() / ours.abs().clamp(min=1.0)).max())
