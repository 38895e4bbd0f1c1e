"""Training settings of ospo and of the learners it is compared with."""

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.methods.ospo.objectives import Group, Horizon


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset."""

    horizon: Horizon = setting("one step", "OSPO one step, GRPO return, IPPO critic")
    group: Group = setting("minute", "what decisions are compared with: OSPO minute, GRPO (released code) episode")
    fairness: float = setting(0.0, "weight of the fairness penalty; the released code 1", ge=0)
    hidden: tuple[int, ...] = setting((128, 128), "of the score network, the critic and the Q network; released code")
    lanes: int = setting(1, "episodes an update, side by side; the paper has one", ge=1)
    episodes: int = setting(120, "over which the learning rate falls; paper: at least 1,000", ge=1)
    steps: int = setting(10, "gradient steps for each episode; the released code", ge=1)
    batch: int = setting(256, "decisions a gradient step; the released code", ge=1)
    learning_rate: float = setting(1e-2, "Adam; released 1e-5, which needs thousands of episodes", gt=0, le=1)
    last_rate: float = setting(3e-3, "Adam at the end, in a line; released: times 0.99 an episode", gt=0, le=1)
    clip_low: float = setting(0.2, "a ratio below 1 - this gets no gradient to fall further; released code", gt=0, lt=1)
    clip_high: float = setting(0.28, "a ratio above 1 + this gets none to rise further; released code", gt=0)
    floor: float = setting(1e-3, "least probability at which a choice counts as made; released: none", gt=0, lt=1)
    entropy: float = setting(0.05, "weight of the entropy; released code", ge=0)
    kl: float = setting(0.0, "weight of the KL to the best network after a check without progress; released 0.5", ge=0)
    kl_limit: float = setting(0.01, "a step at a larger KL is left out and the weight doubled; released code", gt=0)
    clip_norm: float = setting(1.0, "largest gradient norm; released code", gt=0)
    explore: float = setting(0.02, "share of random pairs in the first episode; released 1", ge=0, le=1)
    explore_decay: float = setting(0.95, "of that share, an episode; released 0.99", gt=0, le=1)
    explore_least: float = setting(5e-4, "least share; released code", ge=0, le=1)
    discount: float = setting(0.99, "a minute; the released code", ge=0, le=1)
    trace: float = setting(0.95, "IPPO: lambda of generalised advantages", ge=0, le=1)
    value_weight: float = setting(0.5, "IPPO: of the critic's squared error", ge=0)
    replay: int = setting(50_000, "DDQN: decisions remembered", ge=1)
    target_rate: float = setting(0.05, "DDQN: share of the network in its target a gradient step, of 1,200", gt=0, le=1)
    check_every: int = setting(10, "episodes between greedy evaluations on the dev episodes; released code", ge=1)
    check_episodes: int = setting(4, "dev episodes, on which the network that is kept is chosen", ge=1)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if not self.hidden or not all(width >= 1 for width in self.hidden):
            raise InputError.of("hidden", self.hidden, expected="one or more widths >= 1")
        if self.horizon == "critic" and self.group != "episode":
            raise InputError.of("group", self.group, expected="episode", cause="a critic is a baseline of its own")

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(hidden=(16,), episodes=10, steps=3, batch=32, fairness=1.0, check_every=2, check_episodes=1)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(hidden=(32, 32), episodes=4, steps=4, batch=64, check_every=2, check_episodes=2)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default for ospo itself; other objectives have rates of their own there."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The released settings; its learning rate falls by a hundredth an episode, ours in a line."""
        return cls(
            episodes=1000, fairness=1.0, learning_rate=1e-5, last_rate=1e-6, kl=0.5, explore=1.0, explore_decay=0.99,
            check_episodes=1,
        )  # fmt: skip
