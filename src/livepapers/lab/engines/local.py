"""Spawned processes on this machine, one thread each; a worker that dies takes nothing with it but its last seconds."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any, Self

from livepapers.core.errors import InputError
from livepapers.lab.engines import Lost, map_over

RETRIES = 2
"""How often an item is tried again whose worker died."""
GRACE = 8.0
"""Seconds that workers have to save their state when the run is stopped."""
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class LocalEngine:
    """A pool of spawned processes. A worker is started when there is work for it and stays until `close`."""

    def __init__(self, workers: int | None = None, *, retries: int = RETRIES, grace: float = GRACE) -> None:
        self.workers = workers or available_cores()
        self._retries, self._grace = retries, grace
        self._pool: list[_Worker] = []

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
        queue, deaths = deque(range(len(items))), [0] * len(items)
        try:
            while queue or any(worker.item is not None for worker in self._pool):
                if stopped is not None and stopped():
                    self._stop(on_result)
                    return
                self._hand_out(function, items, queue, on_start)
                for worker in self._wait(0.2):
                    self._collect(worker, queue, deaths, on_result)
                if on_tick is not None:
                    on_tick()
        except BaseException:
            self.close()  # workers under way would report to a later call
            raise

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """The built-in `map`, side by side."""
        return map_over(self, function, items)

    def close(self) -> None:
        """End the workers at once."""
        for worker in self._pool:
            worker.end()
        self._pool = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hand_out(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        queue: deque[int],
        on_start: Callable[[int], None] | None,
    ) -> None:
        idle = [worker for worker in self._pool if worker.item is None]
        while queue and (idle or len(self._pool) < self.workers):
            if not idle:
                self._pool.append(_Worker())
                idle = [self._pool[-1]]
            index = queue.popleft()
            if idle.pop().give(index, function, items[index]):
                if on_start is not None:
                    on_start(index)
            else:  # that worker had died while it was idle; its end is collected below
                queue.appendleft(index)
                return

    def _wait(self, seconds: float) -> list["_Worker"]:
        """The workers that have something to say, or died."""
        handles = {worker.pipe: worker for worker in self._pool} | {
            worker.process.sentinel: worker for worker in self._pool
        }
        ready = connection.wait(list(handles), timeout=seconds)
        return list(dict.fromkeys(handles[handle] for handle in ready))  # type: ignore[index]  # handles come back as given

    def _collect(
        self, worker: "_Worker", queue: deque[int], deaths: list[int], on_result: Callable[[int, Any], None]
    ) -> None:
        message = worker.receive()
        if message is _NOTHING:
            return
        index, worker.item = worker.item, None
        if message is not _DEAD:
            if index is not None:
                on_result(index, message)
            return
        self._pool.remove(worker)
        worker.end()
        if not worker.ready and not worker.was_killed():
            raise RuntimeError(
                "a worker process ended before it could begin; a script that starts runs needs "
                'an `if __name__ == "__main__":` around the call'
            )
        if index is not None:
            deaths[index] += 1
            if deaths[index] <= self._retries:
                queue.appendleft(index)
            else:
                on_result(index, Lost(f"its worker process ended {deaths[index]} times ({worker.ending()})"))

    def _stop(self, on_result: Callable[[int, Any], None]) -> None:
        """Have the workers save their state; those that do not answer in time are ended."""
        until, again = time.monotonic() + self._grace, 0.0
        while time.monotonic() < until and any(worker.item is not None for worker in self._pool):
            if time.monotonic() >= again:  # a signal that came between two learners was not noticed: repeat it
                for worker in self._pool:
                    worker.ask_to_stop()
                again = time.monotonic() + 0.5
            for worker in self._wait(0.1):
                message = worker.receive()
                if message is _NOTHING:
                    continue
                index, worker.item = worker.item, None
                if message is _DEAD:
                    self._pool.remove(worker)
                    worker.end()
                elif index is not None:
                    on_result(index, message)
        self.close()


class InlineEngine:
    """Computes in this very process, item after item: for tests, for debuggers, and where spawning costs more."""

    workers = 1

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
        for index, item in enumerate(items):
            if stopped is not None and stopped():
                return
            if on_start is not None:
                on_start(index)
            on_result(index, function(item))
            if on_tick is not None:
                on_tick()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """The built-in `map`."""
        return map(function, items)

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def available_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_NOTHING, _DEAD = object(), object()


class _Worker:
    """A worker process as the driver sees it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True, name="livepapers-worker")
        self.ready = False
        self.item: int | None = None
        with _one_thread():
            self.process.start()
        theirs.close()

    def give(self, index: int, function: Callable[[Any], Any], item: Any) -> bool:
        """Hand it an item; False when the process is no more."""
        try:
            self.pipe.send((function, item))
        except (BrokenPipeError, ConnectionResetError):
            return False
        self.item = index
        return True

    def receive(self) -> Any:
        """A result, `Lost`, or that there is nothing yet, or that the process died."""
        try:
            if not self.pipe.poll():
                return _NOTHING if self.process.is_alive() else _DEAD
            kind, value = self.pipe.recv()
        except (EOFError, OSError):
            return _DEAD
        if kind == "ready":
            self.ready = True
            return _NOTHING
        return value if kind == "result" else Lost(value)

    def ask_to_stop(self) -> None:
        """Have a busy worker save its state."""
        if self.item is not None:
            self.process.terminate()

    def end(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def was_killed(self) -> bool:
        """Whether a signal ended the process, not its own code."""
        return self.process.exitcode is not None and self.process.exitcode < 0

    def ending(self) -> str:
        """How the process ended."""
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit status {code}"
        cause = "; was there too little memory?" if code == -signal.SIGKILL else ""
        return f"signal {signal.Signals(-code).name}{cause}"


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started inside see one thread; the libraries read this once, when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serve(pipe: Connection) -> None:
    """What a worker does until the driver goes: take an item, call, answer."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if os.name == "posix":
        os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the driver alone, which then tells the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turn = _Turn()
    signal.signal(signal.SIGTERM, turn.stop)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):  # the driver is done
        pipe.send(("ready", None))
        while not turn.over:
            answer = turn.take(pipe)
            if answer is not None:
                _answer(pipe, answer)


def _answer(pipe: Connection, answer: tuple[str, Any]) -> None:
    try:
        pipe.send(answer)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception:  # noqa: BLE001 - the result cannot cross the border; nothing of it was sent yet
        pipe.send(("lost", traceback.format_exc()))


class _Turn:
    """One call at a time; SIGTERM interrupts the call, never the sending of its result."""

    def __init__(self) -> None:
        self.over, self._calling = False, False

    def stop(self, *_: object) -> None:
        self.over = True
        if self._calling:
            raise KeyboardInterrupt

    def take(self, pipe: Connection) -> tuple[str, Any] | None:
        """Wait for an item and call; the answer, or None when the call was interrupted and has none."""
        try:
            function, item = pipe.recv()
        except (EOFError, ConnectionResetError):
            raise
        except Exception:  # noqa: BLE001 - the item names code that cannot be imported here: the driver is told
            return "lost", traceback.format_exc()
        try:
            self._calling = True
            result = function(item)
            self._calling = False
        except KeyboardInterrupt:
            return None
        except Exception:  # noqa: BLE001 - whatever it is, the driver is told
            return "lost", traceback.format_exc()
        finally:
            self._calling = False
        return "result", result


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        raise InputError.of("worker", os.getpid(), expected="to be started by a driver")
    connection.wait([parent.sentinel])
    os._exit(1)
