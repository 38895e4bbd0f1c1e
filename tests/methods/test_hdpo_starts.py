"""Several starts of one training: the turn of each, the choice, and what is kept."""

import math
from typing import Any

import pytest
import torch

from livepapers.core.errors import CorruptFileError
from livepapers.core.rng import generator
from livepapers.methods import hdpo
from livepapers.tasks.demand import ClippedNormal
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventorySimulator, Node
from livepapers.tasks.scenarios import draw, fresh

CHAIN = InventoryNetwork(
    nodes=(Node(name="w", kind="warehouse", holding=0.3), Node(name="s", kind="store", holding=1.0, shortage=9.0)),
    edges=(Edge(source="supplier", target="w", lead_time=2), Edge(source="w", target="s", lead_time=2)),
    unmet="backlog",
)


def starts(count: int, *, updates: int = 12, trial: int = 4) -> hdpo.BestOfStarts:
    simulator = InventorySimulator(CHAIN, ClippedNormal(5.0, 2.0), horizon=10)
    config = hdpo.Config(updates=updates, batch=8, periods=10, dev_periods=20, dev_ignore=5, dev_every=2)
    dev = draw(simulator, 16, periods=20, generator=generator(0, "dev"))
    learners = [
        hdpo.HindsightPolicyOptimization(
            simulator, hdpo.VanillaPolicy(CHAIN, [5.0], lead=2, hidden=(8,), generator=generator(i, "weights")),
            config=config, train=fresh(simulator, periods=10), dev=dev, generator=generator(i, "train"),
        )
        for i in range(count)
    ]  # fmt: skip
    return hdpo.BestOfStarts(learners, trial=trial)


def steps(made: hdpo.BestOfStarts) -> list[int]:
    return [learner.work()["gradient_steps"] for learner in made.learners]


def test_each_start_has_its_trial_and_the_best_has_the_rest():
    made = starts(3)
    assert made.updates == 12 + 2 * 4
    for _ in range(12):
        made.update()
    assert steps(made) == [4, 4, 4]
    best = min(range(3), key=lambda i: made.learners[i].selection.best_cost)
    for _ in range(made.updates - 12):
        made.update()
    assert steps(made)[best] == 12
    assert sum(steps(made)) == made.updates == made.work()["gradient_steps"]
    assert made.chosen is made.learners[best]
    assert made.best_policy() is made.learners[best].policy


def test_one_start_is_the_plain_training():
    made, plain = starts(1), starts(1).learners[0]
    assert made.updates == 12
    for _ in range(12):
        assert made.update() == plain.update()


def test_a_trial_is_never_longer_than_the_training():
    assert starts(3, updates=3, trial=100).updates == 9


def test_a_bad_start_is_left_behind():
    """A start whose warehouse ships nothing at all cannot win against one that ships."""
    made = starts(2)
    policy: Any = made.learners[0].policy
    last = policy.network_mlp.layers[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(-30.0)
    for _ in range(made.updates):
        made.update()
    assert made.chosen is made.learners[1]
    assert steps(made) == [4, 12]


def test_a_resumed_run_is_the_same_run_in_trial_and_after():
    for before in (2, 5, 14):
        one, other = starts(3), starts(3)
        for _ in range(before):
            one.update()
        other.load_state_dict(one.state_dict())
        for _ in range(3):
            assert one.update() == other.update()
        assert one.work() == other.work()


def test_a_state_of_fewer_starts_is_refused_and_changes_nothing():
    one, other = starts(3), starts(2)
    other.update()
    before = one.state_dict()
    with pytest.raises(CorruptFileError):
        one.load_state_dict(other.state_dict())
    assert one.state_dict()["steps"] == before["steps"] == 0


def diverging(made: hdpo.BestOfStarts, start: int) -> None:
    """Give a start weights that are no numbers."""
    with torch.no_grad():
        made.learners[start].policy.network_mlp.layers[-1].bias.fill_(float("nan"))  # type: ignore[union-attr]


def test_a_start_that_diverges_is_dropped_and_the_others_go_on():
    made = starts(3)
    diverging(made, 1)
    told = [made.update() for _ in range(made.updates)]
    assert [step for step, metrics in enumerate(told) if "dropped" in metrics] == [4, 5, 6, 7]
    assert steps(made)[1] == 1
    assert made.chosen is not made.learners[1]
    assert all(math.isfinite(value) for metrics in told for value in metrics.values())


def test_where_every_start_diverges_the_metrics_say_so():
    made = starts(2)
    diverging(made, 0)
    diverging(made, 1)
    told = [made.update() for _ in range(5)]
    assert all(math.isfinite(value) for metrics in told[:4] for value in metrics.values())
    assert not all(math.isfinite(value) for value in told[4].values())


def test_the_selection_shown_is_that_of_the_start_in_turn():
    made = starts(2)
    shown = []
    for _ in range(made.updates):
        made.update()
        shown.append(made.selection)
    assert shown[:4] == [made.learners[0].selection] * 4
    assert shown[4:8] == [made.learners[1].selection] * 4
    assert set(shown[8:]) == {made.chosen.selection}


def test_the_last_update_is_checked_on_the_dev_set_whatever_the_cadence():
    plain = starts(1, updates=13).learners[0]  # checks every second update
    for _ in range(13):
        plain.update()
    assert plain.selection.checks == 1 + 6 + 1
