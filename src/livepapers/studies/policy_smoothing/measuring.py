"""How a cell of the policy-smoothing study is measured."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines.action_certificates import voted_episodes
from livepapers.baselines.lipschitz_smoothing import lipschitz_mean_bound
from livepapers.blocks.policy_door import AnyPolicy
from livepapers.core import artifact
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods.policy_smoothing import (
    Certificate,
    Config,
    Search,
    SmoothedPolicy,
    ThresholdGame,
    attack,
    certify,
    collect_returns,
    gaps_at,
    play,
    shift,
)
from livepapers.studies.policy_smoothing.agents import HORIZON, REACHED, agent_name, settings, trained, world_of_kind
from livepapers.studies.policy_smoothing.design import BUDGETS, GAPS, VOTES
from livepapers.tasks.observations import StackedObservations
from livepapers.tasks.vector import SimulatorTask

GAMES = {
    "one": ThresholdGame(1, 1, 1.0), "one-even": ThresholdGame(1, 1), "both": ThresholdGame(2, 2),
    "either": ThresholdGame(2, 1), "both-safe": ThresholdGame(2, 2, 1.5), "two-of-three": ThresholdGame(3, 2, 0.5),
    "three-of-five": ThresholdGame(5, 3, 1.0),
}  # fmt: skip
ONE_STEP = ("one", "one-even")
RATIOS = np.linspace(0.0, 4.0, 17)
CELLS = 100  # of the adversary's squared budget in the games
CAR_GAPS = {"smoke": (0.5,), "laptop": (0.2, 0.5), "paper": (0.1, 0.2, 0.5, 1.0)}
"""Power, in standard deviations of the velocity times force."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    given = setting.parameters
    if arm == "games":
        return _games(int(given["episodes"][preset]), run)
    kind, sigma = str(given["kind"]), float(given["sigma"])
    config = settings(preset, sigma=sigma, frames=int(given["frames"]))
    if arm in ("perfect", "constant"):
        return _untrained(arm, kind, config)
    if arm == "undefended":
        return _undefended(kind, given, config, preset, run, seed)
    frames = 1 if arm == "single-frame" else config.frames
    policy = trained(run, kind=kind, frames=frames, sigma=sigma, seed=seed)
    if arm == "action-certificate":
        return _voted(policy, kind, config, preset, run, seed)
    certificate = _certificate(policy, kind, config, seed)
    run.samples("returns", certificate.returns)
    run.spend(environment_steps=int(certificate.returns.sum()) if kind != "car" else 0)
    if arm == "lipschitz":
        return _lipschitz(certificate)
    found = _certified(certificate, kind)
    if arm == "smoothed":
        _keep(run, kind, frames, sigma, seed)
        found |= {"attacked_0": found["clean"]} | _attacks(policy, kind, sigma, given, config, preset, seed)
        found |= _queries(policy, kind, config, seed)
    return found


def _certificate(policy: Any, kind: str, config: Config, seed: int) -> Certificate:
    """The certificate of an agent, on episodes that nothing else has seen."""
    return certify(
        policy, world_of_kind(kind), sigma=config.sigma, episodes=config.episodes, confidence=config.confidence,
        seed=derive(seed, "policy-smoothing", "certification"),
    )  # fmt: skip


def _certified(found: Certificate, kind: str) -> dict[str, float]:
    """The score (cart-pole: mean return, car: share of successes), certified and clean, at every budget."""
    if kind == "car":
        reached = float((found.returns >= REACHED).mean())
        perfect = Certificate.from_returns(np.ones(found.episodes), found.sigma, confidence=found.confidence)
        below, top = found.success(np.array(BUDGETS), REACHED), perfect.success(np.array(BUDGETS), 1.0)
        return {"clean": reached, **_named("certified", below), **_named("ceiling", top)}
    below, top = found.mean(np.array(BUDGETS)), found.ceiling(np.array(BUDGETS))
    rows = {"clean": float(found.returns.mean()), **_named("certified", below), **_named("ceiling", top)}
    return rows | {"budget_half_time": found.max_budget(HORIZON / 2, 0.5)}


def _named(name: str, values: np.ndarray) -> dict[str, float]:
    return {f"{name}_{budget:g}": float(value) for budget, value in zip(BUDGETS, values, strict=True)}


def _lipschitz(found: Certificate) -> dict[str, float]:
    ratio = np.array(BUDGETS) / float(np.asarray(found.sigma))
    below = lipschitz_mean_bound(
        found.returns, ratio, lowest=0.0, highest=float(HORIZON), confidence=found.confidence
    )  # fmt: skip
    return {"clean": float(found.returns.mean()), **_named("certified", below)}


def _attacks(
    policy: AnyPolicy, kind: str, sigma: float, given: Any, config: Config, preset: str, seed: int
) -> dict[str, float]:
    """The least score under the attack for each budget, and the most that any episode's adversary spent of it."""
    world, found = world_of_kind(kind), {}
    # the average of a linear policy's values over noise is their value without noise
    points = config.points if sigma > 0.0 and kind != "linear" else 0
    gaps = CAR_GAPS[preset] if kind == "car" else gaps_at(
        policy, world, sigma=sigma, shares=GAPS[kind][preset], seed=derive(seed, "policy-smoothing", "gaps")
    )  # fmt: skip
    search = Search(points=points, steps=config.attack_steps, size=config.attack_size)
    episodes = config.attacked if kind == "linear" else max(config.attacked // 4, 8)
    for budget in given["attacked"][preset]:
        done = attack(
            policy, world, sigma=sigma, budget=budget, gaps=gaps, episodes=episodes, search=search,
            seed=derive(seed, "policy-smoothing", "attack"), critic=_power if kind == "car" else None,
        )  # fmt: skip
        score = (done.returns >= REACHED).mean(1).min() if kind == "car" else done.mean
        found |= {f"attacked_{budget:g}": float(score), f"overspent_{budget:g}": float(done.spent.max() - budget)}
    return found


def _power(seen: Tensor, action: Tensor) -> Tensor:
    """What an action feeds into the car, `[lane]`: velocity times force."""
    return seen.flatten(1)[:, -1] * action[:, 0]


def _undefended(kind: str, given: Any, config: Config, preset: str, run: Run, seed: int) -> dict[str, float]:
    policy = trained(run, kind=kind, frames=config.frames, sigma=0.0, seed=seed)
    plain = collect_returns(
        policy, world_of_kind(kind), sigma=0.0, episodes=config.attacked,
        seed=derive(seed, "policy-smoothing", "undefended"),
    )  # fmt: skip
    run.samples("returns", plain.returns)
    clean = float((plain.returns >= REACHED).mean() if kind == "car" else plain.returns.mean())
    return {"clean": clean, "attacked_0": clean, **_attacks(policy, kind, 0.0, given, config, preset, seed)}


def _untrained(arm: str, kind: str, config: Config) -> dict[str, float]:
    """The ceiling, and an agent that does not look."""
    if arm == "perfect":
        whole = np.full(config.episodes, float(HORIZON))
        found = Certificate.from_returns(
            whole, config.sigma, confidence=config.confidence, lowest=0.0, highest=float(HORIZON)
        )  # fmt: skip
        return _certified(found, kind)
    return _certified(_certificate(lambda seen: torch.ones(len(seen), dtype=torch.int64), kind, config, 0), kind)


def _voted(policy: AnyPolicy, kind: str, config: Config, preset: str, run: Run, seed: int) -> dict[str, float]:
    """Per-step certificates: an episode counts for a budget if no action in it can be changed by it."""
    episodes, votes = VOTES[preset]
    task = SimulatorTask(StackedObservations(world_of_kind(kind), config.frames), episodes)
    found = voted_episodes(
        lambda seen: policy.act(seen, None), task, sigma=config.sigma, votes=votes, alpha=1.0 - config.confidence,
        horizon=HORIZON, actions=2, generator=run.generator("votes"),
        seed=derive(seed, "policy-smoothing", "voted") >> 32,
    )  # fmt: skip
    run.samples("radius", found.radius)
    below = np.array([(found.returns * (found.radius > budget)).mean() for budget in BUDGETS])
    rows = {"clean": float(found.returns.mean()), **_named("certified", below)}
    return rows | {
        "evaluations_a_step": found.evaluations / found.steps,
        "median_radius": float(np.median(found.radius)),
    }


def _queries(policy: AnyPolicy, kind: str, config: Config, seed: int) -> dict[str, float]:
    """How often the policy is asked for one action at run time, counted where it is asked."""
    asked = 0

    def counted(seen: Tensor, mask: Tensor | None) -> Tensor:
        nonlocal asked
        asked += len(seen)
        return policy.act(seen, mask)

    agent = SmoothedPolicy(
        AnyPolicy(counted, policy.about, policy.shape), config.sigma, frames=config.frames,
        generator=make_generator(seed, "policy-smoothing", "queries"),
    )  # fmt: skip
    play(agent, SimulatorTask(world_of_kind(kind), 16), seed=1)
    return {"evaluations_a_step": asked / agent.observations}


def _keep(run: Run, kind: str, frames: int, sigma: float, seed: int) -> None:
    """Keep the agent with the run: it can be evaluated, exported, certified and diagnosed again."""
    folder = run.prepared(agent_name(kind, frames=frames, sigma=sigma, seed=seed))
    kept = artifact.load(folder)
    run.artifact("agent", kept, weights=artifact.load_weights(folder))


def _games(episodes: int, run: Run) -> dict[str, float]:
    """Games whose worst adversary is known: how far it stays above the bound, and whether simulation agrees."""
    found: dict[str, float] = {}
    for name, game in GAMES.items():
        bound = shift(game.clean(), RATIOS)
        worst = np.array([game.worst(ratio, cells=CELLS) for ratio in RATIOS])
        first = np.array([game.first_step_only(ratio) for ratio in RATIOS])
        found[f"above_{name}"] = float((worst - bound).min())
        found[f"first_above_{name}"] = float((first - bound).min())
        if name in ONE_STEP:
            found[f"attained_{name}"] = float(np.abs(worst - bound).max())
        share = game.simulate(
            episodes, run.generator(f"game {name}"), spend=game.best_adversary(2.0, cells=CELLS), ratio=2.0
        )
        expected = game.worst(2.0, cells=CELLS)
        error = max((expected * (1.0 - expected) / episodes) ** 0.5, 1.0 / episodes)
        found[f"deviation_{name}"] = abs(share - expected) / error
        found[f"simulated_above_{name}"] = share + 5.0 * error - float(shift(game.clean(), 2.0))
    run.spend(simulated_episodes=episodes * len(GAMES))
    return found
