"""Settings of ReGENN and of its training."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting

Cell = Literal["rnn", "gru", "lstm"]
Scale = Literal["train_max", "window_last", "log1p", "none"]
Attend = Literal["variables", "samples"]
Activation = Literal["relu", "clip", "none"]


@config_dataclass
class Config(Presets):
    """Network, scaling and training; the defaults are the laptop preset."""

    window: int = setting(7, "w, steps that are seen; an argument in the paper, its values not found", ge=2, le=1000)
    stride: int = setting(3, "s, steps that are forecast; as the window", ge=1, le=1000)
    evolution: bool = setting(True, "graph soft evolution at source and target; the paper's new term")
    encoder: bool = setting(True, "Transformer encoder over the windows; paper: on")
    sequencer: bool = setting(True, "recurrence over the variables with a residual; paper: on")
    highway: bool = setting(True, "linear autoregression beside the network; released code: off by default")
    biases: bool = setting(True, "in evolution and highway; released code: off by default")
    bidirectional: bool = setting(False, "gate and sequencer in both directions, summed; released code: off")
    cell: Cell = setting("lstm", "of gate and sequencer; paper: lstm")
    attend: Attend = setting("variables", "tokens of the encoder; released code: samples, so that batch mates matter")
    feed_forward: int = setting(256, "units inside the encoder; paper: 2048", ge=1, le=8192)
    dropout: float = setting(0.1, "paper: 0.1", ge=0, lt=1)
    scale: Scale = setting("log1p", "fitted to the past only; released code: the maximum of the whole tensor")
    activation: Activation = setting(
        "clip", "of the output: relu (paper), none, or clip: none while training, relu afterwards"
    )
    rate: float = setting(3e-3, "Adam; paper: 1e-3", gt=0, le=1)
    batch: int = setting(32, "(sample, window) pairs a gradient step; paper: 32 samples of one window", ge=1)
    epochs: int = setting(400, "at most; paper: 2,500", ge=1)
    patience: int = setting(40, "epochs without a better dev error before the end; paper: 250", ge=1)
    plateau: int = setting(25, "epochs without a better dev error before the rate falls; paper: 25", ge=1)
    plateau_factor: float = setting(0.7, "of the rate then; paper: 0.95", gt=0, le=1)
    plateau_threshold: float = setting(0.01, "relative gain that counts for the rate; paper: 0.1", ge=0, lt=1)
    clip_norm: float = setting(10.0, "global gradient norm; paper: 10", gt=0)

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(window=4, stride=2, feed_forward=8, epochs=5, patience=5, rate=1e-2)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(feed_forward=16, epochs=3, patience=3)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published values; window and stride as for daily counts of infections."""
        return cls(
            window=7, stride=14, highway=False, biases=False, attend="samples", feed_forward=2048,
            scale="train_max", activation="relu",
            rate=1e-3, epochs=2500, patience=250, plateau_factor=0.95, plateau_threshold=0.1,
        )  # fmt: skip
