"""How a cell of the drl-diagnosis study is measured."""

from livepapers.blocks.policy_door import AnyPolicy
from livepapers.core.rng import derive
from livepapers.lab.study import Run, Setting
from livepapers.methods.drl_diagnosis import Config, ConvQPolicy, certified_share, collect, diagnose
from livepapers.studies.drl_diagnosis.agents import (
    best_single_action,
    game,
    mean_return,
    settings,
    trained,
    untrained,
)
from livepapers.studies.drl_diagnosis.design import CHANGES, FEW_CHANGES, RADIUS, REGIMES
from livepapers.studies.drl_diagnosis.tuning import chosen_kappa


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    world = str(setting.parameters["world"])
    trials = chosen_kappa(run, preset, world, seed) if REGIMES.get(arm, "plain") != "plain" else None
    weight = None if trials is None else float(trials["chosen"]["weight"])
    config = settings(preset, arm=arm, weight=weight)
    if arm in REGIMES:
        policy = trained(run, config, world=world, seed=seed, preset=preset)
    else:
        policy = untrained(config, world, preset, seed)
    found = diagnose(
        policy, game(world, preset), config=config, changes=CHANGES.get(arm, FEW_CHANGES),
        seed=derive(seed, "drl-diagnosis", "diagnosis"),
    )  # fmt: skip
    run.samples("direction", found.direction.numpy())
    run.samples("lengths", found.series)
    measured = {name: float(values.mean()) for name, values in found.figures.items()}
    for name, row in found.table.items():
        short = name.replace(" ", "-")
        measured |= {f"{figure}_{short}": float(row[figure].mean()) for figure in ("quotient", "cosine", "size")}
    if trials is not None:
        scored = [one for one in trials["trials"] if one["mean"] is not None]
        measured |= {"kappa": trials["chosen"]["weight"], "kappa_at_edge": float(bool(trials["edges"]))}
        measured |= {f"trials_{one['values']['weight']:g}": one["mean"] for one in scored}
    return measured | _robustness(policy, world, config, seed, preset)


def _robustness(policy: AnyPolicy, world: str, config: Config, seed: int, preset: str) -> dict[str, float]:
    """Scores of whole training episodes: plain, under attack, and of policies that look at nothing."""
    episodes, start = config.episodes * config.repeats, derive(seed, "drl-diagnosis", "robustness") >> 32
    plain = collect(policy, game(world, preset), episodes=episodes, seed=start)
    own = float(plain.returns.mean())
    left = mean_return(policy, world, preset, episodes=episodes, seed=start, attacked=True)
    chance = mean_return(None, world, preset, episodes=episodes, seed=start)
    network = policy.network
    assert isinstance(network, ConvQPolicy)  # all agents of the study are
    return {
        "score": own, "attacked_score": left, "random_score": chance,
        "blind_score": best_single_action(world, preset, episodes, start),
        "kept": (left - chance) / max(own - chance, 1e-9) if own > chance else 0.0,
        "certified": certified_share(network.network, plain.states, radius=RADIUS),
    }  # fmt: skip
