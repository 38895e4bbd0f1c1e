"""Novelty: how far an individual's behaviour is from all that was seen."""

import torch
from torch import Tensor

from livepapers.core.errors import InputError


def novelty(behaviour: Tensor, archive: Tensor, neighbours: int) -> Tensor:
    """Mean of the k smallest squared Euclidean distances to the rest of the population and to the archive.

    Args:
        behaviour: Of the population, `[P, d]`; the distance of an individual to itself does not count.
        archive: Earlier behaviours, `[A, d]`.
        neighbours: k; all there are, where there are fewer.

    Returns:
        `[P]`.

    Raises:
        InputError: A behaviour is not finite.
    """
    if not bool(torch.isfinite(behaviour).all()):
        row = int((~torch.isfinite(behaviour)).any(1).nonzero()[0, 0])
        raise InputError.of("behaviour", behaviour[row].tolist(), expected="finite numbers", cause=f"individual {row}")
    seen = torch.cat([behaviour, archive])
    if len(seen) < 2:
        raise InputError.of("population", len(behaviour), expected="at least two behaviours to compare")
    distance = (behaviour[:, None] - seen[None]).square().sum(-1)
    distance.diagonal().fill_(torch.inf)
    return distance.topk(min(neighbours, len(seen) - 1), largest=False).values.mean(1)


class NoveltyArchive:
    """Behaviours of the past, each let in by chance; when full, a random one makes room.

    Args:
        size: Most behaviours.
        width: Numbers in a behaviour.
    """

    def __init__(self, size: int, width: int) -> None:
        self.kept, self.count = torch.zeros(size, width), 0

    @property
    def behaviours(self) -> Tensor:
        """`[A, d]`."""
        return self.kept[: self.count]

    def add(self, behaviour: Tensor, probability: float, generator: torch.Generator) -> None:
        """Let each of `[P, d]` in with this probability."""
        for one in behaviour[torch.rand(len(behaviour), generator=generator) < probability]:
            if self.count < len(self.kept):
                self.kept[self.count], self.count = one, self.count + 1
            else:
                self.kept[int(torch.randint(len(self.kept), (), generator=generator))] = one
