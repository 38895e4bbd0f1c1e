"""Settings of debatenet: how statements are counted, projected and normalised."""

from typing import Literal, get_args

from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.tasks.statements import Scope

TwoModeAggregate = Literal["ignore", "subtract", "combine"]
OneModeAggregate = Literal["congruence", "conflict", "subtract", "ignore"]
TwoModeNormalisation = Literal["none", "activity", "prominence"]
OneModeNormalisation = Literal["none", "average", "jaccard", "cosine", "cosine_count"]
Netting = Literal["statement", "actor_concept"]
Search = Literal["spectral", "greedy", "exact"]
Mode = Literal["actor", "concept"]

TWO_MODE_AGGREGATES: tuple[TwoModeAggregate, ...] = get_args(TwoModeAggregate)
AGGREGATES: tuple[OneModeAggregate, ...] = get_args(OneModeAggregate)
TWO_MODE_NORMALISATIONS: tuple[TwoModeNormalisation, ...] = get_args(TwoModeNormalisation)
NORMALISATIONS: tuple[OneModeNormalisation, ...] = get_args(OneModeNormalisation)
NETTINGS: tuple[Netting, ...] = get_args(Netting)
SEARCHES: tuple[Search, ...] = get_args(Search)

UMBRELLAS = "[1-9]00|999"
"""Codes of whole policy fields and of junk (section 3): they would connect everybody."""


@config_dataclass
class Config(Presets):
    """How the example's debate is made and read."""

    aggregate: OneModeAggregate = setting("subtract", "section 3; agreement minus conflict")
    normalise: OneModeNormalisation = setting("average", "section 3; by the mean number of statements of the two")
    netting: Netting = setting("statement", "statements as counted, or net by actor and concept as in mardyR")
    duplicates: Scope = setting("document", "one statement of a kind counts once a document")
    permutations: int = setting(200, "our choice; permuted debates behind a z score", ge=2, le=100_000)
    restarts: int = setting(20, "our choice; random starts of the greedy search", ge=1, le=10_000)
    actors: int = setting(60, "example only; actors of the generated debate", ge=4, le=100_000)
    statements: int = setting(1_200, "example only; statements of the generated debate", ge=20, le=10_000_000)

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery: at most 0.3 s."""
        return cls(permutations=10, restarts=3, actors=20, statements=300)

    @classmethod
    def smoke(cls) -> "Config":
        """At most 5 s."""
        return cls(permutations=50, restarts=5)

    @classmethod
    def laptop(cls) -> "Config":
        """The default of the study."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The paper permutes nothing: the number of permutations is ours."""
        return cls(permutations=1_000)
