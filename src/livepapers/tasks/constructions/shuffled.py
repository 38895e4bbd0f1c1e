"""Another energy for partial objects, the same for finished ones: what may not change a sampler's target."""

import math

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.core.rng import generator
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions.wrapping import Wrapped


class ShuffledEnergy(Wrapped):
    """A construction whose interior energies have noise added that cancels along every path.

    E'(s) = E(s) + phi(s) with phi = 0 at the root and at finished objects, and elsewhere a fixed pseudo-random number
    of standard deviation `scale`: log R is untouched, the last edge absorbs the difference. Everything else is the
    wrapped construction's.

    Args:
        env: A construction without a stop action (a state that may stop has its energy fixed by its reward).
        scale: Standard deviation of phi, nats.
        seed: Of phi.
    """

    def __init__(self, env: Construction, scale: float, *, seed: int) -> None:
        if env.has_stop:
            raise InputError.of("env", type(env).__name__, expected="a construction without a stop action")
        if not math.isfinite(scale) or scale < 0:
            raise InputError.of("scale", scale, expected="a number >= 0", cause="a standard deviation in nats")
        super().__init__(env)
        self.scale = float(scale)
        source = generator(seed, "shuffled energy")
        # a large random frequency makes neighbouring states' values unrelated; cos of a uniform angle has variance 1/2
        self._frequency = 1000.0 * torch.randn(env.features, generator=source, dtype=torch.float64)
        self._phase = 2 * math.pi * torch.rand((), generator=source, dtype=torch.float64)

    def potential(self, state: Tensor) -> Tensor:
        """phi(s), `[batch]` float64."""
        angle = self.env.encode(state).to(torch.float64) @ self._frequency + self._phase
        fixed = self.env.is_terminal(state) | ~self.env.backward_mask(state).any(dim=1)
        return torch.where(fixed, 0.0, self.scale * math.sqrt(2.0) * torch.cos(angle))

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """The wrapped edge energy plus phi(child) - phi(state), `[batch]`."""
        return self.env.edge_energy(state, action, child) + self.potential(child) - self.potential(state)

    def log_reward(self, state: Tensor) -> Tensor:
        """As wrapped."""
        return self.env.log_reward(state)
