"""Goal-conditioned policies by hindsight, without flows: the plain rival of an outcome-conditioned GFlowNet.

Every trajectory teaches how its own end is reached: the policy is trained by maximum likelihood on the actions of
trajectories that are relabelled with their ends (Ghosh et al. 2021, "Learning to Reach Goals via Iterated Supervised
Learning"). Half of a batch are walks back from drawn objects, half the policy's own attempts.
"""

import torch
from torch import Tensor

from livepapers.blocks.flow_networks import FlowNetwork, masked_log_probability
from livepapers.blocks.trajectories import Trajectories, Transitions, rollout, walk_back
from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator
from livepapers.tasks.construction import Construction, draw_objects


class GoalConditioned(Learner):
    """pi(a|s, goal), trained by hindsight.

    Args:
        env: The construction; goals are its finished objects.
        batch: Walks back, and as many attempts, an update.
        hidden: Width of the two hidden layers.
        learning_rate: Of Adam.
        epsilon: Share of uniform moves in attempts.
        seed: Of weights and exploration.
    """

    def __init__(
        self, env: Construction, *, batch: int, hidden: int, learning_rate: float, epsilon: float, seed: int
    ) -> None:
        self.env, self.batch, self.epsilon = env, batch, epsilon
        self.network = FlowNetwork(
            2 * env.features, env.moves, has_stop=env.has_stop, hidden=hidden, seed=seed, stream="goal-conditioned"
        )
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate, fused=True)
        self.generator = generator(seed, "goal-conditioned", "exploration")
        self.environment_steps = 0

    def update(self) -> dict[str, float]:
        """Walks back and attempts, all relabelled with their own ends; one Adam step on the likelihood."""
        ends = draw_objects(self.env, self.batch, generator=self.generator)
        walks = walk_back(self.env, ends, generator=self.generator)
        goals = ends[torch.randperm(self.batch, generator=self.generator)]
        tries = self.attempt(goals, generator=self.generator, epsilon=self.epsilon)
        loss = torch.stack([self._loss(walks), self._loss(tries)]).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.environment_steps += int(walks.length.sum()) + int(tries.length.sum())
        return {"loss": float(loss.detach()), "reached": reached(tries, goals)}

    def attempt(self, goals: Tensor, *, generator: torch.Generator, epsilon: float = 0.0) -> Trajectories:
        """One trajectory towards each goal."""
        wanted, policy = self.env.encode(goals), self.network.policy()

        def logits(encoded: Tensor) -> Tensor:
            return policy(torch.cat([encoded, wanted], dim=1))

        return rollout(self.env, len(goals), generator=generator, logits=logits, epsilon=epsilon)

    def sample(self, n: int, log_reward: Tensor, objects: Tensor, *, generator: torch.Generator) -> Tensor:
        """Draw goals in proportion to the reward of `objects` `[object, ...]`, and try to reach them, `[n, ...]`."""
        cumulative = torch.softmax(log_reward.to(torch.float64), dim=0).cumsum(0)
        draws = torch.rand(n, generator=generator, dtype=torch.float64) * cumulative[-1]
        chosen = torch.searchsorted(cumulative, draws, right=True).clamp(max=len(objects) - 1)
        return self.attempt(objects[chosen], generator=generator).last

    def work(self) -> dict[str, int]:
        """Environment steps, backward ones included."""
        return {"environment_steps": self.environment_steps}

    def state_dict(self) -> State:
        """Weights, optimiser, generator and counter."""
        return {
            "network": dict(self.network.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "generator": self.generator.get_state(),
            "work": self.work(),
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, own, what="goal-conditioned state")
        require_keys(state["network"], own["network"], what="goal-conditioned network")
        require_keys(state["work"], own["work"], what="goal-conditioned work")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.network.load_state_dict(state["network"])
        self.generator.set_state(state["generator"].clone())
        self.environment_steps = int(state["work"]["environment_steps"])

    def _loss(self, batch: Trajectories) -> Tensor:
        moves = Transitions.of(batch)
        rows = torch.arange(len(moves.actions)) if moves.rows is None else moves.rows
        goals = self.env.encode(batch.last)[rows % moves.width]
        logits = self.network(torch.cat([self.env.encode(moves.parents), goals], dim=1))[0]
        return -masked_log_probability(logits, self.env.forward_mask(moves.parents), moves.actions).mean()


def reached(tries: Trajectories, goals: Tensor) -> float:
    """Share of trajectories that ended in their goals."""
    return float((tries.last == goals).reshape(len(goals), -1).all(dim=1).to(torch.float64).mean())
