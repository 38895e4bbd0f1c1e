"""The states a policy visits, plain or under a change of what it observes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from livepapers.blocks.distributions import into
from livepapers.blocks.policy_door import AnyPolicy, require_actions, require_largest
from livepapers.core.errors import InputError
from livepapers.core.loop import tell
from livepapers.methods.drl_diagnosis import attacks, changes
from livepapers.methods.drl_diagnosis.attacks import Limits
from livepapers.methods.drl_diagnosis.direction import Values
from livepapers.tasks import worlds
from livepapers.tasks.finite import require_finite
from livepapers.tasks.masks import require_all_allowed
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import BatchedTask, SimulatorTask

Environment: TypeAlias = "str | Mapping[str, Any] | Simulator[Any, Any, Any]"
"""A world of livepapers or a Gymnasium id, a described world (name, arguments), or a simulator."""
Change = Callable[[Tensor], Tensor]
"""Observations `[lane, ...]` -> what the policy sees instead."""
Mode = Literal["act", "relabel"]
Take = Callable[[Tensor, Tensor, Tensor], None]
"""Is handed the states of a step: what the policy saw `[state, ...]`, of which episodes, l2 norms of the change."""
ATTACKS = ("carlini-wagner", "elastic-net", "nesterov", "deepfool")
MOST_LANES = 64
SMALLEST_UNIT = 1e-3  # of the widest range: what never changed has a unit too
LEAST_SIDE = 8  # of a picture without planes
LONGEST = 100_000  # steps of an episode, after which it counts as endless


@dataclass(frozen=True)
class Visited:
    """States of some episodes, episode by episode, in the order of time.

    Attributes:
        states: What the policy saw, `[state, ...]` float32.
        episode: `[state]` int64.
        returns: `[episode]` float64, of the steps that were looked at.
        sizes: l2 norm of the change, `[state]`; zeros without one.
    """

    states: Tensor
    episode: Tensor
    returns: np.ndarray
    sizes: Tensor

    @property
    def size(self) -> float:
        """Mean l2 norm of the change."""
        return float(self.sizes.mean())


def task_of(env: Environment, lanes: int) -> BatchedTask:
    """An environment as a batched task; raises `InputError` for one that does not exist."""
    if isinstance(env, str):
        return worlds.make(*worlds.named(env), lanes=lanes)
    if isinstance(env, Mapping):  # a policy said it, and whoever made its file
        return worlds.make(*worlds.of_file(env, field="policy", option="--env"), lanes=lanes)
    return SimulatorTask(env, lanes)


@torch.no_grad()
def walk(
    policy: AnyPolicy | None,
    env: Environment,
    *,
    episodes: int,
    seed: int,
    change: Change | None = None,
    mode: Mode = "act",
    horizon: int = 0,
    take: Take | None = None,
    unit: Tensor | None = None,
    told_as: str = "episodes",
) -> np.ndarray:
    """Play the first episodes of as many lanes; of the states nothing is kept, `take` sees them pass.

    Args:
        policy: Acts as it is, without exploration; None acts uniformly at random.
        env: Where.
        episodes: How many.
        seed: Of the environment.
        change: Of what is observed; None: nothing is changed.
        mode: act: the policy acts on what was changed, so it visits other states too. relabel: it acts on what is
            there, and the states it visits are changed afterwards.
        horizon: Steps that are looked at; 0: whole episodes.
        take: Called after each step; the states of an episode come in the order of time.
        unit: `[number]`, what changes are measured in; None: the observation's units.
        told_as: What progress calls them.

    Returns:
        Return of the steps that were looked at, `[episode]` float64.

    Raises:
        InputError: The policy does not fit the environment or acts otherwise than by its values, an episode does not
            end, or the environment forbids actions or tells numbers that are not finite.
    """
    if episodes < 1:
        raise InputError.of("episodes", episodes, expected="a whole number >= 1")
    parts: list[np.ndarray] = []
    done, stream = 0, torch.Generator().manual_seed(seed)
    while done < episodes:
        with worlds.closing(task_of(env, min(MOST_LANES, episodes - done))) as task:
            fits(policy, task)
            played = _Round(policy, task, change, mode, take, unit, told_as, first=done)
            parts.append(played.play((seed + done) % 2**31, horizon, stream))
            done += task.lanes
    return np.concatenate(parts)


def collect(
    policy: AnyPolicy | None, env: Environment, *, episodes: int, seed: int, change: Change | None = None,
    mode: Mode = "act", horizon: int = 0,
) -> Visited:  # fmt: skip
    """What a `walk` sees, kept whole: 25,000 pictures of 4 x 84 x 84 are 2.8 GB."""
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    returns = walk(
        policy, env, episodes=episodes, seed=seed, change=change, mode=mode, horizon=horizon,
        take=lambda *step: seen.append(step),
    )  # fmt: skip
    states, episode, sizes = (torch.cat(column) for column in zip(*seen, strict=True))
    order = episode.argsort(stable=True)
    return Visited(states[order], episode[order], returns, sizes[order])


def limits_of(space: Any, seen: tuple[Tensor, Tensor], size: float) -> Limits:
    """What attacks may do: the range is the space's, or where it has none, that of the numbers seen.

    Pictures have one range. Other observations without bounds have one for each number, since angles and speeds have
    nothing in common; a number that hardly changed counts as if its range were a thousandth of the widest.

    Args:
        space: Of observations.
        seen: Least and largest of each number in the states visited, in the observation's shape.
        size: Of the largest change, in shares of the range.
    """
    low, high = seen
    if has_own_ranges(space):
        span = high - low
        return Limits(size, low, high, span.clamp(min=SMALLEST_UNIT * float(span.max())))
    least, most = float(low.min()), float(high.max())
    if _bounded(space):
        least, most = float(space.low.min()), float(space.high.max())
    return Limits(size * (most - least), least, most)


def has_own_ranges(space: Any) -> bool:
    """Whether each number of an observation has a range of its own: without bounds, and no picture."""
    return not _bounded(space) and not is_picture(space.shape or ())


def is_picture(shape: tuple[int, ...]) -> bool:
    """Whether observations, or directions, of this shape have rows and columns.

    A few vectors that are seen together have neither: two dimensions are a picture from `LEAST_SIDE` a side on.
    """
    return len(shape) == 3 or (len(shape) == 2 and min(shape) >= LEAST_SIDE)


def _bounded(space: Any) -> bool:
    return isinstance(space, Box) and space.is_bounded("both") and float(space.high.max()) < 1e6


def change_called(name: str, values: Values, limits: Limits, shape: tuple[int, ...]) -> Change:
    """A change by name: an attack on these values, or a natural change of pictures.

    Raises:
        InputError: No such change, or a natural one of what is no picture.
    """
    if name in ATTACKS:
        return lambda seen: _attacked(name, values, seen, limits)
    if name not in changes.NATURAL:
        raise InputError.of("changes", name, expected=f"one of {', '.join((*ATTACKS, *changes.NATURAL))}")
    if not is_picture(shape):
        cause = "rotations and the like need rows and columns"
        raise InputError.of("changes", f"{name} of observations {shape}", expected="pictures", cause=cause)
    last = len(shape) == 3 and shape[-1] < shape[0]  # planes are fewer than rows

    def changed(seen: Tensor) -> Tensor:
        pictures = seen.movedim(-1, 1) if last else seen if len(shape) == 3 else seen[:, None]
        found = changes.natural(name, pictures, low=float(limits.low), high=float(limits.high))
        return (found.movedim(1, -1) if last else found).reshape(seen.shape)

    return changed


def picture_of(direction: Tensor) -> Tensor:
    """A direction with planes first, where it has planes that come last."""
    last = direction.dim() == 3 and direction.shape[-1] < direction.shape[0]
    return direction.movedim(-1, 0) if last else direction


def _attacked(name: str, values: Values, seen: Tensor, limits: Limits) -> Tensor:
    """An attack on numbers from 0 to 1: the penalties of Carlini and Wagner have no meaning in other units."""
    low, span = limits.low, limits.span
    if float(torch.as_tensor(span).max()) <= 0.0:
        return seen
    attack = {"nesterov": attacks.nesterov, "deepfool": attacks.deepfool}.get(name, attacks.carlini_wagner)
    given = {"sparse": 0.05} if name == "elastic-net" else {}
    found = attack(
        lambda shares: values(low + span * shares), (seen - low) / span,
        limits=Limits(limits.shares(limits.size)), **given,
    )  # fmt: skip
    return low + span * found


def fits(policy: AnyPolicy | None, task: BatchedTask) -> None:
    """Raise `InputError` where a policy cannot be diagnosed in a task."""
    if policy is not None and policy.actions is not None and not isinstance(policy.actions, Discrete):
        raise InputError.of("policy", f"{policy.about}, of actions {policy.actions}", expected="discrete actions")
    if not isinstance(task.action_space, Discrete):
        raise InputError.of("env", str(task.action_space), expected="discrete actions")
    shape = task.observation_space.shape
    if policy is not None and policy.shape is not None and policy.shape != shape:
        cause = "was it made for another world?"
        raise InputError.of("policy", f"observations of shape {policy.shape}", expected=f"{shape}", cause=cause)
    if policy is not None and isinstance(policy.actions, Discrete) and policy.actions.n != task.action_space.n:
        cause = "was it made for another world?"
        raise InputError.of("policy", f"{policy.actions.n} actions", expected=f"{task.action_space.n}", cause=cause)


@dataclass(frozen=True)
class _Round:
    """One episode of each lane of a task; `first` is the number of lane 0's."""

    policy: AnyPolicy | None
    task: BatchedTask
    change: Change | None
    mode: Mode
    take: Take | None
    unit: Tensor | None
    told_as: str
    first: int

    def play(self, seed: int, horizon: int, stream: torch.Generator) -> np.ndarray:
        """Returns `[lane]`, of the first steps up to the horizon; 0: of whole episodes."""
        task, policy = self.task, self.policy
        inside, going = into(task.action_space), torch.ones(task.lanes, dtype=torch.bool)
        returns = torch.zeros(task.lanes, dtype=torch.float64)
        observation = task.reset(seed)
        if policy is not None and policy.restart is not None:
            policy.restart(going)
        for step in range(1, (horizon or LONGEST) + 1):
            observation = require_finite(observation, going, what="observations").to(torch.float32)
            shown = self._shown(observation, torch.nonzero(going)[:, 0])
            acted_on = shown if self.mode == "act" else observation
            action = _action(policy, task, acted_on, stream)
            if policy is not None and step == 1:
                space: Any = task.action_space  # a Discrete one, see `fits`
                require_largest(policy, acted_on, action, space)
            result = task.step(inside(action))
            returns += torch.where(going, require_finite(result.reward, going, what="rewards").double(), 0.0)
            going = going & ~(result.terminated | result.truncated)
            tell(self.told_as, *((step, horizon) if horizon else (int((~going).sum()), task.lanes)))
            if not bool(going.any()):
                break
            observation = result.observation
        else:
            if not horizon:
                raise InputError.of("env", f"an episode of over {LONGEST:,} steps", expected="episodes that end")
        return returns.numpy()

    def _shown(self, plain: Tensor, live: Tensor) -> Tensor:
        """What the policy sees instead of what is there, in the lanes whose episode goes on."""
        shown = plain
        if self.change is not None:
            shown = plain.clone()
            shown[live] = self.change(plain[live])
        if self.take is not None:
            moved = (shown - plain)[live]
            moved = moved if self.unit is None else moved / self.unit
            self.take(shown[live], self.first + live, moved.flatten(1).norm(dim=1))
        return shown


def _action(policy: AnyPolicy | None, task: BatchedTask, seen: Tensor, stream: torch.Generator) -> Tensor:
    mask = task.mask()
    if policy is not None:
        require_all_allowed(mask, what="a diagnosis")
        return require_actions(policy.act(seen, mask), task.action_space, task.lanes, about=policy.about)
    assert isinstance(task.action_space, Discrete)  # checked before
    chances = torch.ones(task.lanes, int(task.action_space.n)) if mask is None else mask.float()
    return torch.multinomial(chances, 1, generator=stream)[:, 0] + int(task.action_space.start)
