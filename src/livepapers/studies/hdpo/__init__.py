"""Study of hdpo: gaps to exact optima, the learning-rate sweep against REINFORCE, data needed, real series."""

from livepapers.studies.hdpo.claims import CLAIMS, data_ratio, profit_advantage, share_difference, worst_gap
from livepapers.studies.hdpo.design import ARMS, SETTINGS
from livepapers.studies.hdpo.instances import BUDGETS, KNOWN, RATES, TRAIN_SIZES, VARIANTS, Budget
from livepapers.studies.hdpo.measuring import measure

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "DEVIATIONS", "KNOWN", "RATES", "SETTINGS", "TRAIN_SIZES", "VARIANTS", "VERSION",
    "Budget", "data_ratio", "measure", "profit_advantage", "share_difference", "worst_gap",
]  # fmt: skip

VERSION = 2

DEVIATIONS = (
    "Test traces: paper 32,768 of 5,000 periods, the last 2,000 counted; ours 4,096 of 300 periods, the last 200 "
    "counted, and gaps are paired with the optimal policy on the same traces.",
    "Sample sizes: see the budgets in the study; one-store training has 500 updates of 128 traces, the paper's up to "
    "80,000 of 8,192. To end well in so few updates, every trained arm's rate falls to 0 over the last 30 % of them; "
    "the paper's is constant.",
    "All trained arms clip the gradient norm at 1, the paper those of the graph network only: an early policy whose "
    "orders grow with its stock lets costs and gradients explode over 50 periods, and Adam's memory of one such update "
    "then holds training up for a thousand more.",
    "S5 is one instance with ten stores, drawn once; dev sets are as large as the training sets, so that an arm with n "
    "traces has seen 2 n and no more.",
    "The graph and the vanilla network get equal numbers of updates on equal batches, not equal wall time; the report "
    "shows both arms' wall time. The learning rate of the vanilla network was chosen on a seed outside the study.",
    "Real series: station ridership instead of Favorita sales, which are not free to ship; lead times 1 to 3 instead "
    "of 4 to 6, scaled to a training mean of 5 so that all stations weigh alike.",
    "One store with lost sales: learning rate 1e-2 (the paper tried 1e-4, 1e-3 and 1e-2; its default is 3e-3).",
    "Version 1 of this study gave the serial system the paper's learning rate of 1e-2 and 500 updates of 128 traces: "
    "gaps of 0.6 to 1.1 %, and 8.6 % on one seed of eight, where early, understocked traces drove a stage's sigmoid to "
    "ship all it had for good. Version 2 trains it at 5e-3 with 800 updates of 256, chosen on seeds outside the study; "
    "its run shows that one seed in ten is still lost so.",
    "Version 1 dropped runs that diverged (seven of REINFORCE at the rate of 1e-2); version 2 judges them by their "
    "best weights before. Version 1 asked in C2 for twice the rival's share, which made it contradicted; its other "
    "claims were inconclusive. These verdicts were seen before version 2 was fixed.",
    "Version 1 fitted the maps of the fixed and the transformed newsvendor on weeks that the forecaster had been "
    "trained on, where forecasts look surer than they are; version 2 fits them on the dev weeks, which makes these "
    "rivals stronger.",
    "The REINFORCE variant with a learned sigma starts at 0.5 only. A learned baseline is left out; S4 and S6 are "
    "left out of the committed run.",
)
