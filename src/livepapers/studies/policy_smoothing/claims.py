"""Claims of the policy-smoothing study, fixed before its run."""

from collections.abc import Callable

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects
from livepapers.studies.policy_smoothing.design import ATTACKED, ATTACKED_DQN

ATTACKED_SETTINGS = ("linear-0.2", "linear-0.4", "dqn-0.2", "mountain-car-0.2")
GAMES = ("one", "one-even", "both", "either", "both-safe", "two-of-three", "three-of-five")
Statistic = Callable[[Cells], Effects]
ROUNDING = "1e-9 is far above rounding in float64 and far below any wrong term"
TENTH = "20 points are a tenth of the score: less would not be called collapsing, or clearly more"
LINEAR_SCALE = (
    "paper: DQN of 256-256, 500,000 steps, 10,000 certification and 1,000 attack episodes, one agent for each sigma; "
    "ours: linear policies on the same five frames, the same numbers of episodes, 10 seeds"
)
DQN_SCALE = (
    "paper: 256-256 units, 500,000 steps, attack on 1,000 episodes with 128 noises; ours: the method's laptop "
    "preset, attack on 250 episodes with 32 noises, 10 seeds"
)
CAR_SCALE = (
    "paper: DDPG, settings and sigma not given; ours: DDPG of 64-64 units, 60,000 steps, unit-variance observations, "
    "sigma 0.2, 10,000 certification and 250 attack episodes, 10 seeds"
)


def _of_games(metric: str, names: tuple[str, ...] = GAMES) -> Statistic:
    """The metric of each game."""

    def statistic(cells: Cells) -> Effects:
        if not cells.has(arm="games", setting="games", seed=0):
            return {}
        return {name: cells.value(f"{metric}_{name}", arm="games", setting="games", seed=0) for name in names}

    return statistic


def _difference(first: tuple[str, str, str], second: tuple[str, str, str]) -> Statistic:
    """Per seed, one (arm, setting, metric) minus another."""

    def statistic(cells: Cells) -> Effects:
        seeds = set(cells.seeds(setting=first[1], arms=[first[0]])) & set(
            cells.seeds(setting=second[1], arms=[second[0]])
        )
        return {
            f"seed {seed}": cells.value(first[2], arm=first[0], setting=first[1], seed=seed)
            - cells.value(second[2], arm=second[0], setting=second[1], seed=seed)
            for seed in sorted(seeds)
        }

    return statistic


def _above_certificate(settings: tuple[str, ...], budgets: tuple[float, ...]) -> Statistic:
    """Per seed and setting, the least over budgets of (score under attack - certificate)."""

    def statistic(cells: Cells) -> Effects:
        found = {}
        for setting in settings:
            for seed in cells.seeds(setting=setting, arms=["smoothed"]):
                names = cells.names(arm="smoothed", setting=setting)
                margins = [
                    cells.value(f"attacked_{budget:g}", arm="smoothed", setting=setting, seed=seed)
                    - cells.value(f"certified_{budget:g}", arm="smoothed", setting=setting, seed=seed)
                    for budget in budgets
                    if f"attacked_{budget:g}" in names
                ]
                found[f"{setting}/seed {seed}"] = min(margins)
        return found

    return statistic


def _overspent(settings: tuple[str, ...]) -> Statistic:
    """Per setting, the most by which any attacked episode exceeded its budget."""

    def statistic(cells: Cells) -> Effects:
        found = {}
        for setting in settings:
            for arm in ("smoothed", "undefended"):
                names = [name for name in cells.names(arm=arm, setting=setting) if name.startswith("overspent")]
                seeds = cells.seeds(setting=setting, arms=[arm])
                values = [cells.value(name, arm=arm, setting=setting, seed=seed) for seed in seeds for name in names]
                if values:
                    found[f"{arm} in {setting}"] = max(values)
        return found

    return statistic


def _evaluations(cells: Cells) -> Effects:
    """Per seed, how often the policy was asked for one action."""
    seeds = cells.seeds(setting="linear-0.2", arms=["smoothed"])
    return {
        f"seed {seed}": cells.value("evaluations_a_step", arm="smoothed", setting="linear-0.2", seed=seed)
        for seed in seeds
    }


def _learned(setting: str, least: float) -> Callable[[Cells], str | None]:
    """The undefended agent is a rival only where it learned; so is the smoothed one."""

    def precondition(cells: Cells) -> str | None:
        for arm in ("smoothed", "undefended"):
            seeds = cells.seeds(setting=setting, arms=[arm])
            if seeds and (mean := cells.values("clean", arm=arm, setting=setting, seeds=seeds).mean()) < least:
                return f"the {arm} agents fall short: mean clean score {mean:.4g}, {least:g} asked for"
        return None

    return precondition


def _certifies(arm: str, setting: str) -> Callable[[Cells], str | None]:
    """Whoever guarantees nothing anywhere is no rival."""

    def precondition(cells: Cells) -> str | None:
        names = [name for name in cells.names(arm=arm, setting=setting) if name.startswith("certified_")]
        if names and not any(cells.values(name, arm=arm, setting=setting).any() for name in names):
            return f"the {arm} arm certifies no return at any budget: there is nothing to be better than"
        return None

    return precondition


CLAIMS = (
    Claim(
        "C1a", "Not even the best adaptive adversary brings the success of a game below the bound.",
        "statement of the theorem", "a theorem", "least of (worst success - bound) over budgets of 0 to 4 sigma",
        _of_games("above"), "exact", ("games",), ("games",), "greater", ROUNDING,
        "seven games of one to five steps, worst adversary by dynamic programming", reference=-1e-9,
    ),
    Claim(
        "C1b", "Simulated episodes under that adversary stay above the bound.",
        "statement of the theorem", "a theorem",
        "share of successes at a budget of 2 sigma, plus five standard errors, minus the bound",
        _of_games("simulated_above"), "exact", ("games",), ("games",), "greater",
        "five standard errors: a right bound fails once in three million times", "1,000,000 episodes a game",
    ),
    Claim(
        "C1c", "No attack brings the mean return of a smoothed cart-pole agent below its certificate.",
        "experiments, cart-pole", "curves only",
        "least over budgets of 0.2 to 1 of (mean return under attack - certificate)",
        _above_certificate(("linear-0.2", "linear-0.4"), ATTACKED["laptop"]), "seed x setting", ("smoothed",),
        ("linear-0.2", "linear-0.4"), "greater", "0: the certificate itself; it would fail if the attack broke it",
        LINEAR_SCALE, headline=True,
    ),
    Claim(
        "C1d", "Nor that of a smoothed DQN agent.", "experiments, cart-pole", "curves only",
        "least over budgets of 0.2 to 0.6 of (mean return under attack - certificate)",
        _above_certificate(("dqn-0.2",), ATTACKED_DQN["laptop"]), "seed", ("smoothed",), ("dqn-0.2",), "greater",
        "0: the certificate itself", DQN_SCALE,
    ),
    Claim(
        "C1e", "The attack never spends more than its budget.", "threat model", "an assumption",
        "largest l2 norm of an episode's changes, minus the budget",
        _overspent(ATTACKED_SETTINGS), "exact", ("smoothed", "undefended"), ATTACKED_SETTINGS, "less",
        "1e-6 is the rounding of single precision", "every attacked episode", reference=1e-6,
    ),
    Claim(
        "C2",
        "The bound is attained: one step, one threshold, all budget on it.", "statement of the theorem", "a theorem",
        "largest |worst success - bound| over budgets", _of_games("attained", ("one", "one-even")), "exact", ("games",),
        ("games",), "equal", ROUNDING, "two games, 17 budgets", margin=1e-9,
    ),
    Claim(
        "C3a", "At budget 0.4 the certificate of a smoothed linear agent is above what the undefended one keeps.",
        "experiments, cart-pole", "meaningful certificates; curves only",
        "certified mean return - undefended mean return under attack, points of 200",
        _difference(("smoothed", "linear-0.2", "certified_0.4"), ("undefended", "linear-0.2", "attacked_0.4")), "seed",
        ("smoothed", "undefended"), ("linear-0.2",), "greater", TENTH, LINEAR_SCALE, margin=20.0,
        precondition=_learned("linear-0.2", 195.0),
    ),
    Claim(
        "C3b", "The same for DQN.", "experiments, cart-pole", "meaningful certificates; curves only",
        "certified mean return - undefended mean return under attack, points of 200",
        _difference(("smoothed", "dqn-0.2", "certified_0.4"), ("undefended", "dqn-0.2", "attacked_0.4")), "seed",
        ("smoothed", "undefended"), ("dqn-0.2",), "greater", TENTH, DQN_SCALE, margin=20.0,
        headline=True,
        precondition=_learned("dqn-0.2", 195.0),
    ),
    Claim(
        "C3c", "In the mountain car, the certified success at budget 0.4 is above the undefended success under attack.",
        "experiments, mountain car", "curves only", "certified - attacked share of episodes that reach the flag",
        _difference(("smoothed", "mountain-car-0.2", "certified_0.4"),
                    ("undefended", "mountain-car-0.2", "attacked_0.4")),
        "seed", ("smoothed", "undefended"), ("mountain-car-0.2",), "greater",
        "a tenth of the episodes, as in the cart-pole", CAR_SCALE, margin=0.1,
        precondition=_learned("mountain-car-0.2", 0.8),
    ),
    Claim.not_tested(
        "C3d", "In Pong and Freeway the certificates are meaningful too.", where="experiments, Pong and Freeway",
        published="curves only", needs="ale-py, Nature CNN DQN for 10,000,000 steps on a GPU, 10,000 episodes each",
    ),
    Claim(
        "C4a", "More noise costs clean return.", "experiments, cart-pole", "curves only",
        "mean return at sigma 0.2 - at sigma 0.4, points of 200",
        _difference(("smoothed", "linear-0.2", "clean"), ("smoothed", "linear-0.4", "clean")), "seed", ("smoothed",),
        ("linear-0.2", "linear-0.4"), "greater", "0: any loss; 1 point is half a percent", LINEAR_SCALE, margin=1.0,
    ),
    Claim(
        "C4b", "More noise is certified to larger budgets, so the curves cross.", "experiments, cart-pole",
        "curves only", "certified mean return at budget 1, sigma 0.4 - sigma 0.2, points of 200",
        _difference(("smoothed", "linear-0.4", "certified_1"), ("smoothed", "linear-0.2", "certified_1")), "seed",
        ("smoothed",), ("linear-0.2", "linear-0.4"), "greater", TENTH, LINEAR_SCALE, margin=20.0,
    ),
    Claim(
        "C5a", "Under attack with budget 0.4, smoothed linear agents keep clearly more than undefended ones.",
        "experiments, cart-pole", "curves only", "mean return under attack, smoothed - undefended, points of 200",
        _difference(("smoothed", "linear-0.2", "attacked_0.4"), ("undefended", "linear-0.2", "attacked_0.4")), "seed",
        ("smoothed", "undefended"), ("linear-0.2",), "greater", TENTH, LINEAR_SCALE, margin=20.0,
        precondition=_learned("linear-0.2", 195.0),
    ),
    Claim(
        "C5b", "So do smoothed DQN agents.", "experiments, cart-pole", "curves only",
        "mean return under attack, smoothed - undefended, points of 200",
        _difference(("smoothed", "dqn-0.2", "attacked_0.4"), ("undefended", "dqn-0.2", "attacked_0.4")), "seed",
        ("smoothed", "undefended"), ("dqn-0.2",), "greater", TENTH, DQN_SCALE, margin=20.0,
        headline=True,
        precondition=_learned("dqn-0.2", 195.0),
    ),
    Claim(
        "C6", "At run time the policy is asked once for each action.", "abstract", "no Monte Carlo votes",
        "evaluations of the policy for one step of the environment, counted", _evaluations, "exact", ("smoothed",),
        ("linear-0.2",), "equal", "a count: one more in a thousand steps would fail", "16 episodes an agent",
        reference=1.0, margin=1e-3,
    ),
    Claim(
        "Q1",
        "The bound by the distribution beats the Lipschitz bound of the mean at budget 0.4.",
        "statement of the theorem",
        NOT_IN_PAPER, "certified mean return, ours - Lipschitz, same episodes, points of 200",
        _difference(("smoothed", "linear-0.2", "certified_0.4"), ("lipschitz", "linear-0.2", "certified_0.4")), "seed",
        ("smoothed", "lipschitz"), ("linear-0.2",), "greater", TENTH, LINEAR_SCALE, margin=20.0,
    ),
    Claim(
        "Q2",
        "Per-step action certificates guarantee less return at budget 0.1.", "comparison with per-step certificates",
        NOT_IN_PAPER,
        "certified mean return, ours - by actions, points of 200",
        _difference(("smoothed", "linear-0.2", "certified_0.1"), ("action-certificate", "linear-0.2", "certified_0.1")),
        "seed", ("smoothed", "action-certificate"), ("linear-0.2",), "greater", TENTH,
        LINEAR_SCALE + "; per-step: 100 episodes, 500 votes a step", margin=20.0,
        precondition=_certifies("action-certificate", "linear-0.2"),
    ),
    Claim(
        "Q3",
        "Seeing five frames instead of one raises the certificate at budget 0.2.", "experiments, cart-pole",
        NOT_IN_PAPER,
        "certified mean return, five frames - one, points of 200",
        _difference(("smoothed", "linear-0.2", "certified_0.2"), ("single-frame", "linear-0.2", "certified_0.2")),
        "seed", ("smoothed", "single-frame"), ("linear-0.2",), "greater", TENTH, LINEAR_SCALE, margin=20.0,
    ),
)  # fmt: skip
