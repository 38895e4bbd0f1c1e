"""A Ray cluster: each item is a task; what a dead node was computing is computed again elsewhere, to the same bits.

Remote machines do not see the driver's store: results travel back to it, and an interrupted cell starts again.
"""

import contextlib
import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Self

from livepapers.core.errors import InputError, Interrupted, MissingExtraError
from livepapers.lab.engines import Lost, map_over

RETRIES = 3
"""How often an item is tried again whose node or process died."""
GIVE_UP = 120.0
"""Seconds without any node to compute on after which a run is given up; a cluster that grows needs about half of it."""


class RayEngine:
    """Items as tasks of one core each on a Ray cluster.

    Args:
        address: Of the cluster ("host:port", "auto"); None starts one on this machine.
        workers: How many items at once; None is as many as the cluster has cores, also while it grows and shrinks.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: No cluster answers at `address`.
        Interrupted: From `run`: the cluster has had no node to compute on for `GIVE_UP` seconds.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the machine unasked
        os.environ.setdefault(
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
        )  # the behaviour of releases to come, no warning
        try:
            import ray
        except ModuleNotFoundError:
            raise MissingExtraError("ray", "ray") from None
        _require_answer(address)
        self._ray, self._limit, self._mine = ray, workers or None, not ray.is_initialized()
        if self._mine:
            try:
                if address is None:
                    ray.init(
                        num_cpus=workers or None,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
                else:
                    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = str(error).partition("\n")[0]
                raise InputError.of("address", address, expected="a running Ray cluster", cause=reason) from None

    @property
    def workers(self) -> int:
        """How many items run at once just now."""
        cores = max(1, self._cores())
        return min(cores, self._limit) if self._limit else cores

    def _cores(self) -> int:
        """The cores of the nodes that live; 0 when there are none, or nobody knows."""
        try:
            return int(self._ray.cluster_resources().get("CPU", 0))
        except (self._ray.exceptions.RayError, ConnectionError):
            return 0

    def run(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        *,
        on_result: Callable[[int, Any], None],
        on_start: Callable[[int], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        stopped: Callable[[], bool] | None = None,
    ) -> None:
        """Call `function` on each item (see `Engine.run`)."""
        task = self._ray.remote(num_cpus=1, max_retries=RETRIES)(function)
        queue, deaths = deque(range(len(items))), [0] * len(items)
        under_way: dict[Any, int] = {}
        seen = time.monotonic()  # when there was last a node
        try:
            while queue or under_way:
                if stopped is not None and stopped():
                    return
                now = time.monotonic()
                seen = now if self._cores() else seen
                if now - seen > GIVE_UP:
                    raise Interrupted(f"given up: the Ray cluster has had no node to compute on for {GIVE_UP:.0f} s")
                while queue and len(under_way) < self.workers:
                    index = queue.popleft()
                    under_way[task.remote(items[index])] = index
                    if on_start is not None:
                        on_start(index)
                ready, _ = self._ray.wait(list(under_way), num_returns=1, timeout=0.2)
                for reference in ready:
                    index = under_way.pop(reference)
                    result = self._fetch(reference)
                    if result is None and deaths[index] < RETRIES:
                        deaths[index] += 1
                        queue.appendleft(index)
                    else:
                        on_result(
                            index, Lost("its node or process died again and again") if result is None else result[0]
                        )
                if on_tick is not None:
                    on_tick()
        finally:
            for reference in under_way:
                with contextlib.suppress(self._ray.exceptions.RayError):  # of a cluster that is gone
                    self._ray.cancel(reference, force=True)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """The built-in `map`, side by side."""
        return map_over(self, function, items)

    def close(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        if self._mine and self._ray.is_initialized():
            self._ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch(self, reference: Any) -> tuple[Any] | None:
        """The result in a tuple; None when the machinery, not the function, failed."""
        try:
            return (self._ray.get(reference),)
        except self._ray.exceptions.RayTaskError as error:
            return (Lost(str(error)),)
        except self._ray.exceptions.RayError:
            return None


def _require_answer(address: str | None) -> None:
    """Refuse a host and port where nothing listens: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not port.isdecimal() or host in {"", "localhost", "127.0.0.1", "[::1]"}:  # Ray looks for these elsewhere
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise InputError.of("address", address, expected="a running Ray cluster", cause=str(error)) from None
