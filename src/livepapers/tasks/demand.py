"""Demand: random processes and recorded panels behind one contract, and the reader of a user's demand file.

A process holds K instances (parameter sets, or recorded series); each problem of a batch belongs to one. Randomness
comes in as standard noise and is turned into demand by `realise`, so that one step (`InventorySimulator.resolve`) and
a whole trace (`sample`) share one definition.
"""

from typing import Protocol, runtime_checkable

import torch
from scipy import stats
from torch import Tensor

from livepapers.core.errors import InputError

NO_FEATURES = torch.zeros(0)


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
        self.mean = torch.full((1, stores), float(rate))
        self.std = self.mean.sqrt()
        points = torch.arange(int(stats.poisson.isf(1e-16, rate)) + 2)
        self._cdf = torch.from_numpy(stats.poisson.cdf(points.numpy(), rate))

    def noise(self, batch: int, periods: int, generator: torch.Generator) -> Tensor:
        """Uniform numbers `[B, T, S]` in double precision, so that the tail keeps its weight."""
        return torch.rand(batch, periods, self.mean.shape[1], generator=generator, dtype=torch.float64)

    def realise(self, noise: Tensor, instance: Tensor, period: Tensor) -> Tensor:  # noqa: ARG002
        """The smallest d with P(D <= d) > noise, as floats."""
        return torch.searchsorted(self._cdf, noise, right=True).to(self.mean.dtype)
