"""Molecules as graphs of their heavy atoms, from SMILES and SDF by RDKit (extra `molecules`).

Atoms: element (one of nine, or another), formal charge, hydrogens, aromatic. Bonds: single, double, triple, aromatic.
Whether an atom is in a ring is left out: that is for the models to find.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.graphs import GraphTable
from livepapers.tasks.tables import read_table

ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I")
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
SOLUBILITY_CLASSES = ("(A) low", "(B) medium", "(C) high")


def read_smiles(path: Path, *, option: str, target: str) -> tuple[GraphTable, list[str]]:
    """Molecules of a CSV file with the columns `smiles` and the target's.

    Args:
        path: The file.
        option: What the user called it.
        target: Column of the targets; cells may be empty.

    Returns:
        The molecules, without targets, named by their SMILES; the targets as texts, "" where unknown.

    Raises:
        InputError: Naming the file and the line of a SMILES that RDKit cannot read.
        MissingExtraError: RDKit is not installed.
    """
    frame = read_table(path, option=option, required=("smiles", target), blank=(target,))
    texts = frame["smiles"].tolist()
    found = from_smiles(texts)
    if None in found:
        row = found.index(None)
        cause = "a misprint, or an atom with too many bonds?"
        raise InputError.of(
            f"{option} {path.name} line {row + 2}: smiles", texts[row], expected="a molecule", cause=cause
        )
    return to_graphs(found, names=texts), frame[target].tolist()


def from_smiles(texts: Sequence[str]) -> list[Any]:
    """An RDKit molecule for each SMILES; None for what is none, or has no atom."""
    chem, base = _rdkit()
    with base.BlockLogs():
        made = [chem.MolFromSmiles(text) for text in texts]
    return [molecule if molecule is not None and molecule.GetNumAtoms() else None for molecule in made]


def from_sdf(data: bytes, *, where: str) -> list[Any]:
    """The RDKit molecules of an SDF file, with their properties; raises `InputError` for one that cannot be read."""
    chem, base = _rdkit()
    with base.BlockLogs():
        made = list(chem.ForwardSDMolSupplier(io.BytesIO(data)))
    if not made or None in made:
        number = made.index(None) + 1 if made else 1
        raise InputError.of(f"{where} molecule {number}", "another form", expected="an SDF block that RDKit reads")
    return made


def to_graphs(
    molecules: Sequence[Any], *, names: Sequence[str], targets: np.ndarray | None = None, classes: Sequence[str] = ()
) -> GraphTable:
    """RDKit molecules as one table; names and targets in their order."""
    sizes = [molecule.GetNumAtoms() for molecule in molecules]
    atoms = np.array([_atom(atom) for molecule in molecules for atom in molecule.GetAtoms()], dtype=np.float32)
    starts = np.cumsum([0, *sizes])
    bonds = [
        (start + bond.GetBeginAtomIdx(), start + bond.GetEndAtomIdx(), *_bond(bond))
        for molecule, start in zip(molecules, starts, strict=False)
        for bond in molecule.GetBonds()
    ]
    rows = np.array(bonds, dtype=np.int64).reshape(-1, 2 + len(BONDS))
    return GraphTable.of(
        sizes, rows[:, :2], nodes=atoms, edges=rows[:, 2:], targets=targets, names=names, classes=classes
    )


def solubility(train: bytes, test: bytes) -> tuple[GraphTable, np.ndarray]:
    """Both parts of the solubility set; targets are log10 of the solubility and the class. And the test's mask."""
    parts = [from_sdf(train, where="solubility-train"), from_sdf(test, where="solubility-test")]
    everything = [molecule for part in parts for molecule in part]
    targets = [
        (float(molecule.GetProp("SOL")), SOLUBILITY_CLASSES.index(molecule.GetProp("SOL_classification")))
        for molecule in everything
    ]
    table = to_graphs(everything, names=[m.GetProp("NAME") for m in everything], targets=np.array(targets))
    return table, np.arange(len(everything)) >= len(parts[0])


def _atom(atom: Any) -> list[float]:
    kind = [float(atom.GetSymbol() == element) for element in ELEMENTS]
    return [
        *kind, 1.0 - sum(kind), float(atom.GetFormalCharge()), float(atom.GetTotalNumHs()), float(atom.GetIsAromatic())
    ]  # fmt: skip


def _bond(bond: Any) -> list[int]:
    return [int(str(bond.GetBondType()) == kind) for kind in BONDS]


def _rdkit() -> tuple[Any, Any]:
    try:
        from rdkit import Chem, rdBase
    except ImportError:
        raise MissingExtraError("rdkit", "molecules") from None
    return Chem, rdBase


def read_hydration(data: bytes) -> GraphTable:
    """FreeSolv's molecules with their measured hydration free energy, kcal/mol."""
    frame = pd.read_csv(io.BytesIO(data))
    texts = frame["smiles"].tolist()
    return to_graphs(from_smiles(texts), names=frame["iupac"].tolist(), targets=frame["expt"].to_numpy(dtype=float))
