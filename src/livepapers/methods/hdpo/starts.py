"""Several starts of one training: where the cost has local optima, the first weights decide which one is found.

In a chain of warehouses a stage that learns early to ship all it has gets no gradient that would tell it otherwise:
what it ships is governed upstream. Dev costs of such starts stand apart within a hundred updates.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import Learner, State, load_or_keep
from livepapers.methods.hdpo.learner import HindsightPolicyOptimization
from livepapers.tasks.scenarios import DevSelection

TRIAL = 100
"""Updates that each start is judged after."""


class BestOfStarts(Learner):
    """Every start gets `trial` updates, one after the other; the one of the lowest dev cost gets all that follow.

    A start whose training diverges (a metric is not finite) is dropped and the rest of its trial is not made up for;
    if no other is left, its metrics are returned as they are, which ends the training.

    Args:
        learners: The same training from different weights.
        trial: Updates that each is judged after; not more than the training has.

    Attributes:
        dropped: Indices of the starts that diverged.
    """

    def __init__(self, learners: Sequence[HindsightPolicyOptimization], *, trial: int = TRIAL) -> None:
        self.learners, self._steps = list(learners), 0
        self.trial = min(trial, self.learners[0].config.updates)
        self.dropped: set[int] = set()

    @property
    def chosen(self) -> HindsightPolicyOptimization:
        """The start of the lowest dev cost so far, the first of equal ones; a dropped one if there are no others."""
        left = [learner for i, learner in enumerate(self.learners) if i not in self.dropped]
        return min(left or self.learners, key=lambda learner: learner.selection.best_cost)

    @property
    def updates(self) -> int:
        """Updates of this learner that give the chosen start all that its configuration says."""
        return self.learners[0].config.updates + (len(self.learners) - 1) * self.trial

    @property
    def selection(self) -> DevSelection:
        """That of the start which was updated last; of the chosen one when each has had its trial."""
        turn = (self._steps - 1) // self.trial
        return self.learners[turn].selection if 0 <= turn < len(self.learners) else self.chosen.selection

    def update(self) -> dict[str, float]:
        """One update of the start whose turn it is; the chosen one's best cost only falls, so it stays chosen."""
        turn = self._steps // self.trial
        self._steps += 1
        if turn in self.dropped:
            return {"dropped": float(len(self.dropped))}
        metrics = (self.learners[turn] if turn < len(self.learners) else self.chosen).update()
        if turn < len(self.learners) and not all(math.isfinite(value) for value in metrics.values()):
            if len(self.dropped) + 1 == len(self.learners):
                return metrics
            self.dropped.add(turn)
            return {"dropped": float(len(self.dropped))}
        return metrics

    def best_policy(self) -> nn.Module:
        """The chosen policy with its best weights by dev cost; training is over after this."""
        return self.chosen.best_policy()

    def state_dict(self) -> dict[str, Any]:
        """The states of all starts."""
        states = {str(i): one.state_dict() for i, one in enumerate(self.learners)}
        return {"learners": states, "dropped": sorted(self.dropped), "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="starts")
        require_keys(state["learners"], self.state_dict()["learners"], what="starts")
        load_or_keep(self, self._take, state)

    def _take(self, state: State) -> None:
        for i, learner in enumerate(self.learners):
            learner.load_state_dict(state["learners"][str(i)])
        self._steps, self.dropped = int(state["steps"]), {int(i) for i in state["dropped"]}

    def work(self) -> dict[str, int]:
        """What all starts have cost together."""
        spent = [learner.work() for learner in self.learners]
        return {name: sum(one[name] for one in spent) for name in spent[0]}
