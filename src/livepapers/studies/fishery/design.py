"""Arms and settings of the fishery study, and where it deviates from the paper."""

from livepapers.lab.study import Arm, Setting

LEARNED = ("ppo", "ppo+gp")
FRACTIONS = {"0.8 mortality": 0.8, "0.9 mortality": 0.9, "0.95 mortality": 0.95}
SEEN = {"ppo without Z": ("X", "Y")}
"""Arms that do not see all species."""
PERTURBATION = 0.12
FIRST_SEED = 10
"""Version 3's claims were fixed after version 2's figures, of seeds 0 to 9, had been seen."""

ARMS = (
    Arm("ppo", "method",
        "PPO that sees all populations, 0.6 or 1.2 million steps; the deterministic rule, best on dev episodes."),
    Arm("ppo+gp", "method", "ppo's own training, its rule smoothed by a Gaussian process on 3,825 states.",
        trains_as="ppo"),
    Arm("ppo without Z", "ablation", "ppo, trained and judged without seeing Z."),
    Arm("mortality", "baseline", "Constant mortality (CMort), the best of a grid on 60 episodes; then fresh ones."),
    Arm("escapement", "baseline", "Constant escapement (CEsc), the best of a grid on 60 episodes, likewise."),
    Arm(
        "linear escapement", "baseline",
        "Escapement linear in the other species, differential evolution from the tuned constant one; our own rival.",
    ),
    *(
        Arm(name, "baseline", f"{share:g} times the tuned constant mortality: the precautionary practice.")
        for name, share in FRACTIONS.items()
    ),
    Arm("no fishing", "floor", "Mortality 0: nothing is caught, and species die out on their own only."),
    Arm("textbook", "floor", "Mortality r / (r + 2), the maximum sustainable yield of each stock, as if alone."),
)  # fmt: skip

RULES = ("mortality", "escapement", "linear escapement", *FRACTIONS, "textbook", "no fishing")
SETTINGS = (
    Setting(
        "model-3", "Three species, X and Y are fished.", (*LEARNED, *SEEN, *RULES),
        {"smoke": 1, "laptop": 10, "paper": 10}, {"model": "model-3", "updates": 146}, "two fisheries",
        first_seed=FIRST_SEED,
    ),
    Setting(
        "model-4", "As model-3, X grows ever more slowly (half as fast after 100 years); time is not observed.",
        (*LEARNED, *RULES), {"smoke": 1, "laptop": 10, "paper": 10}, {"model": "model-4", "updates": 146}, "drift",
        first_seed=FIRST_SEED,
    ),
    Setting(
        "model-1", "One species under constant grazing, close to its tipping point; noise 0.05.",
        (*LEARNED, "mortality", "escapement", "textbook", "no fishing"), {"smoke": 1, "laptop": 10, "paper": 10},
        {"model": "model-1", "updates": 146}, "one species", first_seed=FIRST_SEED,
    ),
    Setting(
        "model-2", "Three species, only X is fished.",
        (*LEARNED, "mortality", "escapement", "linear escapement", "textbook", "no fishing"),
        {"smoke": 1, "laptop": 10, "paper": 10}, {"model": "model-2", "updates": 74}, "one fishery",
        first_seed=FIRST_SEED,
    ),
    Setting(
        f"perturbed-{PERTURBATION:g}",
        f"model-4 with every parameter times 1 + {PERTURBATION:g} g, g standard normal; a new set for each seed.",
        ("ppo", "mortality", "escapement", "textbook", "no fishing"), {"smoke": 1, "laptop": 10, "paper": 100},
        {"model": "model-4", "updates": 74, "perturbation": PERTURBATION}, "robustness",
        first_seed=FIRST_SEED,
    ),
)  # fmt: skip

DEVIATIONS = (
    "Rules are tuned on 60 episodes and a grid of 101 (one fishery) or 26 x 26; paper: 100 and 101 or 51 x 51. "
    "Each seed tunes them anew, and judges them on fresh episodes; the paper reports the score of the very episodes "
    "that chose the rule.",
    "All arms of a seed are judged on the same 1,000 fresh episodes; paper: 100.",
    "PPO: see the method's deviations; 1.2 million steps in models 3 and 4 as in the paper and in model 1 "
    "(paper: 0.4 million), 0.6 million elsewhere.",
    "ppo+gp repeats ppo's training, or takes it over where the run has it, so that it smooths the very rule that ppo "
    "is judged by.",
    "Robustness: one size of perturbation, 0.12, and 10 sets of parameters; paper: five sizes, 100 sets each. Rates of "
    "predation and gains are perturbed for each prey on their own; perturbed draws that are no model are drawn again.",
    "Training settings were chosen on model 3, with a seed outside the study, before the study was declared; the "
    "standard deviation that depends on the state on models 1, 3 and 4 with seeds 3001 and 3002, before any run.",
    "C1's threshold is where the rule's mortality last rises through 0.02, on 301 stocks from 0 to 1.5 capacities. "
    "C7's escapement is the S whose max(1 - S / N, 0) is closest to the rule's curve, at 200 visited states of the "
    "others.",
    "C7a: until version 2 it asked for |t| > 3 in a regression over visited states, which any trained network passes "
    "once enough states are read. Since version 3 it asks how much Z explains, and L2 what seeing Z earns; both were "
    "fixed after version 2's figures, and are judged on seeds that it did not have.",
    "C3b, looked into after the run: one smoothed rule of ten (seed 13) loses Y in nearly half of all episodes. Where "
    "X and Y are scarce together it is between the grids it was fitted to, as the paper's are, and the Gaussian "
    "process carries on a slope: it fishes Y hardest where least is left, which the rule it was fitted to does not.",
    "Work: of the linear rules' searches the committed run counts one generation of forty in its tuning steps, beside "
    "the grid; runs since count all. Wall times were right.",
)
