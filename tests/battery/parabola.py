"""A parabola, descended with noise (hdpo).

Paper       arXiv 2306.11246, in name only: this stands in for a method where the battery itself is tested
Idea        Adam on noisy gradients of a parabola.
Equations   (1) loss = mean((w - noise)^2)
Shapes      w [3]
Deviations  none
"""

import torch

from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.rng import generator

ROLE = "learner"
METRICS = ("loss",)


@config_dataclass
class Config(Presets):
    """Settings of the parabola."""

    rate: float = setting(0.1, "ours; per update", gt=0, le=1)

    @classmethod
    def tiny(cls) -> "Config":
        """The one preset there is."""
        return cls()

    smoke = laptop = paper = tiny


class Descent(Learner):
    """Adam on equation (1)."""

    def __init__(self, config: Config, seed: int) -> None:
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.optimizer = torch.optim.Adam([self.weight], lr=config.rate)
        self.stream = generator(seed, "noise")
        self.updates = 0

    def update(self) -> dict[str, float]:
        """One step of Adam."""
        loss = parabola(self.weight, torch.randn(3, generator=self.stream))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        return {"loss": loss.item()}

    def state_dict(self) -> State:
        """Weight, moments, stream, count."""
        return {
            "network": {"weight": self.weight.detach()},
            "optimizer": optimizer_state(self.optimizer),
            "stream": self.stream.get_state(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: State) -> None:
        """Take a state over, or refuse it whole."""
        require_keys(state, self.state_dict(), what="state")
        require_keys(state["network"], {"weight": self.weight}, what="network")
        with torch.no_grad():
            self.weight.copy_(state["network"]["weight"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.stream.set_state(state["stream"])
        self.updates = state["updates"]

    def work(self) -> dict[str, int]:
        """Updates made."""
        return {"updates": self.updates}


def parabola(weight: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Equation (1)."""
    return ((weight - noise) ** 2).mean()


def example(config: Config, seed: int) -> Descent:
    """The smallest problem."""
    return Descent(config, seed)


def apply(steps: int = 3) -> None:
    """Descend.

    Args:
        steps: How many steps.
    """
    del steps


LOSSES = {
    "parabola": lambda: (lambda w: parabola(w, torch.zeros(3).double()), (torch.ones(3).double().requires_grad_(),))
}
REFERENCES = {"at the noise": lambda: (parabola(torch.ones(3), torch.ones(3)), 0.0, 0.0)}
INVARIANCES = {
    "order": lambda: (
        parabola(torch.arange(3.0), torch.zeros(3)),
        parabola(torch.arange(3.0).flip(0), torch.zeros(3)),
        0.0,
    )
}
REDUCTIONS = {"mean square": lambda: (parabola(torch.arange(3.0), torch.zeros(3)), 5 / 3, 1e-6)}
FLOORS = {"standing still": lambda seed: (0.0, 1.0 + seed)}
ABLATIONS = {"no step": lambda seed: (0.0, 1.0 + seed)}
