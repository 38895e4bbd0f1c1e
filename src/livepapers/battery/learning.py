"""Learning checks: better than a floor, and worse without the paper's key term."""

from livepapers.battery.check import NotApplicable, check, require
from livepapers.battery.subject import Subject

SEEDS = 5
NEEDED = 4


@check(30, slow=True)
def it_beats_the_floor(subject: Subject) -> None:
    """On its smallest task the method beats a trivial floor on at least four of five seeds."""
    _wins(subject, "FLOORS")


@check(32, slow=True)
def the_key_term_matters(subject: Subject) -> None:
    """Taking out the paper's new term makes the outcome worse on at least four of five seeds."""
    _wins(subject, "ABLATIONS")


def _wins(subject: Subject, kind: str) -> None:
    oracles = subject.oracle(kind)
    require(bool(oracles), f"battery/oracles declares no {kind}")
    if all(oracle is None for oracle in oracles.values()):
        raise NotApplicable("; ".join(oracles))
    for name, compare in oracles.items():
        pairs: list[tuple[float, float]] = []
        won = 0
        while len(pairs) < SEEDS and won < NEEDED and len(pairs) - won <= SEEDS - NEEDED:  # stop once it is decided
            pairs.append(compare(len(pairs)))
            won += pairs[-1][0] < pairs[-1][1]
        shown = ", ".join(f"{ours:.4g} against {other:.4g}" for ours, other in pairs)
        require(won >= NEEDED, f"{name}: better on {won} of {len(pairs)} seeds, {NEEDED} of {SEEDS} needed ({shown})")
