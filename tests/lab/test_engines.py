"""The local engine computes everything once, outlives its workers, and stops when told."""

import itertools
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from lab import processes
from livepapers.core.errors import InputError, Interrupted
from livepapers.lab.engines import Engine, Lost, make_engine
from livepapers.lab.engines.local import THREADS, InlineEngine, LocalEngine
from livepapers.lab.runner import run_study
from livepapers.lab.store import Store
from livepapers.lab.study import Study


def outcomes(engine: Engine, function: Any, items: list[Any]) -> dict[int, Any]:
    results: dict[int, Any] = {}
    engine.run(function, items, on_result=results.__setitem__)
    return results


def wait_for(folder: Path, pattern: str, count: int) -> list[Path]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = list(folder.glob(pattern))
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} in {folder}")


def test_workers_are_counted_in_cores_and_zero_means_here() -> None:
    assert make_engine("local").workers >= 1
    assert isinstance(make_engine("local", workers=0), InlineEngine)
    with pytest.raises(InputError, match="engine: got slurm, expected one of local, ray"):
        make_engine("slurm")
    with pytest.raises(InputError, match="workers: got -1"):
        make_engine(workers=-1)
    with pytest.raises(InputError, match="did you mean --engine ray"):
        make_engine(address="host:1")


def test_one_pool_computes_maps_fails_and_outlives_its_workers(tmp_path: Path) -> None:
    with LocalEngine(2) as engine:
        assert list(engine.map(processes.square, range(6))) == [0, 1, 4, 9, 16, 25]
        assert set(engine.map(processes.environment, THREADS)) == {"1"}, "workers compute with one thread"
        assert "OMP_NUM_THREADS" not in os.environ or os.environ["OMP_NUM_THREADS"]

        failed = outcomes(engine, processes.fail_at_two, [1, 2, 3])
        assert (failed[0], failed[2]) == (1, 3)
        assert "two is not wanted" in failed[1].reason
        with pytest.raises(RuntimeError, match="two is not wanted"):
            engine.map(processes.fail_at_two, [1, 2])

        assert isinstance(outcomes(engine, processes.not_picklable, [1])[0], Lost)
        assert list(engine.map(processes.die_once, [str(tmp_path)])) == [2]
        assert engine.workers == 2


def test_a_call_that_kills_its_worker_each_time_is_given_up_and_the_others_go_on() -> None:
    with LocalEngine(2, retries=1) as engine:
        results = outcomes(engine, processes.die_at_two, [0, 1, 2, 3])
    assert (results[0], results[1], results[3]) == (0, 1, 3)
    assert results[2].reason.startswith("its worker process ended 2 times (signal SIGKILL")


def test_stopping_lets_workers_save_and_ends_those_that_do_not_listen(tmp_path: Path) -> None:
    results: list[Any] = []
    for function, grace in ((processes.sleep_until_told, 10.0), (processes.stubborn, 1.0)):
        folder = tmp_path / function.__name__
        folder.mkdir()
        with LocalEngine(1, grace=grace) as engine:
            engine.run(
                function, [str(folder)] * 3,
                on_result=lambda index, result: results.append(result),
                stopped=lambda folder=folder: any(folder.iterdir()),
            )  # fmt: skip
            (begun,) = folder.iterdir()
        with pytest.raises(ProcessLookupError):
            os.kill(int(begun.name.partition("-")[2]), 0)
    assert results == ["saved"]


def test_workers_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    script = """
import sys
from lab import processes
from livepapers.lab.engines.local import LocalEngine
if __name__ == "__main__":
    with LocalEngine(1) as engine:
        engine.run(processes.sleep_until_told, [sys.argv[1]], on_result=print)
"""
    (tmp_path / "drive.py").write_text(script)
    folder = tmp_path / "begun"
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    driver = subprocess.Popen([sys.executable, str(tmp_path / "drive.py"), str(folder)], env=environment)
    (begun,) = wait_for(folder, "begun-*", 1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    worker, until = int(begun.name.partition("-")[2]), time.monotonic() + 10
    while Path(f"/proc/{worker}/cmdline").exists() and Path(f"/proc/{worker}/cmdline").read_bytes():
        assert time.monotonic() < until, "the worker goes on without its driver"
        time.sleep(0.05)


class GoneCluster(types.ModuleType):
    """Ray as far as the engine asks it: a cluster whose last node has died."""

    class exceptions:  # noqa: N801 - a module of that name
        RayError = type("RayError", (Exception,), {})
        RayTaskError = type("RayTaskError", (RayError,), {})

    def __init__(self) -> None:
        super().__init__("ray")
        self.cancelled: list[int] = []

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"memory": 1.0}

    def remote(self, **_: object) -> Any:
        counter = itertools.count()
        return lambda function: types.SimpleNamespace(remote=lambda item: next(counter))

    def wait(self, references: list[int], *, num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        time.sleep(0.01)
        return [], references

    def cancel(self, reference: int, *, force: bool) -> None:
        self.cancelled.append(reference)
        raise self.exceptions.RayError("gone")


def test_a_cluster_without_nodes_is_given_up_with_a_run_that_can_go_on(
    study: Study, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = GoneCluster()
    monkeypatch.setitem(sys.modules, "ray", cluster)
    monkeypatch.setattr("livepapers.lab.engines.ray.GIVE_UP", 0.2)
    with pytest.raises(
        Interrupted, match=r"no node to compute on for 0 s, with 5 of 5 cells to go; go on with"
    ) as told:
        run_study("tiny", study=study, store=store, preset="smoke", settings=["short"], engine="ray")
    assert "\n" not in str(told.value)
    (run,) = store.runs()
    assert (run.status, run.cells) == ("interrupted", {"pending": 4, "interrupted": 1})
    assert cluster.cancelled == [0]
    run_study("tiny", study=study, store=store, workers=0, resume=run.id)
    assert store.run(run.id).status == "finished"


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = """
from lab import processes
from livepapers.lab.engines.local import LocalEngine
list(LocalEngine(1).map(processes.square, [1]))
"""
    (tmp_path / "drive.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "drive.py")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "__main__" in done.stderr.strip().splitlines()[-1]
