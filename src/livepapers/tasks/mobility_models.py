"""Generated countries of commuters, for examples and tests: where the law is known, a method can be caught."""

import numpy as np

from livepapers.tasks.mobility import Network
from livepapers.tasks.places import Flows, Places, ordered_pairs

SIDE = 300.0  # km
REACH = 50.0  # km at which the pull of wages has fallen by a factor e


def wage_country(rng: np.random.Generator, *, places: int = 60, noise: float = 0.3) -> Network:
    """People commute to where wages are higher than at home and unemployment is lower, if it is near enough.

    ln of the flow = 2 (wage_j - wage_i) - (unemployment_j - unemployment_i) / 3 - d_ij / REACH + 2 + noise; below one
    person there is no link. Population follows no law: what knows masses and distances only sees half of it.

    Args:
        rng: Draws places, indicators and noise.
        places: How many.
        noise: Standard deviation of the logarithm.

    Returns:
        Places on a square plain (metres) with "population", "wage", "unemployment" and "rainfall", and their flows.
    """
    wage, unemployment = rng.normal(size=places), rng.uniform(2, 12, size=places)
    population, rainfall = np.exp(rng.normal(10, 1, size=places)), rng.normal(700, 100, size=places)
    made = Places(
        names=tuple(f"town {number}" for number in range(places)),
        indicator_names=("population", "wage", "unemployment", "rainfall"),
        indicators=np.column_stack([population, wage, unemployment, rainfall]),
        coordinates=rng.uniform(0, SIDE * 1000, size=(places, 2)),
        units="metres",
    )
    i, j = ordered_pairs(places).T
    pull = 2 * (wage[j] - wage[i]) - (unemployment[j] - unemployment[i]) / 3
    log_flow = pull - made.distances(i, j) / REACH + 2 + noise * rng.normal(size=len(i))
    flow = np.floor(np.exp(log_flow))
    return Network(made, Flows.of(i, j, flow, places=places))
