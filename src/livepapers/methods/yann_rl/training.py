"""Training of an exact controller on a user's environment: the best one that it passes is kept."""

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from livepapers.baselines.linear_problem import LinearProblem, riccati
from livepapers.blocks.selection import Selected
from livepapers.core import loop
from livepapers.core.application import Row
from livepapers.core.config import replace
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.yann_rl.critic import YannCritic
from livepapers.methods.yann_rl.learner import Config, YannDDPG
from livepapers.methods.yann_rl.model_file import Model
from livepapers.methods.yann_rl.reporting import STARTS, rounded
from livepapers.methods.yann_rl.yann import YannActor
from livepapers.tasks import worlds
from livepapers.tasks.finite import require_finite
from livepapers.tasks.vector import BatchedTask

LONGEST_EPISODE, ONE = 1000, torch.ones(1, dtype=torch.bool)
JUDGEMENTS, JUDGED_EVERY, JUDGED_STARTS = 10, 1000, 5
"""Ten judgements in equal parts of the training, fewer where a part would be under so many steps; episodes of each."""
CRITICS = {"slow": Config().critic_rate, "fast": 1e-3}
"""Learning rates. The slow critic stays close to the file's Q and R and is the study's choice; the fast one learns what
they do not say (a push that never ends, other costs), and ruins the controller where the data do not show it how cost
depends on the input."""
LARGEST = 20.0  # targets are cut at so many times the usual cost-to-go


class Trained(NamedTuple):
    """What a training has come to."""

    controller: YannActor
    kept: int  # environment steps after which it was found; 0: the exact one
    critic: str  # of `CRITICS`, which it learned from
    rows: list[Row]  # cost by common start before and after


class Played(NamedTuple):
    """One episode."""

    cost: float
    ended: int  # 1: it ended early, by a broken limit
    steps: int = 0


def train(
    task: BatchedTask,
    actor: YannActor,
    model: Model,
    *,
    env: str,
    steps: int,
    noise: float,
    seed: int,
    partial: Path | None,
    made_by: Mapping[str, Any],
) -> Trained:
    """Let a controller learn from each critic; keep the one of least cost that is as safe as at first.

    Args:
        task: What is learned on; one lane.
        actor: The exact controller with its corrections; stays as it is.
        model: What it was made of.
        env: Its name as `worlds.named` reads it, for the episodes that judge and compare.
        steps: Environment steps a critic, a multiple of `Config.steps`.
        noise: Of the exploration, as `Config.noise`.
        seed: Of everything drawn.
        partial: Where checkpoints go, if anywhere.
        made_by: What fixes the work; a checkpoint of other work is refused.
    """
    before = _play(env, actor, STARTS, seed, "compared")
    first = _play(env, actor, JUDGED_STARTS, seed, "judged")

    def judge(policy: nn.Module, _: int) -> float:
        played = _play(env, policy, JUDGED_STARTS, seed, "judged")
        safe = all(_as_safe(*pair) for pair in zip(played, first, strict=True))
        return -_mean_cost(played) if safe else -math.inf

    updates, parts = steps // Config().steps, min(max(steps // JUDGED_EVERY, 1), JUDGEMENTS)
    code = worlds.digest_of_code(worlds.named(env)[0])
    fingerprint = hashlib.sha256(json.dumps(["yann-rl", 2, dict(made_by), code], sort_keys=True).encode()).hexdigest()
    found = Trained(actor, 0, "", [])
    to_beat, violations = -_mean_cost(first), 0
    for name, rate in CRITICS.items():
        learner = _learner(task, actor, model, steps=steps, critic_rate=rate, noise=noise, seed=seed)
        selected = Selected(learner, judge, every=updates // parts, to_beat=to_beat)
        folder = None if partial is None else partial / name
        loop.drive(selected, updates, name=f"{name} critic", folder=folder, fingerprint=fingerprint)
        violations += learner.violations
        if selected.best_update:
            to_beat = selected.best_return
            kept = copy.deepcopy(actor)
            kept.load_state_dict(selected.policy().state_dict())
            found = Trained(kept, selected.best_update * learner.config.steps, name, [])
    after = _play(env, found.controller, STARTS, seed, "compared")
    return found._replace(rows=_rows(before, after, violations))


def _learner(
    task: BatchedTask, actor: YannActor, model: Model, *, steps: int, critic_rate: float, noise: float, seed: int
) -> YannDDPG:
    """A copy of the actor that learns, costs scaled to the usual cost-to-go of the file's own problem."""
    config = Config()
    scale = 1.0 / max(_usual_cost(model.problem, config.discount), 1e-9)
    frozen = min(config.frozen, steps // 2)  # the actor learns for half of a short training at least
    config = replace(
        config, cost_scale=scale, largest_value=LARGEST, frozen=frozen, critic_rate=critic_rate, noise=noise
    )
    critic = YannCritic(
        model.problem, discount=config.discount, cost_scale=scale, nodes=config.critic_nodes, scale=config.scale,
        state_set_point=model.state, input_set_point=model.input,
        generator=make_generator(seed, "yann-rl", "apply", "critic"),
    )  # fmt: skip
    return YannDDPG(task, copy.deepcopy(actor), critic, config=config, seed=seed)


def _usual_cost(problem: LinearProblem, discount: float) -> float:
    """The mean cost-to-go of states spread over a third of the box: what costs are scaled by."""
    wide = np.maximum(problem.state_high, -problem.state_low) / 3.0
    p = riccati(problem.a, problem.b, problem.q, problem.r, discount=discount)
    return float((np.diag(p) * wide**2).sum() / 3.0)


@torch.no_grad()
def _play(env: str, actor: nn.Module, starts: int, seed: int, stream: str) -> list[Played]:
    """One episode from each of the stream's starts."""
    played = []
    with worlds.opened(*worlds.named(env)) as task:
        for start in range(starts):
            observation, cost = task.reset(derive(seed, "yann-rl", "apply", stream, start) >> 33), 0.0
            terminated, steps = False, 0
            while steps < LONGEST_EPISODE:
                steps += 1
                step = task.step(actor(require_finite(observation, ONE, what="observations")))
                observation, cost = step.observation, cost - float(require_finite(step.reward, ONE, what="rewards")[0])
                terminated = bool(step.terminated[0])
                if terminated or bool(step.truncated[0]):
                    break
            played.append(Played(cost, int(terminated), steps))
    return played


def _as_safe(now: Played, then: Played) -> bool:
    """Whether an episode breaks no limit that was kept before, nor the same one sooner: what ends soon costs little."""
    return not now.ended or (bool(then.ended) and now.steps >= then.steps)


def _mean_cost(played: list[Played]) -> float:
    return float(np.mean([one.cost for one in played]))


def _rows(before: list[Played], after: list[Played], violations: int) -> list[Row]:
    """Cost by start, their means, and what training itself broke."""

    def row(start: str, then: Played, now: Played) -> Row:
        return {"start": start, "cost before": rounded(then.cost), "cost after": rounded(now.cost),
                "ended early before": then.ended, "ended early after": now.ended}  # fmt: skip

    rows = [row(str(k), then, now) for k, (then, now) in enumerate(zip(before, after, strict=True), 1)]
    then, now = (Played(_mean_cost(played), sum(one.ended for one in played)) for played in (before, after))
    training: Row = {"start": "in training", "cost before": None, "cost after": None, "ended early before": None,
                     "ended early after": violations}  # fmt: skip
    return [*rows, row("mean", then, now), training]
