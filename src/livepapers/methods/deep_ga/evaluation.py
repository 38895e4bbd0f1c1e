"""Whole episodes of a population: all networks and all worlds move together."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from livepapers.core.compiling import Compile, Compiler
from livepapers.core.errors import InputError
from livepapers.core.rng import generator as make_generator
from livepapers.methods.deep_ga.networks import Layout
from livepapers.tasks import worlds
from livepapers.tasks.finite import require_finite
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import BatchedTask, GymnasiumTask, choose

World: TypeAlias = "Simulator[Any, Any, Any] | Callable[[int], BatchedTask]"
"""A simulator, or what makes a batched task of so many lanes."""
ENVIRONMENTS = 64
"""Most copies of an environment that is no simulator."""
LONGEST = 100_000
PIECE = 10
"""Most steps that are compiled as one."""


class Evaluated(NamedTuple):
    """What P individuals did in E episodes each."""

    returns: Tensor  # [P, E] undiscounted
    steps: int  # of all episodes together
    behaviour: Tensor  # [P, d] of each one's last episode

    @classmethod
    def together(cls, parts: "Sequence[Evaluated]") -> "Evaluated":
        """Shares of a population as one."""
        returns, behaviour = torch.cat([p.returns for p in parts]), torch.cat([p.behaviour for p in parts])
        return cls(returns, sum(part.steps for part in parts), behaviour)


class _Moment(NamedTuple):
    """Where the episodes of a batch stand."""

    state: Any
    returns: Tensor  # [B]
    going: Tensor  # [B] bool
    steps: Tensor  # [] int64, of all together


class Evaluator:
    """Runs populations in one world.

    Args:
        world: Where.
        layout: The individuals' network.
        side_by_side: Most episodes that run as one batch.
        cap: Steps after which an episode is cut; 0: only the world ends it.
        compiled: Whether steps in a simulator are compiled, see `core.compiling`.

    Raises:
        InputError: Steps outside a simulator cannot be compiled.
    """

    def __init__(
        self, world: World, layout: Layout, *, side_by_side: int, cap: int = 0, compiled: Compile = "never"
    ) -> None:
        self.world, self.layout, self.cap = world, layout, cap
        self.simulated = isinstance(world, Simulator)
        if compiled != "never" and not self.simulated:
            raise InputError.of("compile", compiled, expected="never", cause="the environment is no batched simulator")
        self.compiler = Compiler(compiled)
        self._steps = self.compiler.wrap(self._stepped)
        self.most = side_by_side if self.simulated else min(side_by_side, ENVIRONMENTS)
        self._tasks: dict[int, BatchedTask] = {}

    @property
    def behaviour_size(self) -> int:
        """Numbers in a behaviour: what the world says, or those of the last observation."""
        own = getattr(self.world, "behaviour_size", None)
        return int(own) if own is not None else int(np.prod(self.layout.observation_space.shape or ()))

    def __call__(self, weights: Callable[[int], np.ndarray], count: int, *, episodes: int, seed: int) -> Evaluated:
        """Evaluate `count` individuals, `weights(i)` being `[parameter]` float32; equal seeds give equal worlds."""
        shares = self.shares(count, episodes)
        return Evaluated.together([self.share(weights, who, episodes=episodes, seed=seed) for who in shares])

    def shares(self, count: int, episodes: int) -> list[range]:
        """Who runs as one batch. No share's numbers depend on another's, so each may be evaluated anywhere."""
        size = max(self.most // min(episodes, self.most), 1)
        return [range(first, min(first + size, count)) for first in range(0, count, size)]

    @torch.no_grad()
    def share(self, weights: Callable[[int], np.ndarray], who: range, *, episodes: int, seed: int) -> Evaluated:
        """Evaluate one of `shares`."""
        lanes = min(episodes, self.most)
        theta = torch.from_numpy(np.stack([weights(i) for i in who]))
        rounds = [
            self._run(theta, min(lanes, episodes - begin), make_generator(seed, "episodes", who.start, begin))
            for begin in range(0, episodes, lanes)
        ]
        returns = torch.cat([one.returns for one in rounds], 1)
        return Evaluated(returns, sum(one.steps for one in rounds), rounds[-1].behaviour)

    def _run(self, theta: Tensor, lanes: int, stream: torch.Generator) -> Evaluated:
        run = self._simulate if self.simulated else self._play
        returns, steps, behaviour = run(theta, lanes, stream)
        return Evaluated(returns.reshape(-1, lanes), steps, behaviour.reshape(len(theta), lanes, -1)[:, -1])

    def _actions(self, theta: Tensor, seen: Tensor, mask: Tensor | None) -> Tensor:
        """`[P * L, ...] -> [P * L, ...]`, individuals slowest."""
        shape = (len(theta), -1)
        allowed = None if mask is None else mask.unflatten(0, shape)
        return self.layout.act(theta, seen.unflatten(0, shape), allowed).flatten(0, 1)

    @torch.no_grad()
    def settle(self, individuals: int = 1, lanes: int = 1) -> None:
        """Find out whether steps can be compiled, before anything that counts is evaluated one way or the other."""
        if self.compiler.undecided:
            theta = torch.zeros(individuals, self.layout.parameters)
            self._walk(theta, lanes, make_generator(0, "settle"), one_piece=True)

    def _simulate(self, theta: Tensor, lanes: int, stream: torch.Generator) -> tuple[Tensor, int, Tensor]:
        self.settle(len(theta), lanes)
        world: Any = self.world
        moment = self._walk(theta, lanes, stream)
        describe = getattr(world, "behaviour", world.observe)
        return moment.returns, int(moment.steps), describe(moment.state).reshape(len(moment.going), -1).float()

    def _walk(self, theta: Tensor, lanes: int, stream: torch.Generator, *, one_piece: bool = False) -> _Moment:
        """From the start to the end, or one piece far."""
        world: Any = self.world
        batch, horizon, piece = len(theta) * lanes, min(world.horizon, self.cap or world.horizon), 1
        if self.compiler.on:
            piece = max(size for size in range(1, PIECE + 1) if horizon % size == 0)
            theta = theta.T.contiguous().T if self.layout.small else theta
        going = torch.ones(batch, dtype=torch.bool)
        moment = _Moment(world.initial(batch, stream), torch.zeros(batch), going, torch.zeros((), dtype=torch.int64))
        for first in range(0, piece if one_piece else horizon, piece):
            noise = [world.draw(batch, t, stream) for t in range(first, first + piece)]
            moment = self._steps(theta, moment, noise)
            if not bool(moment.going.any()):
                break
        return moment

    def _stepped(self, theta: Tensor, moment: _Moment, noise: Sequence[Any]) -> _Moment:
        """A step for each noise."""
        world: Any = self.world
        state, returns, going, steps = moment
        for drawn in noise:
            post, decided = world.decide(state, self._actions(theta, world.observe(state), world.mask(state)))
            after, resolved, terminated = world.resolve(post, drawn)
            returns = returns + torch.where(going, decided + resolved, 0.0)
            steps = steps + going.sum()
            all_go = not torch.compiler.is_compiling() and bool(going.all())
            state = after if all_go else choose(going, after, state)  # what ended stays where it ended
            going = going & ~terminated
        return _Moment(state, returns, going, steps)

    def _play(self, theta: Tensor, lanes: int, stream: torch.Generator) -> tuple[Tensor, int, Tensor]:
        batch = len(theta) * lanes
        task = self._tasks.get(batch)
        if task is None:
            task = self._tasks[batch] = self.world(batch)  # type: ignore[operator]  # it is no simulator
        returns, going, steps = torch.zeros(batch), torch.ones(batch, dtype=torch.bool), 0
        seen = task.reset(int(torch.randint(2**31, (), generator=stream)))
        behaviour = torch.zeros(batch, self.behaviour_size)
        for _ in range(self.cap or LONGEST):
            require_finite(seen, going, what="observations")
            step = task.step(self._actions(theta, seen, task.mask()))
            returns += torch.where(going, require_finite(step.reward, going, what="rewards"), 0.0)
            steps += int(going.sum())
            behaviour = torch.where(going[:, None], step.final.reshape(batch, -1).to(torch.float32), behaviour)
            going = going & ~(step.terminated | step.truncated)
            if not bool(going.any()):
                return returns, steps, behaviour
            seen = step.observation
        if not self.cap:
            cause = "--cap cuts them"
            raise InputError.of(
                "env", f"an episode of over {LONGEST:,} steps", expected="episodes that end", cause=cause
            )
        return returns, steps, behaviour


def world_of(name: str, arguments: dict[str, Any] | None = None) -> tuple[World, Any, Any]:
    """(The world, its observation space, its action space) by livepapers' name or Gymnasium id; raises `InputError`."""
    full, asked = worlds.named(name)
    told = {**asked, **(arguments or {})}
    if full in worlds.WORLDS:
        simulator = worlds.simulator(full, told)
        return simulator, simulator.observation_space, simulator.action_space
    task = worlds.make(full, told, lanes=1)

    def make(lanes: int) -> BatchedTask:
        return worlds.make(full, told, lanes=lanes)

    return make, task.observation_space, task.action_space


def names_limit(world: World) -> bool:
    """Whether the world itself says after how many steps an episode is cut: Gymnasium's say it in their registration.

    Whether episodes without such a limit end, nobody knows before they do.
    """
    task = None if isinstance(world, Simulator) else world(1)
    if not isinstance(task, GymnasiumTask):
        return True
    task.close()
    return task.env.spec is not None and task.env.spec.max_episode_steps is not None
