"""A construction as a simulator: rewards at the end, masks, and what a finished object pays."""

import pytest
import torch

from livepapers.core.errors import InputError
from livepapers.tasks.building import Building
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Hypergrid, Strings
from livepapers.tasks.vector import SimulatorTask

WORLDS = {"grid": Hypergrid(2, 3), "strings": Strings("AB", 3, log_reward=lambda x: x.sum(dim=1).double())}


@pytest.mark.parametrize("env", WORLDS.values(), ids=WORLDS.keys())
def test_only_finished_objects_pay_and_they_pay_their_reward(env: Construction) -> None:
    task = SimulatorTask(Building(env, scale=2.0), 5)
    task.reset(0)
    state, ended = env.root(5), 0
    for step in range(12):
        mask = task.mask()
        assert mask is not None
        assert torch.equal(mask, env.forward_mask(state))
        action = (mask.float() * torch.rand(mask.shape, generator=torch.Generator().manual_seed(step))).argmax(dim=1)
        stops = action >= env.moves
        child = torch.where(stops[:, None], state, env.step(state, torch.where(stops, 0, action)))
        made = task.step(action)
        over = stops | env.is_terminal(child)
        expected = torch.where(over, (env.log_reward(child).exp() / 2.0).float(), 0.0)
        torch.testing.assert_close(made.reward, expected)
        assert torch.equal(made.terminated, over)
        assert not bool(made.truncated.any())
        state = torch.where(over[:, None], env.root(5), child)
        ended += int(over.sum())
    assert ended > 0


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(InputError, match="scale"):
        Building(Hypergrid(2, 3), scale=0.0)
