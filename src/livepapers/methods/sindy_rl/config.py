"""Settings of sindy-rl."""

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError


@config_dataclass
class Config(Presets):
    """Settings of collection, models, learning in the surrogate, and the dictionary policy; defaults: laptop preset."""

    offline: int = setting(8000, "n_off: real steps of random actions, kept forever; appendix, table", ge=2)
    collect: int = setting(1000, "n_col: real steps of the mean action at each refit; paper: 500 or 1,000", ge=1)
    online: int = setting(8000, "n_on: collected steps that are kept, whole collections; 0 = never refit", ge=0)
    refit_every: int = setting(3, "n_fit: updates between collections; paper: 10 of 4,000 steps", ge=1)
    degree: int = setting(2, "of the monomials in the states; table", ge=1, le=6)
    cross: bool = setting(True, "whether monomials mix states; table")
    tensor: bool = setting(True, "whether state terms also come times the inputs; table")
    ridge: float = setting(5e-5, "alpha of the dynamics; table", ge=0)
    threshold: float = setting(7e-3, "lambda of the dynamics; table", ge=0)
    models: int = setting(20, "M; section on ensembles", ge=1)
    share: float = setting(0.6, "rows of a bootstrap sample; section on ensembles", gt=0, le=1)
    increments: bool = setting(False, "fit changes instead of next states; paper: next states")
    scaled: bool = setting(False, "threshold coefficients between unit spreads; paper: in natural units")
    reward_degree: int = setting(2, "of a learned reward's monomials; table, swimmer", ge=1, le=6)
    reward_ridge: float = setting(1e-5, "alpha of a learned reward; table, swimmer", ge=0)
    reward_threshold: float = setting(5e-2, "lambda of a learned reward; table, swimmer", ge=0)
    horizon: int = setting(1000, "steps of a surrogate episode; table", ge=1)
    starts: int = setting(
        64, "real first observations that surrogate episodes start from; paper: a real reset each", ge=1
    )
    stored: float = setting(0.0, "share of surrogate episodes that start from a stored state", ge=0, le=1)
    margin: float = setting(0.5, "bounds that nobody gave: the data's range, widened by this share of it", ge=0)
    rollback: float = setting(0.5, "share of the gain over random actions whose loss rolls back; 0 = never", ge=0, le=1)
    patience: int = setting(2, "collections in a row that must have lost it", ge=1)
    updates: int = setting(75, "PPO updates of lanes x steps in the surrogate; paper: 2,500 of 4,000 steps", ge=1)
    lanes: int = setting(256, "surrogate episodes side by side", ge=1)
    steps: int = setting(128, "of each lane an update", ge=1)
    epochs: int = setting(6, "passes over an update's steps; paper: 30", ge=1)
    minibatches: int = setting(16, "gradient steps an epoch; paper: of 128 steps each", ge=1)
    learning_rate: float = setting(3e-4, "Adam; paper: falling in a line over 10 million steps; table", gt=0, le=10)
    discount: float = setting(0.99, "gamma; table", ge=0, lt=1)
    trace: float = setting(0.95, "lambda of generalised advantages; table", ge=0, le=1)
    clip: float = setting(0.2, "of the probability ratio; table", gt=0, lt=1)
    hidden: tuple[int, ...] = setting((64, 64), "tanh; table")
    normalise: bool = setting(False, "observations by their running mean and spread; paper: as they are")
    log_std: float = setting(-0.5, "first log standard deviation, in half-widths; paper: 0", ge=-10, le=3)
    policy_degree: int = setting(3, "of the dictionary policy; section on dictionary policies", ge=1, le=6)
    policy_states: int = setting(20_000, "states of surrogate roll-outs it is fitted on", ge=10)
    policy_noise: float = setting(
        0.1, "standard deviation of the noise on two copies of them, in each coordinate", ge=0
    )
    policy_clip: float = setting(5.0, "largest label of a state, in half-widths of the action", gt=0)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if not self.hidden or not all(width >= 1 for width in self.hidden):
            raise InputError.of("hidden", self.hidden, expected="one or more widths >= 1")
        if self.steps * self.lanes % self.minibatches:
            expected = f"a divisor of steps x lanes = {self.steps} x {self.lanes}"
            raise InputError.of("minibatches", self.minibatches, expected=expected)
        if self.online % self.collect:
            raise InputError.of("online", self.online, expected=f"a multiple of collect = {self.collect}")

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            offline=200, collect=40, online=80, refit_every=1, models=4, starts=4, horizon=40, updates=4, lanes=8,
            steps=16, epochs=2, minibatches=2, hidden=(16,), policy_states=100,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(
            offline=1000, collect=200, online=400, refit_every=2, models=6, starts=8, horizon=200, updates=4, lanes=32,
            steps=32, epochs=2, minibatches=4, policy_states=500,
        )  # fmt: skip

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default: 2.5 million surrogate steps."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published settings of the swing-up."""
        return cls(
            collect=500, refit_every=10, updates=2500, lanes=4, steps=1000, epochs=30, minibatches=32, log_std=0.0,
            rollback=0.0,
        )  # fmt: skip
