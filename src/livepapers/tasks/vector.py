"""One simulator, three faces, and the way in for Gymnasium environments.

Learners see a `BatchedTask`: tensors in, tensors out, lanes that restart by themselves. A simulator becomes one with
`SimulatorTask`, any Gymnasium vector environment with `GymnasiumTask`. For the outside, `SimulatorVectorEnv` shows a
simulator as a `gymnasium.vector.VectorEnv` and `SimulatorEnv` as a `gymnasium.Env`.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces.utils import flatten, flatten_space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate
from torch import Tensor

from livepapers.core import user_code
from livepapers.core.checkpoint import require_keys
from livepapers.core.compiling import Compile, Compiler
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.tasks.simulator import Simulator

StateT = TypeVar("StateT")
MASK = "action_mask"
"""Where infos of Gymnasium tell which discrete actions are allowed."""


class Step(NamedTuple):
    """What one step of all lanes gives. Lanes that ended have already restarted."""

    observation: Tensor  # [lane, ...] of the state to act in next
    reward: Tensor  # [lane]
    terminated: Tensor  # [lane] bool: the problem ended; nothing follows
    truncated: Tensor  # [lane] bool: the horizon cut it; a critic bootstraps from `final`
    final: Tensor  # [lane, ...] observation the step led to, before the restart; equal to `observation` elsewhere
    final_mask: Tensor | None = None  # [lane, action] bool allowed there, given where a lane was truncated


class BatchedTask(Protocol):
    """What learners act in."""

    lanes: int
    observation_space: gymnasium.Space  # of one lane
    action_space: gymnasium.Space  # of one lane

    def reset(self, seed: int) -> Tensor:
        """Start all lanes; the same seed gives the same episodes, and two policies the same worlds."""
        ...

    def step(self, action: Tensor) -> Step:
        """Act in all lanes, `action` `[lane, ...]`."""
        ...

    def mask(self) -> Tensor | None:
        """Allowed discrete actions in the present states, `[lane, action]` bool, or None."""
        ...


class SimulatorTask(Generic[StateT]):
    """A simulator as a batched task, without leaving tensors.

    Noise is keyed by (seed, round, t), `t` counting the batch's steps since its last restart: arms that act in tasks
    of one seed and size meet common random numbers. Rounds end when all lanes are truncated together.

    Args:
        simulator: The world.
        lanes: How many of it.
        compiled: Whether a step is compiled, for worlds whose every step ends some lanes; see `core.compiling`.
    """

    def __init__(self, simulator: Simulator[StateT, Any, Any], lanes: int, *, compiled: Compile = "never") -> None:
        if lanes < 1:
            raise InputError.of("lanes", lanes, expected="a whole number >= 1")
        self.simulator = simulator
        self.lanes = lanes
        self.observation_space, self.action_space = simulator.observation_space, simulator.action_space
        self.state: StateT | None = None
        self._seed = self._round = self._time = 0
        self._elapsed = torch.zeros(lanes, dtype=torch.int64)
        self._compiler = Compiler(compiled)
        self._fused = self._compiler.wrap(self._whole_step)

    def reset(self, seed: int) -> Tensor:
        """Start all lanes from `seed`."""
        self._seed, self._round = seed, 0
        return self._restart()

    def step(self, action: Tensor) -> Step:
        """Both halves of a step for all lanes; ended lanes restart."""
        if self.state is None:
            raise InputError.of("step", "a task that was never reset", expected="a call of reset first")
        if self._compiler.on:
            return self._compiled_step(action)
        with torch.no_grad():
            post, decided = self.simulator.decide(self.state, action)
            noise = self.simulator.draw(self.lanes, self._time, self._stream("noise"))
            self.state, resolved, terminated = self.simulator.resolve(post, noise)
        self._time += 1
        self._elapsed = self._elapsed + 1
        truncated = (self._elapsed >= self.simulator.horizon) & ~terminated
        final = self.simulator.observe(self.state)
        final_mask = self.simulator.mask(self.state) if bool(truncated.any()) else None
        ended = terminated | truncated
        observation = final
        if bool(ended.all()):
            self._round += 1
            observation = self._restart()
        elif bool(ended.any()):
            fresh = self.simulator.initial(self.lanes, self._stream("restart"))
            self.state = choose(ended, fresh, self.state)
            self._elapsed = torch.where(ended, 0, self._elapsed)
            observation = self.simulator.observe(self.state)
        return Step(observation, decided + resolved, terminated, truncated, final, final_mask)

    @torch.no_grad()
    def _compiled_step(self, action: Tensor) -> Step:
        """`step` in one call; what ended lanes would restart from is drawn in any case."""
        noise = self.simulator.draw(self.lanes, self._time, self._stream("noise"))
        self._time += 1
        fresh = self.simulator.initial(self.lanes, self._stream("restart"))
        self.state, self._elapsed, over, step = self._fused(self.state, action, noise, fresh, self._elapsed)
        if bool(over):
            self._round += 1
            step = step._replace(observation=self._restart())
        return step

    def _whole_step(
        self, state: StateT, action: Tensor, noise: Any, fresh: StateT, elapsed: Tensor
    ) -> tuple[StateT, Tensor, Tensor, Step]:
        """(Next state, steps of the episodes, whether all ended, what the step gives), ended lanes restarted."""
        post, decided = self.simulator.decide(state, action)
        after, resolved, terminated = self.simulator.resolve(post, noise)
        elapsed = elapsed + 1
        truncated = (elapsed >= self.simulator.horizon) & ~terminated
        ended = terminated | truncated
        kept = choose(ended, fresh, after)
        final, observation = self.simulator.observe(after), self.simulator.observe(kept)
        mask = self.simulator.mask(after)
        step = Step(observation, decided + resolved, terminated, truncated, final, mask)
        return kept, torch.where(ended, 0, elapsed), ended.all(), step

    def mask(self) -> Tensor | None:
        """Allowed actions in the present states."""
        return None if self.state is None else self.simulator.mask(self.state)

    def state_dict(self) -> dict[str, Any]:
        """Where all lanes stand; None instead of a state before the first reset."""
        return {
            "seed": self._seed,
            "round": self._round,
            "time": self._time,
            "elapsed": self._elapsed,
            "state": None if self.state is None else [leaf.clone() for leaf in leaves(self.state)],
            "compiled": self._compiler.on,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state made by `state_dict`; raises `CorruptFileError` and changes nothing if it does not fit."""
        template = self.simulator.initial(self.lanes, generator(0, "template"))
        expected = {**self.state_dict(), "state": None}
        require_keys({**state, "state": None}, expected, what="task state")
        kept = None
        if state["state"] is not None:
            tensors = dict(enumerate(leaves(template)))
            require_keys(dict(enumerate(state["state"])), tensors, what="task state")  # type: ignore[arg-type]
            kept = rebuilt(template, iter(state["state"]))
        self._compiler.check(bool(state["compiled"]))
        self._seed, self._round, self._time = int(state["seed"]), int(state["round"]), int(state["time"])
        self._elapsed, self.state = state["elapsed"].clone(), kept
        self._compiler.follow(bool(state["compiled"]))

    def _restart(self) -> Tensor:
        self._time = 0
        self._elapsed = torch.zeros(self.lanes, dtype=torch.int64)
        self.state = self.simulator.initial(self.lanes, self._stream("initial"))
        return self.simulator.observe(self.state)

    def _stream(self, name: str) -> torch.Generator:
        return generator(self._seed, name, self._round, self._time)


def choose(where: Tensor, yes: StateT, no: StateT) -> StateT:
    """Lane-wise choice between two states (NamedTuples of tensors, or single tensors); `where` `[lane]` bool."""
    if isinstance(yes, Tensor) and isinstance(no, Tensor):
        return torch.where(where.reshape(-1, *[1] * (yes.dim() - 1)), yes, no)  # type: ignore[return-value]
    parts = [choose(where, a, b) for a, b in zip(yes, no, strict=True)]  # type: ignore[call-overload]
    return type(yes)(*parts)


def task_state(task: BatchedTask) -> dict[str, Any] | None:
    """Where the lanes of a task stand; None when the task cannot say it."""
    save = getattr(task, "state_dict", None)
    return None if save is None else save()


def load_task_state(task: BatchedTask, state: Mapping[str, Any] | None) -> bool:
    """Put a task where it stood; False when the task cannot be put anywhere. Raises `CorruptFileError` for a misfit."""
    load = getattr(task, "load_state_dict", None)
    if (load is None) != (state is None):
        raise CorruptFileError("task state: the state of a simulator belongs to a simulator")
    if load is None:
        return False
    load(state)
    return True


def leaves(state: Any) -> list[Tensor]:
    """The tensors of a state (NamedTuples of tensors, or single tensors), in order."""
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in leaves(part)]


def rebuilt(template: StateT, tensors: Iterator[Tensor]) -> StateT:
    """A state shaped like `template`, made of copies of the next tensors: the inverse of `leaves`."""
    if isinstance(template, Tensor):
        return next(tensors).clone()  # type: ignore[return-value]
    parts = [rebuilt(part, tensors) for part in template]  # type: ignore[attr-defined]
    return type(template)(*parts)


class GymnasiumTask:
    """Any Gymnasium vector environment as a batched task; such tasks share reset seeds only.

    Observations that are no boxes of numbers side by side (dictionaries, tuples, discrete ones) are flattened as
    `gymnasium.spaces.utils.flatten` does it: discrete parts become one-hot. Where the info of a reset tells an
    `action_mask` of discrete actions (1: allowed; several parts one after the other, or as a tuple), so does `mask`; a
    later step whose info tells none allows all.

    Args:
        env: A vector environment in same-step autoreset mode; `GymnasiumTask.make` builds one.
    """

    def __init__(self, env: VectorEnv) -> None:
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.SAME_STEP:
            raise InputError.of(
                "env", mode, expected="a vector environment in AutoresetMode.SAME_STEP", cause="use GymnasiumTask.make"
            )
        self.env, self.lanes = env, env.num_envs
        self.observation_space, self.action_space = env.single_observation_space, env.single_action_space
        self.info: Mapping[str, Any] = {}
        """What the last step told beside observations; `told` reads it."""
        self._parts, self._masked = _choices(self.action_space), False
        self._actions = sum(self._parts)
        seen = self.observation_space
        self._flattened = not isinstance(seen, gymnasium.spaces.Box) or not seen.shape
        if self._flattened:
            flat = flatten_space(env.single_observation_space)
            if not isinstance(flat, gymnasium.spaces.Box):
                raise InputError.of("env", str(env.single_observation_space), expected="observations of a fixed size")
            self.observation_space = gymnasium.spaces.Box(
                flat.low.astype(np.float32), flat.high.astype(np.float32), dtype=np.float32
            )

    @classmethod
    def make(cls, env_id: str, lanes: int, **arguments: Any) -> "GymnasiumTask":
        """Build `lanes` copies of a registered environment; raises `InputError` for an unknown id or argument.

        `module:id` imports the module, also from the present folder: `worlds.of_file` lets no file name one.
        """
        options = {"autoreset_mode": AutoresetMode.SAME_STEP}
        try:
            with user_code.importable(env_id), user_code.running(env_id, field="env"):
                made = gymnasium.make_vec(env_id, lanes, vectorization_mode="sync", vector_kwargs=options, **arguments)
        except InputError as error:
            if isinstance(error.__cause__, (gymnasium.error.Error, ImportError)):
                expected, cause = "a Gymnasium id, or module:id", str(error.__cause__)
                raise InputError.of("env", env_id, expected=expected, cause=cause) from None
            raise
        return cls(made)

    @classmethod
    def single(cls, env: gymnasium.Env) -> "GymnasiumTask":
        """One environment, as it is, as the only lane."""
        return cls(gymnasium.vector.SyncVectorEnv([lambda: env], autoreset_mode=AutoresetMode.SAME_STEP))

    def reset(self, seed: int) -> Tensor:
        """Start all lanes from `seed`."""
        with self._running():
            observation, self.info = self.env.reset(seed=seed)
            observation = self._flat(observation)
        self._masked = bool(self._actions) and MASK in self.info
        return _tensor(observation)

    def step(self, action: Tensor) -> Step:
        """One step of all lanes; ended lanes have restarted, as Gymnasium's same-step autoreset does."""
        with self._running():
            observation, reward, terminated, truncated, info = self.env.step(self._inside(action.cpu().numpy()))
            observation, self.info = self._flat(observation), info
        final = np.array(observation)
        for lane in np.flatnonzero(info.get("_final_obs", [])):
            last = info["final_obs"][lane]
            final[lane] = flatten(self.env.single_observation_space, last) if self._flattened else last
        rewards = torch.as_tensor(np.asarray(reward), dtype=torch.float32)
        final_mask = self._allowed(info.get("final_info", {})) if self._masked and truncated.any() else None
        return Step(
            _tensor(observation), rewards, torch.as_tensor(terminated), torch.as_tensor(truncated), _tensor(final),
            final_mask,
        )  # fmt: skip

    def told(self, key: str, lanes: Tensor | None = None) -> Tensor:
        """A number that the last step's info gave, `[lane]`; of ended lanes, before their restart.

        Args:
            key: Of the info.
            lanes: Whom to ask, `[lane]` bool; the others are 0. None asks all.

        Raises:
            InputError: Somebody who was asked has no such number.
        """
        ended = np.asarray(self.info.get("_final_info", np.zeros(self.lanes, dtype=bool)), dtype=bool)
        final, going = self.info.get("final_info", {}), self.info
        values = np.zeros(self.lanes, np.float32)
        for lane in range(self.lanes) if lanes is None else np.flatnonzero(lanes.numpy()):
            values[lane] = _number(final if ended[lane] else going, key, int(lane))
        return torch.from_numpy(values)

    def mask(self) -> Tensor | None:
        """Allowed discrete actions, `[lane, action]` bool, as the info tells them; None where the reset told none.

        Raises:
            InputError: A mask has another width, or allows nothing.
        """
        if not self._masked:
            return None
        allowed = self._allowed(self.info)
        if not all(bool(part.any(1).all()) for part in allowed.split(self._parts, 1)):
            raise InputError.of(f'env: info["{MASK}"]', "none allowed", expected="at least one action, in each part")
        return allowed

    def close(self) -> None:
        """Give back what the environments hold: windows, simulators, processes."""
        with self._running():
            self.env.close()

    def _running(self) -> AbstractContextManager[None]:
        """Around calls of the environment, which may be of the user's own making."""
        return user_code.running(self.env.spec.id if self.env.spec else type(self.env).__name__, field="env")

    def _allowed(self, info: Mapping[str, Any]) -> Tensor:
        """The mask in an info, `[lane, action]` bool; lanes that were told none may do all."""
        allowed = np.ones((self.lanes, self._actions), dtype=bool)
        told, everyone = info.get(MASK), np.ones(self.lanes, dtype=bool)
        if told is None:
            return torch.from_numpy(allowed)
        for lane in np.flatnonzero(info.get(f"_{MASK}", everyone)):
            given = told[lane]
            mask = np.concatenate([np.ravel(one) for one in given]) if isinstance(given, tuple) else np.asarray(given)
            if mask.size != self._actions or mask.dtype.kind not in "biuf":
                expected = f"{self._actions} numbers, 1 for an action that is allowed"
                raise InputError.of(f'env: info["{MASK}"]', str(told[lane]), expected=expected)
            allowed[lane] = mask.reshape(-1) != 0
        return torch.from_numpy(allowed)

    def _inside(self, action: np.ndarray) -> np.ndarray:
        """Actions of a Box in its own type; a bound rounded to float32 may lie beyond it."""
        space = self.action_space
        if not isinstance(space, gymnasium.spaces.Box):
            return action
        return np.clip(action.astype(space.dtype), space.low, space.high)

    def _flat(self, observation: Any) -> Any:
        if not self._flattened:
            return observation
        lanes = iterate(self.env.observation_space, observation)
        return np.stack([np.asarray(flatten(self.env.single_observation_space, lane), np.float32) for lane in lanes])


class SimulatorVectorEnv(VectorEnv):
    """A simulator as a Gymnasium vector environment (same-step autoreset)."""

    def __init__(self, simulator: Simulator[Any, Any, Any], num_envs: int) -> None:
        self.task = SimulatorTask(simulator, num_envs)
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = simulator.observation_space, simulator.action_space
        self.observation_space = batch_space(simulator.observation_space, num_envs)
        self.action_space = batch_space(simulator.action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start all lanes; one seed serves the batch (a list's first entry), None draws one."""
        del options
        first = seed[0] if isinstance(seed, list) else seed
        chosen = int(np.random.default_rng().integers(2**31)) if first is None else first
        observation = self.task.reset(chosen).numpy().copy()
        return observation, _told(self.task.mask())

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of all lanes."""
        result = self.task.step(torch.as_tensor(np.asarray(actions)))
        ended = (result.terminated | result.truncated).numpy()
        info = _told(self.task.mask())
        if ended.any():
            info |= {"final_obs": result.final.numpy().copy(), "_final_obs": ended}
        if result.final_mask is not None:
            info |= {"final_info": _told(result.final_mask), "_final_info": ended}
        reward = result.reward.double().numpy()
        return result.observation.numpy().copy(), reward, result.terminated.numpy(), result.truncated.numpy(), info


class SimulatorEnv(gymnasium.Env):
    """One lane of a simulator as a plain Gymnasium environment."""

    def __init__(self, simulator: Simulator[Any, Any, Any]) -> None:
        self.task = SimulatorTask(simulator, 1)
        self.observation_space, self.action_space = simulator.observation_space, simulator.action_space
        self.metadata = {"render_modes": []}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; without a seed, from the environment's own stream."""
        super().reset(seed=seed, options=options)
        observation = self.task.reset(int(self.np_random.integers(2**31))).numpy()[0].copy()
        return observation, _told(self.task.mask(), lane=0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step; after the end the caller resets."""
        result = self.task.step(torch.as_tensor(np.asarray(action))[None])
        return (
            result.final.numpy()[0].copy(),
            float(result.reward[0]),
            bool(result.terminated[0]),
            bool(result.truncated[0]),
            _told(self.task.mask() if result.final_mask is None else result.final_mask, lane=0),
        )


def _choices(space: gymnasium.Space) -> list[int]:
    """How many choices each part of its actions has, which masks tell of; none where there are no masks."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return [int(space.n)]
    return space.nvec.reshape(-1).tolist() if isinstance(space, gymnasium.spaces.MultiDiscrete) else []


def _told(mask: Tensor | None, *, lane: int | None = None) -> dict[str, Any]:
    """A simulator's mask as infos of Gymnasium tell it: of all lanes, or of one."""
    if mask is None:
        return {}
    allowed = mask.to(torch.int8).numpy().copy()
    return {MASK: allowed, f"_{MASK}": np.ones(len(allowed), dtype=bool)} if lane is None else {MASK: allowed[lane]}


def _number(info: Mapping[str, Any], key: str, lane: int) -> float:
    """What a lane's info says; beside lanes that told it, Gymnasium has a 0 for those that did not."""
    try:
        told = info.get(f"_{key}")
        if told is None or told[lane]:
            return float(np.asarray(info[key])[lane])
    except (KeyError, TypeError, ValueError, IndexError):
        pass
    arrays = {name: value for name, value in info.items() if isinstance(value, np.ndarray)}
    known = sorted(name for name, array in arrays.items() if name[:1] != "_" and array.dtype.kind in "biuf")
    raise InputError.of("info key", key, expected=f"a number of {', '.join(known) or 'none'}")


def _tensor(values: Any) -> Tensor:
    array = np.asarray(values)
    return torch.as_tensor(array.astype(np.float32) if array.dtype.kind == "f" else array)
