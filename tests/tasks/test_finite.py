"""A world that tells NaN or infinity is blamed in one line, wherever its episodes are played, and closed again."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from livepapers.blocks.policies import QPolicy
from livepapers.core import artifact
from livepapers.core.errors import InputError
from livepapers.core.loop import Progress, watching
from livepapers.lab.evaluation import evaluate
from livepapers.methods import drl_diagnosis, policy_smoothing
from livepapers.tasks.finite import require_finite

SEEN, ACTS = Box(-1.0, 1.0, (3,)), Discrete(2)


class Broken(gymnasium.Env):
    """Five steps; from the third on it tells what it was made for."""

    closed = 0

    def __init__(self, reward: float = 1.0, seen: float = 0.5) -> None:
        self.observation_space, self.action_space = SEEN, ACTS
        self.reward, self.seen, self.time = reward, seen, 0

    def _told(self) -> np.ndarray:
        return np.full(3, self.seen if self.time > 2 else 0.1 * self.time, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return self._told(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return self._told(), self.reward if self.time > 2 else float(action), self.time >= 5, False, {}

    def close(self) -> None:
        type(self).closed += 1


def _broken(**given: Any) -> Broken:
    return Broken(**given)


@pytest.fixture(autouse=True)
def broken_worlds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Broken, "closed", 0)
    for name, given in (
        ("Good", {}), ("RewardNaN", {"reward": math.nan}), ("RewardInf", {"reward": math.inf}),
        ("RewardHuge", {"reward": 1e30}), ("SeenNaN", {"seen": math.nan}), ("SeenInf", {"seen": math.inf}),
    ):  # fmt: skip
        gymnasium.register(f"LpBroken{name}-v0", _broken, kwargs=given)
    yield
    for name in [name for name in gymnasium.registry if name.startswith("LpBroken")]:
        del gymnasium.registry[name]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    made = QPolicy(SEEN, ACTS, hidden=())
    described = artifact.Artifact("policy", "hdpo", "blocks.policies:QPolicy", made.arguments, {"seed": 0}, {})
    artifact.save(tmp_path / "policy", described, weights=made.state_dict())
    return tmp_path / "policy"


def _evaluated(policy: Path, env: str) -> None:
    evaluate(policy, episodes=3, seed=0, env=env)


def _certified(policy: Path, env: str) -> None:
    policy_smoothing.apply(policy, sigma="0.1", env=env, episodes=3)


def _diagnosed(policy: Path, env: str) -> None:
    drl_diagnosis.apply(policy, env=env, changes="none", episodes=2, repeats=2)


PLAYED = [_evaluated, _certified, _diagnosed]


@pytest.mark.parametrize("played", PLAYED)
@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("RewardNaN", "the environment's rewards: got nan, expected finite numbers"),
        ("RewardInf", "the environment's rewards: got inf, expected finite numbers"),
        ("SeenNaN", "the environment's observations: got nan, expected finite numbers"),
        ("SeenInf", "the environment's observations: got inf, expected finite numbers"),
    ],
)
def test_numbers_that_are_not_finite_are_the_environments(
    played: Callable[[Path, str], None], env: str, said: str, policy: Path
):
    with pytest.raises(InputError) as caught:
        played(policy, f"LpBroken{env}-v0")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_returns_too_large_for_a_certificate_are_the_environments_as_well(policy: Path):
    with pytest.raises(InputError, match=r"^the environment's returns: got 3\.\d*e\+30, expected numbers up to 1e\+12"):
        _certified(policy, "LpBrokenRewardHuge-v0")


def test_only_what_an_episode_still_counts_is_asked_for():
    told, going = torch.tensor([1.0, math.nan]), torch.tensor([True, False])
    assert require_finite(told, going, what="rewards") is told
    assert require_finite(torch.tensor([1, 2]), ~going, what="rewards").tolist() == [1, 2]


@pytest.mark.parametrize("played", PLAYED)
@pytest.mark.parametrize("env", ["Good", "SeenNaN"])
def test_environments_are_closed_however_it_ends(
    played: Callable[[Path, str], None], env: str, policy: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[Broken] = []
    plain = Broken.__init__

    def counted(self: Broken, *given: Any, **named: Any) -> None:
        plain(self, *given, **named)
        made.append(self)

    monkeypatch.setattr(Broken, "__init__", counted)
    with contextlib.suppress(InputError):
        played(policy, f"LpBroken{env}-v0")
    assert len(made) >= 2
    assert Broken.closed == len(made)


@pytest.mark.parametrize("played", [_certified, _diagnosed])
def test_it_is_told_how_far_the_episodes_are(played: Callable[[Path, str], None], policy: Path):
    told: list[Progress] = []
    with watching(told.append):
        played(policy, "LpBrokenGood-v0")
    names = {"noisy episodes"} if played is _certified else {"episodes", "episodes of independent run"}
    assert names <= {one.name for one in told}
    assert all(1 <= one.step <= one.updates for one in told)
