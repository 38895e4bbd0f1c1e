"""Claims of the ospo study, fixed before its run; all but Q8 stood before any figure of version 1 was read."""

from collections.abc import Callable

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.ospo.design import DEAD_ZONES, SCENARIOS

SCALE = (
    "paper: 1,000 vehicles, 123 orders a minute, at least 1,000 episodes at 1e-5, July 2024; ours: 200 vehicles, 24.7 "
    "orders a minute, 120 episodes, business days of 2018; ten pairs in the evening, two in the morning, two late"
)
NONE = "0 is no difference; 1 % is what an operator would notice"
Value = Callable[[str], float]
"""A metric of one arm, in one setting and seed, by `arm`."""


def pairs(
    settings: tuple[str, ...], arms: tuple[str, ...], metric: str, effect: Callable[[Value], float]
) -> Callable[[Cells], Effects]:
    """One effect for each seed of each setting in which all arms were measured."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"{setting}/seed {seed}": effect(lambda arm: cells.value(metric, arm=arm, setting=setting, seed=seed))  # noqa: B023 - called at once
            for setting in settings
            for seed in cells.seeds(setting=setting, arms=arms)
        }

    return statistic


def gain(ours: str, other: str) -> Callable[[Value], float]:
    """By how much ours is above the other, %."""
    return lambda value: 100.0 * (value(ours) / value(other) - 1.0)


def rise(cells: Cells) -> Effects:
    """By how much the greedy reward of OSPO rises from its first check to the network that is kept, %."""
    found = {}
    for setting in SCENARIOS:
        for seed in cells.seeds(setting=setting, arms=("ospo",)):
            first = float(cells.curve("first", arm="ospo", setting=setting, seed=seed)[1][0])
            kept = cells.value("reward", arm="ospo", setting=setting, seed=seed)
            found[f"{setting}/seed {seed}"] = 100.0 * (kept / first - 1.0)
    return found


def last_third(cells: Cells) -> Effects:
    """By how much the network of OSPO that would be kept gains in the last third of its training, %."""
    found = {}
    for seed in cells.seeds(setting="evening", arms=("ospo",)):
        *_, before, end = cells.curve("kept", arm="ospo", setting="evening", seed=seed)[1]
        found[f"evening/seed {seed}"] = 100.0 * (float(end) / float(before) - 1.0)
    return found


def learned(arms: tuple[str, ...], settings: tuple[str, ...]) -> Callable[[Cells], str | None]:
    """A precondition: in each setting, each arm earns more than random matchings on average."""

    def check(cells: Cells) -> str | None:
        for setting in settings:
            floor = cells.values("reward", arm="random", setting=setting)
            for arm in arms:
                rewards = cells.values("reward", arm=arm, setting=setting)
                if len(rewards) and len(floor) and rewards.mean() <= floor.mean():
                    return f"{arm} did not learn: {setting} {rewards.mean():.5g}, random {floor.mean():.5g}"
        return None

    return check


def _beats(claim_id: str, ours: str, other: str, *, name: str) -> Claim:
    return Claim(
        claim_id, f"{ours.upper()} earns more than {name}.", "experiments; v1 in most scenarios, v2 in all",
        "tables not found", f"reward of {ours} above that of {other}, %",
        pairs(SCENARIOS, (ours, other), "reward", gain(ours, other)), "seed x setting", (ours, other), SCENARIOS,
        "greater", "0 is no difference, as in the paper's ranking", SCALE, headline=True,
        precondition=learned((ours, other), SCENARIOS),
    )  # fmt: skip


def _against_rule(claim_id: str, rule: str, statement: str) -> Claim:
    return Claim(
        claim_id, statement, "our question: what an operator would compare with", NOT_IN_PAPER,
        f"reward of ospo, % of that of the {rule}",
        pairs(SCENARIOS, ("ospo", rule), "reward", lambda value: 100.0 * value("ospo") / value(rule)), "seed x setting",
        ("ospo", rule), SCENARIOS, "greater", "100 % is as good", SCALE, reference=100.0,
    )  # fmt: skip


def _variant(claim_id: str, rival: str, statement: str, *, where: str, published: str = NOT_IN_PAPER) -> Claim:
    return Claim(
        claim_id, statement, where, published, f"reward of ospo above that of {rival}, %",
        pairs(("evening",), ("ospo", rival), "reward", gain("ospo", rival)), "seed", ("ospo", rival), ("evening",),
        "greater", NONE, f"{SCALE}; {rival} has the rates and exploration of ospo, not its own", margin=1.0,
        precondition=learned(("ospo",), ("evening",)),
    )  # fmt: skip


def _width(claim_id: str, width: int) -> Claim:
    arm = f"ospo, width {width}"
    return Claim(
        claim_id, f"A plain three-layer network suffices: hidden layers of {width} do as well as those of 128.",
        "experiments, network", "stated, no ablation found", f"reward at width {width} above that at 128, %",
        pairs(("evening",), ("ospo", arm), "reward", gain(arm, "ospo")), "seed", ("ospo", arm), ("evening",), "equal",
        "2 %, fixed beforehand", SCALE, margin=2.0, precondition=learned(("ospo", arm), ("evening",)),
    )  # fmt: skip


CRITICS = ("ippo", "ddqn")
CLAIMS = (
    _beats("C1a", "ospo", "ippo", name="independent PPO with a critic"),
    _beats("C1b", "ospo", "ddqn", name="independent double Q-learning"),
    _beats("C1c", "grpo", "ippo", name="independent PPO with a critic"),
    _beats("C1d", "grpo", "ddqn", name="independent double Q-learning"),
    Claim(
        "C1e", "OSPO picks passengers up sooner than learners with value networks.",
        "experiments", "tables not found", "minutes to pick-ups of ospo less those of the better of ippo and ddqn",
        pairs(SCENARIOS, ("ospo", *CRITICS), "pickup_minutes",
              lambda value: value("ospo") - min(value(arm) for arm in CRITICS)),
        "seed x setting", ("ospo", *CRITICS), SCENARIOS, "less", "0 is no difference", SCALE,
        precondition=learned(("ospo", *CRITICS), SCENARIOS),
    ),
    Claim(
        "C1f", "OSPO serves more orders than learners with value networks.",
        "experiments", "tables not found", "orders served by ospo less those by the better of ippo and ddqn, points",
        pairs(SCENARIOS, ("ospo", *CRITICS), "served_percent",
              lambda value: value("ospo") - max(value(arm) for arm in CRITICS)),
        "seed x setting", ("ospo", *CRITICS), SCENARIOS, "greater", "0 is no difference", SCALE,
        precondition=learned(("ospo", *CRITICS), SCENARIOS),
    ),
    Claim(
        "C2", "One step is enough: OSPO earns more than GRPO.", "experiments, v2: in all scenarios",
        "released logs, evening: 14,077 against 13,614, +3.4 %", "reward of ospo above that of grpo, %",
        pairs(SCENARIOS, ("ospo", "grpo"), "reward", gain("ospo", "grpo")), "seed x setting", ("ospo", "grpo"),
        SCENARIOS, "greater", NONE, SCALE, margin=1.0, headline=True,
        precondition=learned(("ospo", "grpo"), SCENARIOS),
    ),
    Claim(
        "C3", "Training lifts the reward of OSPO well above that of its first check.", "released logs",
        "13,230 at episode 10, best 14,357: +8.5 %", "reward above that of the network after ten episodes, %", rise,
        "seed x setting", ("ospo",), SCENARIOS, "greater", "8 %, the paper's own", SCALE, reference=8.0, headline=True,
    ),
    _width("C4a", 32),
    _width("C4b", 256),
    _against_rule("Q1", "one-step greedy", "OSPO does better than the matching that knows each immediate reward."),
    _against_rule("Q2", "nearest vehicle", "OSPO does better than sending the nearest vehicles."),
    Claim(
        "Q3", "One step is enough even where trips end in zones without demand.",
        "our question to the argument that what follows cancels", NOT_IN_PAPER, "reward of ospo above that of grpo, %",
        pairs((DEAD_ZONES,), ("ospo", "grpo"), "reward", gain("ospo", "grpo")), "seed", ("ospo", "grpo"), (DEAD_ZONES,),
        "greater", NONE, "100 vehicles, orders from a third of the zones, 120 episodes", margin=1.0,
        precondition=learned(("ospo", "grpo"), (DEAD_ZONES,)),
    ),
    _variant("Q4", "return, minute", "It is the single step that helps: returns against the same group do worse.",
             where="our question: one of two differences to GRPO"),
    _variant("Q5", "one step, episode", "It is the group of the minute that helps: the episode as a group does worse.",
             where="our question: the other difference to GRPO"),
    _variant("Q6", "ospo, no baseline", "The mean of the group helps: bare rewards do worse.",
             where="our question to the group baseline"),
    _variant("Q7", "ospo, fairness", "The released fairness penalty costs reward.",
             where="our question to the released code"),
    Claim(
        "Q8", "So many episodes are enough: the last third of its training adds little to what OSPO earns.",
        "our question to the budget of this study", NOT_IN_PAPER,
        "reward above that of the network that would have been kept after two thirds, %", last_third, "seed",
        ("ospo",), ("evening",), "less", "2 %, as for widths, fixed beforehand", SCALE, reference=2.0,
        precondition=learned(("ospo",), ("evening",)),
    ),
)  # fmt: skip
