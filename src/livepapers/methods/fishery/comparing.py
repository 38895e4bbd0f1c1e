"""Rules on the same episodes: their figures, which are the best, and the sentence that says so."""

from collections.abc import Mapping, Sequence

from torch import nn

from livepapers.core import loop
from livepapers.core.application import Row, rounded
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.ecosystem import EcosystemSimulator, Episodes
from livepapers.tasks.ecosystem_model import Ecosystem


def compare(
    simulator: EcosystemSimulator, rules: Mapping[str, nn.Module], *, episodes: int, seed: int, name: str
) -> dict[str, Episodes]:
    """All rules on the same episodes.

    Args:
        simulator: The ecosystem.
        rules: By name.
        episodes: How many.
        seed: Of the episodes, together with `name`.
        name: Of the set of episodes: "fresh", or "choosing" for those that pick the best.
    """
    start, noise = simulator.noise(episodes, make_generator(seed, "fishery", name))
    return {
        rule: simulator.run(rules[rule], start=start, noise=noise, yearly=True)
        for rule in loop.counted([*rules], name="comparing rules")
    }


def best_of(results: Mapping[str, Episodes], rules: Sequence[str]) -> tuple[str, str]:
    """(The best of the learned rules, the best of the others), by mean reward.

    The figures of what was picked flatter it: show those of episodes that did not pick.
    """
    mine = [name for name in rules if name.startswith("learned")]
    others = [name for name in rules if name not in mine]
    best = [max(names, key=lambda name: results[name].reward.mean().item()) for names in (mine, others)]
    return best[0], best[1]


def headline(results: Mapping[str, Episodes], mine: str, rival: str) -> str:
    """What learning gains over the best rule without it, with its standard error over pairs of episodes.

    Args:
        results: Of episodes that picked neither of the two.
        mine: The learned rule.
        rival: The other.
    """
    a, b = results[mine], results[rival]
    gap = a.reward - b.reward
    error = gap.std().item() / len(gap) ** 0.5
    word = "more" if gap.mean() >= 0 else "less"
    return (
        f"{mine}: reward {a.reward.mean():.4g} an episode and {100 * a.survived.double().mean():.0f} % survival, "
        f"{abs(gap.mean()):.3g} {word} (s.e. {error:.2g}) than the best rule that is not learned ({rival}: "
        f"{b.reward.mean():.4g}, {100 * b.survived.double().mean():.0f} %); other episodes chose both"
    )


def row(model: Ecosystem, name: str, done: Episodes) -> Row:
    """What the comparison's table says of a rule."""
    count = len(done.reward)
    ended = done.extinct[done.extinct >= 0]
    first = model.names[int(ended.mode().values)] if len(ended) else "none"
    assert done.yearly is not None  # asked for
    alive = done.yearly[done.survived]
    spread = (alive.std(1) / alive.mean(1).clamp(min=1e-9)).mean().item() if len(alive) and alive.shape[1] > 1 else None
    return {
        "rule": name, "reward": rounded(done.reward.mean().item()),
        "s.e.": rounded(done.reward.std().item() / count**0.5),
        "survival, %": round(100.0 * done.survived.double().mean().item(), 1), "mostly first to go": first,
        "steps": round(done.length.double().mean().item(), 1),
        "variation of a year's catch, %": None if spread is None else round(100.0 * spread, 1),
    }  # fmt: skip
