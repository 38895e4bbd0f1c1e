"""Putting a policy of any origin into its world, on common random numbers.

Lane i of the same world and seed meets the same start and the same noise whatever the policy does, so two policies
are compared episode by episode. (Gymnasium environments share reset seeds only.)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.blocks.policy_door import AnyPolicy, PolicySource, as_policy, require_actions, takes_mask
from livepapers.core import artifact as artifacts
from livepapers.core.errors import InputError
from livepapers.core.rng import derive, numpy_generator
from livepapers.lab.statistics import bootstrap_interval, interval_inside
from livepapers.tasks import worlds
from livepapers.tasks.finite import require_finite
from livepapers.tasks.spaces import alike
from livepapers.tasks.vector import BatchedTask, SimulatorTask

LANES = 4096
"""Most episodes side by side in a simulator."""

ENVIRONMENTS = 64
"""Most copies of a Gymnasium environment."""

LONGEST = 100_000
"""Steps after which an episode is given up."""


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one policy in one world."""

    world: str
    returns: np.ndarray  # [episode] float64, undiscounted
    lengths: np.ndarray  # [episode] int64
    terminated: np.ndarray  # [episode] bool; the others were truncated
    interval: tuple[float, float] | None  # 95 % of the mean return, as reports show it; None below 6


@dataclass(frozen=True)
class SavedPolicy:
    """A policy artifact, read and rebuilt."""

    description: artifacts.Artifact
    network: nn.Module

    @property
    def takes(self) -> str:
        """What it acts on: "observation" or "state"."""
        return getattr(self.network, "takes", "observation")

    @property
    def about(self) -> str:
        """What it is, for messages."""
        return f"{self.description.architecture} of {self.description.slug}"

    @property
    def task(self) -> Any:
        """The world it was made for, as its file says it; None where it does not."""
        return self.description.spaces.get("task")


Acting: TypeAlias = SavedPolicy | AnyPolicy
Source: TypeAlias = "SavedPolicy | PolicySource"


def load_policy(folder: Path) -> SavedPolicy:
    """Read a policy artifact; `InputError` for one of another kind, `CorruptFileError` for one that does not verify."""
    return SavedPolicy(*artifacts.load_policy(folder))


def let_in(source: Source) -> Acting:
    """What can be evaluated: all that comes through the policy door, and artifacts that act on a simulator's states.

    Raises:
        InputError: It is no policy.
        CorruptFileError: An artifact does not verify.
        MissingExtraError: An ONNX file, and onnxruntime is not installed.
    """
    if isinstance(source, SavedPolicy):
        return source
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        return load_policy(Path(source))
    return as_policy(source)


def evaluate(policy: Source, *, episodes: int, seed: int, env: str | None = None) -> Evaluation:
    """Run whole episodes.

    Args:
        policy: What acts: an artifact or its folder, an ONNX file, a torch module, a function, an agent with `predict`.
        episodes: How many; episode i is the same world for every policy evaluated with this seed and number.
        seed: Of starts and noise.
        env: Another world than the policy's own: a registered name or a Gymnasium id.

    Raises:
        InputError: The world is unknown, or does not fit the policy, which may be none.
    """
    acting = let_in(policy)
    name, arguments = worlds.asked_for(env, acting.task, field="artifact")
    most = ENVIRONMENTS if name.startswith((worlds.GYMNASIUM, worlds.ATARI)) else LANES
    parts = []
    for first in range(0, episodes, most):
        with worlds.opened(name, arguments, lanes=min(most, episodes - first)) as task:
            check_fit(acting, task, world=name)
            parts.append(run_episodes(acting, task, seed=derive(seed, "evaluate", first) >> 32))
    returns, lengths, terminated = (np.concatenate(column) for column in zip(*parts, strict=True))
    interval = bootstrap_interval(returns, numpy_generator(seed, "evaluate", "interval"))
    return Evaluation(worlds.label(name, arguments), returns, lengths, terminated, interval_inside(returns, interval))


def check_fit(policy: Acting, task: BatchedTask, *, world: str) -> None:
    """Raise `InputError` unless the policy can act in this task, which a person knows as `world`."""
    if isinstance(policy, AnyPolicy):
        _check_door(policy, task)
        return
    if policy.takes == "state":
        if not _knows_states(policy, task):
            own = str(policy.task.get("name")) if isinstance(policy.task, dict) else world
            expected = "the one that the policy was made for" if own == world else f"{own}, which it was made for"
            raise InputError.of("world", world, expected=expected, cause="this policy acts on a simulator's states")
        return
    for name in ("observation_space", "action_space"):
        made, here = getattr(policy.network, name, None), getattr(task, name)
        if made is not None and not alike(made, here):
            raise InputError.of("world", f"{name.replace('_', ' ')} {here}", expected=f"that of the policy, {made}")
    if getattr(policy.network, "observation_space", None) is None:
        _probe(policy, task, world=world)


def _check_door(policy: AnyPolicy, task: BatchedTask) -> None:
    """`check_fit` of what may say little of its spaces: its first decision says the rest."""
    shape, actions = task.observation_space.shape, policy.actions
    if policy.shape is not None and policy.shape != shape:
        expected = f"{policy.shape}, which the policy takes"
        raise InputError.of("world", f"observations of shape {shape}", expected=expected)
    if actions is not None and not alike(actions, task.action_space):
        raise InputError.of("world", f"action space {task.action_space}", expected=f"that of the policy, {actions}")


@torch.no_grad()
def _probe(policy: SavedPolicy, task: BatchedTask, *, world: str) -> None:
    """One decision of a policy that does not say what it observes, to find out whether it fits."""
    try:
        actions = act(policy, task, task.reset(0))
        require_actions(actions, task.action_space, task.lanes, about=policy.about)
    except (RuntimeError, IndexError, ValueError):  # whatever tensors of a wrong size come to
        cause = f"it observes {task.observation_space} and is acted on by {task.action_space}"
        raise InputError.of("world", world, expected="one that the policy was made for", cause=cause) from None


@torch.no_grad()
def _knows_states(policy: SavedPolicy, task: BatchedTask) -> bool:
    """Whether a policy of states can decide in this task: no space describes states, each world has its own type."""
    if not isinstance(task, SimulatorTask):
        return False
    try:
        act(policy, task, task.reset(0))
    except (AttributeError, TypeError, RuntimeError, IndexError, ValueError):  # whatever another world's come to
        return False
    return True


@torch.no_grad()
def run_episodes(policy: Acting, task: BatchedTask, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One episode in each lane: (returns float64, lengths int64, terminated bool), `[lane]` each.

    Raises:
        InputError: An episode does not end, or the world tells numbers that are not finite.
    """
    observation = task.reset(seed)
    returns = torch.zeros(task.lanes, dtype=torch.float64)
    lengths, fallen = torch.zeros(task.lanes, dtype=torch.int64), torch.zeros(task.lanes, dtype=torch.bool)
    going = torch.ones(task.lanes, dtype=torch.bool)
    if isinstance(policy, AnyPolicy) and policy.restart is not None:
        policy.restart(going)
    for _ in range(LONGEST):
        require_finite(observation, going, what="observations")
        actions = act(policy, task, observation)
        step = task.step(require_actions(actions, task.action_space, task.lanes, about=policy.about))
        returns += torch.where(going, require_finite(step.reward, going, what="rewards").double(), 0.0)
        lengths += going
        fallen |= going & step.terminated
        going &= ~(step.terminated | step.truncated)
        if not bool(going.any()):
            return returns.numpy(), lengths.numpy(), fallen.numpy()
        observation = step.observation
    raise InputError.of("world", f"an episode of over {LONGEST} steps", expected="episodes that end")


def act(policy: Acting, task: BatchedTask, observation: Tensor) -> Tensor:
    """The policy's action where the task stands."""
    if isinstance(policy, AnyPolicy):
        return policy.act(observation.to(torch.float32), task.mask())
    if policy.takes == "state":
        assert isinstance(task, SimulatorTask)  # checked by `check_fit`
        return policy.network(task.state)
    mask = task.mask() if takes_mask(policy.network) else None
    return policy.network(observation) if mask is None else policy.network(observation, mask)
