"""Debates made on purpose: camps that hold opposite positions, actors who speak more or less, noise."""

import numpy as np

from livepapers.tasks.statements import Statements


def two_camps(
    rng: np.random.Generator,
    *,
    actors: int,
    statements: int,
    concepts: int = 12,
    loyalty: float = 0.8,
    days: int = 365,
) -> Statements:
    """Statements of two parties of equal size on measures that one supports and the other rejects.

    Args:
        rng: Of the debate.
        actors: Names "a000" ..., of party "left" and "right" in turns.
        statements: Rows; who speaks is drawn in proportion to 1 / (1 + rank), as in newspapers.
        concepts: Measures; the left supports the even ones, the right the odd ones.
        loyalty: Probability of the own party's position: 1/2 is a debate without camps.
        days: Dates are uniform over so many days from 2015-01-01 on.
    """
    frequency = 1 / (1 + rng.permutation(actors))
    actor = rng.choice(actors, size=statements, p=frequency / frequency.sum())
    concept = rng.integers(concepts, size=statements)
    party = actor % 2
    own = np.where(concept % 2 == party, 1, -1)
    sign = np.where(rng.random(statements) < loyalty, own, -own)
    start = int(np.datetime64("2015-01-01", "D").astype(np.int64))
    width = len(str(actors - 1))
    return Statements.from_columns(
        [f"a{name:0{width}d}" for name in actor.tolist()],
        [f"c{code:02d}" for code in concept.tolist()],
        sign,
        day=start + rng.integers(days, size=statements),
        document=[f"d{number // 3:06d}" for number in range(statements)],
        group=np.where(party == 0, "left", "right").astype(object),
    )
