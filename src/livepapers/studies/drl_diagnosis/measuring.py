"""How a cell of the drl-diagnosis study is measured."""

import numpy as np
import torch
from gymnasium.spaces import Discrete

from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.core import artifact
from livepapers.core.rng import derive
from livepapers.lab.study import Run, Setting
from livepapers.methods.drl_diagnosis import (
    Config,
    ConvQPolicy,
    Limits,
    certified_share,
    collect,
    diagnose,
    differentiable,
    steepest,
)
from livepapers.studies.drl_diagnosis.agents import agent, agent_name, game, settings
from livepapers.studies.drl_diagnosis.design import CHANGES, FEW_CHANGES, RADIUS


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    world = str(setting.parameters["world"])
    config = settings(preset, arm=arm, world=world)
    policy = agent(run, preset, arm=arm, world=world, seed=seed)
    found = diagnose(
        policy, game(world, preset), config=config, changes=CHANGES.get(arm, FEW_CHANGES),
        seed=derive(seed, "drl-diagnosis", "diagnosis"),
    )  # fmt: skip
    run.samples("direction", found.direction.numpy())
    run.samples("lengths", found.series)
    measured = {name: float(values.mean()) for name, values in found.figures.items()}
    for name, row in found.table.items():
        short = name.replace(" ", "-")
        measured |= {f"{figure}_{short}": float(row[figure].mean()) for figure in ("quotient", "cosine", "size")}
    if arm != "untrained":
        folder = run.prepared(agent_name(arm, world, seed))
        run.artifact("agent", artifact.load(folder), weights=artifact.load_weights(folder))
    return measured | _robustness(policy, world, config, seed, preset)


def _robustness(policy: AnyPolicy, world: str, config: Config, seed: int, preset: str) -> dict[str, float]:
    """Scores of whole training episodes: plain, under ten gradient steps in the l-infinity ball, and without a look."""
    values, simulator = differentiable(policy), game(world, preset)
    count, start = config.episodes * config.repeats, derive(seed, "drl-diagnosis", "robustness") >> 32
    limits = Limits(config.attack_size)
    plain = collect(policy, simulator, episodes=count, seed=start)
    attacked = collect(
        policy, simulator, episodes=count, seed=start,
        change=lambda seen: steepest(values, seen, radius=RADIUS, limits=limits),
    )  # fmt: skip
    random = collect(None, simulator, episodes=count, seed=start)
    assert isinstance(simulator.action_space, Discrete)
    blind = max(
        float(collect(always(action), simulator, episodes=count, seed=start).returns.mean())
        for action in range(int(simulator.action_space.n))
    )
    network = policy.network
    assert isinstance(network, ConvQPolicy)  # all agents of the study are
    own, left, chance = (float(np.mean(each.returns)) for each in (plain, attacked, random))
    return {
        "score": own, "attacked_score": left, "random_score": chance, "blind_score": blind,
        "kept": (left - chance) / max(own - chance, 1e-9) if own > chance else 0.0,
        "certified": certified_share(network.network, plain.states, radius=RADIUS),
    }  # fmt: skip


def always(action: int) -> AnyPolicy:
    """The policy that looks at nothing."""
    return as_policy(lambda seen: torch.full((len(seen),), action))
