"""Names of arms and settings as one text and back: they are separated by commas, and may hold commas themselves."""

from collections.abc import Collection, Sequence


def names_in(text: str, known: Collection[str]) -> list[str]:
    """The names that a text lists; of pieces that form a known name together, as many as possible are taken for it.

    Args:
        text: Names separated by commas; blanks beside a comma do not matter.
        known: The names there are. A piece that begins none of them is kept as it is, for others to refuse.
    """
    whole = {_pieces(name): name for name in known}
    pieces, found = _pieces(text), []
    while pieces:
        sizes = (size for size in range(len(pieces), 0, -1) if pieces[:size] in whole)
        size = next(sizes, 1)
        found.append(whole.get(pieces[:size], pieces[0]))
        pieces = pieces[size:]
    return found


def as_texts(names: Sequence[str], known: Collection[str]) -> list[str]:
    """The fewest texts in which `names_in` finds these names again, in this order: one, or else one a name."""
    together = ",".join(names)
    return [together] if names_in(together, known) == [*names] else [*names]


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(","))
