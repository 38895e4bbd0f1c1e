"""pdppo on a user's own plant: a trained policy, its cost beside rules and the hindsight bound, and a schedule."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, options_checked, rounded, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed
from livepapers.core.rng import generator as make_generator
from livepapers.methods.pdppo.chart import gantt
from livepapers.methods.pdppo.config import Config
from livepapers.methods.pdppo.judging import (
    CHOOSING_PATHS,
    FRESH_PATHS,
    NAMES,
    RULE,
    SAMPLED,
    TUNING_PATHS,
    Judged,
    above_bound,
    judge,
    share,
)
from livepapers.methods.pdppo.learner import PostDecisionPPO
from livepapers.methods.pdppo.objectives import AGGREGATES, Aggregate
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, LotSizingRollout, Scenario

COST_TABLE, NOW_TABLE, SCHEDULE_TABLE = "Cost on fresh demand paths", "What to make now", "Schedule on one demand path"
MAKES = "made by "  # before a machine's name, lest it be that of another column
STOCK = "stock.csv"
MOST_PERIODS = 60  # of the schedule and of the bound's paths
MEASURED = (
    "measured rivals: in the study, where set-ups are seen as here, plain PPO (--aggregate ppo) was cheaper than pdppo "
    "and than the look-ahead rule, and the rule cheaper than pdppo, on average: livepapers report pdppo --committed"
)


@dataclass(frozen=True)
class _Options:
    aggregate: Aggregate
    steps: int
    seed: int
    paths: int
    periods: int
    seconds: float


@options_checked
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

    The file has items, machines and horizon (periods). Each of the items: name, holding and lost_sale (cost of a unit),
    capacity and stock (units), demand. Each of the machines: name, setup (the item it is set up for today, if any),
    makes. Each entry of makes: item, units (a period), setup_cost, setup_loss (units). A demand has a kind: poisson
    with mean, binomial with trials and probability, recorded with past (a list). A sample to begin with:

    cp $(python -m livepapers.samples bakery_plant.yml) plant.yml

    Args:
        plant: Items, machines, set-up costs and demand: a YAML or JSON file with items, machines and horizon.
        aggregate: How the two advantages are joined: max (the paper), sum, min, one_critic or afterstate; ppo and ppo2
            are plain PPO with one and two critics of the state.
        steps: Periods of the plant that the policy learns from.
        seed: Of initial weights, demand and drawn actions.
        paths: Demand paths for which the hindsight bound is solved; 0 leaves it out.
        periods: Length of those paths, and of the schedule; at most the plant's horizon.
        seconds: Time limit of the solver for each path; a bound cut short is lower, never wrong.
        output: Folder for the policy, the tables and a chart; nothing is written when left out. An interrupted run
            leaves a folder of that name with .partial behind and goes on from there.

    Returns:
        Cost of the policy, of the look-ahead and the myopic rule and of idling on the same fresh demand, the bound's
        part of it, what each machine should make now, and a schedule from today's stock by whichever is cheapest.

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
        loop.drive(
            learner, learner.config.updates, name=NAMES[aggregate], folder=partial, fingerprint=fingerprint
        )  # fmt: skip
        judged = judge(
            simulator, learner, seed=seed, paths=paths, periods=options.periods, seconds=seconds
        )  # fmt: skip
        schedule = simulator.rollout(judged.policies[judged.winner]("schedule"), _today(simulator, options))
        tables = {
            COST_TABLE: _cost_rows(judged), NOW_TABLE: _now(simulator, judged),
            SCHEDULE_TABLE: _schedule_rows(simulator.plant, schedule),
        }  # fmt: skip
        headline, notes = _headline(judged, options, simulator), _notes(judged, options, simulator)
        application = Application("pdppo", headline, tables, notes)
        if output is None:
            return application
        files = {
            "schedule.svg": _chart(simulator.plant, schedule), STOCK: to_csv(_stock_rows(simulator.plant, schedule))
        }  # fmt: skip
        return _write(application, output, learner, made_by, files)


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


def _today(simulator: LotSizing, options: _Options) -> Scenario:
    """Today's stock and set-ups, and one demand path."""
    drawn = simulator.scenarios(1, make_generator(options.seed, "pdppo", "apply", "schedule"), periods=options.periods)
    return Scenario(simulator.today(), drawn.demand)


def _cost_rows(judged: Judged) -> list[Row]:
    best, rows = judged.bound, []
    first = f"cost of the first {judged.periods} periods"
    for name, rollout in judged.costs.items():
        short = float(judged.short[name].cost.mean()) if judged.bounds else None
        rows.append({
            "policy": name,
            "cost": rounded(judged.cost(name)),
            "set-up": rounded(float(rollout.setup_cost.double().sum(1).mean())),
            "lost sales": rounded(float(rollout.lost_sales.double().sum(1).mean())),
            "holding": rounded(float(rollout.holding.double().sum(1).mean())),
            "against the myopic rule, %": share(judged.cost(name), judged.cost("myopic rule")),
            first: None if short is None else rounded(short),
            "above the bound, %": None if best is None or short is None else share(short, best),
        })  # fmt: skip
    if best is not None:
        blank = dict.fromkeys(rows[0])
        rows.append({**blank, "policy": "hindsight bound", first: rounded(best), "above the bound, %": 0.0})
    return rows


def _now(simulator: LotSizing, judged: Judged) -> list[Row]:
    """What each machine should make today: by what was trained, by the look-ahead rule, and by the winner."""
    plant, state = simulator.plant, simulator.today()
    shown = dict.fromkeys((judged.ours, RULE, judged.winner))
    with torch.no_grad():  # the purpose of the schedule, whose first period this is
        chosen = {name: judged.policies[name]("schedule")(state)[0].tolist() for name in shown}
    names = ["idle", *(item.name for item in plant.items)]
    return [
        {"machine": machine.name, "set up for": machine.setup or "nothing",
         **{name: names[items[m]] for name, items in chosen.items()}}
        for m, machine in enumerate(plant.machines)
    ]  # fmt: skip


def _schedule_rows(plant: LotSizingPlant, rollout: LotSizingRollout) -> list[Row]:
    names = ["idle", *(item.name for item in plant.items)]
    columns = [f"{MAKES}{machine.name}" for machine in plant.machines]
    return [
        {
            "period": t + 1,
            **{column: names[int(rollout.action[0, t, m])] for m, column in enumerate(columns)},
            "stock": int(rollout.inventory[0, t].sum()),
            "units short": int(rollout.short[0, t].sum()),
            "set-up cost": rounded(float(rollout.setup_cost[0, t])),
        }
        for t in range(rollout.action.shape[1])
    ]


def _stock_rows(plant: LotSizingPlant, rollout: LotSizingRollout) -> list[Row]:
    """Stock at the end of each period and units short in it, item by item: which one runs out."""
    return [
        {"period": t + 1, "item": item.name, "stock": int(rollout.inventory[0, t, i]),
         "units short": int(rollout.short[0, t, i])}
        for t in range(rollout.action.shape[1])
        for i, item in enumerate(plant.items)
    ]  # fmt: skip


def _chart(plant: LotSizingPlant, rollout: LotSizingRollout) -> str:
    return gantt(
        [machine.name for machine in plant.machines], [item.name for item in plant.items],
        rollout.action[0].tolist(), rollout.inventory[0].tolist(), plant.capacity.tolist(),
    )  # fmt: skip


def _headline(judged: Judged, options: _Options, simulator: LotSizing) -> str:
    """The first line: who wins, bad news included."""
    ours, rival = judged.cost(judged.ours), judged.cost(judged.rival)
    span = "an episode" if judged.span == simulator.horizon else f"in {judged.span} periods"
    where, percent = f"{span} on {FRESH_PATHS} fresh demand paths", share(ours, rival)
    if judged.winner != judged.ours:
        more = "" if percent is None else f", {percent:.1f} % more"
        text = (
            f"a rule wins: {_the(judged.rival)} costs {rival:,.4g} {where}, the trained {judged.ours} {ours:,.4g}"
            f"{more}; the schedule is the rule's"
        )
    else:
        less = "against" if percent is None else f"{-percent:.1f} % less than"
        text = f"{judged.ours}: cost {ours:,.4g} {where}, {less} {_the(judged.rival)} ({rival:,.4g})"
    if judged.bound is not None:
        short, count = float(judged.short[judged.winner].cost.mean()), len(judged.bounds)
        text += (
            f"; over {options.periods} periods of {count} path{'s' * (count > 1)} {short:,.4g} against a hindsight "
            f"bound of {judged.bound:,.4g}"
        )
    return text


def _the(rule: str) -> str:
    return "standing idle" if rule == "idle" else f"the {rule}"


def _notes(judged: Judged, options: _Options, simulator: LotSizing) -> tuple[str, ...]:
    notes = [
        f"{judged.ours} takes its {judged.way}: on {CHOOSING_PATHS} other paths "
        + ", ".join(f"{name} cost {cost:,.4g}" for name, cost in judged.ways.items())
        + ("; the saved policy gives the most likely ones" if judged.way == SAMPLED else ""),
        f"the look-ahead rule looks {judged.look_ahead} periods ahead, chosen on {TUNING_PATHS} other paths",
        f"the schedule ({judged.winner}) follows one drawn demand path from today's stock; it decides otherwise with "
        "other demand",
        "costs are compared over episodes that begin with stock and set-ups drawn at random; the schedule and what to "
        "make now begin with today's",
    ]
    if options.aggregate != "ppo":
        notes.insert(0, MEASURED)
    if judged.winner != judged.ours:
        notes.insert(0, "a rule is as cheap as the trained policy or cheaper: use it, or train with more --steps")
    if judged.span < simulator.horizon:
        notes.append(f"the comparison is of the first {judged.span} of the plant's {simulator.horizon:,} periods")
    if judged.bounds:
        more = above_bound(judged.bounds, judged.least)
        least = "it is next to nothing, so no share of it says how far above it the true least cost may lie"
        if more is not None:
            least = f"the true least cost may be up to {more:.1f} % above it: so much cost the best that anything found"
        notes.append(
            f"the bound knows all demand beforehand and may throw units away at no cost; {least}, after at most "
            f"{options.seconds:g} s a path"
        )
    return tuple(notes)


def _write(
    application: Application, output: Path, learner: PostDecisionPPO,
    made_by: Mapping[str, str | int], more: Mapping[str, str],
) -> Application:  # fmt: skip
    """Save the policy with its tables and more files, whole or not at all."""
    names = {COST_TABLE: "costs.csv", NOW_TABLE: "now.csv", SCHEDULE_TABLE: "schedule.csv"}
    files = {names[title]: to_csv(rows) for title, rows in application.tables.items()} | dict(more)
    with new_folder(output) as folder:
        artifact.save(folder, learner.artifact(**made_by), weights=learner.policy.state_dict(), files=files)
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        **{names[title]: title.lower() for title in application.tables}, "schedule.svg": "the schedule as a chart",
        STOCK: "stock and units short of each item in the schedule",
    }  # fmt: skip
    return Application("pdppo", application.headline, application.tables, application.notes, holds, output)
