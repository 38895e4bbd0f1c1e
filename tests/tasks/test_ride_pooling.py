"""Ride pooling: nobody is lost, seats and times add up, offers are what a loop written from the rules finds."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from livepapers.baselines.dispatch_rules import nearest_vehicle, one_step_greedy, random_matching
from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks import worlds
from livepapers.tasks.order_board import Board
from livepapers.tasks.ride_city import City, filled_speeds, grid_city, rotated
from livepapers.tasks.ride_legs import soonest
from livepapers.tasks.ride_pooling import NOBODY, TALLY, Arrivals, FleetState, Reward, RidePooling, small_fleet
from livepapers.tasks.vector import SimulatorTask, SimulatorVectorEnv


def counted(state: FleetState, name: str) -> torch.Tensor:
    return state.tally[:, TALLY.index(name)]


@pytest.fixture
def fleet() -> RidePooling:
    return small_fleet(vehicles=9, horizon=25)


POLICIES = ("random", "nearest", "greedy")


def policy_of(name: str, fleet: RidePooling):
    if name == "random":
        return random_matching(fleet, generator(1, "random"))
    return nearest_vehicle(fleet) if name == "nearest" else one_step_greedy(fleet)


@pytest.mark.parametrize("name", POLICIES)
def test_no_passenger_is_lost_and_no_vehicle_overfull_at_any_minute(name: str, fleet: RidePooling):
    scenario = fleet.scenario(5, generator(0, "worlds"))
    state, policy = scenario.state, policy_of(name, fleet)
    for arrivals in scenario.arrivals:
        post, _ = fleet.decide(state, policy(state))
        state, _, _ = fleet.resolve(post, arrivals)
        aboard = (state.goal != NOBODY).sum((1, 2))
        waiting = fleet.open(state).sum(1)
        assert torch.equal(counted(state, "offered"), counted(state, "accepted") + counted(state, "lost") + waiting)
        assert torch.equal(counted(state, "accepted"), counted(state, "delivered") + aboard)
        assert int((state.goal != NOBODY).sum(2).max()) <= fleet.seats
        age = state.minute[:, None] - state.order_minute
        assert int(age[fleet.open(state)].max()) <= fleet.patience
    assert float(counted(state, "accepted").min()) > 0


@pytest.mark.parametrize("name", POLICIES)
def test_each_passenger_is_picked_up_before_being_dropped_off_and_time_passes_by_one_minute(
    name: str, fleet: RidePooling
):
    scenario = fleet.scenario(4, generator(0, "worlds"))
    state, policy = scenario.state, policy_of(name, fleet)
    for arrivals in scenario.arrivals:
        post, _ = fleet.decide(state, policy(state))
        aboard = post.goal != NOBODY
        waiting = post.pickup_left[:, :, None].expand_as(post.remaining)
        assert bool((post.remaining >= waiting - 1e-4)[aboard].all())  # nobody gets out before the pick-up under way
        assert bool((post.total >= post.remaining - 1e-4).all())
        after, _, _ = fleet.resolve(post, arrivals)
        still = aboard & (after.goal != NOBODY)
        spent = (after.total - after.remaining) - (post.total - post.remaining)
        torch.testing.assert_close(spent[still], torch.ones_like(spent[still]), atol=1e-4, rtol=0.0)
        assert torch.equal(after.total[still], post.total[still])
        assert bool((post.remaining[aboard & ~still] <= 1.0 + 1e-3).all())
        state = after


def test_a_vehicle_drives_to_the_pick_up_and_on_to_the_drop_off_in_the_time_that_was_told():
    city = grid_city(4, 1, spacing=1.0, speed=0.5, rate=0.01)  # two minutes from zone to zone
    fleet = RidePooling(city, vehicles=1)
    state = fleet.initial(1, generator(3, "x"))
    state = state._replace(
        position=city.places[torch.tensor([[0]])], zone=torch.tensor([[0]]),
        order_origin=torch.full_like(state.order_origin, NOBODY).index_fill(1, torch.tensor([2]), 1),
        order_goal=torch.full_like(state.order_goal, NOBODY).index_fill(1, torch.tensor([2]), 3),
    )  # fmt: skip
    post, reward = fleet.decide(state, torch.tensor([[3]]))
    assert float(reward) == pytest.approx(3.0 + 2.0 - 3.0 * 2.0 / 60.0 - 3.0 * 6.0 / 60.0, abs=1e-6)
    nobody = Arrivals(*(torch.full((1, fleet.most_arrivals), NOBODY),) * 2)
    east, left = [], []
    for _ in range(7):
        east.append(float(post.position[0, 0, 0]))
        left.append(float(post.remaining.max()))
        post = fleet.resolve(post, nobody)[0]
    assert east == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0], abs=1e-5)
    assert left == pytest.approx([6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0], abs=1e-4)
    assert float(counted(post, "delivered")) == 1.0


def shortest_route(minutes: torch.Tensor, origin: int, stops: list[int]) -> list[float]:
    """Arrival times at the stops along the order that ends soonest: the rule, with loops."""
    best: list[float] = []
    for order in itertools.permutations(range(len(stops))):
        here, time, arrival = origin, 0.0, [0.0] * len(stops)
        for stop in order:
            time += float(minutes[here, stops[stop]])
            arrival[stop], here = time, stops[stop]
        if not best or max(arrival) + 1e-4 * sum(arrival) < max(best) + 1e-4 * sum(best) - 1e-6:
            best = arrival
    return best


def test_offers_are_what_a_loop_over_vehicles_and_orders_of_stops_finds():
    stream = generator(0, "city")
    city = City(
        tuple("abcdef"), 5.0 * torch.rand(6, 2, generator=stream), 0.2 + 0.4 * torch.rand(1, 6, 6, generator=stream),
        torch.rand(1, 6, 6, generator=stream), torch.tensor([4.0]),
    )  # fmt: skip
    weights = Reward(limit=15.0)
    fleet = RidePooling(city, vehicles=6, reward=weights)
    state, policy, carried = fleet.initial(3, stream), random_matching(fleet, generator(1, "r")), set()
    for t in range(15):
        orders = fleet.board(state)
        lanes, vehicles = fleet.free_vehicles(state)
        row, column = orders.there[lanes].nonzero(as_tuple=True)
        lane, vehicle = lanes[row], vehicles[row]
        place = orders.place[lane, column]
        offer = fleet.offers(state, lane, vehicle, place)
        rewards, pickups = (one(state, orders, lanes, vehicles) for one in (fleet.rewards, fleet.pickup_minutes))
        torch.testing.assert_close(rewards[row, column], offer.reward, atol=1e-4, rtol=0.0)
        torch.testing.assert_close(pickups[row, column], offer.pickup_minutes, atol=1e-5, rtol=0.0)
        for k, (b, i, j) in enumerate(zip(lane.tolist(), vehicle.tolist(), place.tolist(), strict=True)):
            origin, goal = int(state.order_origin[b, j]), int(state.order_goal[b, j])
            km = float((state.position[b, i] - city.places[origin]).abs().sum())
            pickup = km / float(city.speed[0, int(state.zone[b, i]), origin])
            seats = [s for s in range(3) if int(state.goal[b, i, s]) != NOBODY]
            stops = [int(state.goal[b, i, s]) for s in seats]
            times = [pickup + t for t in shortest_route(city.minutes[0], origin, [*stops, goal])]
            old, spent = [float(state.remaining[b, i, s]) for s in seats], [
                float(state.total[b, i, s] - state.remaining[b, i, s]) for s in seats
            ]  # fmt: skip
            added = sum(times) - sum(old)
            late = sum(time + gone > 15.0 for time, gone in zip(times, [*spent, 0.0], strict=True))
            reward = 3.0 + float(city.distance[origin, goal]) - 3.0 * pickup / 60.0 - late - 3.0 * added / 60.0
            reward -= 5.0 * max(added - 15.0, 0.0) / 60.0
            assert float(offer.pickup_minutes[k]) == pytest.approx(pickup, abs=1e-4)
            assert float(offer.reward[k]) == pytest.approx(reward, abs=1e-3)
            carried.add(len(seats))
        state = fleet.resolve(fleet.decide(state, policy(state))[0], fleet.draw(3, t, stream))[0]
    assert carried == {0, 1, 2}


@pytest.mark.parametrize("zones", [5, 60])  # few: rows by zone; many: looked up pair by pair
def test_rewards_are_the_offers_of_each_lane_s_own_bin_when_lanes_are_at_different_minutes(zones: int):
    stream = generator(2, "city")
    speed, trips = (0.2 + 0.4 * torch.rand(2, zones, zones, generator=stream) for _ in range(2))
    places = 5.0 * torch.rand(zones, 2, generator=stream)
    city = City(tuple(map(str, range(zones))), places, speed, trips, torch.tensor([4.0, 4.0]), bin_minutes=1)
    fleet = RidePooling(city, vehicles=9, seats=4)
    state, policy = fleet.initial(4, stream), random_matching(fleet, generator(1, "r"))
    compared: set[tuple[int, int]] = set()
    for t in range(40):
        state = fleet.resolve(fleet.decide(state, policy(state))[0], fleet.draw(4, t, stream))[0]
        found = [
            compare(fleet, state._replace(minute=torch.tensor(minutes))) for minutes in ([0, 1, 0, 1], [1, 0, 1, 0])
        ]
        assert not len(found[0][1]) or not torch.equal(found[0][1], found[1][1])
        compared |= found[0][0]
    assert compared >= {(lane, aboard) for lane in range(4) for aboard in range(3)}
    assert {aboard for _, aboard in compared} == {0, 1, 2, 3}


def compare(fleet: RidePooling, state: FleetState) -> tuple[set[tuple[int, int]], torch.Tensor]:
    """Compare rewards and pick-ups with `offers`; (lanes and passengers of the pairs that were compared, rewards)."""
    orders, (lanes, vehicles) = fleet.board(state), fleet.free_vehicles(state)
    row, column = orders.there[lanes].nonzero(as_tuple=True)
    lane, vehicle = lanes[row], vehicles[row]
    offer = fleet.offers(state, lane, vehicle, orders.place[lane, column])
    rewards, pickups = (one(state, orders, lanes, vehicles) for one in (fleet.rewards, fleet.pickup_minutes))
    torch.testing.assert_close(rewards[row, column], offer.reward, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(pickups[row, column], offer.pickup_minutes, atol=1e-5, rtol=0.0)
    aboard = (state.goal[lane, vehicle] != NOBODY).sum(-1)
    return set(zip(lane.tolist(), aboard.tolist(), strict=True)), offer.reward


def test_of_routes_that_end_together_the_kinder_one_is_driven():
    minutes = torch.tensor([[0.0, 9.0, 1.0], [0.0, 0.0, 1.0], [0.0, 9.0, 0.0]])
    first, second = soonest(lambda start, end: minutes[start, end].reshape(1), 2)
    assert (float(first), float(second)) == (10.0, 1.0)


def test_a_leg_that_ends_within_a_rounding_error_of_the_minute_has_ended(fleet: RidePooling):
    state = fleet.begin(Arrivals(*torch.full((2, 1, fleet.most_arrivals), NOBODY)), generator(0, "begin"))
    goal, remaining = state.goal.clone(), state.remaining.clone()
    goal[0, :2, 0], remaining[0, :2, 0] = 3, torch.tensor([1.00005, 1.001])
    none = Arrivals(*torch.full((2, 1, fleet.most_arrivals), NOBODY))
    after, _, _ = fleet.resolve(state._replace(goal=goal, remaining=remaining, total=remaining), none)
    assert after.goal[0, :2, 0].tolist() == [NOBODY, 3]
    assert float(counted(after, "delivered")) == 1.0


def test_the_nearest_zone_of_one_place_is_one_number():
    assert int(grid_city(3, 3).nearest_zone(torch.tensor([1.1, 1.9]))) == 7


def test_a_table_has_every_row_once_in_pieces_of_a_kind_as_wide_as_the_most_orders_of_their_lanes():
    there = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [False] * 5, [True] * 3 + [False] * 2])
    orders = Board(torch.arange(5).expand(4, 5), there)
    lane, kinds, pieces = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3]), torch.tensor([1, 0, 0, 0, 1, 1, 0, 0]), []

    def values(lanes: torch.Tensor, rows: torch.Tensor, *, width: int) -> torch.Tensor:
        assert torch.equal(lanes, lane[rows])
        assert width == int(there.sum(1)[lanes].max())
        pieces.append(rows.tolist())
        return rows[:, None] * 10.0 + torch.arange(width) + 1.0

    whole = orders.table((lane, torch.arange(8)), 6, values)
    assert [len(rows) for rows in pieces] == [4, 2, 1, 1]
    pieces.clear()
    of_kinds = orders.table((lane, torch.arange(8)), 6, values, kind=kinds)
    assert sorted(row for rows in pieces for row in rows) == list(range(8))
    assert all(len(kinds[rows].unique()) == 1 for rows in pieces)
    for row, width in enumerate(there.sum(1)[lane].tolist()):
        expected = [10.0 * row + 1.0 + column for column in range(width)]
        assert whole[row, :width].tolist() == of_kinds[row, :width].tolist() == expected
    assert orders.table((lane[:0], lane[:0]), 6, values).shape == (0, 5)


@given(st.integers(0, 10_000), st.integers(1, 40))
def test_the_nearest_zone_is_that_of_all_compared(seed: int, zones: int):
    stream = generator(seed, "zones")
    places = torch.rand(zones, 2, generator=stream) * torch.tensor([9.0, 0.0 if seed % 5 == 0 else 3.0])
    if seed % 3 == 0:
        places[0] = 500.0
    same = torch.ones(1, zones, zones)
    city = City(tuple(map(str, range(zones))), places, same, same, torch.ones(1))
    position = 14.0 * torch.rand(200, 2, generator=stream) - 2.0
    km = (position[:, None] - places).abs().sum(-1)
    assert torch.equal(city.nearest_zone(position), km.min(1).indices)


def test_a_place_belongs_to_the_nearest_zone_and_to_the_first_of_equals():
    city = grid_city(3, 2)
    position = torch.tensor([[[0.4, 0.0], [1.6, 0.9]], [[0.5, 0.0], [9.0, -9.0]]])
    assert city.nearest_zone(position).tolist() == [[0, 5], [0, 2]]


def test_greedy_takes_the_matching_of_the_largest_reward_by_enumeration():
    fleet = RidePooling(grid_city(3, 2, rate=1.2), vehicles=3)
    for seed in range(20):
        state = fleet.initial(1, generator(seed, "x"))
        orders = fleet.board(state).place[0].tolist()
        best = 0.0
        for names in itertools.product([0, *(place + 1 for place in orders)], repeat=3):
            taken = [name for name in names if name]
            if len(set(taken)) == len(taken):
                best = max(best, float(fleet.decide(state, torch.tensor([names]))[1]))
        assert float(fleet.decide(state, one_step_greedy(fleet)(state))[1]) == pytest.approx(best, abs=1e-4)


def test_what_cannot_be_taken_counts_as_taking_none_and_the_first_to_ask_gets_the_order(fleet: RidePooling):
    state = fleet.initial(2, generator(0, "x"))
    place = fleet.board(state).place[:, 0]
    everybody = (place + 1)[:, None].expand(2, fleet.vehicles).contiguous()
    post, reward = fleet.decide_each(state, everybody)
    assert torch.equal(counted(post, "accepted"), torch.ones(2))
    assert bool((reward[:, 1:] == 0).all())
    nowhere = torch.full((2, fleet.vehicles), fleet.places)  # the last minute's place is empty at the start
    assert float(counted(fleet.decide(state, nowhere)[0], "accepted").sum()) == 0
    again, _ = fleet.decide_each(post, everybody)
    assert torch.equal(again.tally, post.tally)


def test_an_order_nobody_takes_is_lost_after_its_patience():
    fleet = RidePooling(grid_city(3, 3, rate=2.0), vehicles=2, patience=2, horizon=10)
    scenario = fleet.scenario(3, generator(0, "x"))
    state, came = scenario.state, [counted(scenario.state, "offered").clone()]
    for arrivals in scenario.arrivals:
        state = fleet.resolve(fleet.decide(state, torch.zeros(3, 2, dtype=torch.int64))[0], arrivals)[0]
        came.append(counted(state, "offered").clone())
        seen = came[-4] if len(came) >= 4 else torch.zeros(3)
        assert torch.equal(counted(state, "lost"), seen)


def test_orders_follow_the_demand_of_their_bin():
    trips = torch.zeros(2, 4, 4)
    trips[0, 1, 2], trips[0, 3, 0], trips[1, 2, 1] = 3.0, 1.0, 5.0
    city = City(tuple("abcd"), torch.rand(4, 2), torch.ones(2, 4, 4), trips, torch.tensor([6.0, 2.0]), bin_minutes=5)
    fleet = RidePooling(city, vehicles=1, horizon=10)
    early, late = fleet.draw(4000, 3, generator(0, "x")), fleet.draw(4000, 4, generator(0, "x"))
    there = early.origin != NOBODY
    assert float(there.sum(1).float().mean()) == pytest.approx(6.0, abs=0.15)
    assert float((early.origin[there] == 1).float().mean()) == pytest.approx(0.75, abs=0.02)
    assert set(late.origin[late.origin != NOBODY].tolist()) == {2}
    assert float((late.goal != NOBODY).sum(1).float().mean()) == pytest.approx(2.0, abs=0.1)


def test_lanes_may_stand_in_any_order_and_arguments_stay_as_they_are(fleet: RidePooling):
    scenario, order = fleet.scenario(4, generator(0, "x")), torch.tensor([2, 0, 3, 1])
    before = [part.clone() for part in scenario.state]
    whole = fleet.rollout(one_step_greedy(fleet), scenario)
    moved = type(scenario)(
        FleetState(*(part[order] for part in scenario.state)),
        tuple(Arrivals(*(part[order] for part in one)) for one in scenario.arrivals),
    )
    assert torch.equal(fleet.rollout(one_step_greedy(fleet), moved).reward, whole.reward[order])
    assert all(torch.equal(a, b) for a, b in zip(before, scenario.state, strict=True))


def test_the_world_is_made_again_by_name_with_the_same_numbers(fleet: RidePooling):
    again = worlds.make(fleet.world["name"], fleet.world["arguments"], lanes=3)
    assert isinstance(again, SimulatorTask)
    other, rule = again.simulator, nearest_vehicle(fleet)
    assert isinstance(other, RidePooling)
    scenario, second = (one.scenario(3, generator(0, "x")) for one in (fleet, other))
    assert torch.equal(fleet.rollout(rule, scenario).reward, other.rollout(rule, second).reward)
    with pytest.raises(InputError, match="source"):
        worlds.make("ride-pooling", {**fleet.world["arguments"], "city": {"source": "nowhere"}})


def test_a_fleet_is_a_gymnasium_vector_environment(fleet: RidePooling):
    env = SimulatorVectorEnv(fleet, 2)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (2, *fleet.observation_space.shape)
    env.action_space.seed(0)
    for _ in range(3):
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert reward.shape == (2,)
        assert not terminated.any()
        assert not truncated.any()


@pytest.mark.parametrize(
    ("field", "options"),
    [("vehicles", {"vehicles": 0}), ("seats", {"seats": 0}), ("seats", {"seats": 9}), ("horizon", {"horizon": 0}),
     ("patience", {"patience": -1})],
)  # fmt: skip
def test_a_fleet_that_cannot_be_run_is_refused_by_name(field: str, options: dict[str, int]):
    with pytest.raises(InputError, match=field):
        RidePooling(grid_city(2, 2), **{"vehicles": 2, **options})  # type: ignore[arg-type]


def test_a_city_that_cannot_be_run_is_refused():
    good = grid_city(2, 2)
    with pytest.raises(InputError, match="speed"):
        City(good.zones, good.places, torch.zeros_like(good.speed), good.trips, good.rate)
    with pytest.raises(InputError, match="speed"):
        City(good.zones, good.places, good.speed * torch.nan, good.trips, good.rate)
    with pytest.raises(InputError, match="trips"):
        City(good.zones, good.places, good.speed, torch.zeros_like(good.trips), good.rate)
    with pytest.raises(InputError, match="rate"):
        City(good.zones, good.places, good.speed, good.trips, torch.zeros(1))
    with pytest.raises(InputError, match="zones"):
        City(("a", "a"), good.places[:2], good.speed[:, :2, :2], good.trips[:, :2, :2], good.rate)


def test_minutes_are_shortest_paths_and_gaps_in_speeds_are_the_mean():
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    speed = torch.ones(1, 3, 3)
    speed[0, 0, 2] = 0.1  # 20 minutes straight, two by way of the middle
    city = City(("a", "b", "c"), places, speed, torch.ones(1, 3, 3), torch.ones(1))
    assert float(city.minutes[0, 0, 2]) == pytest.approx(2.0)
    assert float(city.minutes[0, 2, 0]) == pytest.approx(2.0)
    known = torch.tensor([[[True, False], [False, True]]])
    assert filled_speeds(torch.tensor([[[1.0, 0.0], [0.0, 3.0]]]), known=known)[0].tolist() == [[1.0, 2.0], [2.0, 3.0]]
    with pytest.raises(InputError, match="speeds"):
        filled_speeds(torch.ones(1, 2, 2), known=torch.zeros(1, 2, 2, dtype=torch.bool))


def test_a_quarter_turn():
    torch.testing.assert_close(rotated([[1.0, 0.0]], degrees=90.0), torch.tensor([[0.0, 1.0]], dtype=torch.float64))
