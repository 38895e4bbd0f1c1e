"""The two swing-ups: equal to the DeepMind Control Suite's and to Gymnasium's, step for step."""

import gymnasium
import numpy as np
import pytest
import torch

from livepapers.core.rng import generator
from livepapers.tasks import pendulum_swing_up, worlds
from livepapers.tasks.pendulum_swing_up import PendulumState, PendulumSwingUp
from livepapers.tasks.vector import SimulatorTask

mujoco = pytest.importorskip("mujoco")
from livepapers.tasks import swing_up  # noqa: E402 - after the check that there is something to test
from livepapers.tasks.swing_up import SwingUp, SwingUpState  # noqa: E402

SUITE = {  # steps -> observation of dm_control 1.0.x, suite "cartpole", task "swingup", on mujoco 3.17.0
    1: [0.0100506942, -0.999798309, 0.0200833721, 0.00513893492, -0.00694232507],
    10: [0.0120761089, -0.999850523, 0.0172896391, 0.0684130102, 0.109969023],
    100: [1.44535387, -0.945971094, -0.324250967, 2.2274786, -2.01224594],
    500: [-0.602224877, -0.989867226, -0.141996038, -0.920855162, -5.23147463],
    700: [2.0027603, -0.953487973, -0.301431062, -0.307041802, -12.9158645],
    1000: [1.80160342, -0.885117047, 0.465368471, 0.0070812118, -13.6417129],
}
SUITE_RETURN = 144.62413923081104


def push(t: int) -> float:
    """Beyond the bounds at times, and into the end of the rail at last."""
    return float(np.sin(0.002 * t * t / (1 + 0.01 * t))) * 1.2 if t < 600 else 0.9


def test_it_is_the_suites_cart_pole_along_an_episode() -> None:
    world = SwingUp()
    state = SwingUpState(torch.tensor([[0.01, np.pi - 0.02, 0.005, -0.01]] * 3, dtype=torch.float64))
    total = 0.0
    for t in range(1000):
        state, reward = world.decide(state, torch.full((3, 1), push(t)))
        total += float(reward[1])
        if t + 1 in SUITE:
            # actions are single precision here, and the system doubles a difference every second
            assert world.observe(state)[1].tolist() == pytest.approx(SUITE[t + 1], abs=2e-5), t + 1
    assert total == pytest.approx(SUITE_RETURN, abs=1e-3)


def test_lanes_do_not_know_each_other() -> None:
    world = SwingUp()
    start = world.initial(7, generator(0, "lanes"))
    action = torch.linspace(-1.5, 1.5, 7)[:, None]
    together = world.decide(start, action)[0].values
    alone = [world.decide(SwingUpState(start.values[i : i + 1]), action[i : i + 1])[0].values for i in (6, 2, 0)]
    assert torch.equal(torch.cat(alone), together[[6, 2, 0]])
    assert torch.equal(world.decide(start, action)[0].values, together)  # a step is a function of state and action


def test_the_reward_is_a_product_of_four_virtues() -> None:
    still, none = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]]), torch.zeros(1, 1)

    def of(place: float = 0.0, cosine: float = 1.0, turn: float = 0.0, action: float = 0.0) -> float:
        after = torch.tensor([[place, cosine, 0.0, 0.0, turn]])
        return float(swing_up.reward(after, torch.full((1, 1), action), after))

    assert float(swing_up.reward(still, none, still)) == pytest.approx(1.0)
    assert of(place=2.0) == pytest.approx(0.55)
    assert of(turn=-5.0) == pytest.approx(0.55)
    assert of(cosine=0.0) == pytest.approx(0.5)
    assert of(cosine=-1.0) == 0.0
    assert of(action=1.0) == of(action=-7.0) == pytest.approx(0.8)
    assert of(action=0.5) == pytest.approx(0.95)


def test_it_starts_hanging_and_ends_at_the_horizon() -> None:
    task = worlds.make("cart-pole-swing-up", {}, lanes=50)
    observation = task.reset(3)
    assert observation.shape == (50, 5)
    assert float(observation[:, 1].max()) < -0.99
    assert torch.equal(task.reset(3), observation)
    assert isinstance(task, SimulatorTask)
    assert task.simulator.horizon == 1000
    step = task.step(torch.zeros(50, 1))
    assert not bool((step.terminated | step.truncated).any())


def test_the_pendulum_is_gymnasiums() -> None:
    env = gymnasium.make("Pendulum-v1").unwrapped
    world, stream = PendulumSwingUp(), generator(0, "pendulum")
    env.reset(seed=0)
    angle, rate = 2.0, -0.7
    env.state = np.array([angle, rate])  # type: ignore[attr-defined]
    state = PendulumState(torch.tensor([angle]), torch.tensor([rate]))
    for _ in range(200):
        action = 6.0 * torch.rand(1, 1, generator=stream) - 3.0
        observation, reward, *_ = env.step(action[0].numpy())
        state, ours = world.decide(state, action)
        assert float(ours) == pytest.approx(float(reward), abs=2e-3)
        assert world.observe(state)[0].tolist() == pytest.approx(observation.tolist(), abs=1e-3)


def test_the_pendulum_starts_anywhere() -> None:
    observation = worlds.make("pendulum-swing-up", {}, lanes=400).reset(0)
    assert float(observation[:, 0].min()) < -0.9
    assert float(observation[:, 0].max()) > 0.9
    assert torch.allclose(observation[:, :2].norm(dim=1), torch.ones(400))
    assert pendulum_swing_up.PendulumSwingUp().mask(world_state()) is None


def world_state() -> PendulumState:
    return PendulumState(torch.zeros(1), torch.zeros(1))


def test_without_mujoco_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from livepapers.core.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingExtraError, match=r"livepapers\[mujoco\]"):
        SwingUp()
