"""Streets and series as the wheels hold them."""

import numpy as np
import pytest

from livepapers.tasks.contagious_diseases import read_diseases
from livepapers.tasks.data import SHAPEFILE, read_source
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
