"""ospo on a user's own trips: a dispatch policy, and what it is worth beside plain matching rules."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from livepapers.baselines.dispatch_rules import nearest_vehicle, one_step_greedy, random_matching
from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, options_checked, rounded, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed
from livepapers.core.rng import generator as make_generator
from livepapers.methods.ospo.config import Config
from livepapers.methods.ospo.dispatch_map import Minute, Sent, dispatch_map
from livepapers.methods.ospo.learner import GroupPolicyOptimizer
from livepapers.tasks import manhattan, trip_table
from livepapers.tasks.ride_pooling import Arrivals, FleetPolicy, FleetState, RidePooling, Rollout, Scenario
from livepapers.tasks.trip_table import Trips, Window

COMPARISON, MINUTE = "Dispatchers on the same orders", "Who was sent where in the minute of the map"
FILES = {COMPARISON: "comparison.csv", MINUTE: "dispatch_minute.csv"}
FEWEST_DAYS = 4  # with fewer, no day can be spared for the comparison
SHOWN = 20  # assignments in the printed table
OURS = "ospo"
GRPO: dict[str, Any] = {
    "horizon": "return", "group": "episode", "learning_rate": 3e-3, "last_rate": 9e-4, "explore": 0.2
}  # fmt: skip
"""What of `Config` is another for GRPO; its rate and exploration were tuned by as many trials as those of ospo."""


@dataclass(frozen=True)
class _Problem:
    """The user's fleet, the orders on which dispatchers are compared, and how these came about."""

    fleet: RidePooling
    test: Scenario
    trips: Trips
    window: Window
    recorded_days: int  # of the comparison; 0 = drawn from the same demand
    outlines: Sequence[Sequence[tuple[float, float]]]


@options_checked
def apply(
    trips: Path,
    *,
    vehicles: int,
    start: str = "19:00",
    minutes: int = 30,
    zones: Path | None = None,
    objective: Literal["ospo", "grpo"] = "ospo",
    seats: int = 3,
    episodes: int = 120,
    tests: int = 8,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Train a pooling dispatcher for your fleet on your trips, and compare it with nearest vehicle and greedy.

    With four or more days in the table, the last quarter of them is kept from training and replayed order by order for
    the comparison; with fewer, fresh orders are drawn from the same demand, and a note says so.

    The columns of the trips: tpep_pickup_datetime (or lpep_pickup_datetime, or pickup_datetime), such as 2024-07-17
    19:05:00; PULocationID and DOLocationID, the zones of pick-up and drop-off; with --zones tpep_dropoff_datetime (or
    as before), too. All others are not read, not even passenger_count: each order is one passenger. No sample ships:
    New York's own tables (nyc.gov, TLC trip record data) are read as they are.

    Args:
        trips: Table of trips in the layout of New York's Taxi and Limousine Commission: CSV, or parquet (with the extra
            livepapers[parquet]).
        vehicles: How many vehicles the fleet has; they begin in zones drawn uniformly.
        start: Time of the day at which the window begins.
        minutes: Length of the window.
        zones: CSV table with columns zone, x_km, y_km (along the streets) for a city of your own; speeds are then those
            of the trips. Left out: Manhattan's taxi zones, with speeds from the pyhailing wheel, fetched at first use.
        objective: ospo looks one step ahead; grpo at each vehicle's rewards to the end of the window.
        seats: Passengers that a vehicle can carry, 1 to 4.
        episodes: Windows that the policy learns from.
        tests: Windows of the comparison.
        seed: Of initial weights, orders, starts and exploration.
        output: Folder for the policy, the tables and a map; nothing is written when left out. An interrupted run leaves
            a folder of that name with .partial behind and goes on from there.

    Returns:
        Reward, orders served, pick-up and detour times of the policy, nearest vehicle, one-step greedy and random, and
        who was sent where in one minute.

    Raises:
        InputError: One line that names file, column, value and likely cause; nothing was written.

    Examples:
        livepapers apply ospo --trips yellow_tripdata.csv --vehicles 200 --start 19:00 --output dispatch
        livepapers apply ospo --trips rides.csv --zones zones.csv --vehicles 12 --minutes 60 --seats 4
        livepapers apply ospo --trips rides.csv --zones zones.csv --vehicles 12 --objective grpo --json
    """
    if objective not in ("ospo", "grpo"):
        raise InputError.of("objective", objective, expected="ospo or grpo")
    for field, value, high in (("episodes", episodes, 1_000_000), ("tests", tests, 1000)):
        if not 1 <= value <= high:
            raise InputError.of(field, value, expected=f"a whole number from 1 to {high:,}")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")
    if output is not None:
        check_output_folder(output)
    window = Window.parse(start, minutes)
    problem = _problem(trips, window, zones, vehicles=vehicles, seats=seats, tests=tests, seed=seed)
    config = replace(Config(), episodes=episodes)
    if objective == "grpo":
        config = replace(config, **GRPO)
    learner = GroupPolicyOptimizer(problem.fleet, config=config, seed=seed)
    made_by = {
        "objective": objective, "episodes": episodes, "seed": seed, "vehicles": vehicles, "seats": seats,
        "start": start, "minutes": minutes, "trips": sha256(trips), "zones": "" if zones is None else sha256(zones),
    }  # fmt: skip
    fingerprint = hashlib.sha256(json.dumps(["ospo", 1, made_by], sort_keys=True).encode()).hexdigest()
    with unfinished(output) as partial:
        loop.drive(learner, learner.updates, name=objective, folder=partial, fingerprint=fingerprint)
        results = _compare(problem, learner, seed)
        minute, rows = _minute(problem, learner)
        tables, files = {COMPARISON: _rows(results)}, {"dispatch_map.svg": minute}
        if rows:  # in a minute without assignments the map says it all
            tables[MINUTE], files[FILES[MINUTE]] = rows[:SHOWN], to_csv(rows)
        application = Application("ospo", _headline(results, objective), tables, _notes(problem, results))
        return application if output is None else _write(application, output, learner, made_by, files)


def _problem(
    path: Path, window: Window, zones: Path | None, *, vehicles: int, seats: int, tests: int, seed: int
) -> _Problem:
    names, places = manhattan.zones() if zones is None else trip_table.read_zones(zones)
    trips = trip_table.read_trips(path, window, names, timed=zones is not None)
    recorded = trips.days // 4 if trips.days >= FEWEST_DAYS else 0
    city = trip_table.city_of(trips, window, names, places, known_speeds=zones is None, days=trips.days - recorded)
    fleet = RidePooling(
        city, vehicles=vehicles, seats=seats, horizon=window.length, most_arrivals=trip_table.busiest(trips)
    )
    stream = make_generator(seed, "ospo", "apply", "test")
    test = fleet.scenario(tests, stream)
    if recorded:
        days = [trips.days - recorded + lane % recorded for lane in range(tests)]
        test = _recorded(fleet, trips, window, days, stream)
    outlines = [] if zones is not None else [[(float(x), float(y)) for x, y in one] for one in manhattan.outlines()]
    return _Problem(fleet, test, trips, window, recorded, outlines)


def _recorded(
    fleet: RidePooling, trips: Trips, window: Window, days: Sequence[int], stream: torch.Generator
) -> Scenario:
    """Recorded days, a lane each, as they came; after the last minute nobody comes."""
    each = {day: trip_table.replayed(trips, window, day, width=fleet.most_arrivals) for day in dict.fromkeys(days)}
    whole = [
        Arrivals(*(torch.cat(part) for part in zip(*(each[day][t] for day in days), strict=True)))
        for t in range(window.length)
    ]
    nobody = Arrivals(*(torch.full_like(part, -1) for part in whole[0]))
    return Scenario(fleet.begin(whole[0], stream), (*whole[1:], nobody))


def _compare(problem: _Problem, learner: GroupPolicyOptimizer, seed: int) -> dict[str, Rollout]:
    fleet, policy = problem.fleet, learner.policy()
    dispatchers: dict[str, FleetPolicy] = {
        OURS: lambda state: policy(fleet.observe(state)),
        "one-step greedy": one_step_greedy(fleet),
        "nearest vehicle": nearest_vehicle(fleet),
        "random": random_matching(fleet, make_generator(seed, "ospo", "apply", "random")),
    }
    return {name: fleet.rollout(dispatcher, problem.test) for name, dispatcher in dispatchers.items()}


def _rows(results: Mapping[str, Rollout]) -> list[Row]:
    best = max(float(rollout.reward.sum(1).mean()) for rollout in results.values())
    rows: list[Row] = []
    for name, rollout in results.items():
        reward = float(rollout.reward.sum(1).mean())
        offered, accepted = (float(rollout.counted(kind).sum()) for kind in ("offered", "accepted"))
        count = max(accepted, 1.0)
        rows.append({
            "dispatcher": name, "reward": rounded(reward),
            "of the best, %": round(100.0 * reward / best, 1) if best > 0 else None,
            "orders accepted, %": round(100.0 * accepted / max(offered, 1.0), 1),
            "orders lost, %": round(100.0 * float(rollout.counted("lost").sum()) / max(offered, 1.0), 1),
            "pick-up, min": round(float(rollout.counted("pickup_minutes").sum()) / count, 2),
            "detour, min": round(float(rollout.counted("detour_minutes").sum()) / count, 2),
            "late, % of accepted": round(100.0 * float(rollout.counted("late").sum()) / count, 2),
        })  # fmt: skip
    return rows


def _headline(results: Mapping[str, Rollout], objective: str) -> str:
    """The first line: who wins, bad news included."""
    rewards = {name: float(rollout.reward.sum(1).mean()) for name, rollout in results.items()}
    ours, rival = rewards[OURS], max((name for name in rewards if name != OURS), key=lambda name: rewards[name])
    percent = 100.0 * (ours / rewards[rival] - 1.0) if rewards[rival] > 0 else float("nan")
    by = f" ({percent:+.1f} %)" if percent == percent else ""
    figures = f"reward {ours:,.5g} a window against {rewards[rival]:,.5g}{by}"
    if ours <= rewards[rival]:
        beaten = [name for name in ("one-step greedy", "nearest vehicle", "random") if rewards[name] >= ours]
        verb = "beats" if len(beaten) == 1 else "beat"
        return f"heuristics win: {' and '.join(beaten)} {verb} the trained {objective} policy, {figures}"
    return f"the trained {objective} policy beats all rules: {figures} of the best, {rival}"


def _notes(problem: _Problem, results: Mapping[str, Rollout]) -> tuple[str, ...]:
    trips, rewards = problem.trips, {name: float(one.reward.sum(1).mean()) for name, one in results.items()}
    notes = [
        f"{len(trips.day):,} of {trips.read:,} trips lie in the window, on {trips.days} day{'s' * (trips.days != 1)}; "
        f"{trips.outside:,} more began or ended in no known zone and were left out",
        *_dates(trips),
        f"the comparison replays the last {problem.recorded_days} of the {trips.days} recorded days, kept from training"
        if problem.recorded_days
        else f"the comparison draws fresh orders from the same demand: {trips.days} days are too few to keep some back",
        "the reward is the paper's: 3 an order, 1 a kilometre, less pick-up, detour and lateness; routes and times are "
        "computed from zone centres, so short trips within a zone take no time",
    ]
    tests, days = len(problem.test.state.minute), problem.recorded_days
    if 0 < days < tests:
        which = "one day" if days == 1 else f"{days} days"
        notes.append(
            f"the {tests} windows of the comparison are of {which}: a day is replayed more than once, each time with "
            "the vehicles elsewhere at the start"
        )
    if max(rewards, key=lambda name: rewards[name]) != OURS:
        notes.insert(0, "use the rule that wins, or train with more --episodes")
    return tuple(notes)


def _dates(trips: trip_table.Trips) -> list[str]:
    """What there is to say of days that do not count."""
    said = []
    if trips.gaps:
        said.append(
            f"{trips.gaps} day{'s' * (trips.gaps != 1)} between the first and the last of the table have no trip at "
            "all and do not count: demand is that of the other days"
        )
    if trips.stray:
        said.append(f"{trips.stray} trips of dates with hardly any were left out: the dates look mistaken")
    return said


def _minute(problem: _Problem, learner: GroupPolicyOptimizer) -> tuple[str, list[Row]]:
    """The map of a minute in the middle of the first test window, and its assignments."""
    fleet, policy = problem.fleet, learner.policy()
    when = fleet.horizon // 2
    state = _lane(problem.test.state)
    with torch.no_grad():
        for arrivals in problem.test.arrivals[:when]:
            first = Arrivals(*(part[:1] for part in arrivals))
            state = fleet.resolve(fleet.decide(state, policy(fleet.observe(state)))[0], first)[0]
        action = policy(fleet.observe(state))[0]
    sent = (action > 0).nonzero().squeeze(-1)
    place = action[sent] - 1
    offer = fleet.offers(state, torch.zeros_like(sent), sent, place)
    clock = (problem.window.begin + when) % (24 * 60)
    title = f"Dispatch at {clock // 60:02d}:{clock % 60:02d}: {len(sent)} orders given to {fleet.vehicles} vehicles"
    names, points = fleet.city.zones, fleet.city.places.tolist()
    rows: list[Row] = []
    lines = []
    for vehicle, at, minutes, reward in zip(
        sent.tolist(), place.tolist(), offer.pickup_minutes.tolist(), offer.reward.tolist(), strict=True
    ):
        origin, goal = int(state.order_origin[0, at]), int(state.order_goal[0, at])
        carried = int((state.goal[0, vehicle] >= 0).sum())
        rows.append({
            "vehicle": vehicle, "from": names[origin], "to": names[goal], "carried before": carried,
            "pick-up, min": round(minutes, 1), "reward": round(reward, 2),
        })  # fmt: skip
        label = f"vehicle {vehicle} to {names[origin]}, then {names[goal]}: {minutes:.1f} min"
        lines.append(Sent(_point(state, vehicle), tuple(points[origin]), tuple(points[goal]), label))
    free = fleet.free(state)[0]
    taken = set(place.tolist())
    waiting = [at for at in fleet.open(state)[0].nonzero().squeeze(-1).tolist() if at not in taken]
    shown = Minute(
        title, [(name, tuple(point)) for name, point in zip(names, points, strict=True)], problem.outlines,
        [_point(state, i) for i in (free & (action == 0)).nonzero().squeeze(-1).tolist()],
        [_point(state, i) for i in (~free).nonzero().squeeze(-1).tolist()],
        [tuple(points[int(state.order_origin[0, at])]) for at in waiting], lines,
    )  # fmt: skip
    return dispatch_map(shown), rows


def _lane(state: FleetState) -> FleetState:
    return FleetState(*(part[:1] for part in state))


def _point(state: FleetState, vehicle: int) -> tuple[float, float]:
    x, y = state.position[0, vehicle].tolist()
    return x, y


def _write(
    application: Application, output: Path, learner: GroupPolicyOptimizer,
    made_by: Mapping[str, str | int], files: Mapping[str, str],
) -> Application:  # fmt: skip
    """Save the policy with its tables and the map, whole or not at all."""
    everything = {FILES[COMPARISON]: to_csv(application.tables[COMPARISON]), **files}
    with new_folder(output) as folder:
        described = learner.artifact(**made_by)
        artifact.save(folder, described, weights=learner.policy().state_dict(), files=everything)
    holds = {
        "artifact.json": "what the policy is and what made it", artifact.WEIGHTS: "its weights",
        FILES[COMPARISON]: "dispatchers on the same orders", FILES[MINUTE]: "all assignments of the minute on the map",
        "dispatch_map.svg": "a map of that minute",
    }  # fmt: skip
    holds = {name: about for name, about in holds.items() if name not in FILES.values() or name in everything}
    return Application("ospo", application.headline, application.tables, application.notes, holds, output)
