"""Atari games as batched tasks, where ale-py is installed."""

import importlib.util

import numpy as np
import pytest
import torch

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.core.rng import generator
from livepapers.tasks import worlds

installed = importlib.util.find_spec("ale_py") is not None


@pytest.mark.skipif(installed, reason="ale-py is there")
def test_a_missing_extra_says_what_to_install():
    with pytest.raises(MissingExtraError, match=r"livepapers\[atari\]"):
        worlds.make("atari:frostbite", {}, lanes=1)


@pytest.mark.skipif(not installed, reason="needs ale-py")
def test_frostbite_by_random_actions_scores_about_65_and_repeats():
    totals = []
    for _ in range(2):
        task = worlds.make("atari:frostbite", {}, lanes=4)
        stream = generator(0, "atari")
        seen = task.reset(1)
        assert seen.shape == (4, 4, 84, 84)
        assert seen.dtype == torch.uint8
        total, going = torch.zeros(4), torch.ones(4, dtype=torch.bool)
        for _ in range(5000):
            step = task.step(torch.randint(18, (4,), generator=stream))
            total += torch.where(going, step.reward, 0.0)
            going &= ~(step.terminated | step.truncated)
            if not bool(going.any()):
                break
        assert not bool(going.any())
        totals.append(total)
    assert torch.equal(*totals)
    assert 20 < float(totals[0].mean()) < 160
    assert len(np.unique(totals[0])) > 1  # idle frames at the start differ


@pytest.mark.skipif(not installed, reason="needs ale-py")
def test_unknown_games_are_refused():
    for name in ("no_such_game", "../etc", ""):
        with pytest.raises(InputError, match=f"^env: got atari:{name}, expected atari: and the name of a game"):
            worlds.make(f"atari:{name}", {}, lanes=1)
