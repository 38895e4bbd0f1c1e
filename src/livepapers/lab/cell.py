"""One cell, measured in a worker process: the `Run` that a study is handed, and what comes back.

A cell that was interrupted is measured again from the start of `measure`, with the same streams; only what was done
inside `drive` is not repeated but restored from the learner's checkpoint, together with what the cell had logged,
kept and spent there and the state of its generators. So a resumed cell ends bitwise as an uninterrupted one.
"""

import hashlib
import json
import math
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from livepapers.core import checkpoint, loop, rng
from livepapers.core.artifact import Artifact
from livepapers.core.artifact import save as save_artifact
from livepapers.core.errors import Interrupted
from livepapers.core.files import new_folder, write_atomic
from livepapers.core.learner import Learner
from livepapers.lab.store import CellResult, Store, cell_path, file_name
from livepapers.lab.study import Cell, Measure, Prepare, Setting

FLUSH_EVERY = 1.0
"""Seconds between writes of curve points and progress to the store."""


@dataclass(frozen=True)
class CellSpec:
    """All that a worker needs to measure a cell; crosses process borders."""

    slug: str
    version: int
    preset: str
    run: str
    cell: Cell
    setting: Setting
    measure: Measure
    prepare: Mapping[str, Prepare] = field(default_factory=dict)
    source: Cell | None = None  # the cell of the arm that this one trains as
    home: str | None = None  # the store's folder, for checkpoints and prepared parts; None where it is out of reach
    store: str | None = None  # the store's URL, for curves and progress while the cell runs; None where out of reach
    save_every: float = 20.0  # seconds between checkpoints of a driven learner

    def fingerprint(self, learner: str) -> str:
        """What a checkpoint must have been made by to be taken up again."""
        setting = json.dumps(dict(self.setting.parameters), sort_keys=True, default=repr)
        parts = [self.slug, str(self.version), self.preset, (self.source or self.cell).key, setting, learner]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def execute(spec: CellSpec) -> CellResult:
    """Measure one cell; what `measure` raises becomes a failed result, a signal an interrupted one."""
    torch.set_num_threads(1)  # with one thread the processor's operations are deterministic, and cells share the cores
    torch.set_flush_denormal(False)
    run = CellRun(spec)
    try:
        _check_version(spec)
        measurements = _finite(spec.measure(spec.cell.arm, spec.setting, spec.cell.seed, spec.preset, run), spec.cell)
    except (Interrupted, KeyboardInterrupt):
        run.flush()
        return run.result("interrupted")
    except Exception:  # noqa: BLE001 - a failed cell is recorded with its traceback, the others go on
        return run.result("failed", error=traceback.format_exc())
    finally:
        run.close()
    return run.result("finished", measurements=measurements)


def drop_checkpoints(home: Path, run: str, cell: Cell) -> None:
    """Delete what a finished cell no longer needs."""
    shutil.rmtree(_checkpoints(home, run, cell), ignore_errors=True)


class CellRun:
    """The `Run` of one cell (see `lab.study.Run`)."""

    def __init__(self, spec: CellSpec) -> None:
        self._spec = spec
        self._store: Store | None = None
        self._points: list[tuple[str, int, float]] = []
        self._flushed, self._flush_time, self._progress = 0, time.monotonic(), 0.0
        self._samples: dict[str, np.ndarray] = {}
        self._artifacts: dict[str, dict[str, bytes]] = {}
        self._work: Counter[str] = Counter()
        self._prepared: dict[str, float] = {}
        self._generators: list[torch.Generator] = []  # those that live from one drive to the next
        self._driven: set[str] = set()
        self._depth = 0  # > 0 inside `drive`
        self._started, self._earlier, self._aside = time.monotonic(), 0.0, 0.0

    # ---- what a study sees ----

    def log(self, step: int, **metrics: float) -> None:
        """Add points to this cell's curves; a value may be NaN where a quantity is not defined."""
        self._points.extend((name, int(step), float(value)) for name, value in metrics.items())
        self._flush_when_due()

    def samples(self, name: str, values: np.ndarray) -> None:
        """Keep an array of items; numbers or truth values only."""
        array = np.array(values)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"samples {name!r}: got an array of {array.dtype}, expected numbers or truth values")
        self._samples[name] = array

    def artifact(self, name: str, artifact: Artifact, *, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        """Keep what the cell trained, as the bytes of its files: they travel back like all other results."""
        if self._depth:
            raise RuntimeError(f"artifact {name!r}: keep it after `drive`, which does not bring it back on resume")
        with tempfile.TemporaryDirectory() as place:
            save_artifact(Path(place), artifact, weights=weights)
            self._artifacts[name] = {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}

    def generator(self, name: str) -> torch.Generator:
        """A stream keyed by (study, setting, seed, name): the same for every arm."""
        return self._hand_out(rng.generator(self._spec.cell.seed, self._spec.slug, self._spec.cell.setting, name))

    def private_generator(self, name: str) -> torch.Generator:
        """A stream keyed by the arm too."""
        cell = self._spec.source or self._spec.cell
        return self._hand_out(rng.generator(cell.seed, self._spec.slug, cell.setting, "arm", cell.arm, name))

    def prepared(self, name: str) -> Path:
        """The folder that `PREPARE[name]` has filled: by this cell if it is the first to ask, else by another."""
        spec = self._spec
        if name not in spec.prepare:
            raise KeyError(f"the study of {spec.slug} prepares no {name!r}: PREPARE has {sorted(spec.prepare)}")
        folder = _home(spec) / "prepared" / spec.slug / f"v{spec.version}-{spec.preset}-{file_name(name)}"
        note = folder.with_name(f"{folder.name}.seconds.json")
        folder.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.is_dir():
                with new_folder(folder) as made:
                    start = time.monotonic()
                    spec.prepare[name](made, spec.preset)
                    write_atomic(note, json.dumps(time.monotonic() - start))
        self._prepared[name] = float(json.loads(note.read_text()))
        self._aside += time.monotonic() - began
        return folder

    def drive(
        self,
        learner: Learner,
        updates: int,
        *,
        name: str = "learner",
        evaluate: Callable[[int], dict[str, float] | None] | None = None,
    ) -> None:
        """Run the driving loop from the learner's newest checkpoint on; a finished learner is only restored."""
        if name in self._driven:
            raise ValueError(f"two learners of cell {self._spec.cell.key} are driven as {name!r}: give each a name")
        self._driven.add(name)
        folder, fingerprint = self._learner_folder(name), self._spec.fingerprint(name)
        if folder is not None:
            _drop_foreign(folder, fingerprint)
            self._take_over(name, folder, fingerprint, updates)
        inside = _Inside(self)

        def evaluated(step: int) -> None:
            points = evaluate(step) if evaluate is not None else None
            if points:
                self.log(step, **points)

        def progressed(progress: loop.Progress) -> None:
            self._progress = progress.step / progress.updates
            self._flush_when_due()

        with inside:
            loop.drive(
                learner,
                updates,
                folder=folder,
                fingerprint=fingerprint,
                on_progress=progressed,
                evaluate=evaluated,
                memory=inside.memory,
                recall=inside.recall,
                save_every=self._spec.save_every,
            )
        self.spend(**learner.work())

    def spend(self, **work: int) -> None:
        """Add work done outside `drive` to the cell's budget."""
        self._work.update({name: int(amount) for name, amount in work.items()})

    @property
    def map(self) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]:
        """The built-in `map`: cells already run side by side, one thread each."""
        return map

    # ---- what the lab sees ----

    def seconds(self) -> float:
        """Wall time of the cell so far: interruptions and preparation left out."""
        return self._earlier + time.monotonic() - self._started - self._aside

    def flush(self) -> None:
        """Write what was logged since the last time to the store, where it can be reached."""
        spec = self._spec
        self._flush_time = time.monotonic()
        if spec.store is None:
            return
        if self._store is None:
            self._store = Store(spec.store, create=False)
        self._store.add_points(spec.run, spec.cell, self._points[self._flushed :], progress=self._progress)
        self._flushed = len(self._points)

    def result(self, status: Any, *, measurements: Mapping[str, float] | None = None, error: str = "") -> CellResult:
        """What the cell hands back; a point logged twice keeps its last value."""
        newest = {(name, step): value for name, step, value in self._points}
        return CellResult(
            self._spec.cell,
            status,
            measurements=dict(measurements or {}),
            points=[(name, step, value) for (name, step), value in newest.items()],
            samples=self._samples,
            artifacts=self._artifacts,
            work=dict(sorted(self._work.items())),
            prepared=self._prepared,
            wall=self.seconds(),
            error=error,
        )

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def _flush_when_due(self) -> None:
        if time.monotonic() - self._flush_time >= FLUSH_EVERY:
            self.flush()

    def _hand_out(self, generator: torch.Generator) -> torch.Generator:
        if self._depth == 0:  # made again at the same place on resume, and then set to where it was
            self._generators.append(generator)
        return generator

    def _take_over(self, name: str, folder: Path, fingerprint: str, updates: int) -> None:
        """Start from the end of the same training where the cell that this one trains as has finished it.

        To resume a finished training and to train anew give the same bits, so it does not matter whether it is found.
        """
        spec = self._spec
        if spec.source is None or spec.home is None or folder.is_dir():
            return
        theirs = _checkpoints(Path(spec.home), spec.run, spec.source) / file_name(name)
        state = checkpoint.load_newest(theirs) if theirs.is_dir() else None
        if state is not None and state["step"] == updates and state["fingerprint"] == fingerprint:
            checkpoint.save_step(folder, updates, state)

    def _learner_folder(self, name: str) -> Path | None:
        spec = self._spec
        return None if spec.home is None else _checkpoints(Path(spec.home), spec.run, spec.cell) / file_name(name)


class _Inside:
    """What a cell logs, keeps and spends while it drives one learner: goes into, and comes from, its checkpoints."""

    def __init__(self, run: CellRun) -> None:
        self._run = run
        self._point = len(run._points)
        self._work = Counter(run._work)
        self._samples = dict(run._samples)

    def __enter__(self) -> None:
        self._run._depth += 1

    def __exit__(self, *_: object) -> None:
        self._run._depth -= 1

    def memory(self) -> dict[str, Any]:
        """The state of the cell, as far as it changed since the learner was first driven."""
        run = self._run
        fresh = {name: array for name, array in run._samples.items() if self._samples.get(name) is not array}
        return {
            "points": run._points[self._point :],
            "samples": [[name, torch.from_numpy(array)] for name, array in fresh.items()],
            "work": [[name, run._work[name] - self._work[name]] for name in run._work],
            "generators": [generator.get_state() for generator in run._generators],
            "seconds": run.seconds(),
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Put the state back that `memory` gave."""
        run = self._run
        run._points.extend((name, int(step), float(value)) for name, step, value in memory["points"])
        run._samples.update({name: tensor.numpy() for name, tensor in memory["samples"]})
        run._work.update(dict(memory["work"]))
        if len(memory["generators"]) != len(run._generators):
            raise RuntimeError(f"cell {run._spec.cell.key} asked for other generators than before it was interrupted")
        for generator, state in zip(run._generators, memory["generators"], strict=True):
            generator.set_state(state)
        run._earlier += max(0.0, float(memory["seconds"]) - run.seconds())


def _check_version(spec: CellSpec) -> None:
    """Refuse a worker whose copy of the study, a module or a package, is another version than the driver's."""
    name = spec.measure.__module__
    while name and not hasattr(sys.modules.get(name), "VERSION"):
        name = name.rpartition(".")[0]
    version = getattr(sys.modules.get(name), "VERSION", spec.version)
    if version != spec.version:
        raise RuntimeError(
            f"this worker has version {version} of the study of {spec.slug}, the run is of {spec.version}"
        )


def _finite(returned: Any, cell: Cell) -> dict[str, float]:
    if not isinstance(returned, Mapping):
        raise TypeError(f"measure returned {type(returned).__name__} for {cell.key}, expected a dict of numbers")
    values = {str(name): float(value) for name, value in returned.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise FloatingPointError(f"measurement {name!r} of {cell.key} is {value}: measurements are finite numbers")
    return values


def _drop_foreign(folder: Path, fingerprint: str) -> None:
    """Delete checkpoints that other work has left: a setting may change while a study is being written."""
    state = checkpoint.load_newest(folder) if folder.is_dir() else None
    if state is not None and state["fingerprint"] != fingerprint:
        shutil.rmtree(folder)


def _home(spec: CellSpec) -> Path:
    """The store's folder; on a machine that cannot reach it, one of that machine's own."""
    local = os.environ.get("LIVEPAPERS_HOME") or "~/.cache/livepapers"
    return Path(spec.home or local).expanduser().absolute()


def _checkpoints(home: Path, run: str, cell: Cell) -> Path:
    return home / "runs" / run / "checkpoints" / cell_path(cell)
