"""Study of hdpo: gaps to exact optima, the learning-rate sweep against REINFORCE, data needed, real series."""

from livepapers.studies.hdpo.claims import CLAIMS, data_ratio, profit_advantage, share_difference, worst_gap
from livepapers.studies.hdpo.design import ARMS, SETTINGS
from livepapers.studies.hdpo.instances import BUDGETS, KNOWN, RATES, TRAIN_SIZES, VARIANTS, Budget
from livepapers.studies.hdpo.measuring import measure

__all__ = [
    "ARMS", "BUDGETS", "CLAIMS", "DEVIATIONS", "KNOWN", "RATES", "SETTINGS", "TRAIN_SIZES", "VARIANTS", "VERSION",
    "Budget", "data_ratio", "measure", "profit_advantage", "share_difference", "worst_gap",
]  # fmt: skip

VERSION = 4

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
    "the paper's 1e-3 the graph network was still falling after version 2's 250 updates, which are 400 now.",
    "Real series: station ridership instead of Favorita sales, which are not free to ship; lead times 1 to 3 instead "
    "of 4 to 6, scaled to a training mean of 5 so that all stations weigh alike.",
    "One store with lost sales: learning rate 1e-2 (the paper tried 1e-4, 1e-3 and 1e-2; its default is 3e-3).",
    "Serial system: at the paper's rate of 1e-2, three starts of 100 updates of 128 traces, then 1,200 in all of the "
    "one with the lowest dev cost; the paper's protocol of choice is not stated. Versions 1 and 2 (500 of 128 at "
    "1e-2, 800 of 256 at 5e-3) had gaps of 0.6 to 1.1 %, but 8.6 and 8.5 % on one seed: early, understocked traces "
    "drove a stage's sigmoid to ship all it had, which is a local optimum. It was reproduced on two seeds outside "
    "the study (9.1 and 9.4 %): a warm-up of the rate helped neither, larger starting stocks one, a small output "
    "layer at the start both; the method has that since (its deviation 7). Version 3 trained one such start: "
    "of its ten seeds eight were measured, seven at 0.33 to 0.84 % and one at 25 %, whose dev cost had stood apart "
    "since update 50 (12 to 14 where the others had 10); it was stopped there. Version 4 has the same ten seeds, so "
    "C1 confirms the three starts on seeds that led to them. `apply hdpo` tries three starts too, all on the same "
    "windows.",
    "C1 asks for 1 % on the worst of four instances; what compares with the paper's average of 0.35 % is the average "
    "over the four, 0.21 % in version 4. Where the optimum is a simple rule, that rule trained likewise comes closer "
    "than hdpo: 0.02 against 0.10 % (S1), 0.09 against 0.56 % (serial).",
    "C2 and C2b count a variant of REINFORCE as the mean over its two sigmas, as fixed in version 1. The best single "
    "arm of version 4 is PPO's clipped ratio with sigma 1: within 1 % of the optimum in 9 of 12 cells, as hdpo is, and "
    "within 5 % in all 12, where hdpo is in 10. Beside that arm hdpo is not more robust, so C2b's verdict says only "
    "that it needs no sigma. Its twelve pairs are three seeds at four rates, and versions 1 and 2 had been seen.",
    "On one store with lost sales orders are rounded to whole units when policies are tested, as the optimum's are; "
    "weights are chosen on the dev set without rounding.",
    "Version 1 dropped runs that diverged (seven of REINFORCE at the rate of 1e-2); version 2 judges them by their "
    "best weights before. Version 1 asked in C2 for twice the rival's share, which made it contradicted; its other "
    "claims were inconclusive. These verdicts were seen before version 2 was fixed.",
    "Version 2's verdicts were seen before versions 3 and 4 were fixed: five inconclusive, one not tested; gaps of "
    "0.07 to 0.11 % on one store, differences of shares -0.08 (5 %) and 0.21 (1 %), on real series 96.5 % of "
    "foresight like the newsvendors. They add C1b (one store, the paper's own 0.35 %) beside C1, double the updates "
    "of the sweep and give the family a fifth member with a learned baseline.",
    "Version 1 fitted the maps of the fixed and the transformed newsvendor on weeks that the forecaster had been "
    "trained on, where forecasts look surer than they are; version 2 fits them on the dev weeks, which makes these "
    "rivals stronger.",
    "The REINFORCE variant with a learned sigma starts at 0.5 only. S4 and S6 are left out of the committed run.",
    "Structured rivals (base-stock, capped, echelon) have one to four numbers and get a quarter of the updates at "
    "the paper's rate of 0.5 (in S5 all updates, at 0.1); where such a rule is the optimum they came within 0.09 and "
    "0.02 % of it.",
)
