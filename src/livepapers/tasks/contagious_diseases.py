"""Yearly counts of contagious diseases in the states of the USA, as a tensor (Project Tycho by way of dslabs)."""

import numpy as np

from livepapers.core.errors import InputError
from livepapers.tasks.r_frames import read_frame
from livepapers.tasks.series_table import SeriesTensor

DISEASES = ("Hepatitis A", "Measles", "Mumps", "Rubella")
YEARS = (1968, 2002)
"""The longest stretch in which all four were reported by all states."""


def read_diseases(data: bytes, *, where: str) -> SeriesTensor:
    """51 states x 35 years x 4 diseases, without gaps.

    Raises:
        InputError: For a file of another form, or with a count missing.
    """
    frame = read_frame(data, where=where)
    if not {"disease", "state", "year", "count"} <= set(frame.columns):
        raise InputError.of(where, ", ".join(frame.columns), expected="columns disease, state, year, count")
    kept = frame[frame["disease"].isin(DISEASES) & frame["year"].between(*YEARS)]
    wide = kept.pivot_table(index=["state", "year"], columns="disease", values="count")
    states = tuple(sorted(set(kept["state"])))
    years = range(YEARS[0], YEARS[1] + 1)
    if len(wide) != len(states) * len(years) or bool(wide.isna().to_numpy().any()):
        raise InputError.of(where, f"{len(wide)} states and years", expected="each disease in each state and year")
    values = wide[list(DISEASES)].to_numpy(dtype=float).reshape(len(states), len(years), len(DISEASES))
    return SeriesTensor(np.ascontiguousarray(values), states, tuple(map(str, years)), DISEASES, even=True)
