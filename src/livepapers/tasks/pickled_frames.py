"""Data frames that a wheel carries as pickles, read without running any code that the pickle names.

What such a pickle asks for (pandas' blocks, NumPy's buffers) is answered by plain stand-ins of ours, which only note
what they are given; whatever else it asks for is refused before it is imported.
"""

import io
import lzma
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError

MOST_BYTES = 20_000_000
KINDS = ("i8", "f8", "b1", "O8")


def read_pickled_frame(data: bytes, *, where: str) -> pd.DataFrame:
    """A data frame of numbers and texts from an xz-compressed pickle of pandas 2; its index is left out.

    Raises:
        InputError: For bytes that are damaged, of another form, or ask for anything but a plain data frame.
    """
    try:
        raw = lzma.LZMADecompressor().decompress(data, max_length=MOST_BYTES)
        frame = _Frames(io.BytesIO(raw)).load()
        blocks, (columns, _) = frame.state["_mgr"].arguments
        found: dict[str, np.ndarray] = {}
        for values, places in blocks:
            for place, row in zip(places, values, strict=True):
                found[str(columns[int(place)])] = row
        return pd.DataFrame({str(name): found[str(name)] for name in columns})
    except (
        *(pickle.UnpicklingError, lzma.LZMAError, EOFError, AttributeError),
        *(KeyError, IndexError, TypeError, ValueError),
    ) as error:
        raise InputError.of(where, "another form", expected="a pickled data frame", cause=str(error)) from None


class _Noted:
    """An object of a class that is not imported: its arguments and its state."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Noted):
    """An array that fills its values in when its state arrives."""

    def __iter__(self) -> Any:
        """The rows of (version, shape, type, order, values); texts come as a list."""
        _, shape, _, fortran, values = self.state
        if not isinstance(values, list):
            raise TypeError("an array's values are no list")
        return iter(np.array(values, dtype=object).reshape(shape, order="F" if fortran else "C"))


def _buffer(data: bytes, kind: _Noted, shape: tuple[int, ...], order: str) -> np.ndarray:
    code = kind.arguments[0]
    if code not in KINDS[:3] or (kind.state or (0, "<"))[1] not in {"<", "|"}:
        raise pickle.UnpicklingError(f"numbers of the kind {code}")
    return np.frombuffer(bytes(data), dtype=f"<{code}").reshape(shape, order=order)  # type: ignore[call-overload]


def _block(values: Any, places: Any, dimensions: int) -> tuple[Any, Any]:
    if dimensions != 2:
        raise pickle.UnpicklingError(f"a block of {dimensions} dimensions")
    return values, range(places.start, places.stop, places.step) if isinstance(places, slice) else places


def _index(_: Any, about: Mapping[str, Any]) -> list[Any]:
    return list(about["data"]) if "data" in about else list(range(about["start"], about["stop"], about["step"]))


_STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("pandas.core.frame", "DataFrame"): _Noted,
    ("pandas.core.internals.managers", "BlockManager"): _Noted,
    ("pandas._libs.internals", "_unpickle_block"): _block,
    ("pandas.core.indexes.base", "_new_Index"): _index,
    ("pandas.core.indexes.base", "Index"): _Noted,
    ("pandas.core.indexes.range", "RangeIndex"): _Noted,
    ("numpy.core.numeric", "_frombuffer"): _buffer,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "dtype"): _Noted,
    ("numpy", "ndarray"): _Noted,
    ("builtins", "slice"): slice,
}


class _Frames(pickle.Unpickler):
    """Answers the names of a pickled data frame with stand-ins."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in of a known name."""
        found = _STAND_INS.get((module_name, global_name))
        return found if found is not None else self._refuse(module_name, global_name)

    @staticmethod
    def _refuse(module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
