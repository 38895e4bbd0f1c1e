"""The cities of the ospo study (Manhattan's demand, read once and kept for all cells), and who learns in them."""

import dataclasses
import json
from pathlib import Path

from livepapers.core.files import write_atomic
from livepapers.lab.study import Setting
from livepapers.methods import ospo
from livepapers.studies.ospo.design import BUDGETS, SETTINGS
from livepapers.tasks.manhattan import manhattan
from livepapers.tasks.ride_city import City
from livepapers.tasks.ride_pooling import FleetPolicy, RidePooling


def prepare_cities(folder: Path, preset: str) -> None:
    """Read the wheel once; the tables of each setting's city go into a file of its own."""
    for setting in SETTINGS:
        made = read_city(setting, preset)
        tables = dataclasses.replace(made, reference=None).to_json()
        write_atomic(folder / file_of(setting), json.dumps({"reference": made.reference, "tables": tables}))


def read_city(setting: Setting, preset: str) -> City:
    """The city of a setting, from the wheel."""
    parameters = setting.parameters
    return manhattan(parameters["first_bin"], rate=BUDGETS[preset].rate, origins=parameters["origins"])


def file_of(setting: Setting) -> str:
    """The file of a setting's city in the prepared folder."""
    return f"{setting.name.replace(' ', '-')}.json"


def city(folder: Path, setting: Setting) -> City:
    """The city of a setting, from the prepared folder; artifacts refer to the wheel instead of holding its tables."""
    kept = json.loads((folder / file_of(setting)).read_text())
    return dataclasses.replace(City.from_tables(kept["tables"]), reference=kept["reference"])


def fleet(folder: Path, setting: Setting, preset: str) -> RidePooling:
    """The world of a setting."""
    vehicles = max(1, round(setting.parameters["fleet"] * BUDGETS[preset].vehicles))
    return RidePooling(city(folder, setting), vehicles=vehicles)


def learner(arm: str, world: RidePooling, config: ospo.Config, seed: int) -> ospo.Dispatcher:
    """What an arm trains."""
    kind = ospo.QDispatcher if arm == "ddqn" else ospo.GroupPolicyOptimizer
    return kind(world, config=config, seed=seed)


def greedy(policy: ospo.DispatchPolicy, world: RidePooling) -> FleetPolicy:
    """A policy that acts on states, without exploration."""
    return lambda state: policy(world.observe(state))
