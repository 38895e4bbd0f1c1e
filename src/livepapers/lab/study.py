"""What a study is: arms, settings, claims as data, and one function that measures a cell.

A study module (`studies/<slug>.py`) holds `ARMS`, `SETTINGS`, `CLAIMS`, optionally `PREPARE` and `TABLES`, and
`measure(arm, setting, seed, preset, run) -> dict[str, float]`. `load_study` checks it and hands it to the runner.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from livepapers.core.errors import InputError
from livepapers.papers import catalogue

if TYPE_CHECKING:  # listing runs and judging claims need no torch
    import torch

    from livepapers.core.artifact import Artifact
    from livepapers.core.learner import Learner

PRESETS = ("smoke", "laptop", "paper")
NOT_IN_PAPER = "not in the paper"
"""What `Claim.published` says of a question of ours: it is judged like a claim, and not counted as one of the paper."""
Kind = Literal["method", "baseline", "optimum", "floor", "ablation"]
Unit = Literal["seed", "seed x setting", "data set", "item", "fold", "exact"]
"""What one effect comes from: a training, a training in one setting, a data set with whatever is measured on it, a part
of one run or of one data set, or nothing random at all."""
Direction = Literal["greater", "less", "equal"]


@dataclass(frozen=True)
class Arm:
    """One contestant of a study."""

    name: str
    kind: Kind
    about: str  # one sentence: what it is and which budget it gets
    seeded: bool = True  # False: the result depends on no seed (an optimum, a bound), so one cell a setting is enough
    trains_as: str = ""  # the arm whose trainings it repeats, streams included, and then goes on from (a smoothed rule)


@dataclass(frozen=True)
class Setting:
    """One instance, task or scenario, with the arms that face it and how many seeds each preset gives it."""

    name: str
    about: str
    arms: tuple[str, ...]
    seeds: Mapping[str, int]  # preset -> number of seeds; a preset left out does not run this setting
    parameters: Mapping[str, Any] = field(default_factory=dict)  # JSON values that `measure` reads
    part: str = ""  # groups settings in reports and in `--part`
    fixed_seeds: bool = False  # sweeps and ablations keep the specification's seeds: `--seeds` cannot raise them
    first_seed: int = 0  # raised by a version whose claims were fixed after figures of earlier seeds had been seen
    alone: bool = False  # its cells measure time: they run one by one, with no other cell of the run beside them

    def __post_init__(self) -> None:
        """Freeze the mappings: a setting is data."""
        object.__setattr__(self, "seeds", MappingProxyType(dict(self.seeds)))
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def count(self, preset: str, seeds: int | None) -> int:
        """How many seeds a preset gives this setting, `seeds` being what the user asked for."""
        own = self.seeds[preset]
        if seeds is None:
            return own
        return min(seeds, own) if self.fixed_seeds else seeds

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross process borders: a mapping proxy cannot."""
        fields = (
            self.name,
            self.about,
            self.arms,
            dict(self.seeds),
            dict(self.parameters),
            self.part,
            self.fixed_seeds,
            self.first_seed,
            self.alone,
        )
        return Setting, fields


@dataclass(frozen=True)
class Cell:
    """One measurement: an arm in a setting with a seed."""

    arm: str
    setting: str
    seed: int

    @property
    def key(self) -> str:
        """The cell's name in stores, folders and messages."""
        return f"{self.arm}/{self.setting}/{self.seed}"


class Run(Protocol):
    """What `measure` is handed beside its arguments. The only door to the lab."""

    def log(self, step: int, **metrics: float) -> None:
        """Add points to this cell's curves."""
        ...

    def samples(self, name: str, values: np.ndarray) -> None:
        """Keep an array of items (episodes, triangles, prompts); statistics over items read it."""
        ...

    def artifact(self, name: str, artifact: "Artifact", *, weights: "Mapping[str, torch.Tensor] | None" = None) -> None:
        """Keep what the cell trained; outside `drive`. The driver stores it beside the run, see `Store.artifacts`."""
        ...

    def generator(self, name: str) -> "torch.Generator":
        """A stream keyed by (study, setting, seed, name): the same for every arm, so arms share their worlds."""
        ...

    def private_generator(self, name: str) -> "torch.Generator":
        """A stream keyed by the arm too (by the one it trains as): initial weights, exploration."""
        ...

    def prepared(self, name: str) -> Path:
        """The folder that `PREPARE[name]` has filled; made at first use, shared by all cells of the preset."""
        ...

    def drive(
        self,
        learner: "Learner",
        updates: int,
        *,
        name: str = "learner",
        evaluate: Callable[[int], dict[str, float] | None] | None = None,
    ) -> None:
        """Run the driving loop with this cell's checkpoints, progress and budget accounting.

        The learner's own metrics are kept in memory only as the latest value; what `evaluate` returns at a step is
        logged as curve points. A cell may drive several learners under different names.
        """
        ...

    def spend(self, **work: int) -> None:
        """Add work done outside `drive` (environment steps, evaluations ...) to the cell's budget."""
        ...

    @property
    def map(self) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]:
        """The built-in `map`, or an engine's."""
        ...


Measure = Callable[[str, Setting, int, str, Run], dict[str, float]]
Prepare = Callable[[Path, str], None]
"""Fills the folder it is given, for the named preset; its content is addressed by (study version, name, preset)."""


class Cells:
    """The finished cells of a run, as claims see them: read-only, and ordered, so statistics are reproducible."""

    def __init__(
        self,
        metrics: Mapping[Cell, Mapping[str, float]],
        *,
        samples: Callable[[Cell, str], np.ndarray],
        curves: Callable[[Cell, str], tuple[np.ndarray, np.ndarray]],
    ) -> None:
        self._metrics = dict(sorted(metrics.items(), key=lambda item: (item[0].setting, item[0].arm, item[0].seed)))
        self._samples, self._curves = samples, curves

    def seeds(self, *, setting: str, arms: Sequence[str]) -> list[int]:
        """The seeds for which every one of `arms` has a finished cell in `setting`, ascending."""
        sets = [{cell.seed for cell in self._metrics if cell.arm == arm and cell.setting == setting} for arm in arms]
        return sorted(set.intersection(*sets)) if sets else []

    def value(self, metric: str, *, arm: str, setting: str, seed: int) -> float:
        """One measured number; raises `KeyError` if the cell is not finished or lacks the metric."""
        return float(self._metrics[Cell(arm, setting, seed)][metric])

    def values(self, metric: str, *, arm: str, setting: str, seeds: Sequence[int] | None = None) -> np.ndarray:
        """The metric over seeds, `[seed]` float64."""
        chosen = self.seeds(setting=setting, arms=[arm]) if seeds is None else seeds
        return np.array([self.value(metric, arm=arm, setting=setting, seed=seed) for seed in chosen])

    def names(self, *, arm: str, setting: str) -> list[str]:
        """The metrics that finished cells of `arm` in `setting` have, sorted."""
        found = [metrics for cell, metrics in self._metrics.items() if (cell.arm, cell.setting) == (arm, setting)]
        return sorted(set().union(*found))

    def has(self, *, arm: str, setting: str, seed: int) -> bool:
        """Whether the cell is finished."""
        return Cell(arm, setting, seed) in self._metrics

    def samples(self, name: str, *, arm: str, setting: str, seed: int) -> np.ndarray:
        """The array that the cell kept with `run.samples`."""
        return self._samples(Cell(arm, setting, seed), name)

    def curve(self, name: str, *, arm: str, setting: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """(steps, values) of one logged curve."""
        return self._curves(Cell(arm, setting, seed), name)


Effects = Mapping[str, float]
"""One effect a unit, e.g. {"s1/seed 0": 0.3}: a paired difference, a gap, a ratio's logarithm. Higher is not better:
`Claim.direction` says on which side of `Claim.reference` the paper puts it."""


def effects_of_settings(effects: Effects) -> dict[str, list[float]]:
    """The effects of each setting of a claim that pools seeds of several, named "setting/seed"."""
    found: dict[str, list[float]] = {}
    for name, effect in effects.items():
        found.setdefault(name.rpartition("/")[0], []).append(effect)
    return found


@dataclass(frozen=True)
class Claim:
    """One claim of the paper as data, fixed before the run; code computes its verdict (`lab.claims.judge`)."""

    id: str  # "C1", as in the paper's notes; several claims may share a prefix: "C1a"
    statement: str  # what the paper says, one sentence in our words
    where: str  # section, table or figure of the paper
    published: str  # the paper's value as text ("0.35 % average gap", "figure 4, no number"), shown beside ours
    effect: str  # what one effect is, with its unit: "cost above the optimum, %"
    statistic: Callable[[Cells], Effects]  # pure; leaves out units whose cells are not there
    unit: Unit
    arms: tuple[str, ...]
    settings: tuple[str, ...]
    direction: Direction  # "greater"/"less": than `reference`; "equal": within `margin` of it
    margin_why: str  # why this reference and margin
    scale: str  # the paper's protocol and ours side by side: steps, seeds, data, network
    reference: float = 0.0
    margin: float = (
        0.0  # greater/less: the smallest effect beyond `reference` that counts as the claim; equal: half-width
    )
    headline: bool = False
    precondition: Callable[[Cells], str | None] | None = None  # a reason makes the verdict void
    needs: str = ""  # not empty: not tested here, and this is what a test would need

    @classmethod
    def not_tested(cls, claim_id: str, statement: str, *, where: str, published: str, needs: str) -> "Claim":
        """A claim of the paper that this study cannot measure, listed with what it would take."""
        return cls(
            id=claim_id,
            statement=statement,
            where=where,
            published=published,
            effect="",
            statistic=lambda _: {},
            unit="seed",
            arms=(),
            settings=(),
            direction="greater",
            margin_why="",
            scale="",
            needs=needs,
        )


@dataclass(frozen=True)
class Table:
    """One metric of some settings, arm by arm, as the paper's page shows it beside the verdicts."""

    metric: str
    about: str  # its heading, with the unit
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """What a logged curve shows; figures stand in the order in which a study declares its curves."""

    metric: str  # as it is logged
    axis: str  # what its steps are
    about: str  # the figure's heading, with the unit
    settings: tuple[str, ...] = ()  # only there; empty: everywhere


@dataclass(frozen=True)
class Sweep:
    """Metrics that differ by a number alone, such as `certified_0.2` and `certified_0.4`, drawn as curves of the arms.

    They stand in every setting whose arms have them, so that reports of older runs show them too.
    """

    metric: str  # what stands before the last underscore
    axis: str  # what the number is
    about: str  # the figure's heading, with the unit


@dataclass(frozen=True)
class Study:
    """A checked study module."""

    slug: str
    version: int  # raised when a change of method or study may change numbers: old cells are not reused
    arms: Mapping[str, Arm]
    settings: Mapping[str, Setting]
    claims: tuple[Claim, ...]
    prepare: Mapping[str, Prepare]
    measure: Measure
    deviations: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    curves: tuple[Curve, ...] = ()
    sweeps: tuple[Sweep, ...] = ()

    def cells(
        self,
        preset: str,
        *,
        seeds: int | None = None,
        arms: Sequence[str] | None = None,
        settings: Sequence[str] | None = None,
    ) -> list[Cell]:
        """The cells of a preset, cheapest to compare first: all arms of a setting and seed stand together.

        Args:
            preset: "smoke", "laptop" or "paper".
            seeds: Overrides the number of seeds of each setting; a setting with fixed seeds takes at most its own.
            arms: Only these arms; unknown names raise `InputError`.
            settings: Only these settings; unknown names raise `InputError`.
        """
        if preset not in PRESETS:
            raise InputError.of("preset", preset, expected=f"one of {', '.join(PRESETS)}")
        if seeds is not None and seeds < 1:
            raise InputError.of("seeds", seeds, expected="a whole number >= 1")
        _require_known("arms", arms, self.arms)
        _require_known("settings", settings, self.settings)
        chosen = [s for s in self.settings.values() if preset in s.seeds and (not settings or s.name in settings)]
        cells = [
            Cell(arm, setting.name, seed)
            for setting in chosen
            for seed in range(setting.first_seed, setting.first_seed + setting.count(preset, seeds))
            for arm in setting.arms
            if (not arms or arm in arms) and (seed == setting.first_seed or self.arms[arm].seeded)
        ]
        if not cells:
            raise InputError.of(
                "preset", preset, expected="at least one cell", cause="this selection of arms and settings is empty"
            )
        return cells

    def kept_seeds(self, preset: str, seeds: int | None, settings: Sequence[str] | None = None) -> dict[str, int]:
        """The settings (of those that are chosen) that keep their own number of seeds though `seeds` were asked for."""
        chosen = [s for s in self.settings.values() if preset in s.seeds and (not settings or s.name in settings)]
        counts = {setting.name: setting.count(preset, seeds) for setting in chosen}
        return {} if seeds is None else {name: count for name, count in counts.items() if count != seeds}

    def arms_in_settings(self, preset: str) -> set[tuple[str, str]]:
        """The (arm, setting) pairs that a preset measures."""
        return {(arm, s.name) for s in self.settings.values() if s.seeds.get(preset) for arm in s.arms}

    def rests_on(self, claim: Claim, preset: str) -> set[tuple[str, str]]:
        """The (arm, setting) pairs of a claim that a preset measures; none where the preset leaves the claim out."""
        return {(arm, name) for arm in claim.arms for name in claim.settings} & self.arms_in_settings(preset)

    def claims_within(
        self, preset: str, arms: Sequence[str] | None = None, settings: Sequence[str] | None = None
    ) -> set[str]:
        """The claims all of whose cells a preset measures with these arms and settings alone; None is all of them."""
        present = self.arms_in_settings(preset)
        kept = {
            (arm, name) for arm, name in present if (not arms or arm in arms) and (not settings or name in settings)
        }
        found = set()
        for claim in self.claims:
            rests_on = self.rests_on(claim, preset)
            if rests_on and rests_on <= kept:
                found.add(claim.id)
        return found

    def pairs(self, preset: str, *, seeds: int | None = None) -> dict[str, int]:
        """How many pairs each tested claim has when all cells of the preset are there.

        Claims over data sets, items or folds are not here. A pair is a seed that all settings of the claim share, or
        each seed of each setting, as the claim's unit says.
        """
        found = {}
        for claim in self.claims:
            if claim.unit in {"seed", "seed x setting"} and not claim.needs:
                settings = [self.settings[name] for name in claim.settings]
                counts = [s.count(preset, seeds) if preset in s.seeds else 0 for s in settings]
                found[claim.id] = min(counts, default=0) if claim.unit == "seed" else sum(counts)
        return found


def _require_known(option: str, chosen: Sequence[str] | None, known: Mapping[str, Any]) -> None:
    for name in chosen or ():
        if name not in known:
            between = "; " if any("," in one for one in known) else ", "
            raise InputError.of(option, name, expected=f"one of {between.join(known)}")


def load_study(slug: str) -> Study:
    """Import and check the study of a paper; raises `InputError` for a paper without one."""
    catalogue.card(slug)
    name = catalogue.study_module(slug)
    if name is None:
        raise InputError.of(
            "slug",
            slug,
            expected="a paper with a study",
            cause="`livepapers list --status measured` or `--status runs` shows them",
        )
    return from_module(importlib.import_module(name), slug)


def from_module(module: Any, slug: str) -> Study:
    """Check a study module's declarations against each other and wrap them."""
    arms = {arm.name: arm for arm in module.ARMS}
    settings = {setting.name: setting for setting in module.SETTINGS}
    if len(arms) != len(module.ARMS) or len(settings) != len(module.SETTINGS):
        raise ValueError(f"{module.__name__}: two arms or two settings share a name")
    for arm in arms.values():
        if arm.trains_as and arms.get(arm.trains_as, arm).trains_as:
            raise ValueError(f"{module.__name__}: {arm.name} trains as {arm.trains_as}, no arm with its own training")
    for setting in settings.values():
        unknown = set(setting.arms) - arms.keys() | set(setting.seeds) - set(PRESETS)
        if unknown:
            raise ValueError(f"{module.__name__}: setting {setting.name} names unknown {sorted(unknown)}")
        if absent := {arms[name].trains_as for name in setting.arms} - {"", *setting.arms}:
            raise ValueError(
                f"{module.__name__}: setting {setting.name} has arms that train as {sorted(absent)}, not them"
            )
    for claim in module.CLAIMS:
        unknown = set(claim.arms) - arms.keys() | set(claim.settings) - settings.keys()
        if unknown:
            raise ValueError(f"{module.__name__}: claim {claim.id} names unknown {sorted(unknown)}")
    tables, curves = (tuple(getattr(module, name, ())) for name in ("TABLES", "CURVES"))
    for shown in (*tables, *curves):
        if unknown := set(shown.settings) - settings.keys():
            raise ValueError(f"{module.__name__}: {shown.about!r} names unknown {sorted(unknown)}")
    ids = [claim.id for claim in module.CLAIMS]
    if len(set(ids)) != len(ids):
        raise ValueError(f"{module.__name__}: two claims share an id")
    return Study(
        slug=slug,
        version=module.VERSION,
        arms=MappingProxyType(arms),
        settings=MappingProxyType(settings),
        claims=tuple(module.CLAIMS),
        prepare=MappingProxyType(dict(getattr(module, "PREPARE", {}))),
        measure=module.measure,
        deviations=tuple(getattr(module, "DEVIATIONS", ())),
        tables=tables,
        curves=curves,
        sweeps=tuple(getattr(module, "SWEEPS", ())),
    )
