"""Keep the policy that did best so far: what training ends with may be worse than what it passed."""

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import Learner, State, load_or_keep


class Selected(Learner):
    """Another learner's training, of which the policy that did best when judged is kept.

    The episodes by which a policy is chosen are none that it is reported on: the best of several looks too good there.

    Args:
        learner: What trains; it has `policy()`.
        judge: (policy, how many judgements came before) -> mean return; minus infinity refuses a policy.
        every: Updates between judgements.
        to_beat: Return of the learner's first policy, which is kept until another one returns more; left out, the first
            one that is judged is kept.
    """

    def __init__(
        self, learner: Any, judge: Callable[[nn.Module, int], float], *, every: int, to_beat: float = -1e30
    ) -> None:
        self.learner, self._judge, self._every = learner, judge, every
        self._best: nn.Module = learner.policy()
        self._best_return, self._best_update, self._updates = to_beat, 0, 0

    def update(self) -> dict[str, float]:
        """One update of the learner, and a judgement when it is due."""
        found = self.learner.update()
        self._updates += 1
        if self._updates % self._every == 0:
            policy = self.learner.policy()
            score = self._judge(policy, self._updates // self._every)
            if score > self._best_return:
                self._best, self._best_return, self._best_update = policy, score, self._updates
        return {**found, "best_return": self._best_return}

    @property
    def best_return(self) -> float:
        """Of the policy that is kept, on the episodes that chose it: too good on average."""
        return self._best_return

    @property
    def best_update(self) -> int:
        """The number of updates after which the policy that is kept was found; 0: the first one."""
        return self._best_update

    def policy(self) -> nn.Module:
        """A copy of the best one."""
        return copy.deepcopy(self._best)

    def work(self) -> dict[str, int]:
        """As the learner says; judgements are not training."""
        return self.learner.work()

    def state_dict(self) -> dict[str, Any]:
        """The learner's state and the policy that is kept."""
        kept = {name: value.detach().clone() for name, value in self._best.state_dict().items()}
        return {
            "learner": self.learner.state_dict(), "best": kept, "best_return": self._best_return,
            "best_update": self._best_update, "updates": self._updates,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="selected training")
        require_keys(state["best"], self._best.state_dict(), what="best policy")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        self.learner.load_state_dict(state["learner"])
        self._best = copy.deepcopy(self._best)
        self._best.load_state_dict(state["best"])
        self._best_return, self._best_update = float(state["best_return"]), int(state["best_update"])
        self._updates = int(state["updates"])
