"""The plants and lakes of the pdppo study, and the paths that policies are compared on."""

import functools

from livepapers.core.rng import generator, numpy_generator
from livepapers.tasks.lot_sizing import LotSizing, LotSizingPlant, Scenario
from livepapers.tasks.slippery_lake import SlipperyLake

HORIZON = 100


@functools.cache
def plant(items: int, machines: int) -> LotSizingPlant:
    """The study's plant of that size, drawn once by the paper's rules."""
    return LotSizingPlant.generate(
        items, machines, generator=numpy_generator(0, "pdppo", "plant", items, machines), horizon=HORIZON
    )


def simulator(items: int, machines: int, *, observe_setup: bool) -> LotSizing:
    """What agents act in: the paper's way (inventories only, nothing masked), or with set-ups shown and masks."""
    return LotSizing(plant(items, machines), observe_setup=observe_setup, mask_unproducible=observe_setup)


def paths(sim: LotSizing, name: str, count: int) -> Scenario:
    """Starts and demand for "test", "curve" or "tuning"; the same for every arm, seed and way of observing."""
    return sim.scenarios(count, generator(0, "pdppo", "paths", name, sim.items, sim.machines))


def cut(scenario: Scenario, *, count: int, periods: int) -> Scenario:
    """The first paths, for the first periods."""
    state = type(scenario.state)(*(part[:count] for part in scenario.state))
    return Scenario(state, scenario.demand[:count, :periods])


def lake(seed: int, *, size: int) -> SlipperyLake:
    """The map of a seed."""
    return SlipperyLake.generate(size, generator=numpy_generator(seed, "pdppo", "lake", size), horizon=HORIZON)
