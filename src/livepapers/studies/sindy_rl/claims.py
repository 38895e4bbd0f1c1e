"""Claims of the sindy-rl study, fixed before its run."""

import math
from collections.abc import Callable, Sequence

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.sindy_rl.design import TARGET

SCALE = (
    "paper: 10 million surrogate steps, PPO 5 million real steps, 20 seeds; ours: 2.5 million surrogate steps, PPO "
    "2 million real steps, 9 seeds; networks of 64 x 64 in both"
)
Value = Callable[[str, str], float]
"""(metric, arm) of one seed."""


def _each_seed(setting: str, arms: Sequence[str], reading: Callable[[Value], float]) -> Callable[[Cells], Effects]:
    """One effect a seed of a setting."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"seed {seed}": reading(lambda metric, arm: cells.value(metric, arm=arm, setting=setting, seed=seed))  # noqa: B023 - called at once
            for seed in cells.seeds(setting=setting, arms=arms)
        }

    return statistic


def _kept(value: Value) -> float:
    """The dictionary policy's return, percent of the network's."""
    return 100.0 * value("dictionary_return", "sindy") / value("return", "sindy")


def _share_learned(value: Value) -> float:
    """Gain over random actions with a learned reward, percent of that with the known one."""
    floor = value("return", "random")
    return 100.0 * (value("return", "sindy") - floor) / (value("return", "known reward") - floor)


def _swung_up(cells: Cells) -> str | None:
    """The precondition that the quadratic surrogate taught anything: half of the target in most seeds."""
    returns = cells.values("return", arm="sindy", setting="swing-up")
    poor = int((returns < TARGET / 2).sum())
    many = len(returns) > 0 and poor > len(returns) // 2
    return f"in {poor} of {len(returns)} seeds sindy returns less than {TARGET / 2:g}" if many else None


def _pendulum_learned(cells: Cells) -> str | None:
    """The precondition that the known reward teaches: less than half of the loss of random actions in most seeds."""
    floor, found = (cells.values("return", arm=arm, setting="pendulum") for arm in ("random", "known reward"))
    if not len(floor) or not len(found):
        return None
    poor = int((found < floor.mean() / 2).sum())
    many = poor > len(found) // 2
    return f"in {poor} of {len(found)} seeds the known reward does not teach to swing up" if many else None


CLAIMS = (
    Claim(
        "C1", "A quadratic surrogate needs ten times fewer real steps than model-free PPO to swing the pole up.",
        "results, swing-up; summary", "10 to 100 times fewer", "log10 of real steps of ppo over those of sindy to a "
        "20-episode mean return of 700; 2 million where it is never reached",
        _each_seed("swing-up", ("sindy", "ppo"),
                   lambda value: math.log10(value("steps_to_target", "ppo") / value("steps_to_target", "sindy"))),
        "seed", ("sindy", "ppo"), ("swing-up",), "greater",
        "1 is ten times, the lower end of what the authors say; a surrogate that never gets there counts as 0 or less",
        SCALE, reference=1.0, headline=True,
    ),
    Claim(
        "C2a", "A linear surrogate fails at the swing-up.", "results, swing-up, Dyna with linear models",
        "fails, shown in a figure", "return with the linear surrogate, % of that with the quadratic one",
        _each_seed("swing-up", ("sindy", "linear"),
                   lambda value: 100.0 * value("return", "linear") / value("return", "sindy")),
        "seed", ("sindy", "linear"), ("swing-up",), "less", "half, fixed beforehand", SCALE, reference=50.0,
        headline=True, precondition=_swung_up,
    ),
    Claim(
        "C2b", "At equally many real steps a surrogate of neural networks is worse than the quadratic one.",
        "results, swing-up, Dyna with neural networks", "worse or later, shown in a figure",
        "return with the quadratic surrogate less that with networks, the same real steps",
        _each_seed("swing-up", ("sindy", "neural"), lambda value: value("return", "sindy") - value("return", "neural")),
        "seed", ("sindy", "neural"), ("swing-up",), "greater", "0 is as good; 50 is a twentieth of the largest return",
        SCALE, margin=50.0, precondition=_swung_up,
    ),
    Claim(
        "C3", "The reward can be learned, too.", "results, swimmer", "learned reward works, shown in a figure",
        "gain over random actions with a learned reward, % of that with the known one",
        _each_seed("pendulum", ("sindy", "known reward", "random"), _share_learned), "seed",
        ("sindy", "known reward", "random"), ("pendulum",), "greater", "80 %, fixed beforehand",
        "paper: swimmer, 5 million surrogate steps; ours: pendulum, 82 thousand", reference=80.0,
        precondition=_pendulum_learned,
    ),
    Claim(
        "C4a", "A cubic dictionary policy, 55 terms at most, returns about as much as the network it is made from.",
        "results, dictionary policies", "comparable", "return of the dictionary policy, % of the network's on the same "
        "episodes",
        _each_seed("swing-up", ("sindy",), _kept), "seed", ("sindy",), ("swing-up",), "greater",
        "90 %, fixed beforehand", SCALE, reference=90.0, headline=True, precondition=_swung_up,
    ),
    Claim(
        "C4b", "The dictionary policy is much cheaper than the network.", "results, dictionary policies",
        "55 terms against about 4,900 parameters", "microseconds an action of the network over those of the dictionary",
        _each_seed("cost", ("sindy",), lambda value: value("speedup", "sindy")), "seed", ("sindy",), ("cost",),
        "greater", "5, fixed beforehand; timed in batches, so that the interpreter does not decide",
        "the same network and dictionary as in the paper", reference=5.0,
    ),
    Claim(
        "C4c", "The dictionary policy is smoother than the network.", "results, dictionary policies",
        "smoother, shown in a figure", "mean |change of action| of the dictionary policy, % of the network's",
        _each_seed("swing-up", ("sindy",),
                   lambda value: 100.0 * value("dictionary_change", "sindy") / value("policy_change", "sindy")),
        "seed", ("sindy",), ("swing-up",), "less", "100 % is as smooth", SCALE, reference=100.0,
        precondition=_swung_up,
    ),
    Claim(
        "C5", "The spread of the ensemble shows where the model is not to be trusted.", "results, uncertainty",
        "shown in figures", "Spearman's correlation of spread and one-step error on 20 episodes that were not fitted",
        _each_seed("swing-up", ("sindy",), lambda value: value("spread_correlation", "sindy")), "seed", ("sindy",),
        ("swing-up",), "greater", "0.3, fixed beforehand", SCALE, reference=0.3, precondition=_swung_up,
    ),
    Claim(
        "L1", "Keeping the policy of the best real return matters: the last one returns less.",
        "our question: the surrogate can be exploited", NOT_IN_PAPER, "return of the kept policy less that of the last",
        _each_seed("swing-up", ("sindy",), lambda value: value("return", "sindy") - value("last_return", "sindy")),
        "seed", ("sindy",), ("swing-up",), "greater", "0 is no use; 50 is a twentieth of the largest return", SCALE,
        margin=50.0, precondition=_swung_up,
    ),
    Claim.not_tested(
        "C6", "A learned reward makes swimming possible, and the method scales to the control of fluid flows.",
        where="results, swimmer, cylinder, airfoil", published="shown in figures",
        needs="minutes to hours of a flow solver (Firedrake, or a GPU) for each real step budget",
    ),
)  # fmt: skip
