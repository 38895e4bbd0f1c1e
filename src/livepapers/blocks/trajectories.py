"""Batches of trajectories through a construction: forward rollouts, truncation, backward walks, transitions."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Construction

Logits = Callable[[Tensor], Tensor]
"""States, mostly as `env.encode` gives them, `[batch, features]` -> logits `[batch, actions]`."""


@dataclass(frozen=True)
class Trajectories:
    """B trajectories of at most T actions, padded at the end."""

    states: Tensor  # [T + 1, B, ...]; behind the end the last state stands repeated
    actions: Tensor  # [T, B] int64; `env.moves` is the stop action; 0 behind the end
    length: Tensor  # [B] int64 actions that are kept
    ended: Tensor  # [B] bool: the last action finished the object (False after truncation)

    @property
    def live(self) -> Tensor:
        """Which actions are real, `[T, B]` bool."""
        return torch.arange(len(self.actions))[:, None] < self.length[None, :]

    @property
    def last(self) -> Tensor:
        """The last state of each trajectory, `[B, ...]`."""
        return self.states[self.length, torch.arange(len(self.length))]


def rollout(
    env: Construction,
    batch: int,
    *,
    generator: torch.Generator,
    logits: Logits | None = None,
    epsilon: float = 0.0,
    temperature: float = 1.0,
    of_states: bool = False,
) -> Trajectories:
    """Sample `batch` trajectories from (1 - epsilon) softmax(logits / temperature) + epsilon uniform.

    Args:
        env: The construction.
        batch: How many.
        generator: Source of all draws; the number of draws does not depend on `logits`.
        logits: The policy; None is uniform over the allowed moves.
        epsilon: Share of uniform moves.
        temperature: Above 1 flattens the policy.
        of_states: Whether `logits` is a function of states, not of what `env.encode` makes of them.
    """
    # inference mode: the walk is data, and its few small operations each cost more in bookkeeping than in arithmetic
    seen = logits if logits is None or of_states else lambda state: logits(env.encode(state))
    with torch.inference_mode():
        states, actions, length = _walk(env, batch, generator, seen, epsilon, temperature)
    if states:
        joined, taken = torch.stack(states), torch.stack(actions)
    else:
        joined, taken = env.root(batch)[None], torch.empty(0, batch, dtype=torch.int64)
    return Trajectories(joined, taken, length.clone(), torch.ones(batch, dtype=torch.bool))


def _walk(
    env: Construction,
    batch: int,
    generator: torch.Generator,
    policy: Logits | None,
    epsilon: float,
    temperature: float,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    explore = torch.rand(env.longest, batch, 1, generator=generator) < epsilon
    only_uniform = explore.flatten(1).all(dim=1).tolist()
    # below 1 even after rounding, so that a draw never passes the last entry of a cumulative sum
    draws = torch.rand(env.longest, batch, 1, generator=generator).mul_(1.0 - 2.0**-22).unbind()
    uniform = explore.unbind()
    state = env.root(batch)
    alive, length = ~env.is_terminal(state), torch.zeros(batch, dtype=torch.int64)
    together = not env.has_stop and bool(alive.all())  # while all walk in step, no row needs to be held back
    states, actions = [state], []
    zero, never = torch.zeros(()), torch.tensor(-torch.inf)  # as tensors: `where` makes one from a number at each call
    while together or alive.any():
        t = len(actions)
        if t == env.longest:
            raise InputError.of("longest", env.longest, expected="the length of the longest trajectory")
        allowed = env.forward_mask(state)
        if policy is None or only_uniform[t]:
            action = _draw(allowed.to(torch.float32), draws[t])
        else:
            guided = policy(state)
            guided = guided if temperature == 1.0 else guided / temperature
            guided = guided if epsilon == 0.0 else torch.where(uniform[t], zero, guided)
            action = _draw(torch.where(allowed, guided, never).softmax(dim=1), draws[t])
        if together:
            state = env.step(state, action)
            if t + 1 >= env.shortest:  # before that no row can have ended
                alive = ~env.is_terminal(state)
                together = bool(alive.all())
                length.fill_(t + 1)
        else:
            action = torch.where(alive, action, 0)
            moving = alive & (action < env.moves)
            child = env.step(state, torch.where(moving, action, 0))
            state = torch.where(moving.reshape(batch, *[1] * (state.ndim - 1)), child, state)
            length += alive
            alive = moving if env.has_stop else moving & ~env.is_terminal(state)
        states.append(state)
        actions.append(action)
    return states, actions, length


def _draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """One index a row with probability proportional to `weights`: `[batch, n]`, `[batch, 1]` in [0, 1) -> `[batch]`.

    Inverse distribution function: several times faster than exponential or Gumbel noise, which needs a logarithm for
    every entry. Entries of weight 0 are never drawn: the cumulative sum does not rise there.
    """
    cumulative = weights.cumsum(dim=1)
    found = torch.searchsorted(cumulative, cumulative[:, -1:] * uniform, right=True)
    return found.squeeze(1).clamp_(max=weights.shape[1] - 1)  # a row that has ended has no weight and gives index n


def truncate(trajectories: Trajectories, probability: float, *, generator: torch.Generator) -> Trajectories:
    """Keep of a trajectory, with `probability`, only the first l ~ Uniform{1 .. length - 1} actions.

    A truncated trajectory has lost its finished object. Trajectories of one action stay whole.
    """
    if not 0.0 <= probability <= 1.0:
        raise InputError.of("probability", probability, expected="a number from 0 to 1")
    length = trajectories.length
    draw = torch.rand(2, len(length), generator=generator)
    cut = (draw[0] < probability) & (length > 1)
    kept = 1 + (draw[1] * (length - 1)).floor().to(torch.int64).clamp(max=(length - 2).clamp(min=0))
    return Trajectories(
        trajectories.states, trajectories.actions, torch.where(cut, kept, length), trajectories.ended & ~cut
    )


def walk_back(
    env: Construction, objects: Tensor, *, generator: torch.Generator, logits: Logits | None = None
) -> Trajectories:
    """One backward walk from each finished object to the root, as forward trajectories.

    Args:
        env: The construction.
        objects: Finished objects, `[B, ...]`.
        generator: Source of the draws.
        logits: P_B before masking, encoded states -> `[B, moves]`; None is uniform.
    """
    batch = len(objects)
    rows = torch.arange(batch)
    with torch.no_grad():
        state, states, moves = objects, [objects], []
        length = torch.zeros(batch, dtype=torch.int64)
        while True:
            allowed = env.backward_mask(state)
            alive = allowed.any(dim=1)
            if not alive.any():
                break
            weights = allowed.to(torch.float32)
            if logits is not None:
                scores = torch.where(allowed, logits(env.encode(state)), -torch.inf)
                weights = torch.where(alive[:, None], scores, 0.0).softmax(dim=1)
            move = _draw(weights, torch.rand(batch, 1, generator=generator) * (1.0 - 2.0**-22))
            shape = (batch, *[1] * (state.ndim - 1))
            state = torch.where(alive.reshape(shape), env.undo(state, torch.where(alive, move, 0)), state)
            length = length + alive
            states.append(state)
            moves.append(move)
        steps = len(moves)
        backwards, undone = torch.stack(states), torch.stack([*moves, torch.zeros_like(length)])
        # forward time t of a walk of length l is backward time l - t; behind the end the object stands repeated
        time = torch.arange(steps + 1)[:, None]
        forwards = backwards[(length - time).clamp(min=0), rows]
        taken = torch.where(time < length, undone[(length - 1 - time).clamp(min=0), rows], 0)[:steps]
        if env.has_stop:
            forwards = torch.cat([forwards, forwards[-1:]])
            taken = torch.cat(
                [taken, torch.zeros_like(taken[:1]) if steps else torch.zeros(1, batch, dtype=torch.int64)]
            )
            taken[length, rows] = env.moves
            length = length + 1
    return Trajectories(forwards, taken, length, torch.ones(batch, dtype=torch.bool))


@dataclass(frozen=True)
class Transitions:
    """The real transitions of a batch. States lie time-major, so transition r leads from row r to row r + width."""

    states: Tensor  # [(T + 1) * B, ...]
    actions: Tensor  # [transition]
    parents: Tensor  # [transition, ...]
    children: Tensor  # [transition, ...]
    rows: Tensor | None  # [transition] where there is padding; None where all T * B are real
    steps: int
    width: int

    @classmethod
    def of(cls, batch: Trajectories) -> "Transitions":
        """The transitions that are kept of a batch."""
        live, steps, width = batch.live, *batch.actions.shape
        states, actions = batch.states.flatten(0, 1), batch.actions.flatten()
        if live.all():
            return cls(states, actions, states[: steps * width], states[width:], None, steps, width)
        rows = live.flatten().nonzero().squeeze(1)
        return cls(states, actions[rows], states[rows], states[rows + width], rows, steps, width)

    def spread(self, values: Tensor) -> Tensor:
        """Back into `[T, B]`, zeros in the padding."""
        if self.rows is None:
            return values.view(self.steps, self.width)
        flat = values.new_zeros(self.steps * self.width).index_put((self.rows,), values)
        return flat.view(self.steps, self.width)
