"""Settings of deep-ga."""

from typing import Literal, get_args

from livepapers.core.compiling import Compile
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError

Algorithm = Literal["ga", "ga-ns", "random"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)


@config_dataclass
class Config(Presets):
    """Settings of the search; the defaults are the laptop preset, for the hard maze."""

    algorithm: Algorithm = setting("ga", "ga: reward selects; ga-ns: novelty selects; random: nothing does")
    population: int = setting(500, "N; paper: 1,000 (Atari), 12,500 (Humanoid), 20,000 (image maze)", ge=2)
    parents: int = setting(20, "T of the truncation; paper: 20, 625, 61", ge=1)
    sigma: float = setting(0.05, "standard deviation of a mutation; paper: 0.002, 0.00224, 0.005", gt=0, le=10)
    generations: int = setting(100, "in all; paper: until 1e9 frames are spent", ge=1)
    episodes: int = setting(1, "whose mean return is an individual's fitness; paper: 1 (Humanoid 5)", ge=1)
    candidates: int = setting(10, "for the elite: the last elite and the top of the population; paper: 10", ge=1)
    validation: int = setting(30, "extra episodes of each candidate; 0: fitness decides, where nothing is random", ge=0)
    neighbours: int = setting(15, "k of the novelty; not in the paper", ge=1)
    archive_probability: float = setting(0.01, "with which a behaviour enters the archive; paper: 0.01", ge=0, le=1)
    archive_size: int = setting(2000, "most behaviours kept, then a random one goes; paper: no limit", ge=1)
    side_by_side: int = setting(500, "individuals whose networks and worlds run as one batch", ge=1)
    compile: Compile = setting(
        "never", "compiled steps in a simulator, which the first generation pays for; auto: where that can be done"
    )

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if self.parents > self.population:
            cause = "the parents are the top of the population"
            raise InputError.of(
                "parents", self.parents, expected=f"at most the population, {self.population}", cause=cause
            )

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            algorithm="ga-ns", population=12, parents=3, generations=3, candidates=3, validation=2, neighbours=3,
            archive_probability=0.2, archive_size=16,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(population=40, parents=5, generations=3)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default: 50,000 evaluations."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published settings for Atari; 1e9 frames are about a thousand generations of short games."""
        return cls(population=1000, parents=20, sigma=0.002, generations=1000, side_by_side=50)
