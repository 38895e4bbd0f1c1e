"""Study of hdpo: gaps to exact optima, the learning-rate sweep against REINFORCE, data needed, real series."""

from livepapers.lab.study import Curve
from livepapers.studies.hdpo.claims import CLAIMS, data_ratio, gap, profit_advantage, share_difference
from livepapers.studies.hdpo.design import ARMS, SETTINGS, TABLES
from livepapers.studies.hdpo.instances import (
    BUDGETS,
    FINALISTS,
    FIRST_SEED,
    KNOWN,
    RATES,
    TRAIN_SIZES,
    VARIANTS,
    Budget,
)
from livepapers.studies.hdpo.measuring import measure

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "CURVES", "DEVIATIONS", "FINALISTS", "FIRST_SEED", "KNOWN", "RATES", "SETTINGS",
    "TABLES", "TRAIN_SIZES", "VARIANTS", "VERSION", "Budget", "data_ratio", "gap", "measure", "profit_advantage",
    "share_difference",
]  # fmt: skip

VERSION = 5

CURVES = (Curve("dev_cost", "updates", "Mean cost a period on dev traces (chicago: minus the profit)"),)

DEVIATIONS = (
    "Test traces: paper 32,768 of 5,000 periods, the last 2,000 counted; ours 4,096 of 300 periods, the last 200 "
    "counted, and gaps are paired with the optimal policy on the same traces.",
    "Sample sizes: see the budgets in the study; one-store training has 500 updates of 128 traces, the paper's up to "
    "80,000 of 8,192. To end well in so few updates, every trained arm's rate falls to 0 over the last 30 % of them; "
    "the paper's is constant.",
    "All trained arms clip the gradient norm at 1, the paper those of the graph network only: an early policy whose "
    "orders grow with its stock lets costs and gradients explode over 50 periods, and Adam's memory of one such "
    "update then holds training up for a thousand more.",
    "S5 is one instance with ten stores, drawn once; dev sets are as large as the training sets, so that an arm with "
    "n traces has seen 2 n and no more.",
    "The graph and the vanilla network get equal numbers of updates on equal batches, not equal wall time; the "
    "report shows both arms' wall time. Both learning rates were chosen on a seed outside the study: 3e-3 each; at "
    "the paper's 1e-3 the graph network was still falling after version 2's 250 updates, which are 400 since.",
    "Real series: station ridership instead of Favorita sales, which are not free to ship; lead times 1 to 3 instead "
    "of 4 to 6, scaled to a training mean of 5 so that all stations weigh alike.",
    "One store with lost sales: learning rate 1e-2 (the paper tried 1e-4, 1e-3 and 1e-2; its default is 3e-3). Orders "
    "are rounded to whole units when policies are tested, as the optimum's are; weights are chosen on the dev set "
    "without rounding, and the gap without rounding is measured too.",
    "Serial system: at the paper's rate of 1e-2, three starts of 100 updates of 128 traces, then 1,200 in all of the "
    "one with the lowest dev cost; the paper's protocol of choice is not stated. With one start (versions 1 to 3), one "
    "seed in ten ended at 8 to 25 %: early, understocked traces drove a stage's sigmoid to ship all it had, which is "
    "a local optimum.",
    "C2's sweep is the specification's four rates and 3e-2, because at 1e-2 neither hdpo nor PPO had failed; 600 "
    "updates are few for 1e-4, whoever makes them. Each rival is one variant of REINFORCE with one sigma, as a user "
    "would run it. Version 4 measured nine such arms, three seeds each: PPO's clipped ratio with sigma 1 was the best "
    "(within 5 % in 12 of 12 cells, hdpo in 10; within 1 % in 9, as hdpo), so it is C2's rival, beside twice its "
    "sigma. All others, with sigma 2 as well, are trained once at each rate, to see whether one is clearly better.",
    "Seeds begin at 10. The verdicts of versions 1 to 4 on seeds 0 to 9 had been seen when version 5 was fixed. "
    "Version 4: gaps of 0.56 % on the worst of four instances (reproduced), 0.21 % on average; C2b reproduced against "
    "variants averaged over their sigmas, with three seeds at four rates as pairs; C2, C3, C4 inconclusive.",
    "Version 1 fitted the maps of the fixed and the transformed newsvendor on weeks that the forecaster had been "
    "trained on, where forecasts look surer than they are; since version 2 they are fitted on the dev weeks, which "
    "makes these rivals stronger. Runs that diverge are judged by their best weights before.",
    "The REINFORCE variant with a learned sigma starts at 0.5 only. S4 and S6 are left out of the committed run.",
    "Structured rivals (base-stock, capped, echelon) have one to four numbers and get a quarter of the updates at "
    "the paper's rate of 0.5 (in S5 all updates, at 0.1). Where such a rule is the optimum (S1, serial) it comes "
    "closer to it than hdpo.",
)
