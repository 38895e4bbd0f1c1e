"""Training settings of pdppo."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.methods.pdppo.networks import Activation
from livepapers.methods.pdppo.objectives import Aggregate


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset, for plants."""

    aggregate: Aggregate = setting("max", "how the two advantages become one; the paper: max; see AGGREGATES")
    hidden: tuple[int, ...] = setting((128, 128), "section on the architecture: 128-128 for all networks")
    activation: Activation = setting("relu", "of the actor; plants relu, lake tanh; critics are always tanh")
    lanes: int = setting(32, "episodes side by side; the paper collects one after the other", ge=1)
    steps: int = setting(50, "steps a lane and update; lanes x steps in the paper: 400 (plants), 500 (lake)", ge=1)
    epochs: int = setting(1, "passes over the window an update; paper 40 (plants), 50 (lake)", ge=1)
    minibatch: int = setting(800, "steps a gradient step; 0 = the whole window, as in the paper", ge=0)
    window: int = setting(6, "collections that are learned from at once; paper: the last 5, and the new one", ge=1)
    keep: Literal["newest", "first"] = setting("newest", "first: the released lake PPO's fault, see Deviations")
    train: Literal["all", "last"] = setting("all", "last: only the actor's last layer, as the released plant agents")
    refresh: bool = setting(True, "values of the window are computed anew; paper: those of the collecting critics")
    bootstrap: bool = setting(True, "values follow where a collection ends within an episode; paper: nothing does")
    center: bool = setting(False, "the batch mean is taken from the advantages; not in the paper")
    actor_rate: float = setting(1e-3, "Adam; released 5.5e-4, with ten times the gradient steps", gt=0, le=1)
    critic_rate: float = setting(1e-3, "Adam; the released code", gt=0, le=1)
    decay: bool = setting(False, "both rates fall to 0 linearly over `updates`; paper: constant")
    updates: int = setting(188, "over which the rates fall, where they do", ge=1)
    discount: float = setting(0.9, "a step; the released code", ge=0, le=1)
    clip: float = setting(0.2, "of the ratio; the released code", gt=0, lt=1)
    entropy: float = setting(0.001, "weight of the entropy of an action component; min variant 0.012", ge=0)
    weight_decay: float = setting(0.0, "Adam's; min variant 0.001", ge=0)
    clip_norm: float = setting(0.0, "gradient norm of each network, 0 = no clipping; min variant 1", ge=0)
    reward_scale: float = setting(0.01, "rewards are multiplied by it for learning; paper 1", gt=0)
    samples: int = setting(8, "afterstate: actions drawn for the expectation; all four on the lake", ge=2)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(hidden=(16,), lanes=4, steps=8, minibatch=24, window=2, updates=10)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(lanes=8, updates=10)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The released settings, for plants."""
        return cls(
            lanes=4,
            steps=100,
            epochs=40,
            minibatch=0,
            refresh=False,
            bootstrap=False,
            updates=2500,
            actor_rate=5.5e-4,
            reward_scale=1.0,
        )
