"""Claims of the fishery study, fixed before its run."""

from collections.abc import Callable, Sequence

from livepapers.lab.study import Cells, Claim, Effects
from livepapers.studies.fishery.design import LEARNED, PERTURBATION

PERTURBED = f"perturbed-{PERTURBATION:g}"
SCALE = (
    "paper: 300 RLlib iterations of 4,000 steps (one species: 100), rules chosen and judged on the same 100 episodes, "
    "one training; ours: 1.2 million steps (model 2: 0.6 million), 1,000 fresh episodes, 10 trainings"
)
Reading = Callable[[Callable[[str, str], float]], float]
"""From `value(metric, arm)` of one seed to an effect."""


def _each_seed(setting: str, arms: Sequence[str], reading: Reading) -> Callable[[Cells], Effects]:
    """One effect a seed of a setting."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"seed {seed}": reading(lambda metric, arm: cells.value(metric, arm=arm, setting=setting, seed=seed))  # noqa: B023 - called at once
            for seed in cells.seeds(setting=setting, arms=arms)
        }

    return statistic


def _more(ours: str, other: str) -> Reading:
    """By how much our reward is above the other's, percent of the other's."""
    return lambda value: 100.0 * (value("reward", ours) / value("reward", other) - 1.0)


def _safer(ours: str, other: str) -> Reading:
    """By how much our survival is above the other's, percentage points."""
    return lambda value: value("survival_percent", ours) - value("survival_percent", other)


def _spread(value: Callable[[str, str], float]) -> float:
    rewards = [value("reward", arm) for arm in FOUR]
    return 100.0 * (max(rewards) - min(rewards)) / max(rewards)


def _explained(value: Callable[[str, str], float]) -> float:
    return min(value(f"explained_{species}_Z_percent", "ppo") for species in ("X", "Y"))


def _first_to_go(cells: Cells) -> Effects:
    """Per seed, the share of early ends in which Z went first, percent; seeds without an early end are left out."""
    return {
        f"seed {seed}": cells.value("first_Z_percent", arm="ppo", setting="model-3", seed=seed)
        for seed in cells.seeds(setting="model-3", arms=["ppo"])
        if cells.value("early_ends", arm="ppo", setting="model-3", seed=seed) > 0
    }


def _learned(setting: str) -> Callable[[Cells], str | None]:
    """The precondition that PPO learned at all: in most seeds more reward than textbook and no fishing."""

    def reason(cells: Cells) -> str | None:
        textbook, idle, rewards = (
            cells.values("reward", arm=arm, setting=setting) for arm in ("textbook", "no fishing", "ppo")
        )
        if not len(textbook) or not len(idle) or not len(rewards):
            return None
        worse = int((rewards <= max(textbook.mean(), idle.mean())).sum())
        many = worse > len(rewards) // 2
        return f"in {worse} of {len(rewards)} seeds PPO earns no more than the better floor" if many else None

    return reason


FOUR = (*LEARNED, "mortality", "escapement")
NAMES = {"ppo": "PPO", "ppo+gp": "PPO smoothed by the Gaussian process"}


def _beats(claim: str, setting: str, published: dict[str, str], *, model: str) -> tuple[Claim, ...]:
    """The claims of one model on both learned arms: more reward than tuned constant mortality, and no less survival."""
    made = []
    for letter, arm in zip("ab", LEARNED, strict=True):
        made.append(
            Claim(
                f"{claim}{letter}", f"In {model} {NAMES[arm]} earns more than the tuned constant mortality.",
                "results, table of rewards and survival", published[arm],
                "reward above that of constant mortality on the same fresh episodes, %",
                _each_seed(setting, (arm, "mortality"), _more(arm, "mortality")), "seed", (arm, "mortality"),
                (setting,), "greater",
                "3 %, fixed beforehand; far above the standard error of 1,000 episodes (0.5 %)", SCALE,
                reference=3.0, headline=True, precondition=_learned(setting),
            )
        )  # fmt: skip
    made.append(
        Claim(
            f"{claim}c", f"In {model} the learned rule keeps all species at least as often as constant mortality.",
            "results, table of rewards and survival", published["survival"],
            "survival of ppo less that of constant mortality, percentage points",
            _each_seed(setting, ("ppo", "mortality"), _safer("ppo", "mortality")), "seed", ("ppo", "mortality"),
            (setting,), "greater", "0 is as safe; two points are twice the standard error of 1,000 episodes", SCALE,
            margin=2.0, precondition=_learned(setting),
        )
    )  # fmt: skip
    made.append(
        Claim(
            f"{claim}d", f"In {model} constant mortality earns far more than constant escapement.",
            "results, table of rewards and survival", published["escapement"],
            "reward of constant mortality above that of constant escapement, %",
            _each_seed(setting, ("mortality", "escapement"), _more("mortality", "escapement")), "seed",
            ("mortality", "escapement"), (setting,), "greater", "15 %, fixed beforehand", SCALE, reference=15.0,
        )
    )  # fmt: skip
    return tuple(made)


CLAIMS = (
    Claim(
        "C1a", "With one species the learned rule does not fish in a window below its threshold.",
        "results, model 1", "zero harvest below about 0.48 to 0.52", "width of the window without fishing (M <= 0.02)",
        _each_seed("model-1", ("ppo",), lambda value: value("quiet_width", "ppo")), "seed", ("ppo",), ("model-1",),
        "greater", "0.1 of the capacity, fixed beforehand", SCALE, reference=0.1,
        precondition=_learned("model-1"),
    ),
    Claim(
        "C1b", "With one species the learned threshold is that of the tuned constant escapement.",
        "results, model 1", "0.48 to 0.52", "threshold of ppo less the tuned escapement",
        _each_seed("model-1", ("ppo", "escapement"),
                   lambda value: value("threshold", "ppo") - value("threshold", "escapement")),
        "seed", ("ppo", "escapement"), ("model-1",), "equal", "0.06, fixed beforehand", SCALE, margin=0.06,
        precondition=_learned("model-1"),
    ),
    Claim(
        "C1c", "With one species the learned rule earns about as much as the tuned constant escapement.",
        "results, model 1", "1.72 against 1.98: 87 %", "reward of ppo, % of that of constant escapement",
        _each_seed("model-1", ("ppo", "escapement"),
                   lambda value: 100.0 * value("reward", "ppo") / value("reward", "escapement")),
        "seed", ("ppo", "escapement"), ("model-1",), "greater",
        "90 %, fixed beforehand; the one training of the paper reached 87 %", SCALE, reference=90.0,
        headline=True,
    ),
    Claim(
        "C1d", "With one species constant mortality is far worse than constant escapement.",
        "results, model 1", "0.88 against 1.98: 44 %", "reward of constant mortality, % of that of constant escapement",
        _each_seed("model-1", ("mortality", "escapement"),
                   lambda value: 100.0 * value("reward", "mortality") / value("reward", "escapement")),
        "seed", ("mortality", "escapement"), ("model-1",), "less", "half; the paper's ratio is 44 %", SCALE,
        reference=50.0,
    ),
    Claim(
        "C2", "With one fished species of three all four rules earn about the same.",
        "results, model 2", "19.5 to 19.9: within 2 %", "best less worst mean reward of the four rules, % of the best",
        _each_seed("model-2", FOUR, _spread), "seed", FOUR, ("model-2",), "less", "4 %, fixed beforehand",
        SCALE, reference=4.0, headline=True,
    ),
    *_beats("C3", "model-3",
            {"ppo": "66.8 against 62.3: +7 %", "ppo+gp": "68.8 against 62.3: +10 %", "survival": "0.88 against 0.75",
             "escapement": "62.3 against 48.4: +29 %"}, model="model 3"),
    *_beats("C4", "model-4",
            {"ppo": "48.8 against 44.5: +10 %", "ppo+gp": "49.4 against 44.5: +11 %", "survival": "0.94 against 0.80",
             "escapement": "44.5 against 36.8: +21 %"}, model="model 4"),
    Claim(
        "C5a", "Four fifths of the best constant mortality keep all species almost always.",
        "appendix, trade-off, model 4", "1.00 at 0.8 times the optimum", "survival at 0.8 times the tuned mortality, %",
        _each_seed("model-4", ("0.8 mortality",), lambda value: value("survival_percent", "0.8 mortality")), "seed",
        ("0.8 mortality",), ("model-4",), "greater", "98 %, fixed beforehand", SCALE, reference=98.0,
    ),
    Claim(
        "C5b", "This safety costs about a seventh of the catch.",
        "appendix, trade-off, model 4", "37.7 against 43.8: 14 %", "reward lost at 0.8 times the tuned mortality, %",
        _each_seed("model-4", ("mortality", "0.8 mortality"),
                   lambda value: -_more("0.8 mortality", "mortality")(value)),
        "seed", ("mortality", "0.8 mortality"), ("model-4",), "equal", "10 to 18 %, fixed beforehand", SCALE,
        reference=14.0, margin=4.0,
    ),
    Claim(
        "C5c", "The learned rule avoids the trade-off: it is about as safe as four fifths of the best mortality.",
        "discussion; table of rewards and survival, model 4", "0.94 and 0.98 against 1.00",
        "survival of ppo less that of 0.8 times the tuned mortality, percentage points",
        _each_seed("model-4", ("ppo", "0.8 mortality"), _safer("ppo", "0.8 mortality")), "seed",
        ("ppo", "0.8 mortality"), ("model-4",), "greater", "6 points less, the paper's own worse case", SCALE,
        reference=-6.0, precondition=_learned("model-4"),
    ),
    Claim(
        "C6", "The advantage over constant escapement survives wrong parameters.",
        "robustness analysis", "mean gain 9.5 at s = 0.12", "reward of ppo less that of constant escapement, both "
        "tuned on the same perturbed model",
        _each_seed(PERTURBED, ("ppo", "escapement"),
                   lambda value: value("reward", "ppo") - value("reward", "escapement")),
        "seed", ("ppo", "escapement"), (PERTURBED,), "greater", "half of the published gain",
        "paper: 100 parameter sets at each of five sizes; ours: 10 sets at one, 0.6 million steps", margin=4.75,
        headline=True,
    ),
    Claim(
        "C7a", "The learned escapements of X and Y depend on Z.",
        "results, figure of the control rule", "shown in a figure",
        "what Z explains of the variance that the other fished species leaves, %, the lower of X's escapement and Y's",
        _each_seed("model-3", ("ppo",), _explained), "seed", ("ppo",), ("model-3",), "greater",
        "a quarter: less would be a rule that mostly follows something else", SCALE, reference=25.0,
        precondition=_learned("model-3"),
    ),
    Claim(
        "C7b", "Most early ends are extinctions of Z, which nobody fishes.",
        "discussion", "most", "share of the early ends of ppo in which Z went first, %", _first_to_go, "seed", ("ppo",),
        ("model-3",), "greater", "60 %, fixed beforehand", SCALE, reference=60.0,
        precondition=_learned("model-3"),
    ),
    Claim(
        "L1", "PPO earns more than an escapement that is linear in the other species.",
        "our question: how much of the gain is looking at the others", "not in the paper",
        "reward of ppo above that of linear escapement, %",
        _each_seed("model-3", ("ppo", "linear escapement"), _more("ppo", "linear escapement")), "seed",
        ("ppo", "linear escapement"), ("model-3",), "greater", "0 is no gain; 1 % is twice the standard error", SCALE,
        margin=1.0,
    ),
    Claim(
        "L2", "Seeing Z, which nobody fishes, is worth something to the learned rule.",
        "our question: does it depend on Z to its profit", "not in the paper",
        "reward of ppo above that of ppo without Z, %", _each_seed("model-3", ("ppo", "ppo without Z"),
                                                                   _more("ppo", "ppo without Z")),
        "seed", ("ppo", "ppo without Z"), ("model-3",), "greater",
        "0 is no gain; 1 % is twice the standard error", SCALE, margin=1.0, precondition=_learned("model-3"),
    ),
)  # fmt: skip
