"""Settings of drl-diagnosis: how agents are trained, and how they are diagnosed."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.methods.drl_diagnosis.direction import Loss

ATARI = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


@config_dataclass
class Config(Presets):
    """Settings; the defaults are the laptop preset."""

    temperature: float = setting(1.0, "T of the softmax; paper: 1", gt=0)
    loss: Loss = setting("argmax-ce", "what the gradient is of; paper: argmax-ce")
    unit: bool = setting(False, "whether each state's gradient is scaled to length 1; ours, off as in the paper")
    episodes: int = setting(10, "greedy episodes a set of states; paper: 10", ge=1)
    horizon: int = setting(300, "steps of an episode that are looked at, 0 = all; ours", ge=0)
    repeats: int = setting(3, "independent sets of each kind; ours", ge=1)
    attack_size: float = setting(
        1.0, "largest l2 norm of an attack's change in shares of the range; the paper's is not known", gt=0
    )
    layers: tuple[tuple[int, int, int], ...] = setting(((16, 3, 1),), "(channels, kernel, stride); MinAtar's own")
    hidden: int = setting(128, "units before the two streams; MinAtar: 128, paper: 512 each", ge=1, le=4096)
    regime: Literal["plain", "interval", "gradient"] = setting(
        "interval", "the regulariser's inner maximum: none, bounded by intervals, or sought by gradient steps"
    )
    radius: float = setting(0.025, "of the l-infinity ball at the end of training; paper: 1/255 of grey Atari", gt=0)
    weight: float = setting(0.005, "kappa of the regulariser; paper: 0.005", ge=0)
    cap: float = setting(0.03, "c: margins beyond -c are not pushed further; paper: 1", gt=0)
    radius_from: float = setting(0.5, "share of training at which the radius begins to grow; paper: 0.25", ge=0, le=1)
    radius_until: float = setting(0.9, "share at which it is whole; paper: 0.92", gt=0, le=1)
    averaged: float = setting(
        0.1, "time constant of the average of weights that acts, in shares of training; paper: 0, none", ge=0, le=0.3
    )
    steps: int = setting(200_000, "environment steps of training; paper: 6e6 frames", ge=1)
    lanes: int = setting(16, "environments side by side; paper: 1", ge=1)
    discount: float = setting(0.99, "a step; paper: 0.99", ge=0, le=1)
    rate: float = setting(5e-4, "Adam; paper: 6.25e-5", gt=0, le=1)
    batch: int = setting(64, "remembered steps a gradient step; paper: 32", ge=1)
    regularised: int = setting(32, "of them in the regulariser; paper: 32, all of a batch", ge=1)
    ratio: float = setting(0.125, "gradient steps an environment step; paper: 1/4", gt=0, le=10)
    capacity: int = setting(50_000, "steps remembered; paper: 200,000", ge=1)
    warm_up: int = setting(5000, "environment steps before the first gradient step; paper: 80,000", ge=0)
    target_every: int = setting(500, "gradient steps between copies; paper: 2,000", ge=1)
    explore: float = setting(0.33, "share of training over which exploration falls; paper: 0.25", gt=0, le=1)
    explore_last: float = setting(0.05, "share of random actions at the end; paper: 0.05, then 0", ge=0, le=1)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            episodes=2, horizon=20, repeats=1, layers=((4, 3, 1),), hidden=16, steps=320, lanes=4, batch=8,
            capacity=128, warm_up=16, target_every=8,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(
            episodes=4, horizon=60, repeats=1, layers=((8, 3, 1),), hidden=32, steps=3000, capacity=3000,
            warm_up=200, target_every=100,
        )  # fmt: skip

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published values; the radius is that of grey Atari pictures."""
        return cls(
            horizon=0, repeats=5, layers=ATARI, hidden=512, radius=1 / 255, cap=1.0,
            radius_from=0.25, radius_until=0.92, averaged=0.0,
            steps=6_000_000, lanes=1, rate=6.25e-5, batch=32, ratio=0.25,
            capacity=200_000, warm_up=80_000, target_every=2000, explore=0.25,
        )  # fmt: skip
