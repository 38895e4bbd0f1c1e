"""Claims of the yann-rl study, fixed before its run."""

import math

from livepapers.lab.study import Cells, Claim, Effects

EXACT = ("exact-pendulum", "exact-integrator", "exact-published-reactor", "exact-reactor")
SCALE = (
    "paper: 50 episodes, 10 test starts, one or two seeds a method, rates not given; ours: 50 episodes, 10 fixed test "
    "starts, 10 seeds, rates of both methods from one grid"
)
REACTOR_SCALE = SCALE + "; a textbook reactor in place of the paper's, whose feed is not given"


def _exact_values(metric: str, settings: tuple[str, ...]):
    """The metric of each law."""

    def statistic(cells: Cells) -> Effects:
        return {
            name: cells.value(metric, arm="exact-network", setting=name, seed=0)
            for name in settings
            if cells.has(arm="exact-network", setting=name, seed=0)
        }

    return statistic


def _size_ratio(cells: Cells) -> Effects:
    """Numbers in our actor, all of them, over those in the plain one."""
    return {
        name: cells.value("parameters", arm="exact-network", setting=name, seed=0)
        / cells.value("plain_parameters", arm="exact-network", setting=name, seed=0)
        for name in ("exact-pendulum", "exact-published-reactor")
        if cells.has(arm="exact-network", setting=name, seed=0)
    }


def _value(metric: str, arm: str, setting: str):
    """The metric of each seed."""

    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=[arm])
        return {f"seed {seed}": cells.value(metric, arm=arm, setting=setting, seed=seed) for seed in seeds}

    return statistic


def _log2_ratio(above: tuple[str, str], below: tuple[str, str], setting: str):
    """Per seed, log2 of one (arm, metric) over another."""

    def statistic(cells: Cells) -> Effects:
        def value(which: tuple[str, str], seed: int) -> float:
            return max(cells.value(which[1], arm=which[0], setting=setting, seed=seed), 1e-9)

        seeds = cells.seeds(setting=setting, arms=[above[0], below[0]])
        return {f"seed {seed}": math.log2(value(above, seed) / value(below, seed)) for seed in seeds}

    return statistic


def _starts_won(cells: Cells) -> Effects:
    """Per seed, of the ten starts, on how many the untrained YANN costs less than the trained DDPG."""
    return {
        f"seed {seed}": float(
            (
                cells.samples("cost_before", arm="yann", setting="pendulum", seed=seed)
                < cells.samples("cost_after", arm="ddpg", setting="pendulum", seed=seed)
            ).sum()
        )
        for seed in cells.seeds(setting="pendulum", arms=["yann", "ddpg"])
    }


def _has_violations(cells: Cells) -> Effects:
    """Per seed, 1 if DDPG broke the limit while it was trained."""
    seeds = cells.seeds(setting="reactor", arms=["ddpg"])
    counts = {s: cells.value("violations_training", arm="ddpg", setting="reactor", seed=s) for s in seeds}
    return {f"seed {seed}": float(count >= 1) for seed, count in counts.items()}


def _log2_speedup(setting: str):
    """Per seed, log2 of sequential point location's time over the network's."""

    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=["timed"])
        return {f"seed {s}": math.log2(cells.value("speedup", arm="timed", setting=setting, seed=s)) for s in seeds}

    return statistic


def _ddpg_learned(setting: str):
    """DDPG is a rival only where it learned: it at least halves its own cost."""

    def precondition(cells: Cells) -> str | None:
        seeds = cells.seeds(setting=setting, arms=["ddpg"])
        if not seeds:
            return None
        before = cells.values("cost_before", arm="ddpg", setting=setting, seeds=seeds).mean()
        after = cells.values("cost_after", arm="ddpg", setting=setting, seeds=seeds).mean()
        return (
            None if after <= 0.5 * before else f"DDPG did not learn: mean cost {before:.4g} before, {after:.4g} after"
        )

    return precondition


NO_DIFFERENCE = "0 is no difference; 5 % of the cost is the least that an engineer would notice"
FIVE = math.log2(1.05)

CLAIMS = (
    Claim(
        "C1",
        "The network equals the explicit law of the MPC everywhere, facets included.",
        "section 3; theorem of the earlier paper",
        "an identity",
        "largest |network - quadratic program|, in units of the input",
        _exact_values("worst", EXACT),
        "exact",
        ("exact-network",),
        EXACT,
        "less",
        "1e-9 is far above rounding in float64 (1e-12 here) and far below any wrong row",
        "100,000 random and 10,000 facet states a law; the paper: an argument and plots",
        reference=1e-9,
        headline=True,
    ),
    Claim(
        "C1b",
        "It has an answer exactly where the MPC has one.",
        "section 3",
        "an identity",
        "random states with an answer by one of the two only",
        _exact_values("disagreements", EXACT),
        "exact",
        ("exact-network",),
        EXACT,
        "less",
        "a single state is one too many",
        "100,000 random states a law",
        reference=0.5,
    ),
    Claim(
        "C2a",
        "On the pendulum the untrained YANN costs a fifth of an untrained DDPG or less.",
        "section 5.1, table of test episodes",
        "271 against 1,587",
        "log2 of the initial cost, DDPG over YANN",
        _log2_ratio(("ddpg", "cost_before"), ("yann", "cost_before"), "pendulum"),
        "seed",
        ("yann", "ddpg"),
        ("pendulum",),
        "greater",
        "log2 of 5: the published ratio is 5.9",
        SCALE,
        reference=math.log2(5.0),
    ),
    Claim(
        "C2b",
        "Training does not make the pendulum's controller worse on average.",
        "section 5.1",
        "271 -> 26.1",
        "change of the mean test cost by training, %",
        _value("change_percent", "yann", "pendulum"),
        "seed",
        ("yann",),
        ("pendulum",),
        "less",
        "1 % is below what would be called a change; a training that changes nothing passes, C2e asks for more",
        SCALE,
        reference=1.0,
        headline=True,
    ),
    Claim(
        "C2c",
        "Training makes no single start of the pendulum worse by more than 5 %.",
        "section 5.1",
        "worst: +0.01",
        "largest change of the cost of one of ten starts, %",
        _value("worst_change_percent", "yann", "pendulum"),
        "seed",
        ("yann",),
        ("pendulum",),
        "less",
        "5 % of a start's cost is the least that an engineer would notice; a training that changes nothing passes, "
        "C2e asks for more",
        SCALE,
        reference=5.0,
    ),
    Claim(
        "C2d",
        "The trained YANN costs no more than the trained DDPG on the pendulum.",
        "section 5.1",
        "26.1 against 28.4",
        "log2 of the final cost, YANN over DDPG",
        _log2_ratio(("yann", "cost_after"), ("ddpg", "cost_after"), "pendulum"),
        "seed",
        ("yann", "ddpg"),
        ("pendulum",),
        "less",
        NO_DIFFERENCE,
        SCALE,
        margin=FIVE,
        headline=True,
        precondition=_ddpg_learned("pendulum"),
    ),
    Claim(
        "C2e",
        "Training improves the pendulum's controller.",
        "section 5.1",
        "271 -> 26.1 (-90 %)",
        "change of the mean test cost by training, %",
        _value("change_percent", "yann", "pendulum"),
        "seed",
        ("yann",),
        ("pendulum",),
        "less",
        "0 is no change; less than 1 % is no measurable improvement",
        SCALE,
        margin=1.0,
    ),
    Claim(
        "C2f",
        "The untrained YANN beats the trained DDPG on eight of ten starts.",
        "section 5.1",
        "8 of 10",
        "starts of ten on which the untrained YANN costs less",
        _starts_won,
        "seed",
        ("yann", "ddpg"),
        ("pendulum",),
        "greater",
        "5 of 10 is a coin; three more are the paper's eight",
        SCALE,
        reference=5.0,
        margin=3.0,
        precondition=_ddpg_learned("pendulum"),
    ),
    Claim(
        "C3a",
        "No safety violation while YANN-DDPG is trained on the reactor.",
        "section 5.2",
        "0",
        "violations in 50 training episodes",
        _value("violations_training", "yann", "reactor"),
        "seed",
        ("yann",),
        ("reactor",),
        "less",
        "half a violation separates none from one; a training that changes nothing passes, C3d asks for more",
        REACTOR_SCALE,
        reference=0.5,
        headline=True,
    ),
    Claim(
        "C3b",
        "DDPG from scratch breaks the limit while it is trained on the reactor.",
        "section 5.2",
        "1 and 9",
        "share of training runs with a violation",
        _has_violations,
        "seed",
        ("ddpg",),
        ("reactor",),
        "greater",
        "more than half of the runs",
        REACTOR_SCALE,
        reference=0.5,
    ),
    Claim(
        "C3c",
        "The trained YANN costs less than the trained DDPG on the reactor.",
        "section 5.2",
        "92.2 against 604 to 664",
        "log2 of the final cost, YANN over DDPG",
        _log2_ratio(("yann", "cost_after"), ("ddpg", "cost_after"), "reactor"),
        "seed",
        ("yann", "ddpg"),
        ("reactor",),
        "less",
        NO_DIFFERENCE,
        REACTOR_SCALE,
        margin=FIVE,
        headline=True,
        precondition=_ddpg_learned("reactor"),
    ),
    Claim(
        "C3d",
        "Training improves the reactor's controller.",
        "section 5.2",
        "94.3 -> 92.2 (-2.2 %)",
        "change of the mean test cost by training, %",
        _value("change_percent", "yann", "reactor"),
        "seed",
        ("yann",),
        ("reactor",),
        "less",
        "0 is no change; less than 1 % is no measurable improvement",
        REACTOR_SCALE,
        margin=1.0,
    ),
    Claim(
        "C3e",
        "Training makes no single start of the reactor worse by more than 5 %.",
        "section 5.2",
        "worst +0.77, best -14.15 (of 94)",
        "largest change of the cost of one of ten starts, %",
        _value("worst_change_percent", "yann", "reactor"),
        "seed",
        ("yann",),
        ("reactor",),
        "less",
        "5 % of a start's cost is the least that an engineer would notice; a training that changes nothing passes, "
        "C3d asks for more",
        REACTOR_SCALE,
        reference=5.0,
    ),
    Claim(
        "C4",
        "The YANN actor is smaller than a 256-256 actor.",
        "section 5, table of sizes",
        "15,188 against 67,073; 5,320 against 67,329",
        "numbers in the YANN actor, frozen ones included, over the plain one's",
        _size_ratio,
        "exact",
        ("exact-network",),
        ("exact-pendulum", "exact-published-reactor"),
        "less",
        "1 is equal size",
        "dense coupling as the paper counts it; we find 9 regions for the pendulum where it has 7",
        reference=1.0,
    ),
    Claim(
        "C5a",
        "With 9 regions the network answers faster than sequential point location.",
        "earlier paper, section on inference",
        "7 times faster than PPOPT",
        "log2 of point location's time over the network's, one state at a time",
        _log2_speedup("timing-small"),
        "seed",
        ("timed",),
        ("timing-small",),
        "greater",
        "0 is equal speed; the margin is the published factor",
        "paper: against PPOPT's Python; ours: against a lean loop in NumPy that holds nothing but the rows",
        margin=math.log2(7.0),
    ),
    Claim(
        "C5b",
        "With over 2,000 regions the network answers at least 30 % faster than sequential point location.",
        "earlier paper, section on inference",
        "over 30 % faster than PPOPT",
        "log2 of point location's time over the network's, one state at a time",
        _log2_speedup("timing-large"),
        "seed",
        ("timed",),
        ("timing-large",),
        "greater",
        "0 is equal speed; the margin is the published share",
        "paper: a dense network; ours: the same function by look-up of all rows at once, 2,858 regions",
        margin=math.log2(1.3),
    ),
    Claim(
        "A1",
        "A regression on the law is not the law: the cloned controller starts worse.",
        "our question: exact against approximate initialisation",
        "not in the paper",
        "log2 of the initial cost on the reactor, cloned over YANN",
        _log2_ratio(("cloned", "cost_before"), ("yann", "cost_before"), "reactor"),
        "seed",
        ("cloned", "yann"),
        ("reactor",),
        "greater",
        NO_DIFFERENCE,
        REACTOR_SCALE,
        margin=FIVE,
    ),
    Claim(
        "A2",
        "Exploration noise does not help: with it the reactor's final cost is not lower by 5 % or more.",
        "section 4, no exploration",
        "not in the paper",
        "log2 of the final cost on the reactor, with noise over without",
        _log2_ratio(("yann-noise", "cost_after"), ("yann", "cost_after"), "reactor"),
        "seed",
        ("yann-noise", "yann"),
        ("reactor",),
        "greater",
        "5 % better is what noise would have to bring to be worth its risk",
        REACTOR_SCALE,
        reference=-FIVE,
    ),
    Claim(
        "A3",
        "The exact critic matters: with a random one the pendulum's controller ends worse.",
        "section 4, critic",
        "not in the paper",
        "log2 of the final cost on the pendulum, random critic over exact one",
        _log2_ratio(("yann-random-critic", "cost_after"), ("yann", "cost_after"), "pendulum"),
        "seed",
        ("yann-random-critic", "yann"),
        ("pendulum",),
        "greater",
        NO_DIFFERENCE,
        SCALE,
        margin=FIVE,
    ),
    Claim.not_tested(
        "C3p",
        "On the paper's own reactor, cost falls from 94.3 to 92.2 without a violation.",
        where="section 5.2",
        published="94.3 -> 92.2",
        needs="the feed, flow and steady state of that reactor, which are not given",
    ),
)
