"""pdppo on a user's own plant: a trained policy, what it costs beside rules and the hindsight bound, and a schedule."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines.lot_sizing_hindsight import Bound, hindsight_bounds
from livepapers.baselines.lot_sizing_rules import GreedyRule, idle, tuned
from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, rounded, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.chart import gantt
from livepapers.methods.pdppo.config import Config
from livepapers.methods.pdppo.learner import PostDecisionPPO
from livepapers.methods.pdppo.objectives import AGGREGATES, Aggregate
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, LotSizingRollout, PlantPolicy, Scenario

COST_TABLE, NOW_TABLE, SCHEDULE_TABLE = "Cost on fresh demand paths", "What to make now", "Schedule on one demand path"
TUNING_PATHS, FRESH_PATHS = 64, 100
MOST_PERIODS = 60  # of the schedule and of the bound's paths


@dataclass(frozen=True)
class _Options:
    aggregate: Aggregate
    steps: int
    seed: int
    paths: int
    periods: int
    seconds: float


@dataclass(frozen=True)
class _Judged:
    """Everything is measured on the same paths; `bounds` belong to the first of them, cut at `periods`."""

    costs: Mapping[str, LotSizingRollout]  # on whole episodes
    short: Mapping[str, LotSizingRollout]  # on the bound's paths
    bounds: Sequence[Bound]
    look_ahead: int


def apply(
    plant: Path,
    *,
    aggregate: Aggregate = "max",
    steps: int = 200_000,
    seed: Seed = 0,
    paths: int = 5,
    periods: int = 30,
    seconds: float = 20.0,
    output: Path | None = None,
) -> Application:
    """Train a schedule policy for your own plant and say what it is worth beside simple rules and a hindsight bound.

    Args:
        plant: Items, machines, set-up costs and demand: a YAML or JSON file with items, machines and horizon.
        aggregate: How the two advantages are joined: max (the paper), sum, min, one_critic, ppo, ppo2 or afterstate.
        steps: Periods of the plant that the policy learns from.
        seed: Of initial weights, demand and drawn actions.
        paths: Demand paths for which the hindsight bound is solved; 0 leaves it out.
        periods: Length of those paths, and of the schedule; at most the plant's horizon.
        seconds: Time limit of the solver for each path; a bound cut short is lower, never wrong.
        output: Folder for the policy, the tables and a chart; nothing is written when left out. An interrupted run
            leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        Cost of the policy, of the look-ahead and the myopic rule and of idling on the same fresh demand, the bound's
        part of it, what each machine should make now, and a schedule from today's stock.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.

    Examples:
        livepapers apply pdppo --plant plant.yml --output schedule
        livepapers apply pdppo --plant plant.yml --steps 1000000 --paths 20 --seconds 60
        livepapers apply pdppo --plant plant.yml --aggregate ppo --paths 0 --json
    """
    options = _checked(_Options(aggregate, steps, seed, paths, periods, seconds))
    if output is not None:
        check_output_folder(output)
    simulator = LotSizing(LotSizingPlant.from_file(plant, option="--plant"))
    options = dataclasses.replace(options, periods=min(periods, simulator.horizon))
    learner = PostDecisionPPO(simulator, config=_config(options), seed=seed)
    made_by = {"aggregate": aggregate, "steps": steps, "seed": seed, "plant": sha256(plant)}
    fingerprint = hashlib.sha256(json.dumps(["pdppo", 1, made_by], sort_keys=True).encode()).hexdigest()
    with unfinished(output) as partial:
        loop.drive(learner, learner.config.updates, folder=partial, fingerprint=fingerprint)
        policy = learner.policy.eval()

        def act(state: object) -> Tensor:
            return policy(simulator.observe(state))  # type: ignore[arg-type]

        judged = _judge(simulator, act, options)
        schedule = simulator.rollout(act, _today(simulator, options))
        tables = {
            COST_TABLE: _cost_rows(judged, options), NOW_TABLE: _now(simulator, act, judged),
            SCHEDULE_TABLE: _schedule_rows(simulator.plant, schedule),
        }  # fmt: skip
        application = Application("pdppo", _headline(judged), tables, _notes(judged, options))
        if output is None:
            return application
        return _write(application, output, learner, made_by, _chart(simulator.plant, schedule))


def _checked(options: _Options) -> _Options:
    if options.aggregate not in AGGREGATES:
        raise InputError.of("aggregate", options.aggregate, expected=f"one of {', '.join(AGGREGATES)}")
    for field, value, low, high in (
        ("steps", options.steps, 1, 10**9),
        ("seed", options.seed, 0, 2**63 - 1),
        ("paths", options.paths, 0, 1000),
        ("periods", options.periods, 1, MOST_PERIODS),
    ):
        if not low <= value <= high:
            raise InputError.of(field, value, expected=f"a whole number from {low} to {high:,}")
    if not 0.01 <= options.seconds <= 86_400:
        raise InputError.of("seconds", options.seconds, expected="a number from 0.01 to 86,400")
    return options


def _config(options: _Options) -> Config:
    usual = Config(aggregate=options.aggregate)
    lanes = min(usual.lanes, max(1, options.steps // usual.steps))
    updates = max(1, round(options.steps / (lanes * usual.steps)))
    return replace(usual, lanes=lanes, updates=updates)


def _judge(simulator: LotSizing, act: PlantPolicy, options: _Options) -> _Judged:
    rule, _ = tuned(simulator, _paths(simulator, options, "tuning", TUNING_PATHS))
    policies: dict[str, PlantPolicy] = {
        "pdppo": act, "look-ahead rule": rule, "myopic rule": GreedyRule(simulator), "idle": idle
    }  # fmt: skip
    fresh = _paths(simulator, options, "fresh", FRESH_PATHS)
    few = Scenario(
        type(fresh.state)(*(part[: options.paths] for part in fresh.state)),
        fresh.demand[: options.paths, : options.periods],
    )
    whole = {name: simulator.rollout(policy, fresh) for name, policy in policies.items()}
    short = {name: simulator.rollout(policy, few) for name, policy in policies.items()} if options.paths else {}
    bounds = hindsight_bounds(simulator.plant, few, paths=options.paths, seconds=options.seconds)
    return _Judged(whole, short, bounds, rule.look_ahead)


def _paths(simulator: LotSizing, options: _Options, name: str, count: int) -> Scenario:
    return simulator.scenarios(count, make_generator(options.seed, "pdppo", "apply", name))


def _today(simulator: LotSizing, options: _Options) -> Scenario:
    """Today's stock and set-ups, and one demand path."""
    drawn = simulator.scenarios(1, make_generator(options.seed, "pdppo", "apply", "schedule"), periods=options.periods)
    return Scenario(simulator.today(), drawn.demand)


def _cost_rows(judged: _Judged, options: _Options) -> list[Row]:
    best = float(np.mean([one.bound for one in judged.bounds])) if judged.bounds else None
    myopic = float(judged.costs["myopic rule"].cost.mean())
    rows: list[Row] = []
    first = f"cost of the first {options.periods} periods"
    for name, rollout in judged.costs.items():
        short = float(judged.short[name].cost.mean()) if judged.bounds else None
        above = None if best is None or short is None or best <= 0 else round(100.0 * (short / best - 1.0), 1)
        rows.append({
            "policy": name,
            "cost": rounded(float(rollout.cost.mean())),
            "set-up": rounded(float(rollout.setup_cost.double().sum(1).mean())),
            "lost sales": rounded(float(rollout.lost_sales.double().sum(1).mean())),
            "holding": rounded(float(rollout.holding.double().sum(1).mean())),
            "against the myopic rule, %": round(100.0 * (float(rollout.cost.mean()) / max(myopic, 1e-9) - 1.0), 1),
            first: None if short is None else rounded(short),
            "above the bound, %": above,
        })  # fmt: skip
    if best is not None:
        blank = dict.fromkeys(rows[0])
        rows.append({**blank, "policy": "hindsight bound", first: rounded(best), "above the bound, %": 0.0})
    return rows


def _now(simulator: LotSizing, act: PlantPolicy, judged: _Judged) -> list[Row]:
    plant, state = simulator.plant, simulator.today()
    with torch.no_grad():
        chosen, ruled = act(state)[0].tolist(), GreedyRule(simulator, judged.look_ahead)(state)[0].tolist()
    names = ["idle", *(item.name for item in plant.items)]
    return [
        {"machine": machine.name, "set up for": machine.setup or "nothing", "pdppo": names[ours],
         "look-ahead rule": names[rule]}
        for machine, ours, rule in zip(plant.machines, chosen, ruled, strict=True)
    ]  # fmt: skip


def _schedule_rows(plant: LotSizingPlant, rollout: LotSizingRollout) -> list[Row]:
    names = ["idle", *(item.name for item in plant.items)]
    return [
        {
            "period": t + 1,
            **{machine.name: names[int(rollout.action[0, t, m])] for m, machine in enumerate(plant.machines)},
            "stock": int(rollout.inventory[0, t].sum()),
            "units short": int(rollout.short[0, t].sum()),
            "set-up cost": rounded(float(rollout.setup_cost[0, t])),
        }
        for t in range(rollout.action.shape[1])
    ]


def _chart(plant: LotSizingPlant, rollout: LotSizingRollout) -> str:
    return gantt(
        [machine.name for machine in plant.machines], [item.name for item in plant.items],
        rollout.action[0].tolist(), rollout.inventory[0].tolist(), plant.capacity.tolist(),
    )  # fmt: skip


def _headline(judged: _Judged) -> str:
    costs = {name: float(rollout.cost.mean()) for name, rollout in judged.costs.items()}
    ours, rival = costs["pdppo"], min((name for name in costs if name != "pdppo"), key=lambda name: costs[name])
    percent = 100.0 * (ours / max(costs[rival], 1e-9) - 1.0)
    text = (
        f"pdppo: cost {ours:,.4g} an episode on {FRESH_PATHS} fresh demand paths, {abs(percent):.1f} % "
        f"{'less' if percent < 0 else 'more'} than the {rival} ({costs[rival]:,.4g})"
    )
    if judged.bounds:
        bound, short = np.mean([one.bound for one in judged.bounds]), float(judged.short["pdppo"].cost.mean())
        text += f"; on {len(judged.bounds)} paths {short:,.4g} against a hindsight bound of {bound:,.4g}"
    return text


def _notes(judged: _Judged, options: _Options) -> tuple[str, ...]:
    costs = {name: float(rollout.cost.mean()) for name, rollout in judged.costs.items()}
    notes = [
        f"the look-ahead rule looks {judged.look_ahead} periods ahead, chosen on {TUNING_PATHS} other paths",
        "the schedule follows one drawn demand path from today's stock; with other demand the policy decides otherwise",
    ]
    if min(costs, key=lambda name: costs[name]) != "pdppo":
        notes.insert(0, "a rule is cheaper than the trained policy: use it, or train with more --steps")
    if judged.bounds:
        gap = float(np.mean([one.gap for one in judged.bounds]))
        notes.append(
            f"the bound knows all demand beforehand and was solved to {100 * gap:.1f} % on average in at most "
            f"{options.seconds:g} s a path: the true least cost may be that much above it"
        )
    return tuple(notes)


def _write(
    application: Application, output: Path, learner: PostDecisionPPO,
    made_by: Mapping[str, str | int], chart: str,
) -> Application:  # fmt: skip
    """Save the policy with its tables and the chart, whole or not at all."""
    names = {COST_TABLE: "costs.csv", NOW_TABLE: "now.csv", SCHEDULE_TABLE: "schedule.csv"}
    files = {names[title]: to_csv(rows) for title, rows in application.tables.items()} | {"schedule.svg": chart}
    with new_folder(output) as folder:
        artifact.save(folder, learner.artifact(**made_by), weights=learner.policy.state_dict(), files=files)
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        **{names[title]: title.lower() for title in application.tables}, "schedule.svg": "the schedule as a chart",
    }  # fmt: skip
    return Application("pdppo", application.headline, application.tables, application.notes, holds, output)
