"""Atari games of the Arcade Learning Environment as batched tasks: `pip install 'livepapers[atari]'`.

The NoFrameskip-v4 protocol: no sticky actions, 1 to 30 idle frames at the start, each action for four frames with the
maximum of the last two, grey, 84 x 84, the last four frames together; episodes end with the game, not with a life, and
rewards are as the game gives them. The wheel brings the games' ROMs.
"""

import re
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.vector import Step

FRAMES = 4
"""Of the emulator for an action, and in an observation."""
MOST_FRAMES = 108_000
"""Of an episode: half an hour of play."""
_GAME = re.compile(r"[a-z0-9_]{1,40}")


class AtariTask:
    """So many copies of one game; a `BatchedTask`.

    Args:
        game: As its ROM is called: "frostbite", "space_invaders" ...
        lanes: How many.

    Raises:
        MissingExtraError: `ale-py` is not installed.
        InputError: There is no such game.
    """

    def __init__(self, game: str, lanes: int) -> None:
        try:
            from ale_py.roms import get_all_rom_ids  # type: ignore[import-not-found]
            from ale_py.vector_env import AtariVectorEnv  # type: ignore[import-not-found]
        except ModuleNotFoundError:
            raise MissingExtraError("ale-py", "atari") from None
        if not _GAME.fullmatch(game) or game not in get_all_rom_ids():
            expected = "atari: and the name of a game, such as atari:frostbite"
            raise InputError.of("env", f"atari:{game}", expected=expected)
        self.game, self.lanes = game, lanes
        self._env: Any = AtariVectorEnv(
            game, lanes, num_threads=1, noop_max=30, frameskip=FRAMES, stack_num=FRAMES, reward_clipping=False,
            use_fire_reset=False, repeat_action_probability=0.0, episodic_life=False,
            max_num_frames_per_episode=MOST_FRAMES, autoreset_mode=AutoresetMode.SAME_STEP,
        )  # fmt: skip
        self.observation_space: gymnasium.Space = gymnasium.spaces.Box(0, 255, (FRAMES, 84, 84), np.uint8)
        self.action_space: gymnasium.Space = gymnasium.spaces.Discrete(int(self._env.single_action_space.n))

    def reset(self, seed: int) -> Tensor:
        """Start all lanes; lane i has `seed + i`."""
        return torch.from_numpy(np.array(self._env.reset(seed=seed % (2**30))[0]))

    def step(self, action: Tensor) -> Step:
        """One action, four frames, in all lanes; games that ended have restarted."""
        seen, reward, terminated, truncated, info = self._env.step(action.cpu().numpy().astype(np.int64))
        observation = torch.from_numpy(np.array(seen))
        ended = torch.from_numpy(np.asarray(terminated) | np.asarray(truncated))
        final = observation
        if bool(ended.any()):
            last = torch.from_numpy(np.array(info["final_obs"]))
            final = torch.where(ended[:, None, None, None], last, observation)
        return Step(
            observation, torch.as_tensor(np.asarray(reward), dtype=torch.float32),
            torch.as_tensor(np.array(terminated)), torch.as_tensor(np.array(truncated)), final,
        )  # fmt: skip

    def mask(self) -> Tensor | None:
        """Every action is allowed."""
        return None

    def close(self) -> None:
        """Give back the emulators."""
        self._env.close()
