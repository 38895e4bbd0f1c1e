"""A real Ray runtime with two nodes on this machine: the same bits as the local engine, also when a node dies."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import crash, processes
from livepapers.core.errors import InputError, MissingExtraError
from livepapers.lab.engines import Lost, make_engine
from livepapers.lab.engines.ray import RayEngine
from livepapers.lab.runner import Listener, Silent, run_study
from livepapers.lab.store import Store
from livepapers.lab.study import Cell, Study
from livepapers.methods import deep_ga

# Ray's own start-up leaves sockets and files to the garbage collector, which pytest would report as our warnings
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray's default of 15 starves the cells on a machine that is busy with other things
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too this keeps Ray on the loopback address
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_server_request_timeout_seconds": "10",
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "2",
}


SEARCH: dict[str, Any] = {
    "env": "cart-pole", "generations": 2, "population": 8, "parents": 2, "validation": 1, "share": 4, "test_episodes": 2
}  # fmt: skip
"""A search whose population is two shares."""


class TwoNodes:
    """A head and a second machine, each with one core, on loopback."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000, "node_ip_address": "127.0.0.1"}
        self.cluster = Cluster(initialize_head=True, head_node_args=options | {"include_dashboard": False})
        self.second = self.cluster.add_node(**options)
        self.cluster.wait_for_nodes()

    def kill_the_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    pytest.importorskip("ray")
    home = tmp_path_factory.mktemp("nodes")
    tests = str(Path(__file__).parent.parent)
    settings = QUIET | {"LIVEPAPERS_HOME": str(home), "PYTHONPATH": tests}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)  # read from above when first imported
        made = TwoNodes()
        yield made
        made.cluster.shutdown()


class KillAfterFirst(Silent):
    """Kills the second node when the first cell has ended and others are under way on both."""

    def __init__(self, nodes: TwoNodes) -> None:
        self.nodes, self.killed = nodes, False

    def cell_finished(self, cell: Cell, *, wall: float, measurements: Mapping[str, float]) -> None:
        if not self.killed:
            self.killed = True
            self.nodes.kill_the_second()


def test_two_nodes_give_the_local_engines_bits_and_one_may_die(nodes: TwoNodes, study: Study, tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite3") as store:
        expected = crash.digest(store, run_study("tiny", study=study, store=store, preset="smoke", workers=0))

        def run(listener: Listener | None) -> str:
            options = {"engine": "ray", "address": nodes.cluster.address}
            return run_study("tiny", study=study, store=store, preset="smoke", listener=listener, **options)

        with RayEngine(nodes.cluster.address) as engine:
            evolved = [deep_ga.apply(**SEARCH, spread=spread) for spread in (None, engine.map)]
            assert evolved[0] == evolved[1]
            assert engine.workers == 2
            assert list(engine.map(processes.square, range(5))) == [0, 1, 4, 9, 16]
            results: dict[int, Any] = {}
            engine.run(processes.fail_at_two, [1, 2], on_result=results.__setitem__)
            assert results[0] == 1
            assert isinstance(results[1], Lost)
            assert "two is not wanted" in results[1].reason
        whole = run(None)
        assert crash.digest(store, whole) == expected
        killer = KillAfterFirst(nodes)
        broken = run(killer)
        assert killer.killed
        assert store.run(broken).cells == {"finished": len(study.cells("smoke"))}
        assert crash.digest(store, broken) == expected


@pytest.mark.parametrize(
    "address", ["nonsense address", "nowhere.invalid:6379", "127.0.0.2:1", "host.invalid:99999999"]
)
def test_a_cluster_that_is_not_there_gets_one_line(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=f"address: got {address}, expected a running Ray cluster") as caught:
        make_engine("ray", address=address)
    assert "\n" not in str(caught.value)


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'livepapers\[ray\]'"):
        make_engine("ray")
    assert os.environ.get("RAY_USAGE_STATS_ENABLED", "0") == "0"
