"""The two networks of the commuters study and how they reach the cells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from livepapers.tasks.mobility import Network, canadian_migration, us_air_network
from livepapers.tasks.places import Flows, Places

MASS = {"air": "labour force", "migration": "population 1966"}
FEW = 80  # counties of the smoke preset: those with the largest labour force
READERS: dict[str, Callable[[], Network]] = {"air": us_air_network, "migration": canadian_migration}


def _prepare(folder: Path, preset: str) -> None:
    for name, read in READERS.items():
        made = read()
        if preset == "smoke" and len(made.places) > FEW:
            chosen = np.sort(np.argsort(-made.places.column(MASS[name]), kind="stable")[:FEW])
            flows = Flows(made.flows.matrix[np.ix_(chosen, chosen)], made.flows.inside[chosen])
            made = Network(made.places.select(chosen), flows)
        places = made.places
        np.savez(
            folder / f"{name}.npz",
            names=np.array(places.names, dtype=np.str_),
            indicator_names=np.array(places.indicator_names, dtype=np.str_),
            indicators=places.indicators,
            coordinates=places.coordinates,
            given=np.zeros((0, 0)) if places.given is None else places.given,
            matrix=made.flows.matrix,
            inside=made.flows.inside,
        )


PREPARE = {"networks": _prepare}


def load(folder: Path, name: str) -> Network:
    """A prepared network."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as kept:
        places = Places(
            names=tuple(map(str, kept["names"])),
            indicator_names=tuple(map(str, kept["indicator_names"])),
            indicators=kept["indicators"],
            coordinates=kept["coordinates"],
            given=kept["given"] if kept["given"].size else None,
        )
        return Network(places, Flows(kept["matrix"], kept["inside"]))
