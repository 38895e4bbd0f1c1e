"""The vector faces of a simulator, and Gymnasium environments as batched tasks."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces.utils import flatten
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from torch import Tensor

from livepapers.blocks.policies import QPolicy
from livepapers.blocks.policy_optimisation import PPO, PPOConfig, actor_critic
from livepapers.blocks.q_learning import Config as QConfig
from livepapers.blocks.q_learning import QLearning
from livepapers.core.errors import InputError
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import GymnasiumTask, SimulatorEnv, SimulatorTask, SimulatorVectorEnv


class Walk(NamedTuple):
    place: Tensor  # [batch]


class RandomWalk:
    """A gambler's walk on the line: drift by the action, unit steps by chance, ruin below zero."""

    horizon = 5
    observation_space = gymnasium.spaces.Box(-100.0, 100.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def initial(self, batch: int, generator: torch.Generator) -> Walk:
        return Walk(torch.randint(1, 3, (batch,), generator=generator).float())

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:
        return torch.randint(0, 2, (batch,), generator=generator) * 2.0 - 1.0 + 0.0 * t

    def observe(self, state: Walk) -> Tensor:
        return state.place[:, None]

    def mask(self, state: Walk) -> Tensor | None:
        return torch.stack([torch.ones_like(state.place), state.place > 0], dim=1).bool()

    def decide(self, state: Walk, action: Tensor) -> tuple[Walk, Tensor]:
        return Walk(state.place + 0.5 * action), -0.1 * action.float()

    def resolve(self, post: Walk, noise: Tensor) -> tuple[Walk, Tensor, Tensor]:
        place = post.place + noise
        return Walk(place), place, place < 0


def test_the_walk_meets_the_contract():
    assert isinstance(RandomWalk(), Simulator)


def test_a_simulator_passes_gymnasiums_own_checker():
    check_env(SimulatorEnv(RandomWalk()), skip_render_check=True)


def test_the_same_seed_gives_the_same_world_whatever_the_policy_does():
    rewards = []
    for policy in (0, 1):
        task = SimulatorTask(RandomWalk(), 64)
        before = task.reset(3)
        step = task.step(torch.full((64,), policy))
        rewards.append((before, step.final[:, 0] - before[:, 0] - 0.5 * policy))
    assert torch.equal(rewards[0][0], rewards[1][0])
    assert torch.equal(rewards[0][1], rewards[1][1])


def test_lanes_that_end_restart_and_the_final_observation_is_kept():
    task = SimulatorTask(RandomWalk(), 256)
    task.reset(0)
    ended_early = 0
    for t in range(1, 6):
        step = task.step(torch.zeros(256, dtype=torch.int64))
        assert torch.equal(step.terminated, step.final[:, 0] < 0)
        assert bool((step.observation[step.terminated | step.truncated] >= 1).all())
        untouched = ~(step.terminated | step.truncated)
        assert torch.equal(step.observation[untouched], step.final[untouched])
        ended_early += int(step.terminated.sum())
        assert bool(step.truncated.any()) == (t == 5)
    assert ended_early > 0


def test_vector_env_and_task_agree_bit_for_bit():
    env, task = SimulatorVectorEnv(RandomWalk(), 8), SimulatorTask(RandomWalk(), 8)
    observation, _ = env.reset(seed=5)
    assert np.array_equal(observation, task.reset(5).numpy())
    for t in range(12):
        action = np.full(8, t % 2)
        observation, reward, terminated, truncated, info = env.step(action)
        step = task.step(torch.as_tensor(action))
        assert np.array_equal(observation, step.observation.numpy())
        assert np.array_equal(reward, step.reward.double().numpy())
        assert np.array_equal(terminated | truncated, (step.terminated | step.truncated).numpy())
        if (terminated | truncated).any():
            assert np.array_equal(info["final_obs"], step.final.numpy())


def test_gymnasium_environments_enter_as_batched_tasks():
    task = GymnasiumTask.make("CartPole-v1", 4)
    first = task.reset(1)
    assert torch.equal(first, task.reset(1))
    restarted = False
    for _ in range(60):
        step = task.step(torch.ones(4, dtype=torch.int64))
        ended = step.terminated | step.truncated
        restarted |= bool(ended.any())
        assert bool((step.final[ended][:, 2].abs() > 0.2).all())
        assert bool((step.observation[ended].abs() <= 0.05).all())
    assert restarted


class Mixed(gymnasium.Env):
    """Observes a dictionary: a place, a choice, a pair; ends after three steps."""

    observation_space = gymnasium.spaces.Dict(
        place=gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32),
        choice=gymnasium.spaces.Discrete(3),
        pair=gymnasium.spaces.Tuple([gymnasium.spaces.Discrete(2), gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)]),
    )
    action_space = gymnasium.spaces.Discrete(2)
    time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observe(), {}

    def step(self, action):
        self.time += 1
        return self.observe(), 1.0, self.time == 3, False, {}

    def observe(self):
        pair = (self.time % 2, np.array([0.25], np.float32))
        return {"place": np.full(2, self.time / 4, np.float32), "choice": self.time % 3, "pair": pair}


def flat(observation: dict[str, Any]) -> np.ndarray:
    found = flatten(Mixed.observation_space, observation)
    assert isinstance(found, np.ndarray)
    return found


def test_dictionaries_are_flattened_as_gymnasium_flattens_them():
    lanes = gymnasium.vector.SyncVectorEnv([Mixed, Mixed], autoreset_mode=AutoresetMode.SAME_STEP)
    task = GymnasiumTask(lanes)
    first = task.reset(0)
    single = Mixed()
    expected = flat(single.reset()[0])
    assert task.observation_space.shape == (8,)
    assert task.observation_space.contains(first[0].numpy())
    assert np.array_equal(first[0].numpy(), expected)
    for t in range(1, 4):
        step = task.step(torch.zeros(2, dtype=torch.int64))
        reached = flat(single.step(0)[0])
        assert np.array_equal(step.final[1].numpy(), reached)
        assert np.array_equal(step.observation[1].numpy(), expected if t == 3 else reached)


class Numbered(gymnasium.Env):
    """Observes one whole number, or one real number by itself; takes actions in +-0.1 in double precision."""

    action_space = gymnasium.spaces.Box(-0.1, 0.1, (1,), np.float64)

    def __init__(self, seen: gymnasium.Space) -> None:
        self.observation_space = seen
        self.shown = np.array(0.5, np.float32) if isinstance(seen, gymnasium.spaces.Box) else 2

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.shown, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        return self.shown, 1.0, True, False, {}


@pytest.mark.parametrize("seen", [gymnasium.spaces.Discrete(5), gymnasium.spaces.Box(0.0, 1.0, (), np.float32)])
def test_observations_are_of_the_declared_space_and_actions_of_the_environments(seen: gymnasium.Space):
    lanes = gymnasium.vector.SyncVectorEnv([lambda: Numbered(seen)] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    task = GymnasiumTask(lanes)
    first = task.reset(0)
    assert task.observation_space.contains(first[0].numpy())
    step = task.step(torch.tensor([[-0.1], [0.1]]))  # in float32 both lie beyond
    for observation in (step.observation, step.final):
        assert task.observation_space.contains(observation[0].numpy())


class Exposed(RandomWalk):
    """What is observed is the state itself, not a copy."""

    def observe(self, state):
        return state.place.view(len(state.place), 1)


def test_what_an_environment_gives_out_is_a_copy():
    single, several = SimulatorEnv(Exposed()), SimulatorVectorEnv(Exposed(), 2)
    for env, action in ((single, single.action_space.sample()), (several, several.action_space.sample())):
        for given in (env.reset(seed=0)[0], env.step(action)[0]):
            before = env.task.simulator.observe(env.task.state).clone()
            np.add(given, 100.0, out=given)
            assert torch.equal(env.task.simulator.observe(env.task.state), before)


def test_a_saved_task_stays_as_it_was():
    task = SimulatorTask(RandomWalk(), 2)
    task.reset(0)
    kept = task.state_dict()
    before = [kept["elapsed"].clone(), *(leaf.clone() for leaf in kept["state"])]
    task.step(torch.zeros(2))
    assert all(torch.equal(a, b) for a, b in zip(before, [kept["elapsed"], *kept["state"]], strict=True))


def test_unknown_environments_and_missing_resets_are_answered_in_one_line():
    with pytest.raises(InputError, match="NoSuchEnv"):
        GymnasiumTask.make("NoSuchEnv-v0", 2)
    with pytest.raises(InputError, match="reset first"):
        SimulatorTask(RandomWalk(), 2).step(torch.zeros(2))
    with pytest.raises(InputError, match=">= 1"):
        SimulatorTask(RandomWalk(), 0)
    env = gymnasium.make_vec("CartPole-v1", 2)
    with pytest.raises(InputError, match="SAME_STEP"):
        GymnasiumTask(env)


class Broken(gymnasium.Env):
    """A user's environment with a mistake in one of its methods."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, where: str) -> None:
        self.where = where
        self._maybe("init")

    def _maybe(self, here: str) -> None:
        if here == self.where:
            raise ValueError("my own bug")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._maybe("reset")
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._maybe("step")
        return np.zeros(1, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("where", ["init", "reset", "step"])
def test_a_mistake_in_a_users_environment_is_told_as_theirs(where: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gymnasium.envs.registration.registry", {})
    gymnasium.register("Broken-v0", lambda **_: Broken(where), disable_env_checker=True, order_enforce=False)

    def use() -> None:
        task = GymnasiumTask.make("Broken-v0", 2)
        task.reset(0)
        task.step(torch.zeros(2, dtype=torch.int64))

    line = r"^env: Broken-v0 raised ValueError: my own bug \(line \d+ of test_vector.py\)$"
    with pytest.raises(InputError, match=line):
        use()


OWN = """\
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv

gymnasium.register("Mine-v0", CartPoleEnv, max_episode_steps=9)
"""


def test_an_environment_of_the_present_folder_is_found_as_with_python_m(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "own_environment_lp.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gymnasium.envs.registration.registry", dict(gymnasium.registry))
    monkeypatch.setattr("sys.path", [place for place in sys.path if place not in ("", str(tmp_path))])
    before = list(sys.path)
    with pytest.raises(InputError, match="Mine"):  # no module is asked for, so none is looked for
        GymnasiumTask.make("Mine-v0", 1)
    assert GymnasiumTask.make("own_environment_lp:Mine-v0", 2).reset(0).shape == (2, 4)
    assert sys.path == before


class Corridor(gymnasium.Env):
    """Three rooms in a row, left closed in the first, right in the last one: trying a closed door is an error."""

    observation_space = gymnasium.spaces.Box(0.0, 2.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)  # left, stay, right
    told: tuple[str, ...] = ("reset", "step")
    width = 3

    def __init__(self) -> None:
        self.room = self.time = 0

    def _info(self, when: str) -> dict[str, Any]:
        mask = np.array([self.room > 0, True, self.room < 2, *[True] * (self.width - 3)], dtype=np.int8)
        return {"action_mask": mask} if when in self.told else {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.room, self.time = int(self.np_random.integers(3)), 0
        return np.array([self.room], np.float32), self._info("reset")

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert 0 <= self.room + action - 1 <= 2, "a closed door"
        self.room, self.time = self.room + int(action) - 1, self.time + 1
        return np.array([self.room], np.float32), float(self.room), False, self.time == 7, self._info("step")


def corridors(lanes: int = 4, **changed: Any) -> GymnasiumTask:
    made = type("Changed", (Corridor,), changed)
    return GymnasiumTask(gymnasium.vector.SyncVectorEnv([made] * lanes, autoreset_mode=AutoresetMode.SAME_STEP))


def open_doors(room: Tensor) -> Tensor:
    return torch.cat([room > 0, room >= 0, room < 2], dim=1)


def test_masks_that_an_environments_info_tells_are_the_tasks():
    task = corridors()
    observation = task.reset(0)
    generator, cut = torch.Generator().manual_seed(0), 0
    for _ in range(40):
        mask = task.mask()
        assert mask is not None
        assert torch.equal(mask, open_doors(observation))
        step = task.step(torch.multinomial(mask.float(), 1, generator=generator)[:, 0])
        if bool(step.truncated.any()):
            assert step.final_mask is not None
            cut += 1
            assert torch.equal(step.final_mask[step.truncated], open_doors(step.final)[step.truncated])
        else:
            assert step.final_mask is None
        observation = step.observation
    assert cut == 5


def test_learners_never_try_what_an_environment_forbids():
    task = corridors()
    agent = actor_critic(task.observation_space, task.action_space, hidden=(8,), generator=torch.Generator())
    learner = PPO(task, agent, config=PPOConfig(steps=16, minibatches=2), seed=0)
    network = QPolicy(task.observation_space, task.action_space, hidden=(8,), generator=torch.Generator())
    other = QLearning(corridors(), network, config=QConfig(steps=16, batch=8, capacity=64, warm_up=8), seed=0)
    for _ in range(6):
        assert all(np.isfinite(value) for one in (learner, other) for value in one.update().values())


@pytest.mark.parametrize("told", [(), ("step",)])
def test_an_environment_whose_reset_tells_no_mask_has_none(told: tuple[str, ...]):
    task = corridors(told=told)
    task.reset(0)
    assert task.mask() is None
    assert task.step(torch.ones(4, dtype=torch.int64)).final_mask is None
    assert task.mask() is None


def test_a_step_that_tells_no_mask_allows_all():
    task = corridors(told=("reset",))
    task.reset(0)
    task.step(torch.ones(4, dtype=torch.int64))
    mask = task.mask()
    assert mask is not None
    assert bool(mask.all())


def test_a_mask_of_another_width_is_refused_in_one_line():
    task = corridors(width=4)
    task.reset(0)
    with pytest.raises(InputError, match=r'env: info\["action_mask"\]: got .* expected 3 numbers, 1 for an action'):
        task.mask()


def test_gymnasiums_own_taxi_tells_its_masks():
    task = GymnasiumTask.make("Taxi-v4", 8)
    task.reset(3)
    lanes: Any = task.env
    for _ in range(5):
        mask = task.mask()
        assert mask is not None
        expected = [one.unwrapped.action_mask(int(one.unwrapped.s)) for one in lanes.envs]
        assert np.array_equal(mask.numpy(), np.array(expected, dtype=bool))
        assert not bool(mask.all())
        task.step(mask.long().argmax(1))


def test_a_simulators_masks_go_out_as_infos_and_come_in_again():
    there, back = SimulatorTask(RandomWalk(), 8), GymnasiumTask(SimulatorVectorEnv(RandomWalk(), 8))
    assert torch.equal(there.reset(5), back.reset(5))
    cut = 0
    for _ in range(12):
        ours, theirs = there.mask(), back.mask()
        assert ours is not None
        assert theirs is not None
        assert torch.equal(ours, theirs)
        step, again = (task.step(ours.long().sum(1) - 1) for task in (there, back))
        if step.final_mask is not None:
            cut += 1
            assert again.final_mask is not None
            assert torch.equal(step.final_mask, again.final_mask)
    assert cut == 2
    env = SimulatorEnv(RandomWalk())
    assert env.reset(seed=0)[1]["action_mask"].tolist() == [1, 1]
    assert env.step(0)[4]["action_mask"].dtype == np.int8


class TwoLocks(Corridor):
    """Corridors whose actions have two parts, the second one without a say."""

    action_space = gymnasium.spaces.MultiDiscrete([3, 2])

    def _info(self, when: str) -> dict[str, Any]:
        first = super()._info(when)["action_mask"]
        return {"action_mask": (first, np.array([self.time % 2, 1], dtype=np.int8))}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return super().step(int(action[0]))


def test_masks_of_several_parts_may_be_a_tuple():
    task = GymnasiumTask(gymnasium.vector.SyncVectorEnv([TwoLocks] * 4, autoreset_mode=AutoresetMode.SAME_STEP))
    observation = task.reset(0)
    for time in range(4):
        mask = task.mask()
        assert mask is not None
        assert torch.equal(mask[:, :3], open_doors(observation))
        assert mask[:, 3:].tolist() == [[time % 2 == 1, True]] * 4
        observation = task.step(torch.ones(4, 2, dtype=torch.int64)).observation


def test_a_mask_that_allows_nothing_is_refused_in_one_line():
    task = corridors(_info=lambda self, when: {"action_mask": np.zeros(3, dtype=np.int8)})
    task.reset(0)
    with pytest.raises(
        InputError, match=r'^env: info\["action_mask"\]: got none allowed, expected at least one action'
    ):
        task.mask()
