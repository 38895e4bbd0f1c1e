"""Record the games of the package MinAtar, which the suite's copies are compared with: `minatar.npz`, beside this file.

It runs where the package is, apart from this project: `pip install MinAtar==1.0.15 "numpy<3"`, then
`python record_minatar.py`. The players know the rules and now and then do anything, so that bricks break, balls are
lost and met at the corner, roads are crossed and chickens are hit, waves are shot one after the other until they come
no faster, bombs hit and aliens land.
"""

from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from minatar import Environment  # type: ignore[import-not-found]

EPISODES, LONGEST, STEPS = 12, 250, 900
BREAKOUT, FREEWAY, INVADERS = (0, 1, 3), (0, 2, 4), (0, 1, 3, 5)
"""The package's numbers of the actions that do something."""

ALL = 999
BATTLES = (
    (0.0, ALL, 1400),
    (0.1, ALL, 500),
    (0.02, 0, 500),
    *[(0.02, kills, 500) for kills in range(12, 20)],
    (1.0, ALL, 250),
)
"""Episodes of Space Invaders: how often the player does anything, kills after which it only lives on, steps at most."""


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


def space_invaders(rng: np.random.Generator) -> dict[str, list[Any]]:
    """Episodes, one after the other; every one begins alike."""
    env, begins, actions, paid, over, seen = game("space_invaders", 2), [], [], [], [], []
    for careless, kills, longest in BATTLES:
        env.reset()
        killed = 0
        for step in range(longest):
            shoots = killed < kills
            anything = int(rng.integers(4 if shoots else 3))
            actions.append(anything if rng.random() < careless else survivor(env, shoots=shoots))
            reward, ends = env.act(INVADERS[actions[-1]])
            killed += reward
            begins.append(step == 0)
            paid.append(reward)
            over.append(ends)
            seen.append(env.state())
            if ends:
                break
    return {"begins": begins, "actions": actions, "paid": paid, "over": over, "seen": seen}


def survivor(env: Any, *, shoots: bool) -> int:
    """Shoot if that would hit, else go to where the nearest column will be: of these, what can be lived through."""
    columns = np.flatnonzero(env.alien_map.any(0))
    goal = columns[np.abs(columns + env.alien_dir - env.pos).argmin()] + env.alien_dir
    if len(columns) < 3:  # they are fast: wait for them
        goal = min(max(env.pos, 2), 7)
    toward = 0 if goal == env.pos else 1 if goal < env.pos else 2
    order = [toward, *(action for action in (0, 1, 2) if action != toward)]
    if shoots and env.shot_timer == 0 and hits(env):
        order.insert(0, 3)
    return next((action for action in order if lives(after(env, action), 5)), order[0])


def after(env: Any, action: int) -> Any:
    """The game a step later."""
    later = deepcopy(env)
    later.act(INVADERS[action])
    return later


def lives(env: Any, steps: int) -> bool:
    """Whether some way to move keeps the cannon whole so long."""
    return not env.terminal and (steps == 0 or any(lives(after(env, action), steps - 1) for action in (0, 1, 2)))


def hits(env: Any) -> bool:
    """Whether a shot from here would hit an alien."""
    alone = deepcopy(env)
    alone.f_bullet_map[:] = 0
    return sum(alone.act(INVADERS[3 if step == 0 else 0])[0] for step in range(10)) > 0


def main() -> None:
    """Write all games, pictures as bits, planes first."""
    kept: dict[str, Any] = {"package": np.array(f"MinAtar {version('MinAtar')}")}
    for name, play in (("breakout", breakout), ("freeway", freeway), ("invaders", space_invaders)):
        trace = {key: np.asarray(value) for key, value in play(np.random.default_rng(0)).items()}
        trace["seen"] = np.packbits(trace["seen"].transpose(0, 3, 1, 2).reshape(len(trace["seen"]), -1), axis=1)
        kept |= {f"{name}_{key}": v if v.dtype == np.uint8 else v.astype(np.int8) for key, v in trace.items()}
    np.savez_compressed(Path(__file__).with_name("minatar.npz"), **kept)


if __name__ == "__main__":
    main()
