"""A study of milliseconds with a claim of each kind, for the command line's own tests."""

from livepapers.lab.study import Arm, Cells, Claim, Effects, Run, Setting

VERSION = 1

ARMS = (
    Arm("method", "method", "better by one, give or take a little"),
    Arm("rival", "baseline", "the one to beat"),
    Arm("floor", "floor", "always zero", seeded=False),
)

SETTINGS = (
    Setting("first", "the first instance", ("method", "rival", "floor"), {"smoke": 6, "laptop": 6}),
    Setting("second", "the second instance", ("method", "rival"), {"laptop": 2}, fixed_seeds=True),
    Setting("failing", "every cell fails", ("method",), {"paper": 1}),
)


def _gain(cells: Cells) -> Effects:
    seeds = cells.seeds(setting="first", arms=["method", "rival"])
    return {
        f"first/seed {seed}": cells.value("score", arm="method", setting="first", seed=seed)
        - cells.value("score", arm="rival", setting="first", seed=seed)
        for seed in seeds
    }


CLAIMS = (
    Claim(
        id="C1",
        statement="The method scores higher than its rival.",
        where="table 1",
        published="1.0",
        effect="gain in score",
        statistic=_gain,
        unit="seed",
        arms=("method", "rival"),
        settings=("first",),
        direction="greater",
        margin_why="half of what the paper reports",
        scale="paper: large; here: small",
        margin=0.5,
        headline=True,
    ),
    Claim.not_tested("C2", "It scales.", where="figure 9", published="no number", needs="a thousand machines"),
)


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    if setting.name == "failing":
        raise RuntimeError("this cell always fails")
    run.log(1, loss=1.0)
    run.spend(steps=10)
    return {"score": {"method": 1.0, "rival": 0.0, "floor": 0.0}[arm] + 0.01 * seed * (arm == "method")}
