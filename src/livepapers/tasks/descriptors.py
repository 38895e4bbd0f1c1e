"""What of an episode describes its behaviour: a few numbers in a box, for searches that want many behaviours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from livepapers.core.errors import InputError

Statistic = Literal["last", "mean"]
Describe = Callable[[np.ndarray, np.ndarray, np.ndarray], Any]
"""(observations `[t + 1, ...]`, actions `[t, ...]`, rewards `[t]`) of one whole episode -> its D numbers."""


@dataclass(frozen=True)
class Descriptor:
    """D numbers that describe an episode, and the box they lie in.

    They come from columns of the flat observation, from keys of Gymnasium's info, or from a function of the episode.

    Attributes:
        names: Of the numbers.
        low: Lower ends of the box.
        high: Upper ends.
        columns: Columns of the flat observation, one a number.
        keys: Keys of the info, one a number, instead of columns.
        function: What describes a whole episode, instead of both.
        statistic: Whether columns or keys are read at the last step or averaged over the steps.
        unit: By which columns and keys are multiplied.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    columns: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    function: Describe | None = None
    statistic: Statistic = "last"
    unit: float = 1.0

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        size = len(self.names)
        if not size or len(self.low) != size or len(self.high) != size:
            ends = f"{len(self.low)} lower and {len(self.high)} upper ends"
            raise InputError.of("descriptor box", ends, expected=f"one of each for {size or 'some'} numbers")
        if not all(np.isfinite([a, b]).all() and a < b for a, b in zip(self.low, self.high, strict=True)):
            raise InputError.of("descriptor box", [self.low, self.high], expected="finite ends, low below high")
        given = [bool(self.columns), bool(self.keys), self.function is not None]
        if sum(given) != 1 or len(self.columns or self.keys or self.names) != size:
            raise InputError.of("descriptor", self.names, expected="columns, keys or a function, one a number")

    @property
    def size(self) -> int:
        """D."""
        return len(self.names)

    def normalised(self, values: Tensor) -> Tensor:
        """`[..., D]` in half-widths of the box from its centre: -1 to 1 inside."""
        low, high = self._ends()
        return 2.0 * (values - low) / (high - low) - 1.0

    def apart(self, values: Tensor, others: Tensor) -> Tensor:
        """Distances `[...]` in % of the box's diagonal, all of its sides taken as equally long: units differ."""
        gap = torch.linalg.vector_norm(self.normalised(values) - self.normalised(others), dim=-1)
        return 100.0 * gap / (2.0 * self.size**0.5)

    def restored(self, values: Tensor) -> Tensor:
        """The inverse of `normalised`."""
        low, high = self._ends()
        return low + (values + 1.0) / 2.0 * (high - low)

    def clipped(self, values: Tensor) -> Tensor:
        """The nearest values inside the box."""
        low, high = self._ends()
        return torch.minimum(torch.maximum(values, low), high)

    def _ends(self) -> tuple[Tensor, Tensor]:
        return torch.tensor(self.low), torch.tensor(self.high)
