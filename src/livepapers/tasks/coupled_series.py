"""Made series with a known answer: variables that lead one another by a step, shared by all series."""

import numpy as np

MEMORY, PULL = 0.5, 0.45  # what a variable keeps of itself and takes from its leader, a step


def coupled_series(
    rng: np.random.Generator, series: int, steps: int, *, variables: int = 3, noise: float = 0.25
) -> np.ndarray:
    """`[series, steps, variables]` > 0: the logarithm of each variable follows its own past and its leader's.

    z_i(t) = MEMORY z_i(t - 1) + PULL z_{i-1}(t - 1) + noise e_i(t); variable 0 has no leader and only remembers. Values
    are level exp(z) with a level for each series and variable.

    Args:
        rng: Where the randomness comes from.
        series: How many.
        steps: How long.
        variables: How many; each leads the next.
        noise: Standard deviation of a step; the leader's is three times as large, so that there is something to follow.
    """
    level = np.exp(rng.normal(3.0, 1.0, (series, 1, variables)))
    shocks = noise * rng.standard_normal((steps + 20, series, variables))
    shocks[..., 0] *= 3.0
    state = np.zeros((series, variables))
    path = np.empty((steps + 20, series, variables))
    for step, shock in enumerate(shocks):
        state = MEMORY * state + PULL * np.concatenate([np.zeros((series, 1)), state[:, :-1]], axis=1) + shock
        path[step] = state
    return level * np.exp(path[20:].transpose(1, 0, 2))
