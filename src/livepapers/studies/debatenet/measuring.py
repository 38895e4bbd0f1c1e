"""How a cell of the debatenet study is measured."""

import numpy as np
from scipy import stats

from livepapers.baselines.camp_splits import k_means_split, principal_component_split, supervised_accuracy
from livepapers.core.config import replace
from livepapers.core.rng import derive, numpy_generator
from livepapers.lab.study import Run, Setting
from livepapers.methods import debatenet as method
from livepapers.studies.debatenet.instances import PILOT, camps, load, part_of
from livepapers.tasks.statements import Statements

NETWORKS = {"signed": {}, "static": {}, "permuted": {}, "unsigned": {"aggregate": "ignore"},
            "raw": {"aggregate": "congruence", "normalise": "none"}}  # fmt: skip
"""Arms that are networks, by what they change in the configuration."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """One arm on one part of the respondents in one window."""
    part = PILOT if preset == "smoke" else seed
    everyone = part_of(load(run.prepared("attitudes"), setting.parameters["data"]), part)
    years = (
        np.datetime64(f"{setting.parameters[end]}-{day}", "D") for end, day in (("first", "01-01"), ("last", "12-31"))
    )
    window = method.Window(*(int(day.astype(np.int64)) for day in years)).of(everyone)
    run.spend(statements=len(window))
    if arm == "parties":
        return _parties(window)
    debate = camps(window)
    if arm in NETWORKS:
        config = replace(method.Config.preset(preset), duplicates="include", **NETWORKS[arm])
        rng = numpy_generator(part, "debatenet", setting.name, "null")  # the same for every arm: paired
        if arm == "permuted":
            debate = method.permuted(debate, numpy_generator(part, "debatenet", setting.name, "floor"), period="year")
        return _network(debate, config, rng if setting.parameters["null"] else None, run)
    return _direct(arm, debate, seed=derive(part, "debatenet", setting.name, "splits"))


def _network(debate: Statements, config: method.Config, rng: np.random.Generator | None, run: Run) -> dict[str, float]:
    """Gap between parties, camps and how far they follow parties, and how far activity decides."""
    network = method.actor_network(debate, config)
    found = method.polarisation(network)
    gap = method.group_ties(network).within_minus_between()
    strength = np.asarray(abs(network.matrix).sum(axis=1)).ravel()
    agreement = method.camp_agreement(found.side, _republican(network.groups))
    values = {
        "gap": gap, "polarisation": found.q, "camps_found": agreement,
        "activity": _rank_correlation(strength, network.counts.total), "actors": float(len(network.nodes)),
        "ties": float(network.matrix.nnz // 2),
    }  # fmt: skip
    if rng is None:
        return values
    null = method.gap_null(debate, rng, config, period="year")
    run.samples("null", null)
    return values | {"gap_z": method.z_score(gap, null), "p": method.permutation_p(gap, null)}


def _direct(arm: str, debate: Statements, *, seed: int) -> dict[str, float]:
    """Camps without a network, from the matrix of positions."""
    made = method.affiliation(debate)
    positions, party = made.matrix.toarray(), _republican(made.groups)
    if arm == "logistic":
        return {"camps_found": supervised_accuracy(positions, party, seed=seed)}
    split = (
        principal_component_split(positions) if arm == "principal_component" else k_means_split(positions, seed=seed)
    )
    return {"camps_found": method.camp_agreement(split, party)}


def _parties(window: Statements) -> dict[str, float]:
    """The points of the scale as actors: drift of their positions, and what netting does to conflict between them."""
    actors = window.by_group()
    made = method.affiliation(actors, normalise="activity")
    scale = [index for index, name in enumerate(made.actors) if name[0] in "0123456"]
    positions = made.matrix.toarray()[scale]
    likeness = np.array([np.corrcoef(positions[0], row)[0, 1] for row in positions])
    shares = []
    for netting in ("statement", "actor_concept"):
        parts = [method.project(actors, aggregate=kind, netting=netting) for kind in ("conflict", "ignore")]
        conflict, both = (part.matrix.toarray()[np.ix_(scale, scale)][np.triu_indices(len(scale), 1)] for part in parts)
        shares.append(np.divide(conflict, both, out=np.zeros_like(conflict), where=both > 0))
    apart = float(np.abs(shares[0] - shares[1]).mean())
    found = {f"likeness_{index}": float(value) for index, value in enumerate(likeness)}
    return found | {
        "drift": _rank_correlation(np.arange(len(scale)), likeness), "netting": apart,
        "conflict_statement": float(shares[0].mean()), "conflict_netted": float(shares[1].mean()),
    }  # fmt: skip


def _republican(groups: tuple[str, ...]) -> np.ndarray:
    return np.array([name == "Republicans" for name in groups], dtype=np.int64)


def _rank_correlation(one: np.ndarray, two: np.ndarray) -> float:
    ranks = stats.rankdata(np.round(one, 9)), stats.rankdata(np.round(two, 9))
    return float(np.corrcoef(*ranks)[0, 1]) if all(np.ptp(rank) > 0 for rank in ranks) else 0.0
