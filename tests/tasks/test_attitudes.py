"""Survey answers from an R package's frames: what is read, and that no code of a pickle ever runs."""

import lzma
import pickle

import numpy as np
import pandas as pd
import pytest

from livepapers.core.errors import InputError
from livepapers.tasks.attitudes import DEMOCRATS, REPUBLICANS, read_abortion, read_spending
from livepapers.tasks.data import read_source
from livepapers.tasks.r_frames import read_frame


class Opens:
    """Would run a command when it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("true",)


def squeezed(value):
    return lzma.compress(pickle.dumps(value))


def test_the_survey_of_2018_is_the_published_one():
    made = read_spending(read_source("spending-attitudes"), where="spending")
    assert len(made) == 26_039
    assert len(made.labels["concept"]) == 18
    assert len(made.labels["actor"]) == 2_337  # of 2,348: eleven find everything about right
    assert set(DEMOCRATS + REPUBLICANS) < set(made.labels["group"])
    assert len(made.dedupe("range")) == len(made)
    assert np.unique(made.day).tolist() == [int(np.datetime64("2018-01-01", "D").astype(np.int64))]


def test_the_surveys_on_abortion_reach_over_46_years():
    made = read_abortion(read_source("abortion-attitudes"), where="abortion")
    assert len(made.labels["concept"]) == 7
    years = np.array(made.day).astype("datetime64[D]").astype("datetime64[Y]").astype(int) + 1970
    assert (years.min(), years.max()) == (1972, 2018)
    assert made.binary


@pytest.mark.parametrize(
    "value", [Opens(), {"a": Opens()}, pd.Series([1.0]), np.zeros(2, "M8[D]"), [1, 2], {"_mgr": 3}]
)
def test_a_pickle_of_anything_but_a_frame_is_refused_and_runs_nothing(value, monkeypatch):
    import os

    data = squeezed(value)
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("code of the pickle ran"))
    with pytest.raises(InputError, match="pickle of a pandas frame"):
        read_frame(data, where="frame")


def test_damaged_frames_are_refused():
    whole = read_source("spending-attitudes")
    for data in (whole[:-100], b"", b"no lzma", lzma.compress(b"no pickle"), whole[:200] + b"\0" * 50 + whole[250:]):
        with pytest.raises(InputError, match="pickle of a pandas frame"):
            read_frame(data, where="frame")


def test_another_table_is_refused(monkeypatch):
    with pytest.raises(InputError, match="the columns"):
        read_abortion(read_source("spending-attitudes"), where="abortion")
    bad = pd.DataFrame({"year": [2018], "id": [1], "partyid": [0.0], "natspac": [5.0]})
    monkeypatch.setattr("livepapers.tasks.attitudes.read_frame", lambda data, where: bad)
    with pytest.raises(InputError, match="answers of -1, 0 and 1"):
        read_spending(b"", where="spending")
