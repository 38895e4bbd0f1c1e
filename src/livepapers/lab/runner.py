"""Runs a study: plans its cells, hands them to an engine, keeps every result at once, stops and resumes."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from livepapers.core.errors import InputError, Interrupted
from livepapers.core.loop import stop_signals
from livepapers.lab.cell import CellSpec, drop_checkpoints, execute
from livepapers.lab.engines import Engine, Lost, make_engine
from livepapers.lab.estimating import estimate, published_walls
from livepapers.lab.machine import CHANGED, git_commit, machine, same_code, versions
from livepapers.lab.store import CellResult, RunRecord, Store
from livepapers.lab.study import Cell, Study, load_study

BEAT = 10.0
"""Seconds between signs of life of a driver."""


class Listener(Protocol):
    """Hears how a run goes; all calls come from the thread that called `run_study`."""

    def run_started(self, run: str, cells: Sequence[Cell], *, finished: Sequence[Cell], workers: int) -> None:
        """All cells of the run, and those that were finished before."""
        ...

    def cell_started(self, cell: Cell) -> None:
        """A worker has begun the cell."""
        ...

    def cell_progress(self, cell: Cell, share: float) -> None:
        """The share of its current learner's updates, 0 to 1."""
        ...

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        """The cell is measured and kept."""
        ...

    def cell_failed(self, cell: Cell, *, error: str) -> None:
        """The cell raised: `error` is the traceback."""
        ...

    def estimate(self, seconds: float | None) -> None:
        """How long the rest may take; None while nothing is known."""
        ...

    def run_ended(self, run: str, *, status: str) -> None:
        """The run is "finished", "failed" (some cells failed) or "interrupted"."""
        ...


def run_study(
    slug: str,
    *,
    preset: str | None = None,
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    store: Store | str | Path | None = None,
    resume: str | None = None,
    listener: Listener | None = None,
    study: Study | None = None,
    save_every: float = 20.0,
) -> str:
    """Measure a study's cells and return the run's id; failed cells are recorded and do not stop the others.

    Args:
        slug: The paper.
        preset: "smoke", "laptop" or "paper"; None is "laptop", or that of the run that is resumed.
        seeds: Overrides the number of seeds of each setting.
        arms: Only these arms.
        settings: Only these settings.
        engine: "local" or "ray".
        address: Of a Ray cluster.
        workers: How many cells at once; None is one a core, 0 computes in this process.
        store: Where the run is kept; None is the default store.
        resume: A run to go on with. Its finished cells stay; seeds, arms and settings may add cells to it.
        listener: Hears how it goes.
        study: The study itself, when it is not the catalogue's.
        save_every: Seconds between checkpoints of a learner.

    Raises:
        InputError: An option is wrong, the study changed since the run, or another process drives it.
        Interrupted: SIGINT or SIGTERM; the message says how to go on.
    """
    with contextlib.ExitStack() as stack:
        try:
            study = study or load_study(slug)
            kept = store if isinstance(store, Store) else stack.enter_context(Store(store))
            pool = stack.enter_context(make_engine(engine, address=address, workers=workers))
            plan = _Plan(kept, study, preset=preset, seeds=seeds, arms=arms, settings=settings, resume=resume)
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped before the first cell was begun: nothing is lost, give the command again"
            ) from None
        drive = _Drive(
            kept, study, plan, pool, remote=engine == "ray", save_every=save_every, listener=listener or Silent()
        )
        drive.run()
    return plan.run


class Silent:
    """A listener that says nothing."""

    def run_started(self, run: str, cells: Sequence[Cell], *, finished: Sequence[Cell], workers: int) -> None:
        """Say nothing."""

    def cell_started(self, cell: Cell) -> None:
        """Say nothing."""

    def cell_progress(self, cell: Cell, share: float) -> None:
        """Say nothing."""

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        """Say nothing."""

    def cell_failed(self, cell: Cell, *, error: str) -> None:
        """Say nothing."""

    def estimate(self, seconds: float | None) -> None:
        """Say nothing."""

    def run_ended(self, run: str, *, status: str) -> None:
        """Say nothing."""


class _Plan:
    """Which run, which cells, and which of them are still to be measured."""

    def __init__(
        self,
        store: Store,
        study: Study,
        *,
        preset: str | None,
        seeds: int | None,
        arms: Sequence[str] | None,
        settings: Sequence[str] | None,
        resume: str | None,
    ) -> None:
        options = {
            "seeds": seeds,
            "arms": list(arms) if arms else None,
            "settings": list(settings) if settings else None,
        }
        if resume is None:
            self.preset = preset or "laptop"
            cells = study.cells(self.preset, seeds=seeds, arms=arms, settings=settings)
            self.run, self.lease = store.create_run(
                study.slug,
                study.version,
                preset=self.preset,
                options=options,
                machine=machine(),
                versions=versions(),
                git_commit=git_commit(),
            )
        else:
            self.preset = _check_resume(store, study, preset=preset, resume=resume)
            extends = any(value is not None for value in options.values())
            cells = study.cells(self.preset, seeds=seeds, arms=arms, settings=settings) if extends else []
            self.run, self.lease = resume, store.take_lease(resume)
            if extends:
                store.set_options(resume, _joined(store.run(resume), options, adds=_adds(store, resume, cells)))
        store.add_cells(self.run, cells)
        records = store.cell_records(self.run)
        if not records:  # killed between making the run and entering its cells
            asked = store.run(self.run).options
            store.add_cells(self.run, study.cells(self.preset, **{name: asked.get(name) for name in options}))
            records = store.cell_records(self.run)
        self.cells = [record.cell for record in records]
        self.finished = [record.cell for record in records if record.status == "finished"]
        if resume is not None and len(self.finished) < len(self.cells):
            _mark_changes(store, resume)
        self.walls = {record.cell: record.wall for record in records if record.status == "finished" and record.wall}


def _adds(store: Store, run: str, cells: Sequence[Cell]) -> bool:
    """Whether any of the cells is new to the run."""
    return not {*cells} <= {record.cell for record in store.cell_records(run)}


def _joined(record: RunRecord, now: Mapping[str, Any], *, adds: bool) -> dict[str, Any]:
    """What a run was asked for in all, when it is extended: the command that repeats it has to cover every cell.

    Cells that come in when others are finished were asked for by someone who could have seen these: the run says so
    under "extended", and may not be published with more than the study's plan.
    """
    before = record.options
    joined: dict[str, Any] = {"seeds": now["seeds"] if now["seeds"] is not None else before.get("seeds")}
    for name in ("arms", "settings"):
        old, new = before.get(name), now[name]
        joined[name] = list(dict.fromkeys([*old, *new])) if old and new else None
    if before.get("extended") or (adds and record.cells.get("finished")):
        joined["extended"] = True
    return joined


def _check_resume(store: Store, study: Study, *, preset: str | None, resume: str) -> str:
    """The preset of the run that is resumed; `InputError` if it does not go with what is asked."""
    record = store.run(resume)
    if record.slug != study.slug:
        raise InputError.of("run", resume, expected=f"a run of {study.slug}", cause=f"it is of {record.slug}")
    if record.version != study.version:
        cause = f"the study changed since; start anew: livepapers run {study.slug} --preset {record.preset}"
        got = f"{resume} of study version {record.version}"
        raise InputError.of("run", got, expected=f"version {study.version}", cause=cause)
    if preset is not None and preset != record.preset:
        raise InputError.of(
            "preset", preset, expected=f"{record.preset}, that of {resume}", cause="a run has one preset"
        )
    for cell in (known.cell for known in store.cell_records(resume)):
        if cell.arm not in study.arms or cell.setting not in study.settings:
            cause = f"cell {cell.key} is not in the study any more, though its version is the same"
            raise InputError.of("run", resume, expected="a run of the study as it is", cause=cause)
    return record.preset


def _mark_changes(store: Store, run: str) -> None:
    """A run that goes on with other code or packages is marked as one that began with changes of its commit."""
    record, now = store.run(run), git_commit()
    began = record.git_commit
    if began is None or began.endswith(CHANGED):
        return
    if dict(record.versions) != versions() or now is None or not same_code(began, now):
        store.set_commit(run, began + CHANGED)


class _Drive:
    """One driver at work on one run."""

    def __init__(
        self,
        store: Store,
        study: Study,
        plan: _Plan,
        engine: Engine,
        *,
        remote: bool,
        save_every: float,
        listener: Listener,
    ) -> None:
        self._store, self._study, self._plan, self._engine, self._listener = store, study, plan, engine, listener
        self._remote, self._save_every = remote, save_every
        finished = set(plan.finished)
        todo = (cell for cell in plan.cells if cell not in finished)
        self._todo = sorted(todo, key=lambda cell: self._source(cell) is not None)  # what they take over comes first
        self._walls, self._open = dict(plan.walls), dict.fromkeys(self._todo, 0.0)
        self._failed, self._interrupted, self._taken = 0, False, threading.Event()
        self._polled = 0.0
        self._alone = {cell for cell in self._todo if study.settings[cell.setting].alone}
        self._batch: list[Cell] = []

    def run(self) -> None:
        plan, status = self._plan, "interrupted"
        try:
            with self._beating(), stop_signals() as signalled:
                self._listener.run_started(plan.run, plan.cells, finished=plan.finished, workers=self._engine.workers)
                self._measure(lambda: signalled.is_set() or self._interrupted or self._taken.is_set())
            if self._taken.is_set():
                raise Interrupted(f"another process has taken {plan.run} over")
            if self._open:
                raise Interrupted(f"stopped {self._way_on()}")
            status = "failed" if self._failed else "finished"
        finally:
            self._store.end_run(plan.run, plan.lease, status=status)
            self._listener.run_ended(plan.run, status=status)

    def _measure(self, stopped: Callable[[], bool]) -> None:
        """Hand the cells to the engine: first those that may stand side by side, then the others one by one."""
        together = [cell for cell in self._todo if cell not in self._alone]
        for batch in (together, *([cell] for cell in self._todo if cell in self._alone)):
            self._batch = batch
            try:
                self._engine.run(
                    execute,
                    [self._spec(cell) for cell in batch],
                    on_result=self._keep,
                    on_start=self._start,
                    on_tick=self._tick,
                    stopped=stopped,
                )
            except Interrupted as gone:  # the engine has nothing left to compute on
                raise Interrupted(f"{gone}, {self._way_on()}") from None

    def _way_on(self) -> str:
        left, command = len(self._open), f"livepapers resume {self._plan.run}{self._store.option()}"
        return f"with {left} of {len(self._plan.cells)} cells to go; go on with: {command}"

    def _spec(self, cell: Cell) -> CellSpec:
        study, here = self._study, not self._remote
        return CellSpec(
            study.slug,
            study.version,
            self._plan.preset,
            self._plan.run,
            cell,
            study.settings[cell.setting],
            study.measure,
            source=self._source(cell),
            prepare=dict(study.prepare),
            home=str(self._store.home) if here else None,
            store=self._store.url if here else None,
            save_every=self._save_every,
        )

    def _start(self, index: int) -> None:
        if not self._store.start_cell(self._plan.run, self._batch[index], lease=self._plan.lease):
            self._taken.set()
            return
        self._listener.cell_started(self._batch[index])

    def _keep(self, index: int, result: CellResult | Lost) -> None:
        cell = self._batch[index]
        if isinstance(result, Lost):
            result = CellResult(cell, "failed", error=result.reason)
        if not self._store.finish_cell(self._plan.run, result, lease=self._plan.lease):
            self._taken.set()
            return
        if result.status == "interrupted":
            self._interrupted = True
            return
        del self._open[cell]
        if result.status == "failed":
            self._failed += 1
            self._listener.cell_failed(cell, error=result.error)
            return
        self._walls[cell] = result.wall or 0.0
        self._drop_checkpoints(cell)
        self._listener.cell_finished(cell, wall=result.wall or 0.0, measurements=result.measurements)

    def _source(self, cell: Cell) -> Cell | None:
        """The cell whose trainings this one may take over."""
        arm = self._study.arms[cell.arm].trains_as
        return replace(cell, arm=arm) if arm else None

    def _drop_checkpoints(self, cell: Cell) -> None:
        """Delete what the finished cell kept, and what it took over, unless an unfinished one needs it."""
        needed = {self._source(other) for other in self._open} | self._open.keys()
        for done in {cell, self._source(cell)} - needed:
            if done is not None:
                drop_checkpoints(self._store.home, self._plan.run, done)

    def _tick(self) -> None:
        """Once a second: pass on how far the cells are, and estimate the rest."""
        if time.monotonic() - self._polled < 1.0:
            return
        self._polled = time.monotonic()
        for cell, share in self._store.progress(self._plan.run).items():
            if cell in self._open:
                self._open[cell] = share
                self._listener.cell_progress(cell, share)
        self._listener.estimate(self._left())

    def _left(self) -> float | None:
        """Seconds that the rest may take; cells that run alone have one worker."""
        together = {cell: share for cell, share in self._open.items() if cell not in self._alone}
        alone = {cell: share for cell, share in self._open.items() if cell in self._alone}
        published = published_walls(self._study.slug, self._plan.preset)
        first = estimate(together, self._walls, workers=self._engine.workers, published=published)
        second = estimate(alone, self._walls, workers=1, published=published)
        return None if first is None or second is None else first + second

    @contextlib.contextmanager
    def _beating(self) -> Iterator[None]:
        """Give signs of life from a thread, until the block ends or another process has taken the run over."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(BEAT):
                try:
                    mine = self._store.beat(self._plan.run, self._plan.lease)
                except InputError:  # the store was busy for long: the next sign of life makes up for this one
                    continue
                if not mine:
                    self._taken.set()
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
