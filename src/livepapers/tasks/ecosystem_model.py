"""What a fished ecosystem is: species, who eats or crowds whom, what is fished, what drifts; YAML, JSON or Python.

Nothing in a file is code: growth is put together from the terms below. Time is in steps (years, in the presets),
populations in the user's own unit.
"""

import math
from collections import Counter
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError

from livepapers.core.config import config_dataclass, setting
from livepapers.core.errors import InputError, one_line
from livepapers.tasks.documents import read_checked

LARGEST = 1e9
MOST_SPECIES = 32
LONGEST_HORIZON = 10_000
FIELDS = "species, fisheries, competition, predation, drift, horizon, threshold and penalty"
DRIFTING: dict[str, tuple[str, ...]] = {
    "species": ("rate", "capacity", "noise"),
    "competition": ("rate",),
    "predation": ("rate", "half_saturation", "gain"),
}
"""Which parameters may drift, by the kind of thing they belong to."""


@config_dataclass
class Species:
    """One population; growth is added to what is left after the harvest.

    logistic  N r (1 - N / K)
    decline   -N r: dies out without prey
    cycle     N r cos(2 pi t / period): driven from outside, not by the others
    forced    no growth: N is set to capacity + r sin(2 pi t / period), whatever is fished
    """

    name: str = setting(..., "unique")
    start: float = setting(..., "population at t = 0", gt=0, le=LARGEST)
    growth: Literal["logistic", "decline", "cycle", "forced"] = setting("logistic", "how it grows by itself")
    rate: float = setting(1.0, "r, per step; forced: amplitude of the level", ge=0, le=LARGEST)
    capacity: float = setting(1.0, "K of logistic growth; forced: mean level; not used otherwise", gt=0, le=LARGEST)
    period: float = setting(50.0, "steps, of cycle and forced; not used otherwise", gt=0, le=LARGEST)
    noise: float = setting(0.1, "sigma: each step adds sigma N times a standard normal", ge=0, le=10)
    spread: float = setting(0.0, "standard deviation of the population at t = 0", ge=0, le=LARGEST)
    counts: bool = setting(True, "whether the episode ends when it is near extinction")


@config_dataclass
class Competition:
    """Two species take from each other."""

    first: str = setting(..., "a species")
    second: str = setting(..., "another species")
    rate: float = setting(
        ..., "c: both lose c N1 N2 a step; limits capacity: K becomes K - c N of the other", ge=0, le=LARGEST
    )
    limits: Literal["growth", "capacity"] = setting("growth", "what the other species takes away")


@config_dataclass
class Predation:
    """A species eats another: prey loses r P N^e / (h^e + N^e), the predator gains g P N."""

    prey: str = setting(..., "a species")
    predator: str | None = setting(None, "a species; nothing: a constant number of predators, P = 1")
    rate: float = setting(..., "r: most prey that a predator takes in a step", ge=0, le=LARGEST)
    half_saturation: float = setting(..., "h: the prey population at which it takes half of that", gt=0, le=LARGEST)
    exponent: Literal[1, 2] = setting(2, "e: 2 spares rare prey (Holling III), 1 does not (Holling II)")
    gain: float = setting(0.0, "g: growth of the predator for each prey there is", ge=0, le=LARGEST)


@config_dataclass
class Fishery:
    """A species that is fished; one action each, in this order."""

    species: str = setting(..., "a species")
    price: float = setting(1.0, "reward for a unit caught", ge=0, le=LARGEST)
    cost: float = setting(0.0, "reward lost for fishing with mortality 1; half of it for 0.5", ge=0, le=LARGEST)


@config_dataclass
class Drift:
    """A parameter that changes with time: times min(max(1 + slope t, lowest), highest). Time is not observed."""

    parameter: str = setting(..., "X.rate, X.capacity, X.noise; X-Y.rate; Z>X.rate, Z>X.half_saturation, Z>X.gain")
    slope: float = setting(..., "change of the factor a step", ge=-LARGEST, le=LARGEST)
    lowest: float = setting(0.0, "bound of the factor", ge=0, le=LARGEST)
    highest: float = setting(LARGEST, "bound of the factor", ge=0, le=LARGEST)

    def factor(self, t: torch.Tensor) -> torch.Tensor:
        """The factor at time `t` (float64)."""
        return (1.0 + self.slope * t).clamp(self.lowest, self.highest)


@config_dataclass
class Ecosystem:
    """A whole model.

    Raises:
        InputError: At construction, for a model that cannot be run: unknown or duplicate names, values out of range,
            a start that is already near extinction, drift that makes a parameter 0 or negative.
    """

    species: tuple[Species, ...] = setting(..., "in the order of the state's axis")
    fisheries: tuple[Fishery, ...] = setting(..., "in the order of the action's axis")
    competition: tuple[Competition, ...] = setting((), "pairs of species")
    predation: tuple[Predation, ...] = setting((), "pairs of prey and predator")
    drift: tuple[Drift, ...] = setting((), "parameters that change with time")
    horizon: int = setting(200, "steps an episode; it truncates, it does not terminate", ge=1, le=LONGEST_HORIZON)
    threshold: float = setting(
        0.05, "at or below it a species is near extinction, which ends the episode", ge=0, le=LARGEST
    )
    penalty: float = setting(100.0, "lost when step t ends an episode, divided by t + 1", ge=0, le=LARGEST)
    scale: float = setting(4.0, "observations are populations divided by it", gt=0, le=LARGEST)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        _check_species(self)
        _check_pairs(self)
        _check_fisheries(self)
        _check_drift(self)

    @classmethod
    def from_file(cls, path: Path | str, *, option: str = "model") -> "Ecosystem":
        """Read a model from a YAML or JSON file with the fields of this class.

        Raises:
            InputError: One line that names the file, the field and the likely cause.
        """
        return read_checked(cls, Path(path), option=option, fields=FIELDS)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Ecosystem":
        """Rebuild a model from `to_json`; raises `InputError` for anything else."""
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise one_line(error, source="ecosystem") from None

    def to_json(self) -> dict[str, Any]:
        """The model as JSON-ready values."""
        return TypeAdapter(Ecosystem).dump_python(self, mode="json")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The species' names, in the order of the state's axis."""
        return tuple(one.name for one in self.species)

    @cached_property
    def harvested(self) -> tuple[int, ...]:
        """The position of each fished species on the state's axis."""
        return tuple(self.names.index(fishery.species) for fishery in self.fisheries)

    @cached_property
    def sizes(self) -> tuple[float, ...]:
        """A natural size of each species: its capacity where it has one, else its start."""
        return tuple(
            max(one.capacity, one.start) if one.growth in {"logistic", "forced"} else one.start for one in self.species
        )


def parameters(model: Ecosystem) -> dict[str, float]:
    """Every number that may drift or be perturbed, by its name: "X.rate", "X-Y.rate", "Z>X.half_saturation" ..."""
    found = {f"{one.name}.{field}": getattr(one, field) for one in model.species for field in _used(one)}
    for pair in model.competition:
        found[f"{pair.first}-{pair.second}.rate"] = pair.rate
    for pair in model.predation:
        for field in DRIFTING["predation"]:
            found[f"{pair.predator or ''}>{pair.prey}.{field}"] = getattr(pair, field)
    return found


def with_parameters(model: Ecosystem, changes: dict[str, float]) -> Ecosystem:
    """The model with some numbers changed, by the names that `parameters` gives; checked again."""
    unknown = sorted(set(changes) - set(parameters(model)))
    if unknown:
        raise InputError.of("parameter", unknown[0], expected=f"one of {', '.join(parameters(model))}")

    def changed(name: str, part: Any, fields: tuple[str, ...]) -> Any:
        values = {field: changes[f"{name}.{field}"] for field in fields if f"{name}.{field}" in changes}
        return replace(part, **values) if values else part

    return replace(
        model,
        species=tuple(changed(one.name, one, DRIFTING["species"]) for one in model.species),
        competition=tuple(
            changed(f"{one.first}-{one.second}", one, DRIFTING["competition"]) for one in model.competition
        ),
        predation=tuple(
            changed(f"{one.predator or ''}>{one.prey}", one, DRIFTING["predation"]) for one in model.predation
        ),
    )


def perturbed(model: Ecosystem, scale: float, *, generator: torch.Generator) -> Ecosystem:
    """The model with every parameter P drawn as P (1 + scale g), g standard normal (paper, robustness; claim C6).

    Draws that a model cannot have (negative, or 0 where that is not allowed) are drawn again, all together.
    """
    names = parameters(model)
    for _ in range(100):
        factors = 1.0 + scale * torch.randn(len(names), generator=generator, dtype=torch.float64)
        try:
            values = {
                name: value * factor for (name, value), factor in zip(names.items(), factors.tolist(), strict=True)
            }
            return with_parameters(model, values)
        except InputError:
            continue
    raise InputError.of("scale", scale, expected="a smaller perturbation", cause="100 draws gave no valid model")


def may1() -> Ecosystem:
    """Model 1: one species under constant grazing, close to its tipping point."""
    return Ecosystem(
        species=(Species("X", 0.7, noise=0.05),),
        fisheries=(Fishery("X"),),
        predation=(Predation("X", None, rate=0.25, half_saturation=0.1),),
    )


def three_species(harvested: tuple[str, ...] = ("X", "Y"), *, drift: str = "none") -> Ecosystem:
    """Models 2 (`harvested=("X",)`), 3, and 4 (`drift="growth"`): X and Y compete, Z eats both, Y a little more.

    Args:
        harvested: Which species are fished, in the order of the action's axis.
        drift: "none"; "growth": r of X falls to a half in 100 steps (model 4); "saturation": the prey density at
            which predators take half falls to a third; "preference": predators turn from Y to X; "competition":
            competition doubles; "capacity": competition takes capacity instead of growth; "abiotic Z", "abiotic Y":
            the species follows the seasons, not the others.
    """
    preference, gain, rate, half = 1.1, 0.1, 0.3, 0.3
    model = Ecosystem(
        species=(
            Species("X", 0.5, spread=0.02),
            Species("Y", 0.5, spread=0.02),
            Species("Z", 0.7, growth="decline", rate=0.1, spread=0.02),
        ),
        fisheries=tuple(Fishery(name) for name in harvested),
        competition=(Competition("X", "Y", 0.1),),
        predation=(
            Predation("X", "Z", rate=rate, half_saturation=half, gain=gain),
            Predation(
                "Y", "Z", rate=round(preference * rate, 9), half_saturation=half, gain=round(preference * gain, 9)
            ),
        ),
    )
    turning = {"slope": -abs(preference - 1.0) / (100.0 * preference)}
    drifts = {
        "none": (),
        "growth": (Drift("X.rate", -1.0 / 200.0, lowest=0.5),),
        "saturation": tuple(Drift(f"Z>{prey}.half_saturation", -1.0 / 150.0, lowest=1.0 / 3.0) for prey in ("X", "Y")),
        "preference": tuple(Drift(f"Z>Y.{field}", **turning) for field in ("rate", "gain")),
        "competition": (Drift("X-Y.rate", 1.0 / 100.0, highest=2.0),),
    }
    if drift in drifts:
        return replace(model, drift=drifts[drift])
    if drift == "capacity":
        return replace(model, competition=(Competition("X", "Y", 0.1, "capacity"),))
    x, y, z = model.species
    if drift == "abiotic Z":
        cycle = Species("Z", 0.7, growth="cycle", rate=0.02, period=50.0, noise=0.0, spread=0.02, counts=False)
        eaten = tuple(replace(one, gain=0.0) for one in model.predation)
        return replace(model, species=(x, y, cycle), predation=eaten)
    if drift == "abiotic Y":
        level = Species("Y", 0.5, growth="forced", rate=0.4, capacity=0.4, period=50.0, noise=0.0, counts=False)
        return replace(model, species=(x, level, z))
    kinds = [*drifts, "capacity", "abiotic Z", "abiotic Y"]
    raise InputError.of("drift", drift, expected=f"one of {', '.join(kinds)}")


def _used(species: Species) -> tuple[str, ...]:
    """The numbers of a species that mean something for its kind of growth."""
    if species.growth in {"logistic", "forced"}:
        return ("rate", "capacity", "noise")
    return ("rate", "noise")


def _check_species(model: Ecosystem) -> None:
    if not 1 <= len(model.species) <= MOST_SPECIES:
        raise InputError.of("species", len(model.species), expected=f"1 to {MOST_SPECIES} species")
    for name, count in Counter(model.names).items():
        if count > 1:
            raise InputError.of("species", name, expected="unique names", cause=f"it is there {count} times")
        if not name.strip() or set(name) & set('-.>,"\n'):
            raise InputError.of("species", repr(name), expected="a name without - . > , and quotes")
    for one in model.species:
        if one.counts and one.start <= model.threshold:
            raise InputError.of(
                f"species {one.name}: start", one.start, expected=f"more than the threshold {model.threshold:g}",
                cause="the first episode would end at once",
            )  # fmt: skip


def _check_pairs(model: Ecosystem) -> None:
    pairs = [("competition", frozenset((one.first, one.second)), (one.first, one.second)) for one in model.competition]
    pairs += [("predation", (one.prey, one.predator), (one.prey, one.predator)) for one in model.predation]
    for kind, _, names in pairs:
        for name in names:
            if name is not None and name not in model.names:
                known = ", ".join(model.names)
                raise InputError.of(kind, name, expected=f"a species ({known})", cause="is the name misspelt?")
        if names[0] == names[1]:
            raise InputError.of(kind, names[0], expected="two different species")
    for (kind, key), count in Counter((kind, key) for kind, key, _ in pairs).items():
        if count > 1:
            shown = " and ".join(sorted(str(name) for name in key))
            raise InputError.of(kind, shown, expected="each pair once", cause=f"it is there {count} times")


def _check_fisheries(model: Ecosystem) -> None:
    if not model.fisheries:
        raise InputError.of("fisheries", "none", expected="at least one species that is fished")
    for name, count in Counter(one.species for one in model.fisheries).items():
        if name not in model.names:
            known = ", ".join(model.names)
            raise InputError.of("fisheries", name, expected=f"a species ({known})", cause="is the name misspelt?")
        if count > 1:
            raise InputError.of("fisheries", name, expected="each species once", cause=f"it is there {count} times")


def _check_drift(model: Ecosystem) -> None:
    known = parameters(model)
    for drift in model.drift:
        name = f"drift of {drift.parameter}"
        if drift.parameter not in known:
            raise InputError.of("drift", drift.parameter, expected=f"one of {', '.join(known)}")
        if drift.lowest > drift.highest:
            raise InputError.of(f"{name}: lowest", drift.lowest, expected=f"at most highest = {drift.highest:g}")
        if not math.isfinite(drift.slope * model.horizon):
            raise InputError.of(f"{name}: slope", drift.slope, expected="a finite change over the horizon")
        least = float(drift.factor(torch.arange(model.horizon, dtype=torch.float64)).min())
        if least <= 0.0:
            step = int((drift.factor(torch.arange(model.horizon, dtype=torch.float64)) <= 0.0).nonzero()[0])
            raise InputError.of(
                f"{name}: slope", drift.slope, expected=f"a parameter that stays positive for {model.horizon} steps",
                cause=f"it reaches 0 in step {step}; set lowest above 0",
            )  # fmt: skip
    for name, count in Counter(one.parameter for one in model.drift).items():
        if count > 1:
            raise InputError.of("drift", name, expected="each parameter once", cause=f"it is there {count} times")
