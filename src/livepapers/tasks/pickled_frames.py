"""Tables that a package ships as pandas pickles, read without pandas' code: no class or function that they name runs.

A frame is a BlockManager of arrays. The names that such a pickle may use stand for inert records of our own; anything
else is refused before it is imported.
"""

import io
import lzma
import pickle
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError

_KINDS = frozenset({"f8", "f4", "i8", "i4", "u1", "b1", "O", "O8"})


def read_frame(data: bytes, *, where: str) -> pd.DataFrame:
    """A table from an xz-compressed pickle of a DataFrame whose columns are numbers and texts.

    Args:
        data: The file.
        where: What it is called in messages.

    Raises:
        InputError: For a file that is damaged, of another form, or asks for anything but arrays, slices and the parts
            of a frame: no code of it runs.
    """
    try:
        found = _Frames(io.BytesIO(lzma.decompress(data))).load()
        blocks, axes = found.state["_mgr"].arguments
        columns, rows = (axis.values() for axis in axes)
        table: dict[int, np.ndarray] = {}
        for block in blocks:
            values, places, _ = block.arguments
            numbers = range(*places.indices(len(columns))) if isinstance(places, slice) else _plain(places).tolist()
            table |= dict(zip(numbers, _plain(values), strict=True))
        made = pd.DataFrame({str(name): table[place] for place, name in enumerate(columns)})
    except (
        pickle.UnpicklingError, lzma.LZMAError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError,
    ) as error:  # fmt: skip
        raise InputError.of(where, "another form", expected="a pickled table of pandas", cause=str(error)) from None
    if len(made) != len(rows):
        raise InputError.of(where, f"{len(made)} rows", expected=f"{len(rows)}, as its index says")
    return made


class _Record:
    """Stands for an object of another package: what it was made of, and nothing that runs."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Objects(_Record):
    """An array of objects: `_reconstruct`, then a state (version, shape, dtype, column-major?, list)."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        _, shape, kind, by_column, content = self.state
        if isinstance(content, bytes | bytearray):
            made = np.frombuffer(content, dtype=kind.kind)
        else:
            made = np.empty(len(content), dtype=object)
            made[:] = content
        return made.reshape(shape, order="F" if by_column else "C")


class _Kind(_Record):
    """A dtype, by its letter; only plain numbers and objects."""

    @property
    def kind(self) -> np.dtype:
        """The dtype of NumPy; raises `UnpicklingError` for a kind that is not plain."""
        name = str(self.arguments[0])
        if name not in _KINDS:
            raise pickle.UnpicklingError(f"it has values of the kind {name}")
        order = self.state[1] if self.state and self.state[1] in {"<", ">"} else "="
        return np.dtype(name).newbyteorder(order)


class _Index(_Record):
    """An axis: a range, or an array of labels."""

    def values(self) -> Any:
        """The labels."""
        about = self.arguments[1]
        if "data" in about:
            return np.asarray(_plain(about["data"])).tolist()
        return range(about["start"], about["stop"], about["step"])


def _plain(array: Any) -> np.ndarray:
    return np.asarray(array)


def _buffer(content: bytes, kind: _Kind, shape: tuple[int, ...], order: str) -> np.ndarray:
    if order not in {"C", "F"}:
        raise pickle.UnpicklingError(f"it has an array in the order {order!r}")
    return np.frombuffer(content, dtype=kind.kind).reshape(shape, order="F" if order == "F" else "C")


_ADMITTED: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "slice"): slice,
    ("numpy", "dtype"): _Kind,
    ("numpy", "ndarray"): _Record,
    ("numpy.core.numeric", "_frombuffer"): _buffer,
    ("numpy._core.numeric", "_frombuffer"): _buffer,
    ("numpy.core.multiarray", "_reconstruct"): _Objects,
    ("numpy._core.multiarray", "_reconstruct"): _Objects,
    ("pandas.core.frame", "DataFrame"): _Record,
    ("pandas.core.internals.managers", "BlockManager"): _Record,
    ("pandas._libs.internals", "_unpickle_block"): _Record,
    ("pandas.core.indexes.base", "Index"): _Record,
    ("pandas.core.indexes.base", "_new_Index"): _Index,
    ("pandas.core.indexes.range", "RangeIndex"): _Record,
}


class _Frames(pickle.Unpickler):
    """Unpickles records; whatever else a pickle names is refused before it is imported."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        """Only what `_ADMITTED` lists."""
        found = _ADMITTED.get((module_name, global_name))
        return found if found is not None else self._refuse(module_name, global_name)

    @staticmethod
    def _refuse(module_name: str, global_name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")
