"""What `lab.store.Store` promises, on each database: it keeps what it is told, and many may write at once."""

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from lab.processes import write_and_tell, write_many
from lab.runs import CELL, finished, new_run
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.lab import schema
from livepapers.lab.store import CellResult, Store
from livepapers.lab.study import Cell


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as made:
        yield made


@pytest.fixture(scope="module")
def spawn() -> ForkServerContext:
    """Starts processes that have imported the store already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["livepapers.lab.store"])
    return context


def by_hand(store: Store, statement: str, **values: object) -> None:
    """Do to the database what no method of the store does."""
    with store._engine.begin() as connection:
        connection.execute(sa.text(statement), values)


# ---- what was measured ----


def test_a_run_id_reads_well_and_says_the_paper_and_the_day(store: Store) -> None:
    run, _ = new_run(store)
    slug, day, letters = run.split("-")
    assert slug == "paper"
    assert len(day) == 8
    assert day.isdecimal()
    assert len(letters) == 4


def test_what_a_finished_cell_measured_is_what_claims_see(store: Store) -> None:
    run, _ = new_run(store)
    other = Cell("theirs", "s/1", 0)
    store.add_cells(run, [CELL, other])
    array = np.arange(6, dtype=np.int32).reshape(2, 3)
    points = [("loss", 2, 0.5), ("loss", 1, 1.0), ("odd", 1, math.nan), ("odd", 2, math.inf)]
    result = CellResult(
        CELL, "finished", measurements={"cost": 0.1, "gap": -2.0}, points=points, samples={"x y": array}
    )
    store.finish_cell(run, result)
    cells = store.cells(run)
    assert cells.has(arm="ours", setting="s/1", seed=0)
    assert not cells.has(arm="theirs", setting="s/1", seed=0)
    assert cells.value("cost", arm="ours", setting="s/1", seed=0) == 0.1
    assert cells.samples("x y", arm="ours", setting="s/1", seed=0).tolist() == array.tolist()
    steps, values = cells.curve("loss", arm="ours", setting="s/1", seed=0)
    assert (steps.tolist(), values.tolist()) == ([1, 2], [1.0, 0.5])
    odd = store.curve(run, CELL, "odd")[1]
    assert math.isnan(odd[0])
    assert odd[1] == math.inf
    assert store.curve_names(run, CELL) == ["loss", "odd"]
    assert store.run(run).cells == {"pending": 1, "finished": 1}


def test_a_measurement_that_is_not_finite_is_refused_by_name(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    with pytest.raises(ValueError, match="'cost' of ours/s/1/0 is nan"):
        store.finish_cell(run, finished(cost=math.nan))
    assert store.cell_records(run)[0].status == "pending"


def test_entering_cells_again_leaves_finished_ones_as_they_are(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(run, finished(cost=1.0))
    store.add_cells(run, [CELL, Cell("ours", "s/1", 1)])
    assert [record.status for record in store.cell_records(run)] == ["finished", "pending"]


def test_a_point_written_twice_keeps_the_newer_value(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.add_points(run, CELL, [("loss", 1, 1.0)], progress=0.25)
    store.add_points(run, CELL, [("loss", 1, 1.5), ("loss", 1, 2.0), ("loss", 2, 3.0)])
    assert store.curve(run, CELL, "loss")[1].tolist() == [2.0, 3.0]
    store.start_cell(run, CELL)
    assert store.progress(run) == {CELL: 0.25}


def test_finishing_replaces_what_an_earlier_attempt_left(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.add_points(run, CELL, [("stale", 1, 1.0)])
    store.finish_cell(run, finished(cost=1.0))
    assert store.curve_names(run, CELL) == []


def test_things_that_are_not_there_are_named(store: Store) -> None:
    with pytest.raises(InputError, match="run: got nothing-here, expected the id of a run"):
        store.run("nothing-here")
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    with pytest.raises(KeyError, match="no curve 'loss'"):
        store.curve(run, CELL, "loss")
    with pytest.raises(KeyError, match="no samples 'x'"):
        store.samples(run, CELL, "x")
    with pytest.raises(KeyError, match="no cell a/b/1"):
        store.start_cell(run, Cell("a", "b", 1))


@pytest.mark.parametrize("damage", ["gone", "altered"])
def test_samples_that_do_not_verify_are_refused(store: Store, damage: str) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(run, CellResult(CELL, "finished", samples={"x": np.zeros(3)}))
    (file,) = store.folder(run).rglob("*.safetensors")
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CorruptFileError):
        store.samples(run, CELL, "x")


def test_verdicts_are_only_ever_added(store: Store) -> None:
    run, _ = new_run(store)
    store.add_verdict(run, "C1", verdict="inconclusive", record={"p": 0.3})
    store.add_verdict(run, "C1", verdict="reproduced", record={"p": 0.01})
    assert [row["verdict"] for row in store.verdicts(run)] == ["reproduced"]
    assert [row["verdict"] for row in store.verdicts(run, history=True)] == ["inconclusive", "reproduced"]
    for change in (
        "UPDATE verdicts SET verdict = 'reproduced' WHERE verdict = 'inconclusive'",
        "DELETE FROM verdicts WHERE verdict = 'inconclusive'",
    ):
        with pytest.raises(IntegrityError, match="verdicts are append-only: write a new row"):
            by_hand(store, change)
    assert len(store.verdicts(run, history=True)) == 2
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.add_verdict(run, "C1", verdict="reproduced", record={"p": math.nan})


def test_numbers_come_back_to_the_last_bit(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    odd = [0.1 + 0.2, math.pi, 5e-324, 1.7976931348623157e308, -1.0 / 3.0, 1e16 + 2.0]
    store.finish_cell(run, finished(CELL, **{f"m{i}": value for i, value in enumerate(odd)}))
    points = [("curve", 2**53 + i, value) for i, value in enumerate([*odd, -math.inf])]
    store.add_points(run, CELL, points)
    cells = store.cells(run)
    assert [cells.value(f"m{i}", arm="ours", setting="s/1", seed=0).hex() for i in range(6)] == [
        value.hex() for value in odd
    ]
    steps, kept = store.curve(run, CELL, "curve")
    assert steps.tolist() == [step for _, step, _ in points]
    assert kept.tobytes() == np.array([value for _, _, value in points]).tobytes()
    store.finish_cell(run, CellResult(CELL, "finished", measurements={"zero": -0.0}, points=[("zero", 1, -0.0)]))
    assert store.cells(run).value("zero", arm="ours", setting="s/1", seed=0).hex() == "0x0.0p+0"
    assert store.curve(run, CELL, "zero")[1][0].hex() == "0x0.0p+0"


def test_names_and_errors_may_be_any_text(store: Store) -> None:
    cell = Cell("it's 50 %", 's: "é" %(x)s ?', 7)
    run, _ = new_run(store, "a-paper")
    store.add_cells(run, [cell])
    store.add_points(run, cell, [(":name %s 漢", 1, 1.0)])
    assert store.curve_names(run, cell) == [":name %s 漢"]
    store.finish_cell(run, CellResult(cell, "failed", error="bytes \x00 and \udcff, 🦆" + "x" * 100_000))
    (record,) = store.cell_records(run)
    assert record.cell == cell
    assert (record.error or "").startswith("bytes \\x00 and \\udcff, 🦆xxx")


def test_a_big_batch_is_kept_whole(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    points = [(f"curve {number % 4}", number, float(number)) for number in range(8_000)]
    store.add_points(run, CELL, points, progress=0.5)
    assert store.curve(run, CELL, "curve 3")[0].tolist() == list(range(3, 8_000, 4))
    store.finish_cell(run, CellResult(CELL, "finished", measurements={"cost": 1.0}, points=points))
    assert len(store.curve(run, CELL, "curve 0")[0]) == 2_000


def test_a_result_is_kept_whole_or_not_at_all(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.add_points(run, CELL, [("before", 1, 1.0)])
    by_hand(store, "ALTER TABLE samples RENAME TO elsewhere")  # the last thing that is written fails
    with pytest.raises(Exception, match="samples"):
        store.finish_cell(run, CellResult(CELL, "finished", measurements={"cost": 1.0}, samples={"x": np.zeros(3)}))
    by_hand(store, "ALTER TABLE elsewhere RENAME TO samples")
    assert store.cell_records(run)[0].status == "pending"
    assert store.curve_names(run, CELL) == ["before"]
    assert not store.cells(run).has(arm="ours", setting="s/1", seed=0)


def test_an_interrupted_cell_keeps_its_curves_and_what_was_prepared(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(
        run, CellResult(CELL, "interrupted", points=[("loss", 1, 1.0)], prepared={"teacher": 3.0}, work={"steps": 2})
    )
    store.finish_cell(run, CellResult(CELL, "finished", prepared={"teacher": 9.0, "base": 1.0}, work={"steps": 5}))
    assert store.prepared(run) == {"base": 1.0, "teacher": 3.0}, "the first to make it has measured it"
    assert store.cell_records(run)[0].work == {"steps": 5}


def test_artifacts_are_files_beside_the_store(store: Store) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    store.finish_cell(run, CellResult(CELL, "finished", artifacts={"policy": {"artifact.json": b"{}", "w": b"1"}}))
    (folder,) = store.artifacts(run, CELL).values()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"artifact.json": b"{}", "w": b"1"}
    assert store.home in folder.parents


def test_runs_are_listed_newest_first_and_by_paper(store: Store) -> None:
    runs = [new_run(store, slug)[0] for slug in ("one", "two", "one")]
    for number, run in enumerate(runs):
        by_hand(store, "UPDATE runs SET started = :at WHERE id = :run", at=float(number), run=run)
    assert [record.id for record in store.runs()] == runs[::-1]
    assert [record.id for record in store.runs(slug="one")] == [runs[2], runs[0]]
    assert store.runs(slug="none") == []
    assert [record.id for record in store.runs(limit=2, offset=1)] == runs[::-1][1:3]
    assert (store.count_runs(), store.count_runs(slug="one"), store.count_runs(slug="none")) == (len(runs), 2, 0)


def test_what_a_run_was_asked_for_and_its_commit_can_be_replaced(store: Store) -> None:
    run, lease = new_run(store)
    store.set_options(run, {"seeds": 5, "arms": ["ours"], "settings": None})
    store.set_commit(run, "abc+changes")
    store.end_run(run, lease, status="finished")
    record = store.run(run)
    assert record.options == {"seeds": 5, "arms": ["ours"], "settings": None}
    assert (record.git_commit, record.status) == ("abc+changes", "finished")
    assert record.finished is not None
    assert record.machine == {"cores": 2}


def test_a_store_that_is_opened_again_has_what_was_put_in(store: Store, place: str) -> None:
    run, _ = new_run(store)
    store.close()
    with Store(place, create=False) as again:
        assert again.run(run).slug == "paper"
        assert again.url == store.url


# ---- whose run is it ----


def test_a_run_that_a_live_process_drives_is_not_taken_over(store: Store) -> None:
    run, lease = new_run(store)
    with pytest.raises(InputError, match=f"process {os.getpid()} on .* drives it"):
        store.take_lease(run)
    store.end_run(run, lease, status="interrupted")
    assert store.take_lease(run) != lease


@pytest.mark.parametrize(
    ("column", "value"),
    [("heartbeat", time.time() - 61), ("heartbeat", time.time() + 3600), ("process", "1:1")],
    ids=["silent for a minute", "from the future", "another process"],
)
def test_a_run_without_signs_of_life_is_marked_interrupted(store: Store, column: str, value: object) -> None:
    run, lease = new_run(store)
    store.add_cells(run, [CELL])
    store.start_cell(run, CELL)
    by_hand(store, f"UPDATE runs SET {column} = :value", value=value)
    assert store.run(run).status == "interrupted"
    assert store.cell_records(run)[0].status == "interrupted"
    store.take_lease(run)
    assert not store.beat(run, lease), "the driver that had fallen asleep learns that it has lost the run"


def test_a_driver_that_lost_the_run_can_no_longer_change_its_cells(store: Store) -> None:
    run, lease = new_run(store)
    store.add_cells(run, [CELL])
    assert store.start_cell(run, CELL, lease=lease)
    by_hand(store, "UPDATE runs SET heartbeat = 0")
    newer = store.take_lease(run)
    assert store.finish_cell(run, finished(cost=1.0), lease=newer)
    store.end_run(run, newer, status="finished")
    assert not store.start_cell(run, CELL, lease=lease)
    assert not store.finish_cell(run, CellResult(CELL, "interrupted"), lease=lease)
    assert [record.status for record in store.cell_records(run)] == ["finished"]
    assert store.cells(run).value("cost", arm=CELL.arm, setting=CELL.setting, seed=CELL.seed) == 1.0


def test_a_heartbeat_on_another_host_counts_as_life(store: Store) -> None:
    run, _ = new_run(store)
    by_hand(store, "UPDATE runs SET host = 'elsewhere', process = '1:1'")
    assert store.run(run).status == "running"


@pytest.mark.parametrize("heard", [True, False], ids=["alive", "silent"])
def test_a_run_that_is_just_being_taken_over_is_not_marked_dead(store: Store, place: str, heard: bool) -> None:
    run, _ = new_run(store)
    by_hand(store, "UPDATE runs SET heartbeat = 0")
    with Store(place) as other, ThreadPoolExecutor(1) as pool:
        with other._write(durable=True) as connection:  # as `take_lease` does it, slowly
            other._run_row(connection, run, lock=True)
            marked = pool.submit(store.mark_dead_runs)
            time.sleep(0.3)
            if heard:
                connection.execute(sa.update(schema.runs).values(heartbeat=time.time()))
        assert marked.result() == ([] if heard else [run])


def test_of_many_drivers_one_gets_the_run(store: Store, place: str) -> None:
    run, lease = new_run(store)
    store.end_run(run, lease, status="interrupted")
    start = threading.Barrier(6)

    def take() -> str:
        with Store(place) as mine:
            start.wait()
            try:
                return mine.take_lease(run)
            except InputError:
                return ""

    leases = [lease for lease in together(take, 6) if lease]
    assert len(leases) == 1
    assert store.beat(run, leases[0])


def test_without_the_lease_a_run_is_neither_ended_nor_kept_alive(store: Store) -> None:
    run, old = new_run(store)
    store.end_run(run, old, status="interrupted")
    new = store.take_lease(run)
    store.end_run(run, old, status="failed")
    assert not store.beat(run, old)
    assert store.run(run).status == "running"
    store.end_run(run, new, status="finished")
    assert store.run(run).status == "finished"


# ---- many writers, and writers that die ----


def together(function: Callable[[], str], number: int) -> list[str]:
    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(function) for _ in range(number)]]


def test_several_processes_may_make_one_store_at_the_same_time(place: str) -> None:
    start = threading.Barrier(6)

    def make() -> str:
        start.wait()
        with Store(place) as mine:
            return new_run(mine)[0]

    made = together(make, 6)
    with Store(place, create=False) as store:
        assert {record.id for record in store.runs()} == set(made)


def test_cells_entered_by_several_at_once_are_there_once(store: Store, place: str) -> None:
    run, _ = new_run(store)
    cells = [Cell("ours", "s/1", seed) for seed in range(200)]

    def enter() -> str:
        with Store(place) as mine:
            mine.add_cells(run, cells)
        return ""

    together(enter, 4)
    assert sorted(record.cell.seed for record in store.cell_records(run)) == list(range(200))


def test_a_reader_sees_one_state_however_others_write(store: Store, place: str) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [CELL])
    count = sa.select(sa.func.count()).select_from(schema.points)
    with Store(place) as other, other._read() as reading:
        assert reading.execute(count).scalar_one() == 0
        store.add_points(run, CELL, [("loss", 1, 1.0)])
        assert reading.execute(count).scalar_one() == 0
    assert len(store.curve(run, CELL, "loss")[0]) == 1


@pytest.mark.parametrize(
    ("writers", "rows"), [(3, 500), pytest.param(8, 5000, marks=pytest.mark.slow)], ids=["three", "eight"]
)
def test_processes_write_at_once_and_none_finds_the_store_locked(
    store: Store, place: str, spawn: ForkServerContext, writers: int, rows: int
) -> None:
    run, _ = new_run(store)
    store.add_cells(run, [Cell("ours", "s/1", number) for number in range(writers)])
    processes = [spawn.Process(target=write_many, args=(place, run, number, rows)) for number in range(writers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * writers
    for number in range(writers):
        assert len(store.curve(run, Cell("ours", "s/1", number), "loss")[0]) == rows


def test_what_was_acknowledged_survives_kill_nine(store: Store, place: str, spawn: ForkServerContext) -> None:
    ours, theirs = spawn.Pipe(duplex=False)
    writer = spawn.Process(target=write_and_tell, args=(place, theirs))
    writer.start()
    theirs.close()
    run, told = ours.recv(), [ours.recv() for _ in range(100)]
    assert writer.pid is not None
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    try:
        while True:
            told.append(ours.recv())
    except EOFError:
        ours.close()
    steps = store.curve(run, CELL, "loss")[0]
    assert steps.tolist() == list(range(len(steps)))
    assert steps[-1] >= told[-1]
    assert store.run(run).status == "interrupted"
    store.take_lease(run)
    store.add_points(run, CELL, [("loss", 0, 5.0)])  # the dead writer holds nothing


# ---- against a model ----

names = st.sampled_from(["ours", "theirs", "a/b"])
seeds = st.integers(0, 2)
values = st.floats(allow_nan=False, allow_infinity=False)


class StoreMachine(RuleBasedStateMachine):
    """Whatever is done to a run, in whatever order, the store says what a dictionary would."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.store = Store(place)
        self.run_id, self.lease = new_run(self.store)
        self.status: dict[Cell, str] = {}
        self.metrics: dict[Cell, dict[str, float]] = {}
        self.points: dict[Cell, dict[int, float]] = {}

    def teardown(self) -> None:
        self.store.close()

    @rule(arm=names, seed=seeds)
    def add(self, arm: str, seed: int) -> None:
        cell = Cell(arm, "s", seed)
        self.store.add_cells(self.run_id, [cell])
        self.status.setdefault(cell, "pending")

    @rule(arm=names, seed=seeds, step=st.integers(0, 5), value=values)
    def log(self, arm: str, seed: int, step: int, value: float) -> None:
        cell = Cell(arm, "s", seed)
        if cell in self.status:
            self.store.add_points(self.run_id, cell, [("loss", step, value)])
            self.points.setdefault(cell, {})[step] = value

    @rule(arm=names, seed=seeds)
    def start(self, arm: str, seed: int) -> None:
        cell = Cell(arm, "s", seed)
        if self.status.get(cell) not in {None, "finished"}:
            self.store.start_cell(self.run_id, cell)
            self.status[cell] = "running"

    @rule(arm=names, seed=seeds, value=values, curve=st.dictionaries(st.integers(0, 5), values))
    def finish(self, arm: str, seed: int, value: float, curve: dict[int, float]) -> None:
        cell = Cell(arm, "s", seed)
        if cell in self.status:
            points = [("loss", step, number) for step, number in curve.items()]
            self.store.finish_cell(
                self.run_id, CellResult(cell, "finished", measurements={"cost": value}, points=points)
            )
            self.status[cell], self.metrics[cell], self.points[cell] = "finished", {"cost": value}, curve

    @rule()
    def interrupt_and_resume(self) -> None:
        self.store.end_run(self.run_id, self.lease, status="interrupted")
        self.status = {cell: "interrupted" if status == "running" else status for cell, status in self.status.items()}
        self.lease = self.store.take_lease(self.run_id)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store(self.place, create=False)

    @invariant()
    def says_what_the_model_says(self) -> None:
        assert {record.cell: record.status for record in self.store.cell_records(self.run_id)} == self.status
        cells = self.store.cells(self.run_id)
        for cell, status in self.status.items():
            assert cells.has(arm=cell.arm, setting="s", seed=cell.seed) == (status == "finished")
            if status == "finished":
                cost = cells.value("cost", arm=cell.arm, setting="s", seed=cell.seed)
                assert cost == self.metrics[cell]["cost"]
            curve = self.points.get(cell)
            if curve:
                steps, numbers = self.store.curve(self.run_id, cell, "loss")
                assert dict(zip(steps.tolist(), numbers.tolist(), strict=True)) == curve


def test_the_store_says_what_a_model_says(place: str) -> None:
    class Here(StoreMachine):
        def __init__(self) -> None:
            super().__init__(place)

    few = hypothesis_settings(max_examples=8, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(Here, settings=few)
