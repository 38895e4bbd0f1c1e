"""Claims of the deep-ga study, fixed before its run."""

from collections.abc import Callable
from typing import TypeAlias

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects

Precondition: TypeAlias = Callable[[Cells], str | None]
MAZE_SCALE = (
    "paper: 84 x 84 images, 4 million weights, 20,000 individuals; ours: eleven sensors, 498 weights, 500 individuals, "
    "50,000 evaluations, 10 seeds"
)
CONTROL_SCALE = (
    "paper: 13 Atari games, 4 million weights, 1e9 frames, 5 runs; ours: two control tasks, networks of 16-16, 4,000 "
    "episodes for every arm, validation included, 500 fresh episodes, 10 seeds"
)
ATARI_SCALE = (
    "paper: 1,000 individuals a generation, 4 million weights, 1e9 frames, 5 runs; ours: 200 individuals in all, a "
    "million weights, about a million frames, 7 seeds"
)


def _each(metric: str, *, arm: str, setting: str) -> Callable[[Cells], Effects]:
    """The metric of each seed."""

    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=[arm])
        return {f"seed {seed}": cells.value(metric, arm=arm, setting=setting, seed=seed) for seed in seeds}

    return statistic


def _more(metric: str, ours: str, other: str, *, setting: str, unit: float = 1.0) -> Callable[[Cells], Effects]:
    """Per seed, our metric minus the other's, in the unit."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"seed {seed}": unit * (
                cells.value(metric, arm=ours, setting=setting, seed=seed)
                - cells.value(metric, arm=other, setting=setting, seed=seed)
            )
            for seed in cells.seeds(setting=setting, arms=[ours, other])
        }  # fmt: skip

    return statistic


def _optimism(cells: Cells) -> Effects:
    """Per seed, by how much the elite's validated mean overstates what it earns on fresh episodes."""
    values = {
        seed: [cells.value(name, arm="ga", setting="pendulum", seed=seed) for name in ("validated", "fresh")]
        for seed in cells.seeds(setting="pendulum", arms=["ga"])
    }
    return {f"seed {seed}": valid - fresh for seed, (valid, fresh) in values.items()}


def _beats_random(metric: str, arm: str, *, setting: str, sign: float = 1.0) -> Precondition:
    """Nothing is won against a rival that did worse than chance in the same number of evaluations."""

    def precondition(cells: Cells) -> str | None:
        seeds = cells.seeds(setting=setting, arms=[arm, "random"])
        if not seeds:
            return None
        theirs, chance = (
            cells.values(metric, arm=name, setting=setting, seeds=seeds).mean() for name in (arm, "random")
        )
        if sign * theirs > sign * chance:
            return None
        return f"{arm} did not learn: {theirs:.4g} on average, random search {chance:.4g}"

    return precondition


def _never(
    claim: str, arm: str, name: str, *, headline: bool = False, precondition: Precondition | None = None
) -> Claim:
    return Claim(
        claim, f"{name} does not solve the deceptive maze.", "image hard maze", "never",
        "share of runs that reach the goal", _each("solved", arm=arm, setting="maze"), "seed", (arm,), ("maze",),
        "less", "half: solved in fewer than every second run, fixed beforehand", MAZE_SCALE, reference=0.5,
        headline=headline, precondition=precondition,
    )  # fmt: skip


CLAIMS = (
    Claim.not_tested(
        "C1", "At 1e9 frames the genetic algorithm is the best of four on 3 of 13 Atari games.",
        where="table of Atari scores", published="3 of 13", needs="a cluster: 1e9 frames a game and algorithm",
    ),
    Claim(
        "C2a", "Evolution beats random search at equal evaluations, where reward is dense.",
        "table of Atari scores", "13 of 13 games", "return of the elite on fresh episodes above random search's",
        _more("fresh", "ga", "random", setting="pendulum"), "seed", ("ga", "random"), ("pendulum",), "greater",
        "0 is no gain; 50 are 3 % of the range of returns", CONTROL_SCALE, margin=50.0, headline=True,
    ),
    Claim(
        "C2b", "Evolution is no worse than random search at equal evaluations, where reward is sparse.",
        "table of Atari scores", "13 of 13 games", "return of the elite on fresh episodes above random search's",
        _more("fresh", "ga", "random", setting="mountain-car"), "seed", ("ga", "random"), ("mountain-car",),
        "greater", "5 points less, of 200, still count as no worse", CONTROL_SCALE, reference=-5.0,
    ),
    Claim(
        "C2c", "The genetic algorithm is competitive with the evolution strategy at equal evaluations.",
        "title; table of Atari scores", "better on 6 of 13 games", "return on fresh episodes above the strategy's",
        _more("fresh", "ga", "es", setting="pendulum"), "seed", ("ga", "es"), ("pendulum",), "greater",
        "100 less, 6 % of the range of returns, still count as competitive", CONTROL_SCALE, reference=-100.0,
        precondition=_beats_random("fresh", "es", setting="pendulum"),
    ),
    Claim(
        "C2d", "On Frostbite evolution beats random search at equal evaluations.", "table of Atari scores",
        "4,536 against 1,164", "score of the elite on fresh episodes above random search's",
        _more("fresh", "ga", "random", setting="frostbite"), "seed", ("ga", "random"), ("frostbite",), "greater",
        "0: the published direction; so few frames promise no more", ATARI_SCALE,
    ),
    Claim(
        "C2e", "Random search alone finds a network that plays Frostbite far better than chance.",
        "table of Atari scores", "1,164", "score of the best of 200 random networks on fresh episodes",
        _each("fresh", arm="random", setting="frostbite"), "seed", ("random",), ("frostbite",), "greater",
        "130: twice what random actions score", ATARI_SCALE, reference=130.0,
    ),
    Claim.not_tested(
        "C3", "On some Atari games good individuals appear within tens of generations.", where="results, Atari",
        published="1 to tens of generations", needs="Atari (ale-py) at the full population of 1,000",
    ),
    Claim(
        "C4a", "In the deceptive maze novelty search comes closer to the goal than reward does.", "image hard maze",
        "solved against stuck", "distance of the best individual under reward, minus that under novelty, units",
        _more("distance", "ga-ns", "ga", setting="maze", unit=-1.0), "seed", ("ga-ns", "ga"), ("maze",), "greater",
        "10 units: the size of the goal", MAZE_SCALE, margin=10.0, headline=True,
    ),
    Claim(
        "C4b", "Novelty search solves it.", "image hard maze", "always", "share of runs that reach the goal",
        _each("solved", arm="ga-ns", setting="maze"), "seed", ("ga-ns",), ("maze",), "greater",
        "half: solved in more than every second run, fixed beforehand", MAZE_SCALE, reference=0.5,
    ),
    _never("C4c", "ga", "The genetic algorithm selected by reward", headline=True),
    _never(
        "C4d", "es", "The evolution strategy",
        precondition=_beats_random("distance", "es", setting="maze", sign=-1.0),
    ),
    _never("C4e", "random", "Random search"),
    Claim.not_tested(
        "C4f", "Neither DQN nor A2C solve it.", where="image hard maze", published="never",
        needs="a discretised action set for the maze and trainings of both",
    ),
    Claim(
        "C5a", "Lists of seeds, ten and a hundred generations long, compress networks 10,000-fold.", "compact encoding",
        "up to 10,000-fold",
        "generations after which the genome is still 10,000 times smaller than the weights",
        _each("generations_10000", arm="ga", setting="encoding"), "exact", ("ga",), ("encoding",), "greater",
        "100: a search of the published length has lists no longer than that", "the paper's Large network, sigma "
        "included; a list grows by 4 bytes a generation, so there is a length at which the factor is lost",
        reference=100.0,
    ),
    Claim(
        "C5b", "Another process rebuilds every bit.", "compact encoding", "implied",
        "1 where the hash of all weights agrees", _each("rebuilt", arm="ga", setting="encoding"), "exact", ("ga",),
        ("encoding",), "equal", "a bit agrees or it does not", "100 generations of the Large network",
        reference=1.0, margin=1e-9,
    ),
    Claim.not_tested(
        "C6", "A billion Atari frames take about four hours on one desktop.", where="abstract",
        published="4 h on 48 cores, 1 h on 720", needs="48 cores and Atari (ale-py)",
    ),
    Claim.not_tested(
        "C7", "On Humanoid the genetic algorithm reaches gaits like those of ES, with more computation.",
        where="results, Humanoid", published="about 6,000, at 15 times the computation",
        needs="Humanoid (MuJoCo) and 12,500 individuals a generation",
    ),
    Claim(
        "L1", "The validated mean of the elite says what it earns on fresh episodes.",
        "our question: the elite is the best of ten on ten episodes each, so its mean is too high", NOT_IN_PAPER,
        "validated mean of the elite minus its mean on fresh episodes, return", _optimism, "seed", ("ga",),
        ("pendulum",), "equal", "50: 3 % of the range of returns", CONTROL_SCALE, margin=50.0,
    ),
)  # fmt: skip
