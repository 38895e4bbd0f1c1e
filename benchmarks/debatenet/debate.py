"""The debate that ours and the peer share, as columns of texts and signs; made anew by both from one seed."""

import numpy as np

ACTORS, CONCEPTS = 5_000, 500


def columns(
    statements: int, *, actors: int = ACTORS, concepts: int = CONCEPTS
) -> tuple[list[str], list[str], np.ndarray]:
    """(actor, concept, sign -1 or 1) of each statement; few actors and concepts have most of them."""
    rng = np.random.default_rng(0)
    shares = [1 / (10 + np.arange(size)) for size in (actors, concepts)]
    actor, concept = (rng.choice(len(share), size=statements, p=share / share.sum()) for share in shares)
    names = np.array([f"actor {number:04d}" for number in range(actors)], dtype=object)
    codes = np.array([f"measure {number:03d}" for number in range(concepts)], dtype=object)
    return names[actor].tolist(), codes[concept].tolist(), np.where(rng.random(statements) < 0.7, 1, -1)
