"""The settings of the method, with their sources."""

from typing import Literal

from livepapers.core.config import Presets, config_dataclass, setting

ModelName = Literal["gbt", "rf", "et", "logit", "knn", "mlp"]


@config_dataclass
class Config(Presets):
    """How links and flows are learned and judged, and the size of the generated example."""

    link_model: ModelName = setting("gbt", "section 3.2 of our reading: tree ensembles; which library is incidental")
    flow_model: ModelName = setting("gbt", "as link_model")
    threshold: float = setting(1.0, "people (or whatever a flow counts); the least flow that makes a link", gt=0)
    negatives: float = setting(1.0, "unlinked pairs for each linked one; 1 is the paper's balance", gt=0, le=1_000)
    folds: int = setting(10, "the paper's cross-validation", ge=2, le=100)
    trees: int = setting(100, "our choice; the paper does not say", ge=1, le=10_000)
    tuning_rows: int = setting(2_400, "our choice; pairs on which each of four settings is tried", ge=20, le=1_000_000)
    repeats: int = setting(5, "our choice; shuffles for the importance of an indicator", ge=1, le=1_000)
    places: int = setting(60, "example only; places of the generated country", ge=20, le=10_000)

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery: at most 0.3 s."""
        return cls(link_model="logit", flow_model="logit", trees=5, tuning_rows=200, places=30, repeats=1, folds=2)

    @classmethod
    def smoke(cls) -> "Config":
        """At most 5 s."""
        return cls(trees=20, tuning_rows=400, places=40, repeats=2, folds=3)

    @classmethod
    def laptop(cls) -> "Config":
        """The default of the study."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """Twice the trees and all pairs for tuning; the paper names neither."""
        return cls(trees=200, tuning_rows=20_000, repeats=20)
