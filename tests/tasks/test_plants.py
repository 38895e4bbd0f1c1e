"""The pendulum and the reactor: against Gymnasium, against SciPy's integrator, and through the adapters."""

import gymnasium
import numpy as np
import pytest
import scipy.integrate
import torch
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.utils.env_checker import check_env

from livepapers.core.rng import generator
from livepapers.tasks import pendulum, plants, reactor
from livepapers.tasks.pendulum import ClippedPendulum
from livepapers.tasks.plants import PlantState, linearise, run
from livepapers.tasks.reactor import Reactor
from livepapers.tasks.simulator import Simulator
from livepapers.tasks.vector import SimulatorEnv, SimulatorTask

PLANTS = (ClippedPendulum, Reactor)


def test_the_pendulum_is_gymnasiums_step_by_step():
    theirs, ours = PendulumEnv(), ClippedPendulum(torch.float64)
    theirs.reset(seed=0)
    theirs.state = np.array([0.3, -0.5])
    state = PlantState(torch.tensor([[0.3, -0.5]], dtype=torch.float64))
    source = np.random.default_rng(0)
    for _ in range(400):  # long enough to fall, wrap and meet the speed limit
        torque = source.uniform(-3.0, 3.0, 1)  # beyond the limit now and then
        _, reward, *_ = theirs.step(torque)
        post, ours_reward = ours.decide(state, torch.tensor(torque)[None])
        state, rest, broken = ours.resolve(post, torch.zeros(1, 0))
        assert state.values[0].numpy() == pytest.approx(theirs.state, abs=1e-9)
        assert float(ours_reward + rest) == pytest.approx(reward, abs=1e-9)
        assert not bool(broken)


def test_the_reactor_follows_scipys_integrator():
    ours = Reactor(torch.float64)
    state = ours.test_starts()
    for action in (-20.0, 0.0, 13.0):
        moved = ours.advance(state.values, torch.full((10, 1), action, dtype=torch.float64))
        for start, end in zip(state.values, moved, strict=True):

            def slope(_t: float, values: np.ndarray, action: float = action) -> np.ndarray:
                return reactor.derivative(torch.tensor(values)[None], torch.tensor([[action]]))[0].numpy()

            exact = scipy.integrate.solve_ivp(slope, (0.0, 0.05), start.numpy(), rtol=1e-11, atol=1e-12).y[:, -1]
            assert end.numpy() == pytest.approx(exact, rel=1e-7, abs=1e-8)


def test_the_reactor_rests_at_its_operating_point_and_leaves_it_when_disturbed():
    ours = Reactor(torch.float64)
    still = ours.advance(torch.zeros(1, 2, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    assert still.abs().max() < 1e-3  # the published numbers are rounded
    a, _ = linearise(reactor.derivative, np.zeros(2), np.zeros(1), step=0.05)
    assert np.abs(np.linalg.eigvals(a)).max() > 1.1


def test_linear_models_are_the_published_ones():
    a, b = linearise(pendulum.derivative, np.zeros(2), np.zeros(1), step=0.05)
    assert a == pytest.approx(np.array([[1.0188, 0.0503], [0.7547, 1.0188]]), abs=1e-4)
    assert b == pytest.approx(np.array([[0.0038], [0.1509]]), abs=1e-4)
    a, b = linearise(reactor.derivative, np.zeros(2), np.zeros(1), step=0.05)
    assert a == pytest.approx(np.array([[0.89543, -0.0019], [11.11303, 1.23431]]), abs=2e-3)
    assert b == pytest.approx(np.array([[-0.0001], [0.11658]]), abs=1e-4)


def test_too_hot_stops_the_reactor_and_costs_a_thousand():
    ours = Reactor()
    hot = PlantState(torch.tensor([[0.05, 14.0], [0.0, 0.0]]))
    post, _ = ours.decide(hot, torch.full((2, 1), 20.0))
    _, reward, broken = ours.resolve(post, torch.zeros(2, 0))
    assert broken.tolist() == [True, False]
    assert reward.tolist() == [-1000.0, 0.0]


def test_costs_after_a_violation_do_not_count():
    ours = Reactor()
    hot = PlantState(torch.tensor([[0.05, 14.9], [0.0, 0.0]]))
    done = run(ours, lambda seen: torch.full((len(seen), 1), 20.0), hot)
    first = ours.running_cost(hot.values, torch.full((2, 1), 20.0))
    assert done.violated.tolist()[0] is True
    assert float(done.cost[0]) == pytest.approx(1000.0 + float(first[0]), rel=1e-5)
    assert torch.equal(done.states[0, 2], done.states[0, -1])


def test_hard_starts_lie_beyond_what_the_motor_holds():
    starts = ClippedPendulum().test_starts().values
    held = starts[:, 0].abs() < np.arcsin(0.4)
    assert held.tolist() == [True] * 8 + [False] * 2


@pytest.mark.parametrize("kind", PLANTS)
def test_plants_are_simulators_with_starts_in_their_range(kind):
    assert isinstance(kind(), Simulator)
    ours = kind()
    start = ours.initial(2000, generator(0, "test")).values
    widest = torch.tensor({ClippedPendulum: pendulum.START, Reactor: reactor.START}[kind])
    assert (start.abs() <= widest).all()
    assert (start.abs().amax(0) > 0.98 * widest).all()
    assert ours.test_starts().values.shape == (10, 2)


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.filterwarnings("ignore:.*Box observation space.*:UserWarning", "ignore:.*render.*:UserWarning")
@pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric.*:UserWarning")
def test_gymnasium_accepts_the_plants(kind):
    check_env(SimulatorEnv(kind()), skip_render_check=True)


@pytest.mark.parametrize("name", ["livepapers/Reactor-v0", "livepapers/ClippedPendulum-v0"])
def test_gymnasium_makes_them_by_name(name: str):
    plants.register()  # twice is once
    env = gymnasium.make(f"livepapers.tasks.plants:{name}")
    seen, _ = env.reset(seed=1)
    again, _ = env.reset(seed=1)
    assert seen.tolist() == again.tolist()
    assert env.step(env.action_space.sample())[0].shape == (2,)


def test_a_violation_restarts_the_lane_of_a_batched_task():
    task = SimulatorTask(Reactor(), 1)
    task.reset(0)
    task.state = PlantState(torch.tensor([[0.05, 14.9]]))
    step = task.step(torch.tensor([[20.0]]))
    assert bool(step.terminated[0])
    assert not bool(step.truncated[0])
    assert float(step.final[0, 1]) > 15.0
    assert abs(float(step.observation[0, 1])) <= 4.0
