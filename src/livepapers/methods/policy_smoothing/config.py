"""Settings of policy-smoothing: how agents are trained with noise, certified and attacked."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting


@config_dataclass
class Config(Presets):
    """Settings; the defaults are the laptop preset."""

    sigma: float = setting(
        0.2, "standard deviation of the noise, observation's units; paper, CartPole: 0.2 to 0.8", ge=0
    )
    frames: int = setting(5, "observations seen together; paper, CartPole: 5, or 1", ge=1, le=1000)
    candidates: int = setting(64, "linear policies an update of the cross-entropy search; ours", ge=2)
    trials: int = setting(16, "noisy episodes of each candidate; ours", ge=1)
    elites: int = setting(8, "candidates that the next distribution is fitted to; ours", ge=1)
    updates: int = setting(40, "updates of the search; ours", ge=1)
    spread: float = setting(1.0, "standard deviation of the weights at the start; ours", gt=0)
    extra_spread: float = setting(0.3, "added to the elites' at first, falls to 0 over half of the updates; ours", ge=0)
    selection: int = setting(256, "noisy episodes by which each update's policy is judged; paper: 10", ge=1)
    hidden: int = setting(64, "units of each of two hidden layers of the Q-network; paper: 256", ge=1, le=4096)
    q_discount: float = setting(0.95, "a step; paper: 0.99, with which a short training stays behind", ge=0, le=1)
    q_steps: int = setting(150_000, "environment steps of DQN; paper: 500,000", ge=1)
    q_rate: float = setting(5e-4, "Adam; paper: 1e-4, single frame 5e-5", gt=0, le=1)
    q_batch: int = setting(256, "remembered steps a gradient step; paper: 1,024", ge=1)
    q_lanes: int = setting(32, "environments side by side; paper: 1", ge=1)
    q_ratio: float = setting(0.25, "gradient steps an environment step; paper: 128 every 256", gt=0, le=10)
    q_capacity: int = setting(100_000, "steps remembered; paper: 100,000", ge=1)
    q_warm_up: int = setting(1000, "environment steps before the first gradient step; paper: 1,000", ge=0)
    q_target_every: int = setting(128, "gradient steps between copies; paper: 10 environment steps, so each 128", ge=1)
    q_explore: float = setting(
        0.16, "share of training over which exploration falls from 1 to 0; paper: 0.16", gt=0, le=1
    )
    episodes: int = setting(10_000, "certification episodes; paper: 10,000", ge=1)
    confidence: float = setting(0.95, "of each statement; paper: 0.95", ge=0.5, lt=1)
    attacked: int = setting(1000, "episodes of an attack, for each budget and gap; paper: 1,000", ge=1)
    points: int = setting(32, "noises over which the attack averages values; paper: 128", ge=0)
    attack_steps: Literal["fixed", "linearised"] = setting("linearised", "of the attack's gradient; paper: fixed")
    attack_size: float = setting(0.01, "length of a fixed step; paper: 0.01", gt=0)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            frames=2, candidates=4, trials=2, elites=2, updates=3, selection=4, hidden=8, q_steps=64, q_batch=8,
            q_lanes=4, q_capacity=64, q_warm_up=8, episodes=32, attacked=8, points=4,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(
            candidates=16, trials=4, elites=4, updates=6, selection=32, hidden=16, q_steps=2000, q_batch=64,
            q_warm_up=200, episodes=300, attacked=32, points=8,
        )  # fmt: skip

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published values."""
        return cls(
            selection=10, hidden=256, q_steps=500_000, q_rate=1e-4, q_discount=0.99, q_batch=1024,
            q_lanes=1, q_ratio=0.5, points=128,
            attack_steps="fixed",
        )  # fmt: skip
