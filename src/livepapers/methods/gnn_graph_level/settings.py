"""The settings of the method, with their sources."""

from typing import Literal, get_args

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.methods.gnn_graph_level.paths import LONGEST

OURS = "our choice, version 1 of the paper gives no value that was found"
Model = Literal["path", "rooted", "gcn", "gin", "sage", "topk", "ego"]
Contrast = Literal["none", "random", "adaptive"]
MODELS: tuple[str, ...] = get_args(Model)


@config_dataclass
class Config(Presets):
    """One encoder, what is contrasted, and the training that all encoders share."""

    model: Model = setting(
        "path", "path: labels as features of nodes and edges; rooted: message passing inside S_k(v); or a rival"
    )
    k: int = setting(3, f"section 3.2; edges of the longest paths; {OURS}", ge=1, le=LONGEST)
    cycles: bool = setting(True, "whether cycles through a node stand among its features; path only")
    max_paths: int = setting(10_000, f"of one root and length, beyond which paths are sampled; {OURS}", ge=1)
    hidden: int = setting(64, f"units of every layer; {OURS}", ge=1, le=4096)
    layers: int = setting(3, f"of message passing; {OURS}", ge=1, le=20)
    dropout: float = setting(0.1, f"share after each layer; {OURS}", ge=0, lt=1)
    contrast: Contrast = setting(
        "adaptive", "section 3.3; views by importance, at random (GraphCL), or no contrastive loss"
    )
    weight: float = setting(0.1, f"lambda, of the contrastive loss beside the task's; {OURS}", ge=0)
    temperature: float = setting(0.5, f"of NT-Xent; {OURS}", gt=0)
    drop: float = setting(0.2, f"p_e, mean share of edges that a view drops; {OURS}", ge=0, lt=1)
    most_drop: float = setting(0.7, f"p_max, of any edge's probability; {OURS}", ge=0, lt=1)
    relaxation: float = setting(0.5, f"tau of the concrete distribution; {OURS}", gt=0)
    keep_mean: float = setting(1.0, f"weight of (mean w - (1 - p_e))^2; {OURS}", ge=0)
    pretrain: int = setting(0, "section 3.3; epochs of the contrastive loss alone; 50 to 100 with few labels", ge=0)
    epochs: int = setting(100, f"at most, after pre-training; {OURS}", ge=1, le=100_000)
    patience: int = setting(20, f"epochs without a better validation loss; {OURS}", ge=1)
    halve_after: int = setting(4, f"epochs without a better validation loss that halve the rate; {OURS}", ge=1)
    batch: int = setting(64, f"graphs; {OURS}", ge=2, le=65_536)
    learning_rate: float = setting(1e-3, f"Adam; {OURS}", gt=0, le=1)

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery."""
        return cls(hidden=16, layers=2, epochs=4, pretrain=1, batch=16, learning_rate=5e-3)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(hidden=32, layers=2, epochs=10, patience=5)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls(epochs=40, patience=8)

    @classmethod
    def paper(cls) -> "Config":
        """As far as the paper's sizes are known; the rest are ours."""
        return cls(epochs=300, patience=50)
