"""Attitudes of the General Social Survey as statements: respondents support or reject items; parties are the groups."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError
from livepapers.tasks.r_frames import read_frame
from livepapers.tasks.statements import Statements

PARTIES: Mapping[int, str] = MappingProxyType({
    0: "0 strong Democrat", 1: "1 Democrat", 2: "2 near Democrat", 3: "3 independent", 4: "4 near Republican",
    5: "5 Republican", 6: "6 strong Republican", 7: "7 other",
})  # fmt: skip
"""Party identification on the survey's scale; the digits keep the order of the scale when sorted."""
DEMOCRATS, REPUBLICANS = (PARTIES[0], PARTIES[1]), (PARTIES[5], PARTIES[6])


def read_spending(data: bytes, *, where: str) -> Statements:
    """Spending items: 1 "too little" is support of more, -1 "too much" is rejection, 0 "about right" is no statement.

    Respondents who are of no known party have none; the day is the first of the survey's year.
    """
    frame = _frame(data, ["year", "id", "partyid"], where=where)
    items = [str(name) for name in frame.columns if str(name).startswith("nat")]
    return _statements(frame, items, "partyid", where=where)


def read_abortion(data: bytes, *, where: str) -> Statements:
    """Circumstances in which abortion should be legal: 1 is support, 0 rejection; independents' party is `pid` 3."""
    frame = _frame(data, ["year", "id", "pid"], where=where)
    items = [str(name) for name in frame.columns if str(name).startswith("ab")]
    signed = frame.copy()
    signed[items] = 2 * frame[items].to_numpy(dtype=np.float64) - 1
    return _statements(signed, items, "pid", where=where)


def _frame(data: bytes, columns: list[str], *, where: str) -> pd.DataFrame:
    frame = read_frame(data, where=where)
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError.of(where, "another table", expected=f"the columns {', '.join(missing)}")
    return frame


def _statements(frame: pd.DataFrame, items: list[str], scale: str, *, where: str) -> Statements:
    answers = frame[items].to_numpy(dtype=np.float64)
    if not items or not np.isin(answers[np.isfinite(answers)], (-1.0, 0.0, 1.0)).all():
        raise InputError.of(where, "other answers", expected="answers of -1, 0 and 1")
    row, item = np.nonzero(np.nan_to_num(answers))
    codes = frame[scale].to_numpy(dtype=np.float64)
    party = np.array([PARTIES.get(code, "") for code in codes.tolist()], dtype=object)
    year = frame["year"].to_numpy(dtype=np.int64)
    day = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    person = (frame["year"].astype(np.int64).astype(str) + "-" + frame["id"].astype(np.int64).astype(str)).to_numpy()
    return Statements.from_columns(
        person.astype(object)[row], np.array(items, dtype=object)[item], answers[row, item],
        day=day[row], group=party[row], document=person.astype(object)[row],
    )  # fmt: skip
