"""Claims of the drl-diagnosis study, fixed before its run."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.methods.drl_diagnosis import ATTACKS, NATURAL, jaccard, kept_of_robust, squared_cosine

GAMES = ("breakout", "space invaders")
LEARNED = 5.0  # times the score of random play, and at least one point above it
LOOKS = 1.25  # times the score of the best single action, which needs no picture: whoever does not look is robust
SCALE = (
    "paper: four Atari games of 84 x 84, 6e6 frames, one agent for each game and regime; ours: two games of MinAtar, "
    "200,000 steps, 5 agents for each game and regime, sets of 10 episodes of up to 300 steps, three repeats"
)
Statistic = Callable[[Cells], Effects]
Precondition = Callable[[Cells], str | None]


def _each(arms: Sequence[str], effect: Callable[[Cells, str, int], float]) -> Statistic:
    """One effect for each game and each seed that all arms have."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"{setting}/seed {seed}": effect(cells, setting, seed)
            for setting in GAMES
            for seed in cells.seeds(setting=setting, arms=arms)
        }

    return statistic


def _plain(effect: Callable[[Callable[[str], float]], float]) -> Statistic:
    """An effect of the plain agent's quotients by name of the set."""

    def one(cells: Cells, setting: str, seed: int) -> float:
        return effect(lambda name: cells.value(f"quotient_{name}", arm="plain", setting=setting, seed=seed))

    return _each(("plain",), one)


def _mean(quotient: Callable[[str], float], names: Sequence[str]) -> float:
    return float(np.mean([quotient(name) for name in names]))


def _robust_minus_plain(metric: str, *, log: bool = False) -> Statistic:
    def one(cells: Cells, setting: str, seed: int) -> float:
        robust, plain = (cells.value(metric, arm=arm, setting=setting, seed=seed) for arm in ("robust", "plain"))
        return math.log(max(robust, 1e-12) / max(plain, 1e-12)) if log else robust - plain

    return _each(("robust", "plain"), one)


def _directions(measure: Callable[[Any, Any], float]) -> Statistic:
    """A measure of both regimes' directions, of agents that began with the same weights."""

    def one(cells: Cells, setting: str, seed: int) -> float:
        return measure(*(_direction(cells, arm, setting, seed) for arm in ("plain", "robust")))

    return _each(("plain", "robust"), one)


def _beyond_another_training(cells: Cells) -> Effects:
    """Squared cosine of two plain agents of neighbouring seeds, minus that of the plain and the robust one."""
    found = {}
    for setting in GAMES:
        seeds = cells.seeds(setting=setting, arms=("plain", "robust"))
        for index, seed in enumerate(seeds if len(seeds) > 1 else ()):
            own = _direction(cells, "plain", setting, seed)
            control = _direction(cells, "plain", setting, seeds[(index + 1) % len(seeds)])
            robust = _direction(cells, "robust", setting, seed)
            found[f"{setting}/seed {seed}"] = squared_cosine(own, control) - squared_cosine(own, robust)
    return found


def _direction(cells: Cells, arm: str, setting: str, seed: int) -> torch.Tensor:
    return torch.as_tensor(np.asarray(cells.samples("direction", arm=arm, setting=setting, seed=seed)))


def _learned(*arms: str) -> Precondition:
    """Agents that did not learn have no policy to diagnose."""

    def precondition(cells: Cells) -> str | None:
        for setting in GAMES:
            for arm in arms:
                if not cells.seeds(setting=setting, arms=[arm]):
                    continue
                own, chance, blind = (
                    cells.values(name, arm=arm, setting=setting).mean()
                    for name in ("score", "random_score", "blind_score")
                )
                asked = max(LEARNED * chance, chance + 1.0, LOOKS * blind)
                if own < asked:
                    return (
                        f"the {arm} agents did not learn {setting}: mean score {own:.3g}, {asked:.3g} asked for; "
                        f"random play {chance:.3g}, the best single action {blind:.3g}"
                    )
        return None

    return precondition


def _robust(cells: Cells) -> str | None:
    """Both learned, and the robust agents are robust."""
    reason = _learned("plain", "robust")(cells)
    if reason is not None:
        return reason
    for setting in GAMES:
        if cells.seeds(setting=setting, arms=("plain", "robust")):
            plain, robust = (cells.values("kept", arm=arm, setting=setting).mean() for arm in ("plain", "robust"))
            asked = kept_of_robust(float(plain))
            if robust < asked or robust <= plain:
                return (
                    f"the robust agents of {setting} are not robust: under the attack they keep {robust:.2g} of their "
                    f"score above random play, the plain ones {plain:.2g}; {asked:.2g} and more than these asked for"
                )
    return None


def _claim(
    id_: str, statement: str, where: str, published: str, effect: str, statistic: Statistic, margin: float, why: str,
    *, direction: Any = "greater", reference: float = 0.0, both: bool = False, headline: bool = False,
) -> Claim:  # fmt: skip
    return Claim(
        id_, statement, where, published, effect, statistic, "seed x setting",
        ("plain", "robust") if both else ("plain",), GAMES, direction, why, SCALE, reference=reference, margin=margin,
        headline=headline, precondition=_robust if both else _learned("plain"),
    )  # fmt: skip


TABLE = "table of quotients, vanilla agents"
TWENTIETH = "0.05 of the quotient's range: less would not change what is read off a table of two digits"

CLAIMS = (
    _claim(
        "C1", "Every change of observations lowers the quotient below that of an independent run.", TABLE,
        "all of 35 entries at or below the independent run's",
        "independent run's quotient - the largest of nine changes'",
        _plain(lambda q: q("independent-run") - max(map(q, (*ATTACKS, *NATURAL)))), 0.0,
        "every one: the change that lowers it least decides", headline=True,
    ),
    _claim(
        "C2", "Natural shifts move the direction at least as much as attacks of small norm.", TABLE,
        "rotation, blur and perspective mostly below Nesterov", "mean quotient of four attacks - that of five shifts",
        _plain(lambda q: _mean(q, ATTACKS) - _mean(q, tuple(NATURAL))), 0.0,
        "at least as much: a twentieth less would still count", reference=-0.05,
    ),
    _claim(
        "C3a", "The Carlini-Wagner attack lowers the quotient most of all attacks.", TABLE,
        "lowest of the attacks in 2 of 4 games", "least quotient of the other three attacks - Carlini-Wagner's",
        _plain(lambda q: min(map(q, ATTACKS[1:])) - q("carlini-wagner")), 0.05, TWENTIETH,
    ),
    _claim(
        "C3b", "The Nesterov attack disturbs the direction least of all attacks.", TABLE,
        "highest of the attacks in 1 of 4 games", "Nesterov's quotient - the largest of the other three attacks'",
        _plain(lambda q: q("nesterov") - max(map(q, ("carlini-wagner", "elastic-net", "deepfool")))), 0.05, TWENTIETH,
    ),
    _claim(
        "C4a", "Robust training concentrates the direction on fewer inputs.", "heat maps", "pictures, no number",
        "log of the participation ratio, robust - plain", _robust_minus_plain("participation", log=True), 0.2,
        "a fifth fewer inputs: less would not be seen in a heat map", direction="less", both=True, headline=True,
    ),
    _claim(
        "C4b", "The inputs of the robust agent's direction are others than the plain agent's.", "heat maps",
        "pictures, no number", "Jaccard overlap of the sets of top 1 % of inputs", _directions(jaccard), 0.0,
        "disjoint would be 0; one chance hit in two sets of four is a seventh", direction="less",
        reference=0.15, both=True,
    ),
    _claim(
        "C4c", "They differ more than those of two plain trainings do.", NOT_IN_PAPER, NOT_IN_PAPER,
        "squared cosine of two plain agents - that of a plain and a robust one", _beyond_another_training, 0.1,
        "a tenth of the range: else another seed moves the direction as much as robust training", both=True,
    ),
    _claim(
        "C5", "Instability of robust agents comes in bursts.", "plots over time", "pictures, no number",
        "log of the gradient length's coefficient of variation, robust - plain",
        _robust_minus_plain("variation", log=True), 0.1, "a tenth more, free of the gradient's scale", both=True,
        headline=True,
    ),
    _claim(
        "C6", "The spectrum of a robust agent's direction is spread more evenly.", "Fourier plots",
        "pictures, all four games", "spectral entropy over its maximum, robust - plain",
        _robust_minus_plain("entropy"), 0.01, "entropies of such pictures lie within a tenth of 1", both=True,
        headline=True,
    ),
    _claim(
        "C7", "The mean gradient misses much of what the leading direction explains.", NOT_IN_PAPER, NOT_IN_PAPER,
        "1 - quotient of the mean gradient in its own set",
        _each(("plain",), lambda cells, setting, seed: 1.0 - cells.value(
            "mean_quotient", arm="plain", setting=setting, seed=seed
        )), 0.05, TWENTIETH,
    ),
    Claim.not_tested(
        "C8", "The same holds on four Atari games with pictures of 84 x 84.", where=TABLE,
        published="quotients of 0.04 to 0.99", needs="ale-py, 6e6 frames for each of eight agents: days on a CPU",
    ),
)  # fmt: skip
