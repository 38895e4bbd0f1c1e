"""Arms and settings of the oc-gfn study."""

from livepapers.lab.study import Arm, Setting, Table

PRETRAINED = "the same network, batch and number of updates as every pre-training arm"
TOTAL = "measured after as many trajectories as the adaptation takes, and after as many as pre-training and adaptation"
ARMS = (
    Arm("teleport", "method", f"as the paper has it: log R on every edge, epsilon 1e-4; {PRETRAINED}"),
    Arm("last-edge", "method", f"no outcome teleportation: log R on the last edge, epsilon 0.01 / |Y|; {PRETRAINED}"),
    Arm("positives", "ablation", f"relabelled successes only; {PRETRAINED}"),
    Arm("negatives", "ablation", f"own attempts only; {PRETRAINED}"),
    Arm("mild", "ablation", f"teleport with epsilon 0.1, so that failures look almost as good; {PRETRAINED}"),
    Arm("gafn", "ablation", f"contrastive, with successes from a GAFlowNet that explores; {PRETRAINED}"),
    Arm("goal-conditioned", "baseline", "hindsight and maximum likelihood, no flows; trajectories of a pre-training"),
    Arm("convert-exact", "method", "equation (3) over all outcomes of the pre-trained model, no training"),
    Arm("convert-calibrated", "ablation", "convert-exact with F(s|y) divided by the learned F(s0|y)"),
    Arm("convert-mc", "method", "equation (3) with 256 drawn outcomes (strings: anew for each object), no training"),
    Arm("amortised", "method", "equation (4): N and Q learn from the frozen model for the adaptation's updates"),
    Arm("scratch-db", "baseline", f"detailed balance from scratch, the same network; {TOTAL}"),
    Arm("scratch-tb", "baseline", f"trajectory balance from scratch, the same network; {TOTAL}"),
    Arm("fine-tuned", "baseline", "detailed balance on another task for as long as pre-training, then on this one"),
    Arm("metropolis", "baseline", f"Metropolis chains with single-site changes, one proposal a move; {TOTAL}"),
    Arm("dqn", "baseline", f"double DQN on the task's reward; {TOTAL}"),
    Arm("exact-sampler", "optimum", "independent draws from R / Z"),
    Arm("uniform", "floor", "uniform choice among the allowed moves, no training"),
    Arm("exact", "optimum", "the closed-form flows put into equation (3)", seeded=False),
)  # fmt: skip
PRETRAINING = ("teleport", "last-edge", "positives")
ADAPTING = (
    "convert-exact", "convert-calibrated", "convert-mc", "amortised", "scratch-db", "scratch-tb", "fine-tuned",
    "metropolis", "dqn", "goal-conditioned", "exact-sampler", "uniform",
)  # fmt: skip
RNA = ("rna-1", "rna-2", "rna-3", "rna-4")


def _pretraining(name: str, about: str, arms: tuple[str, ...], seeds: tuple[int, int, int]) -> Setting:
    counts = {preset: n for preset, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n}
    return Setting(name, about, arms, counts, {"world": name}, "pre-training")


def _adapting(name: str, about: str, world: str, arms: tuple[str, ...], seeds: tuple[int, int, int]) -> Setting:
    counts = {preset: n for preset, n in zip(("smoke", "laptop", "paper"), seeds, strict=True) if n}
    updates = {"smoke": 4, "laptop": 500, "paper": 10_000}
    return Setting(name, about, arms, counts, {"world": world, "updates": updates}, "adaptation")


SETTINGS = (
    Setting(
        "identities", "8 x 8 grid: closed-form flows, three rewards, one flow made wrong by e^0.1", ("exact",),
        {"smoke": 1, "laptop": 1, "paper": 1}, {"world": "grid-8"}, "identities", fixed_seeds=True,
    ),
    _pretraining(
        "grid-8", "8 x 8 grid, 64 outcomes: pre-training with all its ablations",
        (*PRETRAINING, "negatives", "mild", "gafn", "goal-conditioned", "uniform"), (1, 6, 6),
    ),
    _pretraining(
        "bits-16", "16 bits in words of 4, 65,536 outcomes: pre-training with its ablations",
        (*PRETRAINING, "negatives", "goal-conditioned", "uniform"), (1, 6, 6),
    ),
    _pretraining(
        "grid-16", "16 x 16 grid, 256 outcomes", (*PRETRAINING, "uniform"), (0, 3, 6),
    ),
    _pretraining(
        "bits-24", "24 bits in words of 4, 16,777,216 outcomes", (*PRETRAINING, "uniform"), (0, 3, 6),
    ),
    _adapting("hypergrid-16", "16 x 16 grid with the hypergrid reward, R0 = 0.001", "grid-16", ADAPTING, (1, 3, 6)),
    *(
        _adapting(
            name, f"8 nucleotides that bind to target {name[-1]}, energies of ViennaRNA, 65,536 outcomes", "rna-8",
            ADAPTING, (int(name == "rna-1"), 3, 6),
        )
        for name in RNA
    ),
    Setting(
        "many-rewards", "8 x 8 grid, 20 random rewards one after the other from one frozen model",
        ("convert-exact", "scratch-db"), {"smoke": 1, "laptop": 6, "paper": 10},
        {"world": "grid-8", "updates": {"smoke": 2, "laptop": 400, "paper": 2000}}, "many rewards",
    ),
)  # fmt: skip
TABLES = (
    Table("success", "Drawn outcomes that are reached after pre-training", ("grid-8", "grid-16", "bits-16", "bits-24")),
    Table("tv", "Total variation to the target after the adaptation's trajectories", ("hypergrid-16", *RNA)),
    Table("tv_total", "Total variation after the trajectories of pre-training and adaptation", ("hypergrid-16", *RNA)),
    Table("modes", "Modes among 2,048 samples after the adaptation's trajectories", ("hypergrid-16", *RNA)),
)
