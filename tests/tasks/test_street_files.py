"""Streets and series from wheels, and pickled tables that try to run something."""

import lzma
import pickle

import numpy as np
import pytest

from livepapers.core.errors import InputError
from livepapers.tasks.contagious_diseases import read_diseases
from livepapers.tasks.data import SHAPEFILE, read_source
from livepapers.tasks.pickled_frames import read_frame
from livepapers.tasks.street_files import from_lines, read_packed


def test_soho_falls_into_pieces_unless_its_lines_are_cut(tmp_path):
    members = [(f"soho.{ending}", read_source(f"soho-streets.{ending}")) for ending in SHAPEFILE]
    frame = read_packed(members, tmp_path)
    whole, cut = (from_lines(frame, where="soho", split=split) for split in (False, True))
    assert (whole.segments, int((whole.components() == 0).sum())) == (118, 6)
    assert cut.largest_component().nodes == 188
    assert cut.lengths.sum() == pytest.approx(whole.lengths.sum(), rel=1e-3)


def test_tempe_has_its_known_size(tmp_path):
    members = [(f"tempe.{ending}", read_source(f"tempe-streets.{ending}")) for ending in SHAPEFILE]
    graph = from_lines(read_packed(members, tmp_path), where="tempe")
    assert (graph.nodes, graph.segments, graph.unit) == (220, 293, "ft")
    assert graph.components().max() == 0


def test_the_diseases_have_no_gap():
    read = read_diseases(read_source("contagious-diseases"), where="contagious-diseases")
    assert read.values.shape == (51, 35, 4)
    assert (read.times[0], read.times[-1]) == ("1968", "2002")
    assert np.isfinite(read.values).all()
    assert read.values[read.series.index("Alabama"), 0, 0] == 314


class Attack:
    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no lzma",
        lzma.compress(b"no pickle"),
        lzma.compress(pickle.dumps([1, 2])),
        lzma.compress(pickle.dumps(Attack())),
    ],
)
def test_pickles_of_another_form_are_refused_and_run_nothing(content, capsys):
    with pytest.raises(InputError, match="another form"):
        read_frame(content, where="table")
    assert capsys.readouterr().out == ""


def test_object_kinds_that_are_not_plain_are_refused():
    content = lzma.compress(pickle.dumps(np.array([1], dtype="datetime64[D]")))
    with pytest.raises(InputError, match="table"):
        read_frame(content, where="table")
