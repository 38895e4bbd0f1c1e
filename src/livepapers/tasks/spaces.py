"""Gymnasium spaces as JSON, so that an artifact can say what it takes and gives."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from livepapers.core.errors import InputError
from livepapers.core.learner import JSON


def to_json(space: gymnasium.Space) -> dict[str, JSON]:
    """The JSON form of a `Box`, `Discrete` or `MultiDiscrete`; raises `InputError` for any other space.

    Bounds of a box are one number where they are equal everywhere, and null where there is none.
    """
    if isinstance(space, Box):
        low, high = (_bound(side) for side in (space.low, space.high))
        return {"kind": "box", "low": low, "high": high, "shape": list(space.shape), "dtype": str(space.dtype)}
    if isinstance(space, Discrete):
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, MultiDiscrete):
        return {"kind": "multi-discrete", "nvec": space.nvec.tolist(), "start": space.start.tolist()}
    raise InputError.of("space", str(space), expected="Box, Discrete or MultiDiscrete")


def from_json(values: Mapping[str, Any]) -> gymnasium.Space:
    """The inverse of `to_json`; raises `InputError` for what it did not write."""
    try:
        if values["kind"] == "box":
            shape, dtype = tuple(values["shape"]), np.dtype(values["dtype"])
            low, high = _filled(values["low"], shape, -np.inf, dtype), _filled(values["high"], shape, np.inf, dtype)
            return Box(low, high, shape=shape, dtype=dtype.type)
        if values["kind"] == "discrete":
            return Discrete(int(values["n"]), start=int(values["start"]))
        if values["kind"] == "multi-discrete":
            return MultiDiscrete(np.array(values["nvec"]), start=np.array(values["start"]))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise InputError.of("space", dict(values), expected="a space as JSON", cause=str(error)) from None
    raise InputError.of("space", dict(values), expected="kind box, discrete or multi-discrete")


def alike(made: gymnasium.Space, here: gymnasium.Space) -> bool:
    """Whether two spaces have the same members, but for the bounds of boxes: worlds clip what goes beyond theirs."""
    if isinstance(made, Discrete) and isinstance(here, Discrete):
        return (made.n, made.start) == (here.n, here.start)
    if isinstance(made, MultiDiscrete) and isinstance(here, MultiDiscrete):
        return np.array_equal(made.nvec, here.nvec) and np.array_equal(made.start, here.start)
    return made.shape == here.shape and type(made) is type(here)


def _bound(side: np.ndarray) -> JSON:
    if side.dtype.kind != "f":  # whole numbers stay whole: not all of them have a float
        return side.reshape(-1)[0].item() if side.size and bool((side == side.reshape(-1)[0]).all()) else side.tolist()
    written = np.where(np.isfinite(side), side, np.nan).astype(object)
    written[~np.isfinite(side)] = None
    same = side.size > 0 and bool((side == side.reshape(-1)[0]).all())
    return written.reshape(-1)[0] if same else written.tolist()


def _filled(side: Any, shape: tuple[int, ...], missing: float, dtype: np.dtype) -> np.ndarray:
    if dtype.kind != "f":
        return np.broadcast_to(np.array(side).astype(dtype), shape)
    values = np.array(side, dtype=np.float64)  # None becomes NaN
    return np.broadcast_to(np.where(np.isnan(values), missing, values), shape).astype(dtype)
