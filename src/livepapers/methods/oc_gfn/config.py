"""Settings of pre-training and adaptation (oc-gfn)."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting

OURS = "our choice, the paper's value was not found"


@config_dataclass
class Config(Presets):
    """Settings of one pre-training and of the adaptations that follow it."""

    explorer: Literal["gafn", "uniform", "backward"] = setting(
        "backward", "where positives come from; paper: gafn, a GFlowNet with intrinsic rewards"
    )
    backward: Literal["uniform", "learned"] = setting("uniform", f"P_B; {OURS}")
    updates: int = setting(3000, f"Adam steps of pre-training; {OURS}", ge=1, le=10_000_000)
    batch: int = setting(
        32, f"positives an update, and as many trajectories of the own policy; {OURS}", ge=1, le=65_536
    )
    hidden: int = setting(256, f"units a hidden layer; {OURS}", ge=1, le=8192)
    layers: int = setting(2, f"hidden layers; {OURS}", ge=1, le=16)
    learning_rate: float = setting(3e-3, f"Adam; {OURS}", gt=0, le=1)
    late_rate: float = setting(1 / 3, "factor of the learning rate in the last third of the updates", gt=0, le=1)
    epsilon: float = setting(0.05, f"share of uniform moves in trajectories of the own policy; {OURS}", ge=0, le=1)
    failure_reward: float = setting(1e-4, f"epsilon, R of a missed outcome, for log 0; {OURS}", gt=0, lt=1)
    teleport: bool = setting(True, "whether log R stands on every edge (outcome teleportation) or on the last one only")
    positives: bool = setting(True, "whether relabelled trajectories of the explorer are learned from")
    negatives: bool = setting(True, "whether trajectories of the own policy are learned from")
    explorer_hidden: int = setting(
        128, f"units of the explorer's two hidden layers and of its novelty nets; {OURS}", ge=1
    )
    explorer_rate: float = setting(1e-3, f"Adam of the explorer; {OURS}", gt=0, le=1)
    novelty: float = setting(
        0.1, f"scale of the intrinsic reward, after division by its running deviation; {OURS}", ge=0
    )
    adapt_updates: int = setting(1500, f"Adam steps of an adaptation; {OURS}", ge=1, le=10_000_000)
    adapt_batch: int = setting(32, f"trajectories an update of an adaptation; {OURS}", ge=1, le=65_536)
    adapt_rate: float = setting(3e-3, f"Adam on N and Q; {OURS}", gt=0, le=1)
    adapt_epsilon: float = setting(0.1, f"share of uniform moves, and of uniform outcomes; {OURS}", ge=0, le=1)
    adapt_temperature: float = setting(1.0, f"of N's policy and of Q when they sample; {OURS}", gt=0, le=1000)
    own_end: float = setting(0.5, f"share of edges whose outcome is their trajectory's own end; {OURS}", ge=0, le=1)

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery."""
        return cls(explorer="gafn", updates=20, batch=8, hidden=32, explorer_hidden=16, adapt_updates=10, adapt_batch=8)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(updates=200, hidden=64, adapt_updates=100)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The paper's choices where they are known: outcome teleportation, and a GAFlowNet that explores."""
        return cls(explorer="gafn", updates=20_000, adapt_updates=10_000)
