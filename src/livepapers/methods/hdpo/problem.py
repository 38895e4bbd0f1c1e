"""A user's problem: the network and the demand record with its time split, and today's stock."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from livepapers.baselines import newsvendors, tuned_newsvendor
from livepapers.core.errors import InputError
from livepapers.core.learner import JSON
from livepapers.tasks.demand_table import DemandTable, read_demand_csv
from livepapers.tasks.inventory import SUPPLIER, InventoryNetwork, InventorySimulator, InventoryState
from livepapers.tasks.scenarios import Scenarios
from livepapers.tasks.tables import read_table

TRAINED, CHECKED = 0.6, 0.8
"""Shares of the periods that end the training and the dev part; the rest is held out for the backtest."""
MOST_HISTORY = 16  # past demands that a network sees, as in the paper
WINDOW = 50  # periods a training trace
FEWEST_PERIODS = 40
MOST_CARRIED = 100_000  # demands that an artifact carries


@dataclass(frozen=True)
class Task:
    """A user's problem, with its time split."""

    network: InventoryNetwork
    table: DemandTable
    simulator: InventorySimulator  # over the whole record
    train: InventorySimulator  # windows of the training part
    dev_from: int
    test_from: int
    lead: int

    @property
    def history(self) -> int:
        """Past demands that a state carries."""
        return self.simulator.history

    @property
    def season(self) -> list[float] | None:
        """(Day of the year of the first period, days a period); None where periods are no dates."""
        dates = self.table.dates
        if dates is None:
            return None
        return [float(dates[0].timetuple().tm_yday), (dates[-1] - dates[0]).days / (len(dates) - 1)]

    def replay(self, first: int, last: int, *, window: int | None = None) -> Scenarios:
        """The record from period `first` to `last`, whole or in pieces; stock starts at a mean demand in each place."""
        return Scenarios(*newsvendors.replay(self.simulator, first, last, window=window))

    def world(self) -> dict[str, JSON]:
        """The held-out periods as a world that `livepapers evaluate` makes again; nothing for very long records."""
        if self.table.values.numel() > MOST_CARRIED:
            return {}
        arguments = {
            "network": self.network.to_json(), "demand": self.table.values.T.tolist(), "known": self.dev_from,
            "first": self.test_from - self.history, "history": self.history,
            "horizon": min(WINDOW, len(self.table.periods) - self.test_from),
        }  # fmt: skip
        return {"task": {"name": "inventory", "arguments": arguments}}

    @cached_property
    def newsvendor(self) -> tuned_newsvendor.Tuning:
        """The window and safety of levels that were best over the dev part when computed once, before it."""
        return tuned_newsvendor.tune(
            self.simulator, self.table.values, first=self.dev_from, last=self.test_from, ignore=self.lead, rolling=False
        )

    @cached_property
    def newsvendor_levels(self) -> Tensor:
        """The levels of that window and safety for the test, `[N]`, from what is known before it."""
        known, best = self.table.values[: self.test_from], self.newsvendor
        return tuned_newsvendor.level_table(self.network, known, window=best.window, safety=best.safety)[-1]

    @property
    def rules_from(self) -> int:
        """Where the periods begin that rules train on: at the dev part where levels from few periods did best."""
        recent = self.newsvendor.window <= self.test_from - self.dev_from
        return self.dev_from if recent else self.history


def read(network_file: Path, demand_file: Path) -> Task:
    """Read and check both files, and split the record in time."""
    network = InventoryNetwork.from_file(network_file, option="--network")
    lead = int(network.lead_time.max())
    table = read_demand_csv(demand_file, network, shortest=max(FEWEST_PERIODS, 10 * (lead + 1)), option="--demand")
    periods = len(table.periods)
    dev_from, test_from = round(TRAINED * periods), round(CHECKED * periods)
    for name, column in zip(table.series, table.values[:dev_from].T, strict=True):
        if not bool(column.any()):
            cause = f"the first {dev_from} periods train; cut the file to when it was sold"
            raise InputError.of(
                f"--demand {demand_file.name}: {name}", "only zeros at first", expected="demand", cause=cause
            )
    history = min(MOST_HISTORY, dev_from // 4)
    panel = table.panel(known=dev_from)
    horizon = min(WINDOW, dev_from - history)
    simulator = InventorySimulator(network, panel, horizon=horizon, history=history)
    train = InventorySimulator(network, panel.between(0, dev_from), horizon=horizon, history=history)
    return Task(network, table, simulator, train, dev_from, test_from, lead)


def read_state(path: Path, task: Task) -> InventoryState:
    """Today's stock: rows node, arrives_in, quantity."""
    columns = ("node", "arrives_in", "quantity")
    rows = read_table(path, option="--state", required=columns, numbers=columns[1:])
    longest = {node.name: 0 for node in task.network.nodes}
    for edge in task.network.edges:
        longest[edge.target] = max(longest[edge.target], edge.lead_time)
    pipeline = torch.zeros(1, len(task.network.nodes), task.lead)
    seen: set[tuple[str, int]] = set()
    for line, (name, when, quantity) in enumerate(zip(*(rows[column].tolist() for column in columns), strict=True), 2):
        where = f"--state {path.name} line {line}"
        if name not in longest:
            cause = "the outside supplier has no stock" if name == SUPPLIER else "is the name misspelt?"
            raise InputError.of(f"{where}: node", name, expected=f"one of {', '.join(longest)}", cause=cause)
        if when != int(when) or not 0 <= when < longest[name]:
            expected = f"0 (on hand) to {longest[name] - 1} periods"
            raise InputError.of(f"{where}: arrives_in", when, expected=expected, cause="no order travels longer")
        store = task.network.nodes[task.network.node_index[name]].kind == "store"
        if quantity < 0 and not (when == 0 and store and task.network.unmet == "backlog"):
            cause = "only stores with backlog may owe"
            raise InputError.of(f"{where}: quantity", quantity, expected="a number >= 0", cause=cause)
        if (name, int(when)) in seen:
            raise InputError.of(where, f"{name} in {int(when)} again", expected="each node and arrival once")
        seen.add((name, int(when)))
        pipeline[0, task.network.node_index[name], int(when)] = quantity
    past: Tensor = task.table.values[-task.history :].T[None]
    return task.simulator.start(pipeline, history=past, period=torch.tensor([len(task.table.periods)]))
