"""How a cell of the ospo study is measured."""

from typing import Any

from livepapers.baselines.dispatch_rules import nearest_vehicle, one_step_greedy, random_matching
from livepapers.lab.study import Run, Setting
from livepapers.methods import ospo
from livepapers.studies.ospo.design import BUDGETS, RULES
from livepapers.studies.ospo.instances import fleet, greedy, learner
from livepapers.studies.ospo.tuning import DISCOUNT, chosen, config_of
from livepapers.tasks.ride_pooling import FleetPolicy, RidePooling, Rollout


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    world = fleet(run.prepared("cities"), setting, preset)
    if arm in RULES:
        return _judged(world, _rule(arm, world, run), preset, run)
    trials = chosen(run, arm, preset, seed)
    made = learner(arm, world, config_of(arm, preset, trials["chosen"] if trials else {}), seed)
    _train(made, preset, run)
    policy = made.policy()
    run.artifact("policy", made.artifact(arm=arm, setting=setting.name), weights=policy.state_dict())
    return {**_judged(world, greedy(policy, world), preset, run), **_settings(made.config, trials)}


def _train(made: ospo.Dispatcher, preset: str, run: Run) -> None:
    """Train an arm; its curve is the greedy reward on the dev episodes.

    The network of the first check, and at each third of the training the one that would be kept, are judged as the end
    is.
    """
    config, world = made.config, made.fleet
    thirds = {-(-config.episodes * third // 3) for third in (1, 2, 3)}

    def tested(policy: ospo.DispatchPolicy) -> float:
        test = world.scenario(BUDGETS[preset].tests, run.generator("test"))
        return float(world.rollout(greedy(policy, world), test).discounted(DISCOUNT).mean())

    def evaluate(step: int) -> dict[str, float] | None:
        episodes, found = step * config.lanes, {}
        if episodes in thirds:
            found["kept"] = tested(made.policy())
        if episodes % config.check_every == 0 or episodes >= config.episodes:
            found["curve"] = made.dev_reward
        if episodes == config.check_every:
            found["first"] = tested(made.current)
        return found or None

    run.drive(made, made.updates, evaluate=evaluate)


def _settings(config: ospo.Config, trials: dict[str, Any] | None) -> dict[str, float]:
    """What the trials chose, and how every one of them went."""
    found = {"learning_rate": config.learning_rate, "explore": config.explore}
    if trials is None:
        return found
    scores = {
        f"trial_{one['values']['learning_rate']:g}_{one['values']['explore']:g}": one["mean"]
        for one in trials["trials"]
        if one["mean"] is not None
    }
    return found | {"rate_at_edge": float("learning_rate" in trials["edges"])} | scores


def _judged(world: RidePooling, policy: FleetPolicy, preset: str, run: Run) -> dict[str, float]:
    """What happens on the test episodes of the seed, the same for all arms."""
    rollout = world.rollout(policy, world.scenario(BUDGETS[preset].tests, run.generator("test")))
    run.spend(test_minutes=BUDGETS[preset].tests * world.horizon)
    run.samples("reward", rollout.discounted(DISCOUNT).numpy())
    return {"reward": float(rollout.discounted(DISCOUNT).mean()), **_counts(rollout)}


def _counts(rollout: Rollout) -> dict[str, float]:
    offered, accepted = (float(rollout.counted(name).sum()) for name in ("offered", "accepted"))
    each = max(accepted, 1.0)
    return {
        "served_percent": 100.0 * accepted / max(offered, 1.0),
        "lost_percent": 100.0 * float(rollout.counted("lost").sum()) / max(offered, 1.0),
        "pickup_minutes": float(rollout.counted("pickup_minutes").sum()) / each,
        "detour_minutes": float(rollout.counted("detour_minutes").sum()) / each,
        "late_percent": 100.0 * float(rollout.counted("late").sum()) / each,
    }


def _rule(arm: str, world: RidePooling, run: Run) -> FleetPolicy:
    if arm == "random":
        return random_matching(world, run.private_generator("random"))
    return one_step_greedy(world) if arm == "one-step greedy" else nearest_vehicle(world)
