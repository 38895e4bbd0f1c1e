"""How a cell of the ospo study is measured."""

from livepapers.baselines.dispatch_rules import nearest_vehicle, one_step_greedy, random_matching
from livepapers.lab.study import Run, Setting
from livepapers.methods import ospo
from livepapers.studies.ospo.design import BUDGETS, LEARNERS, RULES
from livepapers.studies.ospo.instances import fleet
from livepapers.tasks.ride_pooling import FleetPolicy, RidePooling, Rollout

DISCOUNT = 0.99
"""A minute, of the platform's reward."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    world = fleet(run.prepared("cities"), setting, preset)
    if arm in RULES:
        return _judged(world, _rule(arm, world, run), preset, run)
    learner = _learner(arm, world, seed, preset)
    _train(learner, preset, run)
    run.artifact("policy", learner.artifact(arm=arm, setting=setting.name), weights=learner.policy().state_dict())
    return _judged(world, _greedy(learner.policy(), world), preset, run)


def config_of(arm: str, preset: str) -> ospo.Config:
    """An arm's training settings: the budget is equal, what differs is tuned or in `LEARNERS`."""
    budget = BUDGETS[preset]
    tuned = budget.tuned.get(arm, budget.tuned.get("ospo", {}))
    return ospo.Config(**{**budget.learning, **tuned, **LEARNERS[arm]})


def _learner(arm: str, world: RidePooling, seed: int, preset: str) -> ospo.Dispatcher:
    kind = ospo.QDispatcher if arm == "ddqn" else ospo.GroupPolicyOptimizer
    return kind(world, config=config_of(arm, preset), seed=seed)


def _train(learner: ospo.Dispatcher, preset: str, run: Run) -> None:
    """Train an arm; its curve is the greedy reward on the dev episodes; the first check is judged as the end is."""
    config, world = learner.config, learner.fleet

    def evaluate(step: int) -> dict[str, float] | None:
        episodes = step * config.lanes
        if episodes % config.check_every and episodes < config.episodes:
            return None
        if episodes > config.check_every:
            return {"curve": learner.dev_reward}
        test = world.scenario(BUDGETS[preset].tests, run.generator("test"))
        rollout = world.rollout(_greedy(learner.current, world), test)
        return {"curve": learner.dev_reward, "first": float(rollout.discounted(DISCOUNT).mean())}

    run.drive(learner, learner.updates, evaluate=evaluate)


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


def _greedy(policy: ospo.DispatchPolicy, world: RidePooling) -> FleetPolicy:
    return lambda state: policy(world.observe(state))
