"""The replay buffer against a deque, and what is remembered of a task."""

from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from blocks.small_worlds import Corridor, MaskedParts, Match, Place, stream, task
from livepapers.blocks.replay import Experience, Replay
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.tasks.vector import SimulatorTask, Step


@given(st.integers(1, 9), st.lists(st.integers(0, 12), max_size=8), st.booleans())
def test_it_holds_what_a_deque_would_hold(capacity: int, batches: list[int], saved: bool):
    replay, model, count = Replay(capacity), deque(maxlen=capacity), 0
    for size in batches:
        rows = torch.arange(count, count + size)
        replay.add(row=rows, square=torch.stack([rows, rows**2], 1).float())
        model.extend(rows.tolist())
        count += size
        if saved:
            other = Replay(capacity)
            other.load_state_dict(replay.state_dict())
            replay = other
    assert len(replay) == len(model)
    if not model:
        with pytest.raises(InputError, match="first sample"):
            replay.sample(1, stream())
        return
    drawn = replay.sample(400, stream())
    assert set(drawn["row"].tolist()) == set(model)
    assert torch.equal(drawn["square"][:, 1], drawn["row"].float() ** 2)
    assert torch.equal(drawn["row"], replay.sample(400, stream())["row"])


def test_what_does_not_fit_is_refused():
    replay = Replay(4)
    replay.add(a=torch.zeros(3))
    with pytest.raises(InputError, match="columns"):
        replay.add(b=torch.zeros(3))
    with pytest.raises(CorruptFileError):
        Replay(5).load_state_dict(replay.state_dict())
    with pytest.raises(CorruptFileError):
        replay.load_state_dict({**replay.state_dict(), "next": 2})
    with pytest.raises(InputError, match="capacity"):
        Replay(0)


def test_steps_are_remembered_with_the_state_they_led_to():
    experience = Experience(task(Corridor, 2), capacity=100, seed=0)
    for _ in range(7):
        experience.step(lambda observation, mask: torch.ones(len(observation), dtype=torch.int64))
    rows = experience.replay.state_dict()["columns"]
    place, following = rows["observation"].argmax(1), rows["following"].argmax(1)
    assert torch.equal(following, place + 1), "the last place is seen, not the start after it"
    assert torch.equal(rows["terminated"], following == 5)
    assert experience.returns.report() == {"episodes": 2.0, "episode_return": pytest.approx(0.9)}


class Allowed(MaskedParts):
    """Which choice of the second part is forbidden depends on what is shown."""

    def mask(self, state: Place) -> Tensor:
        mask = super().mask(state).clone()
        mask[:, 2], mask[:, 3] = state.place > 0, state.place < 0
        return mask


def test_a_truncated_step_is_remembered_with_what_the_state_it_led_to_allows():
    experience = Experience(task(Allowed, 2), capacity=100, seed=0)
    for _ in range(10):  # two episodes of five steps
        experience.step(lambda observation, mask: torch.tensor([[0, 2]] * 2))
    rows = experience.replay.state_dict()["columns"]
    assert len(experience.replay) == 2 * 10
    assert torch.equal(rows["mask"], Allowed().mask(Place(rows["following"][:, 0])))


class Unsaying:
    """A task with masks that does not say what the last state allowed."""

    def __init__(self, inner: SimulatorTask) -> None:
        self.inner, self.lanes = inner, inner.lanes
        self.action_space, self.reset, self.mask = inner.action_space, inner.reset, inner.mask

    def step(self, action: Tensor) -> Step:
        return self.inner.step(action)._replace(final_mask=None)


def test_where_the_last_mask_is_unknown_truncated_steps_are_not_remembered():
    experience = Experience(Unsaying(task(MaskedParts, 2)), capacity=100, seed=0)  # type: ignore[arg-type]
    for _ in range(10):
        experience.step(lambda observation, mask: torch.tensor([[0, 1]] * 2))
    assert len(experience.replay) == 2 * 8
    plain = Experience(task(Match, 2), capacity=100, seed=0)
    for _ in range(10):
        plain.step(lambda observation, mask: torch.zeros(2, dtype=torch.int64))
    assert len(plain.replay) == 2 * 10


def test_rows_of_another_width_are_refused_instead_of_broadcast():
    replay = Replay(4)
    replay.add(a=torch.zeros(2, 3))
    with pytest.raises(InputError, match=r"a: got rows \[1\], expected rows \[3\]"):
        replay.add(a=torch.ones(2, 1))


def test_a_saved_buffer_stays_as_it_was():
    replay = Replay(2)
    replay.add(a=torch.zeros(2))
    kept = replay.state_dict()
    replay.add(a=torch.ones(2))
    assert torch.equal(kept["columns"]["a"], torch.zeros(2))
