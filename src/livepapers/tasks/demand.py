"""Demand: random processes and recorded panels behind one contract, and the reader of a user's demand file.

A process holds K instances (parameter sets, or recorded series); each problem of a batch belongs to one. Randomness
comes in as standard noise and is turned into demand by `realise`, so that one step (`InventorySimulator.resolve`) and
a whole trace (`sample`) share one definition.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.inversion import Inversion


@runtime_checkable
class DemandProcess(Protocol):
    """Demand of S stores over time, for K instances."""

    mean: Tensor  # [K, S] mean demand a period, as far as known (before clipping)
    std: Tensor  # [K, S] its standard deviation

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:
        """What is random in `periods` periods, `[B, T, S]`."""
        ...

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:
        """The demand `[B, T, S]` of instances `[B]` int64 from period `[B]` int64 on, a function of the noise."""
        ...

    def sample(
        self, batch: int, periods: int, generator: torch.Generator, *, instance: Tensor | None = None, period: int = 0
    ) -> Tensor:
        """Traces `[B, T, S]`; without `instance` each is drawn at random."""
        ...

    def windows(self, batch: int, periods: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random (instance `[B]`, first period `[B]`), both int64, such that `periods` periods follow."""
        ...


class _Stationary:
    """What processes share whose demand does not depend on the period."""

    mean: Tensor
    std: Tensor

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:
        raise NotImplementedError

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:
        raise NotImplementedError

    def windows(self, batch: int, periods: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Random instances; every trace starts at period 0."""
        instance = torch.zeros(batch, dtype=torch.int64)
        if self.mean.shape[0] > 1:
            instance = torch.randint(self.mean.shape[0], (batch,), generator=generator)
        return instance, torch.zeros(batch, dtype=torch.int64)

    def sample(
        self, batch: int, periods: int, generator: torch.Generator, *, instance: Tensor | None = None, period: int = 0
    ) -> Tensor:
        """Traces `[B, T, S]`."""
        if instance is None:
            instance, _ = self.windows(batch, periods, generator)
        return self.realise(self.noise(batch, periods, generator), instance, torch.full((batch,), period))


class MultivariateNormal(_Stationary):
    """Normal demand with one pairwise correlation between stores.

    Args:
        mean: `[S]` or `[K, S]`.
        std: Like `mean`, positive.
        correlation: Between any two stores, in (-1/(S-1), 1).
        clip: Whether negative demand becomes 0.
    """

    def __init__(self, mean: Tensor, std: Tensor, *, correlation: float = 0.0, clip: bool = True) -> None:
        self.mean, self.std = torch.atleast_2d(mean), torch.atleast_2d(std)
        stores = self.mean.shape[1]
        if not -1 / max(stores - 1, 1) < correlation < 1:
            raise InputError.of("correlation", correlation, expected=f"a number in (-1/{max(stores - 1, 1)}, 1)")
        self.correlation, self.clip = correlation, clip
        matrix = torch.full((stores, stores), correlation, dtype=torch.float64).fill_diagonal_(1.0)
        self._factor = torch.linalg.cholesky(matrix).T.to(self.mean.dtype)

    @classmethod
    def random(
        cls, stores: int, generator: torch.Generator, *, instances: int = 1, correlation: float = 0.0, clip: bool = True
    ) -> "MultivariateNormal":
        """Means U(2.5, 7.5) and coefficients of variation U(0.25, 0.5), drawn once (paper, settings S4 and S5)."""
        mean = 2.5 + 5.0 * torch.rand(instances, stores, generator=generator)
        return cls(
            mean,
            mean * (0.25 + 0.25 * torch.rand(instances, stores, generator=generator)),
            correlation=correlation,
            clip=clip,
        )

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:
        """Correlated standard normal numbers `[B, T, S]`."""
        plain = torch.randn(batch, periods, self.mean.shape[1], generator=generator, dtype=self.mean.dtype)
        return plain @ self._factor if self.correlation else plain

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:  # noqa: ARG002
        """Mean plus std times noise, clipped at 0 where asked for."""
        mean, std = (self.mean, self.std) if self.mean.shape[0] == 1 else (self.mean[instance], self.std[instance])
        demand = torch.addcmul(mean[:, None], std[:, None], noise)
        return demand.clamp(min=0.0) if self.clip else demand


class ClippedNormal(MultivariateNormal):
    """Independent max(N(mean, std^2), 0) at each of `stores` stores (paper, settings S1 and S3)."""

    def __init__(self, mean: float, std: float, *, stores: int = 1) -> None:
        super().__init__(torch.full((stores,), float(mean)), torch.full((stores,), float(std)))


class Poisson(_Stationary):
    """Independent Poisson demand (paper, setting S2), by inversion: standard noise is uniform on [0, 1)."""

    def __init__(self, rate: float, *, stores: int = 1) -> None:
        if not 0 < rate <= 1e6:
            raise InputError.of("rate", rate, expected="a number in (0, 1e6]")
        from scipy import stats  # takes most of a second, and no other demand needs it

        self.mean = torch.full((1, stores), float(rate))
        self.std = self.mean.sqrt()
        points = torch.arange(int(stats.poisson.isf(1e-16, rate)) + 2)
        self._invert = Inversion(torch.from_numpy(stats.poisson.cdf(points.numpy(), rate))[None], grid=1 << 14)

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:
        """Uniform numbers `[B, T, S]` in double precision, so that the tail keeps its weight."""
        return torch.rand(batch, periods, self.mean.shape[1], generator=generator, dtype=torch.float64)

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:  # noqa: ARG002
        """The smallest d with P(D <= d) > noise, as floats."""
        return self._invert(noise.reshape(1, -1)).view(noise.shape)


class Panel:
    """Recorded demand: K instances of S series each over W periods; nothing is random but the windows.

    Args:
        values: `[K, S, W]`, or `[K, W]` for one store an instance.
        known: How many periods, from the first, `mean` and `std` may know of; all when left out.
        first: Windows start at this period or later.
        last: Windows end before this period; the end of the record when left out.
    """

    def __init__(self, values: Tensor, *, known: int | None = None, first: int = 0, last: int | None = None) -> None:
        self.values = values if values.dim() == 3 else values[:, None]
        periods = self.values.shape[2]
        self.known, self.first, self.last = known or periods, first, periods if last is None else last
        if not 0 <= self.first < self.last <= periods or not 2 <= self.known <= periods:
            expected = f"0 <= first < last <= {periods} and 2 <= known <= {periods}"
            raise InputError.of("panel", f"periods {first} to {last}, known {known}", expected=expected)
        past = self.values[..., : self.known]
        self.mean, self.std = past.mean(2), past.std(2)

    def between(self, first: int, last: int) -> "Panel":
        """The same record with windows inside [first, last); periods keep their numbers."""
        return Panel(self.values, known=self.known, first=first, last=last)

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - the record is fixed
        """Zeros `[B, T, S]`: they say how many periods are meant."""
        return self.values.new_zeros(1, 1, self.values.shape[1]).expand(batch, periods, -1)

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:
        """What was recorded from `period` on, `[B, T, S]`; raises `InputError` outside the record."""
        when = period[:, None] + torch.arange(noise.shape[1])
        if when.numel() and not 0 <= int(when.min()) <= int(when.max()) < self.values.shape[2]:
            shown = f"{int(when.min())} to {int(when.max())}"
            raise InputError.of(
                "periods", shown, expected=f"0 to {self.values.shape[2] - 1}", cause="the record ends there"
            )
        return self.values.transpose(1, 2)[instance[:, None], when]

    def windows(self, batch: int, periods: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random instances and first periods; raises `InputError` when the record is shorter than a window."""
        room = self.last - self.first - periods
        if room < 0:
            found = f"{self.last - self.first} periods"
            raise InputError.of("demand", found, expected=f"at least {periods}: history and horizon of a window")
        instance = torch.randint(self.values.shape[0], (batch,), generator=generator)
        return instance, torch.randint(self.first, self.first + room + 1, (batch,), generator=generator)

    def sample(
        self, batch: int, periods: int, generator: torch.Generator, *, instance: Tensor | None = None, period: int = 0
    ) -> Tensor:
        """Traces `[B, T, S]`: of `instance` from `period` on, or of random windows."""
        start = torch.full((batch,), period)
        if instance is None:
            instance, start = self.windows(batch, periods, generator)
        return self.realise(self.noise(batch, periods, generator), instance, start)


def christmas_distance(dates: Sequence[dt.date]) -> Tensor:
    """Days from each date to the nearest 25 December, signed (negative before it), over 183, `[W]` float32."""
    nearest = [min(((day - dt.date(day.year + shift, 12, 25)).days for shift in (-1, 0, 1)), key=abs) for day in dates]
    return torch.tensor(nearest, dtype=torch.float32) / 183.0
