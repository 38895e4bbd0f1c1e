"""Where cells are computed: in processes on this machine, or on a Ray cluster. Both give the same numbers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from livepapers.core.errors import InputError

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Lost:
    """Stands for a result that did not come: the worker died again and again, or the call raised."""

    reason: str


class Engine(Protocol):
    """Calls a function on many items, side by side."""

    @property
    def workers(self) -> int:
        """How many items are computed at once."""
        ...

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
        """Call `function` on each item; report each result, in order of completion, in the calling thread.

        Args:
            function: Importable by name; called as `function(item)`.
            items: Arguments; they and the results cross process borders.
            on_result: Receives (index, result), or (index, `Lost`).
            on_start: Receives the index of an item that a worker has begun.
            on_tick: Called a few times a second.
            stopped: When it turns true, workers are told to save their state, and `run` returns after a few seconds
                at most; the items it did not report are not done.
        """
        ...

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """As the built-in `map`, side by side, results in the order of the items; `RuntimeError` for a lost one."""
        ...

    def close(self) -> None:
        """End the workers."""
        ...

    def __enter__(self) -> Self:
        """The engine itself."""
        ...

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        ...


def make_engine(name: str = "local", *, address: str | None = None, workers: int | None = None) -> Engine:
    """The engine called `name`.

    Args:
        name: "local" or "ray".
        address: Of a Ray cluster; None starts one on this machine.
        workers: How many items at once; None is as many as there are cores. With "local", 0 computes in this process.
    """
    if name not in ENGINES:
        raise InputError.of("engine", name, expected=f"one of {', '.join(ENGINES)}")
    if workers is not None and workers < 0:
        raise InputError.of("workers", workers, expected="a whole number >= 0")
    if name == "ray":
        from livepapers.lab.engines.ray import RayEngine

        return RayEngine(address, workers=workers)
    if address is not None:
        raise InputError.of(
            "address", address, expected="none with the local engine", cause="did you mean --engine ray?"
        )
    from livepapers.lab.engines.local import InlineEngine, LocalEngine

    return InlineEngine() if workers == 0 else LocalEngine(workers)


def map_over(engine: Engine, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """`Engine.map` in terms of `Engine.run`."""
    arguments = list(items)
    results: list[Any] = [None] * len(arguments)

    def keep(index: int, result: Any) -> None:
        if isinstance(result, Lost):
            raise RuntimeError(  # noqa: TRY004 - the call failed, its type is no matter
                f"item {index} of {len(arguments)}: {result.reason}"
            )
        results[index] = result

    engine.run(function, arguments, on_result=keep)
    return iter(results)
