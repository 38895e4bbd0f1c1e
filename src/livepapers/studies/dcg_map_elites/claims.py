"""Claims of the dcg-map-elites study, fixed before its run."""

from collections.abc import Callable

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects

SCALE = (
    "paper: Brax Ant, Hexapod, Walker, 1,024 cells, policies of 20,000 weights, 1e6 evaluations, 20 seeds; ours: a "
    "point robot, 256 cells, policies of 4,600 weights, 7,264 evaluations for every arm, 10 seeds"
)
SWIMMER_SCALE = (
    "paper: Brax bodies, 1e6 evaluations, 20 seeds; ours: MuJoCo's swimmer, 256 cells, policies of 5,000 weights, "
    "2,464 evaluations for every arm, 3 seeds"
)


def _each(metric: str, *, arm: str, setting: str = "point") -> Callable[[Cells], Effects]:
    """The metric of each seed."""

    def statistic(cells: Cells) -> Effects:
        seeds = cells.seeds(setting=setting, arms=[arm])
        return {f"seed {seed}": cells.value(metric, arm=arm, setting=setting, seed=seed) for seed in seeds}

    return statistic


def _more(metric: str, ours: str, other: str, *, setting: str = "point") -> Callable[[Cells], Effects]:
    """Per seed, our metric minus the other's."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"seed {seed}": cells.value(metric, arm=ours, setting=setting, seed=seed)
            - cells.value(metric, arm=other, setting=setting, seed=seed)
            for seed in cells.seeds(setting=setting, arms=[ours, other])
        }

    return statistic


def _whole(cells: Cells, arm: str, seed: int) -> float:
    """The corrected QD-score of an arm on the point robot; ablations are a setting of their own with fewer seeds."""
    return cells.value("corrected_qd_score", arm=arm, setting="point" if arm == "dcg" else "ablations", seed=seed)


def _part(ours: str, other: str) -> Callable[[Cells], Effects]:
    """Per seed that both have, by how many per cent our corrected QD-score is above the ablation's."""

    def statistic(cells: Cells) -> Effects:
        seeds = set(cells.seeds(setting="ablations", arms=[other]))
        seeds &= set(cells.seeds(setting="point" if ours == "dcg" else "ablations", arms=[ours]))
        return {
            f"seed {seed}": 100.0 * (_whole(cells, ours, seed) / _whole(cells, other, seed) - 1.0)
            for seed in sorted(seeds)
        }

    return statistic


def _gain(metric: str, ours: str, other: str, *, setting: str = "point") -> Callable[[Cells], Effects]:
    """Per seed, by how many per cent our metric is above the other's."""

    def statistic(cells: Cells) -> Effects:
        return {
            f"seed {seed}": 100.0 * (
                cells.value(metric, arm=ours, setting=setting, seed=seed)
                / cells.value(metric, arm=other, setting=setting, seed=seed) - 1.0
            )
            for seed in cells.seeds(setting=setting, arms=[ours, other])
        }  # fmt: skip

    return statistic


def _kept(cells: Cells) -> Effects:
    """Per seed, the distilled policy's QD-score in per cent of its archive's, both evaluated again."""
    return {
        f"seed {seed}": 100.0 * cells.value("actor_qd_score", arm="dcg", setting="point", seed=seed)
        / cells.value("corrected_qd_score", arm="dcg", setting="point", seed=seed)
        for seed in cells.seeds(setting="point", arms=["dcg"])
    }  # fmt: skip


def _flattery(cells: Cells) -> Effects:
    """Per seed, by how many per cent the QD-score falls when all policies play once more."""
    return {
        f"seed {seed}": 100.0 * (
            1.0 - cells.value("corrected_qd_score", arm="dcg", setting="point", seed=seed)
            / cells.value("qd_score", arm="dcg", setting="point", seed=seed)
        )
        for seed in cells.seeds(setting="point", arms=["dcg"])
    }  # fmt: skip


def _ablation(claim: str, arm: str, what: str, published: str) -> Claim:
    return Claim(
        claim, f"On tasks with free movement the method is worse {what}.", "ablations", published,
        "corrected QD-score of the whole method above the ablation's, %", _part("dcg", arm), "seed", ("dcg", arm),
        ("point", "ablations"), "greater", "0: the published direction; 2 % are smaller than a seed's chance",
        SCALE, margin=2.0,
    )  # fmt: skip


CLAIMS = (
    Claim(
        "C1a", "The repertoire is better than PGA-MAP-Elites', the best of the older methods.", "main results",
        "82 % more QD-score on average of four tasks", "corrected QD-score above PGA-MAP-Elites', %",
        _gain("corrected_qd_score", "dcg", "pga"), "seed", ("dcg", "pga"), ("point",), "greater",
        "10 %: an eighth of the published gain, at a hundredth of its evaluations", SCALE, margin=10.0, headline=True,
    ),
    Claim(
        "C1b", "It covers more of the behaviours.", "main results", "p < 1e-4 on the Ant tasks",
        "corrected coverage above PGA-MAP-Elites', share of cells", _more("corrected_coverage", "dcg", "pga"), "seed",
        ("dcg", "pga"), ("point",), "greater", "0.05: thirteen of 256 cells", SCALE, margin=0.05, headline=True,
    ),
    Claim(
        "C1c", "It is far ahead of mutation alone.", "main results", "figure, several times as much on the Ant tasks",
        "corrected QD-score above MAP-Elites', %", _gain("corrected_qd_score", "dcg", "map-elites"), "seed",
        ("dcg", "map-elites"), ("point",), "greater", "100 %: twice as much", SCALE, margin=100.0, headline=True,
    ),
    Claim.not_tested(
        "C1d", "It is ahead of MAP-Elites-ES and QD-PG too.", where="main results", published="p < 1e-6",
        needs="both rivals; ES spends 1,050 evaluations an iteration, a seventh of our whole budget",
    ),
    Claim.not_tested(
        "C2", "Where fitness pays for speed, its QD-score is PGA-MAP-Elites' and its coverage higher.",
        where="main results, Hexapod and Walker", published="p < 1e-3 for coverage",
        needs="a walker whose gaits are learned within a thousand episodes, or a GPU",
    ),
    Claim(
        "C3a", "Its gradient keeps the behaviour: offspring stay nearer to their parent's descriptor.",
        "discussion of the variation operators", "PGA's offspring move to where fitness is highest",
        "distance of gradient offspring from their parent's descriptor, minus PGA's, % of the diagonal",
        _more("drift", "dcg", "pga"), "seed", ("dcg", "pga"), ("point",), "less",
        "1 % of the diagonal, a fifth of the width of a cell", SCALE, margin=1.0, headline=True,
    ),
    Claim(
        "C3b", "More of the gradient offspring get into the archive.", "discussion of the variation operators",
        "figure, no number", "share of gradient offspring accepted, minus PGA's", _more("accepted", "dcg", "pga"),
        "seed", ("dcg", "pga"), ("point",), "greater", "0.02: one offspring in fifty", SCALE, margin=0.02,
    ),
    Claim(
        "C4a", "One policy stands for the whole archive, almost without loss.", "distillation", "95 % and 97 % on Ant",
        "QD-score of the distilled policy, % of the archive's, both evaluated again", _kept, "seed", ("dcg",),
        ("point",), "greater", "80 %: a fifth lost is no repertoire any more", SCALE, reference=80.0, headline=True,
    ),
    Claim(
        "C4b", "It ends near where it was told to.", "distillation", "7.4 % and 6.8 % of the diagonal on Ant",
        "mean distance from the descriptor asked for, % of the box's diagonal", _each("actor_error", arm="dcg"), "seed",
        ("dcg",), ("point",), "less", "8 %: what the paper reports on its Ant tasks", SCALE, reference=8.0,
    ),
    _ablation("C5a", "no-rollouts", "without roll-outs of the actor and without negative samples", "p < 0.01"),
    _ablation("C5b", "random-negatives", "when negative samples are random requests", "p < 1e-3 on Ant tasks"),
    Claim(
        "C5c", "Random requests are better than no negative samples.", "ablations", "p < 1e-5",
        "corrected QD-score of ablation 2 above ablation 1's, %", _part("random-negatives", "no-rollouts"), "seed",
        ("random-negatives", "no-rollouts"), ("ablations",), "greater", "0: the published direction", SCALE,
    ),
    _ablation("C5d", "unconditioned-actor", "with an actor that is not told the descriptor", "p < 0.05"),
    Claim(
        "S1", "On MuJoCo's swimmer its repertoire is not worse than PGA-MAP-Elites'.", "main results",
        "82 % on average", "corrected QD-score above PGA-MAP-Elites', %",
        _gain("corrected_qd_score", "dcg", "pga", setting="swimmer"),
        "seed", ("dcg", "pga"), ("swimmer",), "greater", "0: the published direction; so few episodes promise no more",
        SWIMMER_SCALE,
    ),
    Claim(
        "S2", "On MuJoCo's swimmer its gradient keeps the behaviour better.", "discussion of the variation operators",
        "figure, no number", "distance of gradient offspring from their parent's, minus PGA's, % of the diagonal",
        _more("drift", "dcg", "pga", setting="swimmer"), "seed", ("dcg", "pga"), ("swimmer",), "less",
        "0: the published direction", SWIMMER_SCALE,
    ),
    Claim(
        "L1", "Stored QD-scores flatter: evaluated again, the archive is worth less.",
        "our question: how much of a stored score is chance", NOT_IN_PAPER,
        "loss of QD-score when all policies play once more, % of the stored", _flattery,
        "seed", ("dcg",), ("point",), "greater", "0: both are the same", SCALE,
    ),
)  # fmt: skip
