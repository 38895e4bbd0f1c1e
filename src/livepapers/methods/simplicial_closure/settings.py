"""The settings of the method, with their sources."""

from livepapers.core.config import Presets, config_dataclass, setting

COMPARED = (
    *("harmonic", "geometric", "arithmetic", "common", "jaccard", "adamic_adar", "proj_pa", "simplex_pa"),
    *("katz", "katz_weighted", "ppr", "ppr_weighted", "simplicial_ppr", "logistic"),
)


@config_dataclass
class Config(Presets):
    """How the prediction task is cut and scored, and the size of the generated example."""

    split: float = setting(80.0, "section 3.2; percentile of the times at which the old data end", gt=0, lt=100)
    validation: float = setting(
        60.0, "section 3.2; percentile at which the supervised model's old data end", gt=0, lt=100
    )
    damping: float = setting(0.85, "section 3.4; alpha of both PageRanks", gt=0, lt=1)
    katz_share: float = setting(0.25, "section 3.4; Katz: beta times the largest singular value", gt=0, lt=1)
    regularisation: float = setting(1.0, "section 3.4; C of the logistic regression, an inverse strength", gt=0)
    scores: tuple[str, ...] = setting(COMPARED, "section 3.4; names as in `SCORES`, gm:p, or logistic")
    resamples: int = setting(200, "our choice; bootstrap resamples of the triangles", ge=2, le=100_000)
    groups: int = setting(60, "example only; friend groups of the generated world", ge=3, le=10_000)
    events: int = setting(6_000, "example only; pair meetings of the generated world", ge=50, le=10_000_000)

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery: at most 0.3 s."""
        return cls(groups=20, events=800, resamples=20)

    @classmethod
    def smoke(cls) -> "Config":
        """At most 5 s."""
        return cls(groups=30, events=2_000, resamples=50)

    @classmethod
    def laptop(cls) -> "Config":
        """The default of the study."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published values; the number of resamples is ours, the paper has none."""
        return cls(resamples=1_000)
