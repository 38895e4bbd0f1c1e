"""Claims of the debatenet study, fixed before its run."""

from collections.abc import Callable

from livepapers.lab.study import NOT_IN_PAPER, Cells, Claim, Effects

_SPENDING = "Paper: 3,681 newspaper claims. Ours: about 2,400 answers of about 210 respondents a seed, ten seeds."
_ABORTION = "Paper: two windows of two months in 2015. Ours: windows of nine years, about 1,000 respondents a seed."
Value = Callable[[Cells, int], float]


def _of(metric: str, arm: str, setting: str = "spending") -> Value:
    return lambda cells, seed: cells.value(metric, arm=arm, setting=setting, seed=seed)


def _per_seed(value: Value, *places: tuple[str, str]) -> Callable[[Cells], Effects]:
    """One effect for each seed that has a cell of every (arm, setting)."""

    def statistic(cells: Cells) -> Effects:
        seeds = [set(cells.seeds(setting=setting, arms=[arm])) for arm, setting in places]
        return {f"seed {seed}": value(cells, seed) for seed in sorted(set.intersection(*seeds))}

    return statistic


def _difference(metric: str, one: tuple[str, str], two: tuple[str, str]) -> Callable[[Cells], Effects]:
    first, second = _of(metric, *one), _of(metric, *two)
    return _per_seed(lambda cells, seed: first(cells, seed) - second(cells, seed), one, two)


def _lead(cells: Cells, seed: int) -> float:
    best = max(_of("camps_found", arm)(cells, seed) for arm in ("principal_component", "k_means"))
    return _of("camps_found", "signed")(cells, seed) - best


CLAIMS = (
    Claim.not_tested(
        "C1a",
        "The networks of April and May and of September and October 2015 differ strongly in size, actors and themes.",
        where="abstract; the released table",
        published="from the table: 356 statements, 126 actors, 61 categories against 1,653, 432 and 100",
        needs="the DebateNet2.0 table, which no package carries; `apply debatenet` computes this from it",
    ),
    Claim(
        id="C1b",
        statement="No single network: two moments of one debate give different networks, here in how far parties "
        "divide it.",
        where="abstract",
        published="said of the refugee debate of 2015; no number",
        effect="mean tie within parties minus between them, 2010 to 2018 minus 1977 to 1985, in units of ties "
        "(-1 to 1)",
        statistic=_difference("gap", ("signed", "abortion-late"), ("signed", "abortion-early")),
        unit="seed",
        arms=("signed",),
        settings=("abortion-early", "abortion-late"),
        direction="greater",
        margin=0.02,
        margin_why="two hundredths of the largest tie is the least that we would call a change",
        scale=_ABORTION,
        headline=True,
    ),
    Claim(
        id="C1c",
        statement="A network of the whole period hides how divided its last years are.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="mean tie within parties minus between them, 2010 to 2018 minus 1977 to 2018",
        statistic=_difference("gap", ("signed", "abortion-late"), ("static", "abortion-whole")),
        unit="seed",
        arms=("signed", "static"),
        settings=("abortion-late", "abortion-whole"),
        direction="greater",
        margin=0.02,
        margin_why="as in C1b",
        scale=_ABORTION,
    ),
    Claim.not_tested(
        "C2",
        "Themes shift: sea rescue and smugglers in spring; financing, asylum law, border controls in autumn.",
        where="the released table",
        published="from the table: procedures grow from 9 % to 18 % of statements",
        needs="the DebateNet2.0 table, which no package carries; from it `apply debatenet` lists each window's most "
        "used measures, without shares of the major fields",
    ),
    Claim.not_tested(
        "C3",
        "In autumn CSU and AfD become congruent, CDU and SPD stay so, Greens and AfD are in conflict.",
        where="the released table",
        published="signs of party ties, from the table; no number in the article",
        needs="the DebateNet2.0 table, which no package carries; `apply debatenet` computes this from it",
    ),
    Claim(
        id="C4a",
        statement="Signed networks show the camps: ties are stronger within parties than between them.",
        where="abstract; many networks from one corpus",
        published="follows from the case study's signed networks; no number",
        effect="mean tie within parties minus between them, in standard deviations above permuted debates",
        statistic=_per_seed(_of("gap_z", "signed"), ("signed", "spending")),
        unit="seed",
        arms=("signed",),
        settings=("spending",),
        direction="greater",
        margin=2.0,
        margin_why="two standard deviations of the null model",
        scale=_SPENDING,
        headline=True,
    ),
    Claim(
        id="C4b",
        statement="Signed and unsigned networks give different coalitions: with signs, camps follow parties more.",
        where="abstract; many networks from one corpus",
        published="follows from the case study's signed networks; no number",
        effect="share of respondents whose camp is their party's, signed minus unsigned",
        statistic=_difference("camps_found", ("signed", "spending"), ("unsigned", "spending")),
        unit="seed",
        arms=("signed", "unsigned"),
        settings=("spending",),
        direction="greater",
        margin=0.05,
        margin_why="one respondent in twenty",
        scale=_SPENDING,
        headline=True,
    ),
    Claim(
        id="C4c",
        statement="A network without signs carries no party signal.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="mean unsigned tie within parties minus between them, in standard deviations above permuted debates",
        statistic=_per_seed(_of("gap_z", "unsigned"), ("unsigned", "spending")),
        unit="seed",
        arms=("unsigned",),
        settings=("spending",),
        direction="equal",
        margin=2.0,
        margin_why="as C4a: less than two standard deviations is no signal",
        scale=_SPENDING,
    ),
    Claim(
        id="C5",
        statement="The network's camps follow parties as well as clusters of the answers do.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="share of respondents whose camp is their party's, network minus the better of principal component "
        "and k-means",
        statistic=_per_seed(_lead, *((arm, "spending") for arm in ("signed", "principal_component", "k_means"))),
        unit="seed",
        arms=("signed", "principal_component", "k_means"),
        settings=("spending",),
        direction="equal",
        margin=0.05,
        margin_why="one respondent in twenty; the better of two rivals is chosen with the answers known",
        scale=_SPENDING,
    ),
    Claim(
        id="C6",
        statement="Positions drift along the scale of party identification, away from those of strong Democrats.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="rank correlation of party identification and correlation of net positions with strong Democrats'",
        statistic=_per_seed(_of("drift", "parties"), ("parties", "spending")),
        unit="seed",
        arms=("parties",),
        settings=("spending",),
        direction="less",
        margin=0.8,
        margin_why="an almost monotone fall over seven points",
        scale=_SPENDING,
    ),
    Claim(
        id="C7",
        statement="Raw congruence is dominated by activity; averaged ties are not.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="rank correlation of a node's tie strength and its number of statements, raw minus averaged",
        statistic=_difference("activity", ("raw", "spending"), ("signed", "spending")),
        unit="seed",
        arms=("raw", "signed"),
        settings=("spending",),
        direction="greater",
        margin=0.3,
        margin_why="a third of the scale of a correlation",
        scale=_SPENDING,
    ),
    Claim(
        id="C8",
        statement="Where actors hold mixed statements, netting them first changes who seems in conflict.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="mean over pairs of parties of the absolute difference in the share of conflict under both definitions",
        statistic=_per_seed(_of("netting", "parties"), ("parties", "spending")),
        unit="seed",
        arms=("parties",),
        settings=("spending",),
        direction="greater",
        margin=0.1,
        margin_why="a tenth of all products of statements",
        scale=_SPENDING,
    ),
    Claim(
        id="C9",
        statement="The null model is calibrated: a permuted debate is no outlier among permuted debates.",
        where=NOT_IN_PAPER,
        published=NOT_IN_PAPER,
        effect="mean tie within parties minus between them of a permuted debate, in standard deviations",
        statistic=_per_seed(_of("gap_z", "permuted"), ("permuted", "spending")),
        unit="seed",
        arms=("permuted",),
        settings=("spending",),
        direction="equal",
        margin=1.0,
        margin_why="the mean of ten standard normal values has a standard error of a third",
        scale=_SPENDING,
    ),
)
