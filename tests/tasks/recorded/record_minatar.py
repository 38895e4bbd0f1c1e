"""Record the games of the package MinAtar, which the suite's copies are compared with: `minatar.npz`, beside this file.

It runs where the package is, apart from this project: `pip install MinAtar==1.0.15 "numpy<3"`, then
`python record_minatar.py`. Both players know the rules and now and then do anything, so that bricks break, balls are
lost and met at the corner, roads are crossed and chickens are hit.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from minatar import Environment  # type: ignore[import-not-found]

EPISODES, LONGEST, STEPS = 12, 250, 900
BREAKOUT, FREEWAY = (0, 1, 3), (0, 2, 4)
"""The package's numbers of the actions that do something."""


def game(name: str, seed: int) -> Any:
    """The game itself, without the package's repeated actions."""
    made = Environment(name, sticky_action_prob=0.0)
    made.seed(seed)
    made.reset()
    return made.env


def breakout(rng: np.random.Generator) -> dict[str, list[Any]]:
    """Episodes, one after the other; `begins` says where the ball is first, -1 within an episode."""
    env, begins, actions, paid, over, seen = game("breakout", 0), [], [], [], [], []
    for _ in range(EPISODES):
        env.reset()
        begin = env.ball_x
        for _ in range(LONGEST):
            goal = min(max(env.ball_x + (1 if env.ball_dir in (1, 2) else -1), 0), 9)
            follow = 0 if env.pos == goal else 1 if env.pos > goal else 2
            actions.append(int(rng.integers(3)) if rng.random() < 0.05 else follow)
            reward, ends = env.act(BREAKOUT[actions[-1]])
            begins.append(begin)
            paid.append(reward)
            over.append(ends)
            seen.append(env.state())
            begin = -1
            if ends:
                break
    return {"begins": begins, "actions": actions, "paid": paid, "over": over, "seen": seen}


def freeway(rng: np.random.Generator) -> dict[str, list[Any]]:
    """One long episode; row 0 of `speeds` is the first traffic, row t + 1 the traffic after step t."""
    env, actions, paid, seen = game("freeway", 1), [], [], []
    speeds = [[car[3] for car in env.cars]]
    for _ in range(STEPS):
        actions.append(1 if rng.random() < 0.8 else int(rng.integers(3)))
        reward, _ = env.act(FREEWAY[actions[-1]])
        paid.append(reward)
        speeds.append([car[3] for car in env.cars])
        seen.append(env.state())
    return {"actions": actions, "paid": paid, "speeds": speeds, "seen": seen}


def main() -> None:
    """Write both games, pictures as bits, planes first."""
    kept: dict[str, Any] = {"package": np.array(f"MinAtar {version('MinAtar')}")}
    for name, play in (("breakout", breakout), ("freeway", freeway)):
        trace = {key: np.asarray(value) for key, value in play(np.random.default_rng(0)).items()}
        trace["seen"] = np.packbits(trace["seen"].transpose(0, 3, 1, 2).reshape(len(trace["seen"]), -1), axis=1)
        kept |= {f"{name}_{key}": v if v.dtype == np.uint8 else v.astype(np.int8) for key, v in trace.items()}
    np.savez_compressed(Path(__file__).with_name("minatar.npz"), **kept)


if __name__ == "__main__":
    main()
