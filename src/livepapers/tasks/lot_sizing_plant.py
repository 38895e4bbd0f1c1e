"""What a lot-sizing plant is: items, machines and what they can make; read from YAML, JSON or Python, or drawn."""

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from livepapers.core.config import config_dataclass, setting
from livepapers.core.errors import InputError, one_line
from livepapers.tasks.documents import read_checked

LARGEST_QUANTITY = 100_000  # units; states are single precision, whole numbers are exact far beyond this
LARGEST_COST = 1e9
MOST_HISTORY = 100_000
RAREST = 1e-9
"""A Poisson demand is cut where the tail beyond has less probability than this."""


@config_dataclass
class Demand:
    """Demand of one item in one period, independent over periods and items; whole units."""

    kind: Literal["binomial", "poisson", "recorded"] = setting(..., "which of the fields below count")
    trials: int | None = setting(None, "binomial: the largest demand; paper 20", ge=1, le=LARGEST_QUANTITY)
    probability: float | None = setting(None, "binomial: mean demand over trials; paper 0.4", ge=0, le=1)
    mean: float | None = setting(None, "poisson: units a period", ge=0, le=LARGEST_QUANTITY // 4)
    past: tuple[int, ...] = setting((), "recorded: past demands; each is as likely as it was frequent")

    def __post_init__(self) -> None:
        """Check that the fields of this kind, and no others, are there."""
        needed = {"binomial": {"trials", "probability"}, "poisson": {"mean"}, "recorded": {"past"}}[self.kind]
        for name in ("trials", "probability", "mean", "past"):
            given = getattr(self, name) not in (None, ())
            if given != (name in needed):
                expected = f"a value with kind {self.kind}" if name in needed else f"nothing with kind {self.kind}"
                raise InputError.of(f"demand: {name}", getattr(self, name) if given else "nothing", expected=expected)
        if self.kind == "recorded" and not all(0 <= value <= LARGEST_QUANTITY for value in self.past):
            wrong = next(value for value in self.past if not 0 <= value <= LARGEST_QUANTITY)
            raise InputError.of("demand: past", wrong, expected=f"whole numbers from 0 to {LARGEST_QUANTITY:,}")
        if len(self.past) > MOST_HISTORY:
            raise InputError.of("demand: past", f"{len(self.past)} periods", expected=f"up to {MOST_HISTORY:,}")

    def probabilities(self) -> np.ndarray:
        """P(D = d) for d = 0, 1, ..., the largest demand; `[D + 1]` float64, sums to 1."""
        from scipy import stats  # takes most of a second, which reading a plant need not

        if self.kind == "binomial":
            return stats.binom.pmf(np.arange((self.trials or 0) + 1), self.trials, self.probability)
        if self.kind == "poisson":
            largest = int(stats.poisson.isf(RAREST, self.mean)) if self.mean else 0
            values = stats.poisson.pmf(np.arange(largest + 1), self.mean)
            return values / values.sum()
        return np.bincount(np.array(self.past, dtype=np.int64)) / len(self.past)


@config_dataclass
class Item:
    """One product."""

    name: str = setting(..., "unique")
    holding: float = setting(..., "cost per unit in store at the end of a period; paper 0.01", ge=0, le=LARGEST_COST)
    lost_sale: float = setting(..., "cost per unit of demand not met; paper 0.1 or 1.1", ge=0, le=LARGEST_COST)
    demand: Demand = setting(..., "demand of a period")
    capacity: int = setting(100, "most units that can be stored; the rest is thrown away", ge=1, le=LARGEST_QUANTITY)
    stock: int = setting(0, "units in store today", ge=0, le=LARGEST_QUANTITY)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if self.stock > self.capacity:
            raise InputError.of(f"item {self.name}: stock", self.stock, expected=f"at most capacity = {self.capacity}")


@config_dataclass
class Makes:
    """One item that a machine can be set up for."""

    item: str = setting(..., "an item's name")
    units: int = setting(..., "made in one period", ge=0, le=LARGEST_QUANTITY)
    setup_cost: float = setting(
        0.0, "paid when the machine changes to this item; paper 15 to 30", ge=0, le=LARGEST_COST
    )
    setup_loss: int = setting(0, "units lost in the period of the change; paper 1 to 3", ge=0, le=LARGEST_QUANTITY)


@config_dataclass
class Machine:
    """One machine; in each period it makes one item or stands idle, which loses the set-up."""

    name: str = setting(..., "unique")
    makes: tuple[Makes, ...] = setting(..., "what it can make; anything else is the same as idle")
    setup: str | None = setting(None, "the item it is set up for today; nothing when left out")


@config_dataclass
class LotSizingPlant:
    """Items, machines, and how many periods are planned.

    Raises:
        InputError: At construction, for a plant that cannot be run: unknown or duplicate names, an item that no
            machine makes, numbers out of range.
    """

    items: tuple[Item, ...] = setting(..., "in the order of the state's item axis")
    machines: tuple[Machine, ...] = setting(..., "in the order of the action's axis")
    horizon: int = setting(100, "periods of an episode, from stock to stock; paper 100", ge=1, le=10_000)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        _check(self)

    @classmethod
    def from_file(cls, path: Path | str, *, option: str = "plant") -> "LotSizingPlant":
        """Read a plant from a YAML (`.yml`, `.yaml`) or JSON (`.json`) file with the fields of this class.

        Drawn plants may hold set-ups that waste units, as the paper's do; whoever writes a plant down does not mean it.

        Raises:
            InputError: One line that names the file, the field and the likely cause.
        """
        plant = read_checked(cls, Path(path), option=option, fields="items and machines")
        for machine in plant.machines:
            _check_meant(machine, source=f"{option} {Path(path).name}")
        return plant

    def to_json(self) -> dict[str, Any]:
        """The plant as JSON-ready values; `from_json` is the inverse."""
        return TypeAdapter(LotSizingPlant).dump_python(self, mode="json")

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LotSizingPlant":
        """Rebuild a plant from `to_json`; raises `InputError` for anything else."""
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise one_line(error, source="plant") from None

    @classmethod
    def generate(
        cls, items: int, machines: int, *, generator: np.random.Generator, horizon: int = 100
    ) -> "LotSizingPlant":
        """Draw a plant as the paper does: each table is its least value with some probability, else uniform above it.

        Plants with an item that no machine can make are drawn again. Every pair of machine and item is listed, those
        that make 0 units too: an agent can waste a set-up on them, and does in the paper's runs before it learns.

        Args:
            items: N.
            machines: M.
            generator: Source of randomness.
            horizon: Periods an episode.
        """

        def table(low: int, high: int, least: float, *shape: int) -> np.ndarray:
            drawn = generator.integers(low + 1, high + 1, size=shape)
            return np.where(generator.random(shape) < least, low, drawn)

        units = table(0, 40, 0.4, machines, items)
        while not (units > 0).any(axis=0).all() or not (units > 0).any(axis=1).all():
            units = table(0, 40, 0.4, machines, items)
        cost, loss = table(15, 30, 0.2, machines, items), table(1, 3, 0.7, machines, items)
        lost_sale = np.where(generator.random(items) < 0.5, 0.1, 1.1)
        stock = table(0, 50, 0.05, items)
        setup = table(0, items, 0.4, machines)
        demand = Demand(kind="binomial", trials=20, probability=0.4)
        names = [f"item {i + 1}" for i in range(items)]
        return cls(
            items=tuple(
                Item(name=names[i], holding=0.01, lost_sale=float(lost_sale[i]), demand=demand, stock=int(stock[i]))
                for i in range(items)
            ),
            machines=tuple(
                Machine(
                    name=f"machine {m + 1}",
                    makes=tuple(
                        Makes(names[i], int(units[m, i]), float(cost[m, i]), int(loss[m, i])) for i in range(items)
                    ),
                    setup=names[setup[m] - 1] if setup[m] else None,
                )
                for m in range(machines)
            ),
            horizon=horizon,
        )  # fmt: skip

    @cached_property
    def item_index(self) -> dict[str, int]:
        """The position of each item on the state's item axis."""
        return {item.name: index for index, item in enumerate(self.items)}

    @cached_property
    def listed(self) -> Tensor:
        """Which pairs are listed, `[M, N + 1]` bool; column 0 is idle, always there."""
        return self._table(lambda _: 1.0).bool() | (torch.arange(len(self.items) + 1) == 0)

    @cached_property
    def units(self) -> Tensor:
        """Units a period, `[M, N + 1]` float32; column 0, idle, and pairs that are not listed make nothing."""
        return self._table(lambda makes: makes.units)

    @cached_property
    def setup_cost(self) -> Tensor:
        """Cost of changing to an item, `[M, N + 1]` float32; idle is free."""
        return self._table(lambda makes: makes.setup_cost)

    @cached_property
    def setup_loss(self) -> Tensor:
        """Units lost in the period of the change, `[M, N + 1]` float32."""
        return self._table(lambda makes: makes.setup_loss)

    @cached_property
    def holding(self) -> Tensor:
        """`[N]` float32."""
        return torch.tensor([item.holding for item in self.items])

    @cached_property
    def lost_sale(self) -> Tensor:
        """`[N]` float32."""
        return torch.tensor([item.lost_sale for item in self.items])

    @cached_property
    def capacity(self) -> Tensor:
        """`[N]` float32."""
        return torch.tensor([float(item.capacity) for item in self.items])

    @cached_property
    def demand_probability(self) -> Tensor:
        """P(D = d), `[N, D + 1]` float64, D the largest demand of all items."""
        rows = [item.demand.probabilities() for item in self.items]
        longest = max(len(row) for row in rows)
        return torch.tensor(np.stack([np.pad(row, (0, longest - len(row))) for row in rows]))

    def _table(self, value: Any) -> Tensor:
        table = torch.zeros(len(self.machines), len(self.items) + 1)
        for m, machine in enumerate(self.machines):
            for makes in machine.makes:
                table[m, self.item_index[makes.item] + 1] = value(makes)
        return table


def _check(plant: LotSizingPlant) -> None:
    for field, things in (("items", plant.items), ("machines", plant.machines)):
        if not things:
            raise InputError.of(field, "none", expected=f"at least one of the {field}")
        for name, count in Counter(thing.name for thing in things).items():
            if count > 1 or not name.strip():
                cause = f"it is there {count} times" if count > 1 else ""
                raise InputError.of(field, name or "''", expected="unique names", cause=cause)
    for machine in plant.machines:
        _check_machine(machine, {item.name for item in plant.items})
    made = {makes.item for machine in plant.machines for makes in machine.makes if makes.units > 0}
    for item in plant.items:
        if item.name not in made:
            raise InputError.of(f"item {item.name}", "no machine", expected="a machine that makes units > 0 of it")


def _check_machine(machine: Machine, names: set[str]) -> None:
    where, known = f"machine {machine.name}", ", ".join(sorted(names)[:6]) + (", ..." if len(names) > 6 else "")
    for name, count in Counter(makes.item for makes in machine.makes).items():
        if name not in names:
            raise InputError.of(f"{where}: makes", name, expected=f"an item ({known})", cause="is it misspelt?")
        if count > 1:
            cause = f"it is there {count} times"
            raise InputError.of(f"{where}: makes", name, expected="each item once", cause=cause)
    if machine.setup is not None and machine.setup not in names:
        raise InputError.of(f"{where}: setup", machine.setup, expected=f"an item ({known})", cause="is it misspelt?")
    if not any(makes.units > 0 for makes in machine.makes):
        raise InputError.of(f"{where}: makes", "nothing", expected="an item with units > 0", cause="what is it for?")


def _check_meant(machine: Machine, *, source: str) -> None:
    """Refuse set-ups of today for what the machine does not make, and those that lose more than a period makes."""
    where, able = f"{source}: machine {machine.name}", [makes.item for makes in machine.makes if makes.units > 0]
    if machine.setup is not None and machine.setup not in able:
        expected, cause = f"what it makes ({', '.join(able)})", "leave it out for a machine that stands idle"
        raise InputError.of(f"{where}: setup", machine.setup, expected=expected, cause=cause)
    for makes in machine.makes:
        if makes.setup_loss > makes.units:
            expected, cause = f"at most units = {makes.units}", "a change cannot lose more than a period makes"
            raise InputError.of(f"{where}: {makes.item}: setup_loss", makes.setup_loss, expected=expected, cause=cause)
