"""The same fleet as published dispatch code has it: objects, and Python loops over vehicles, orders and routes.

No package of it is on PyPI and the authors' code states no licence, so this is written from its description: each
vehicle scores all open orders by itself (the network in one call a vehicle), SciPy matches, each vehicle drives by
itself. Travel times are looked up, where the authors ask a routing server for each of them.
"""

import itertools
import json
import platform
import time
from importlib import metadata

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

VEHICLES, ORDERS, MINUTES, SIDE, SPEED, PATIENCE, SEATS = 300, 37.0, 15, 8, 0.35, 5, 3
CENTRES = [(float(zone % SIDE), float(zone // SIDE)) for zone in range(SIDE * SIDE)]
KM = [[abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in CENTRES] for a in CENTRES]


class Passenger:
    """Somebody aboard, or on the way to be picked up."""

    def __init__(self, goal: int, direct: float) -> None:
        self.goal, self.direct, self.remaining, self.spent = goal, direct, 0.0, 0.0


class Vehicle:
    """One vehicle; it knows its place, its pick-up under way and its passengers."""

    def __init__(self, zone: int) -> None:
        self.place = list(CENTRES[zone])
        self.pickup_left, self.pickup, self.earned = 0.0, zone, 0.0
        self.passengers: list[Passenger] = []

    def free(self) -> bool:
        """Whether it can take an order."""
        return self.pickup_left <= 0 and len(self.passengers) < SEATS

    def minutes_to(self, zone: int) -> float:
        """Until it is there."""
        x, y = CENTRES[zone]
        return (abs(self.place[0] - x) + abs(self.place[1] - y)) / SPEED

    def offer(self, origin: int, goal: int) -> tuple[float, float, list[float]]:
        """Reward, pick-up minutes, and minutes to each drop-off along the order that ends soonest."""
        pickup = self.minutes_to(origin)
        stops = [one.goal for one in self.passengers] + [goal]
        best, soonest = None, float("inf")
        for order in itertools.permutations(range(len(stops))):
            here, clock, arrival = origin, pickup, [0.0] * len(stops)
            for stop in order:
                clock += KM[here][stops[stop]] / SPEED
                arrival[stop], here = clock, stops[stop]
            if clock < soonest:
                best, soonest = arrival, clock
        spent = [one.spent for one in self.passengers] + [0.0]
        added = sum(best) - sum(one.remaining for one in self.passengers)
        late = sum(a + s > 40.0 for a, s in zip(best, spent, strict=True))
        reward = 3.0 + KM[origin][goal] - 3.0 * pickup / 60.0 - late - 3.0 * added / 60.0
        return reward - 5.0 * max(added - 40.0, 0.0) / 60.0, pickup, best

    def take(self, origin: int, goal: int) -> None:
        """Accept an order."""
        reward, pickup, arrival = self.offer(origin, goal)
        self.passengers.append(Passenger(goal, pickup + KM[origin][goal] / SPEED))
        for one, remaining in zip(self.passengers, arrival, strict=True):
            one.remaining = remaining
        self.pickup, self.pickup_left = origin, pickup
        self.earned += reward

    def drive(self) -> None:
        """A minute passes."""
        budget = 1.0
        if self.pickup_left > 0:
            step = min(budget, self.pickup_left)
            self.move(CENTRES[self.pickup], step / self.pickup_left)
            self.pickup_left -= step
            budget -= step
            for one in self.passengers:
                one.remaining -= step
                one.spent += step
        while self.passengers and self.pickup_left <= 0:
            first = min(self.passengers, key=lambda one: one.remaining)
            step = min(budget, max(first.remaining, 0.0))
            if first.remaining > 0:
                self.move(CENTRES[first.goal], step / first.remaining)
            for one in self.passengers:
                one.remaining -= step
                one.spent += step
            budget -= step
            if first.remaining > 1e-4:
                break
            self.passengers.remove(first)

    def move(self, goal: tuple[float, float], share: float) -> None:
        """Drive a share of the way."""
        self.place[0] += share * (goal[0] - self.place[0])
        self.place[1] += share * (goal[1] - self.place[1])

    def features(self, minute: int, mean: float) -> list[float]:
        """What the network sees of it."""
        row = [self.place[0] / (SIDE - 1), self.place[1] / (SIDE - 1), 1.0 - len(self.passengers) / SEATS]
        row += [self.pickup_left / 60.0, float(not self.free()), minute / 60.0, self.earned / 10.0, mean / 10.0]
        for seat in range(SEATS):
            if seat < len(self.passengers):
                one = self.passengers[seat]
                x, y = CENTRES[one.goal]
                total = one.spent + one.remaining
                row += [x / (SIDE - 1), y / (SIDE - 1), one.remaining / 60.0, total / 60.0, (total - one.direct) / 60.0]
            else:
                row += [0.0] * 5
        return row


def scores(name: str, vehicle: Vehicle, orders: list[tuple[int, int, int]], minute: int, mean: float, network):
    """What a vehicle thinks of each open order."""
    if name == "nearest vehicle":
        return [-vehicle.minutes_to(origin) for origin, _, _ in orders]
    if name == "one-step greedy":
        return [vehicle.offer(origin, goal)[0] for origin, goal, _ in orders]
    own, side = vehicle.features(minute, mean), SIDE - 1
    rows = [
        [*own, CENTRES[a][0] / side, CENTRES[a][1] / side, CENTRES[b][0] / side, CENTRES[b][1] / side, came / 60.0]
        for a, b, came in orders
    ]
    with torch.no_grad():
        return torch.softmax(network(torch.tensor(rows))[:, 0], 0).tolist()


def episode(name: str, rng: np.random.Generator, network) -> tuple[float, float]:
    """(Seconds, share of orders accepted) of a whole episode."""
    fleet = [Vehicle(int(zone)) for zone in rng.integers(0, SIDE * SIDE, VEHICLES)]
    orders: list[tuple[int, int, int]] = []
    offered = accepted = 0
    start = time.perf_counter()
    for minute in range(MINUTES + 1):
        orders = [order for order in orders if minute - order[2] <= PATIENCE]
        for _ in range(rng.poisson(ORDERS)):
            origin, goal = rng.choice(SIDE * SIDE, 2, replace=False)
            orders.append((int(origin), int(goal), minute))
            offered += 1
        if minute == MINUTES:
            break
        free = [vehicle for vehicle in fleet if vehicle.free()]
        mean = sum(vehicle.earned for vehicle in fleet) / VEHICLES
        if free and orders:
            table = [scores(name, vehicle, orders, minute, mean, network) for vehicle in free]
            rows, columns = linear_sum_assignment(np.array(table), maximize=True)
            taken = set()
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                if name == "one-step greedy" and table[row][column] <= 0:
                    continue
                free[row].take(orders[column][0], orders[column][1])
                taken.add(column)
            accepted += len(taken)
            orders = [order for column, order in enumerate(orders) if column not in taken]
        for vehicle in fleet:
            vehicle.drive()
    return time.perf_counter() - start, accepted / offered


@torch.no_grad()
def set_weights(network) -> None:
    """Weights that livepapers' network has too."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight
            weight.copy_(torch.sin(1.7 * torch.arange(weight.numel())).view_as(weight) / weight.shape[1] ** 0.5)
            layer.bias.zero_()


def main() -> None:
    torch.set_num_threads(1)
    network = torch.nn.Sequential(
        torch.nn.Linear(28, 128), torch.nn.LeakyReLU(), torch.nn.Linear(128, 128), torch.nn.LeakyReLU(),
        torch.nn.Linear(128, 1),
    )  # fmt: skip
    set_weights(network)
    versions = {name: metadata.version(name) for name in ("numpy", "scipy", "torch")}
    for name in ("nearest vehicle", "one-step greedy", "a network of 128-128"):
        seconds, accepted = episode(name, np.random.default_rng(0), network)
        print(json.dumps({
            "figure": f"minutes of {VEHICLES} vehicles, {name}",
            "value": MINUTES / seconds, "unit": "minutes/s", "better": "higher", "who": "Python loops",
            "versions": versions | {"python": platform.python_version()},
            "check": {"orders accepted, %": round(100.0 * accepted)},
        }))  # fmt: skip


if __name__ == "__main__":
    main()
