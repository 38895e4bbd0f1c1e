"""Pre-training: relabelled successes and own attempts, one forward pass, one Adam step (oc-gfn)."""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.blocks.flow_networks import masked_log_probability
from livepapers.blocks.trajectories import Trajectories, Transitions, rollout
from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.explorers import make_explorer
from livepapers.methods.oc_gfn.network import ConditionalFlowNetwork
from livepapers.methods.oc_gfn.objectives import edge_log_reward, fixed_point_success, outcome_teleportation_residual
from livepapers.methods.oc_gfn.outcomes import Objects, Outcomes, same
from livepapers.tasks.construction import Construction

METRICS = ("loss", "reached", "log_f0")
"""Keys of `update()`: the loss; share of own trajectories that reached their outcome (0 where none is sampled); mean
of log F(s0|y) over the batch, nats, 0 when learned."""
RARELY = 0.5
"""Below this estimated success `reach` warns."""


@dataclass(frozen=True)
class Reached:
    """Trajectories sampled towards one outcome each."""

    trajectories: Trajectories
    hit: Tensor  # [B] bool: ended in its outcome

    @property
    def success(self) -> float:
        """Share that reached its outcome."""
        return float(self.hit.to(torch.float64).mean())


class OutcomeConditionedGFlowNet(Learner):
    """A GFlowNet that learns, without any reward, to end in a given outcome.

    Args:
        env: The construction; its reward is never asked for.
        config: The settings.
        seed: Of weights and exploration.
        outcomes: What counts as an outcome; the objects themselves by default.
        dataset: Finished objects to start from, instead of the explorer that `config` names.
    """

    def __init__(
        self,
        env: Construction,
        config: Config,
        *,
        seed: int,
        outcomes: Outcomes | None = None,
        dataset: Tensor | None = None,
    ) -> None:
        self.env, self.config, self.seed = env, config, seed
        self.outcomes: Outcomes = Objects(env) if outcomes is None else outcomes
        self.network = ConditionalFlowNetwork(
            env.features, self.outcomes.features, env.moves, has_stop=env.has_stop,
            hidden=config.hidden, layers=config.layers, seed=seed,
        )  # fmt: skip
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.explorer = make_explorer(env, config, dataset, seed=seed)
        self.generator = generator(seed, "oc-gfn", "exploration")
        self.step = self.environment_steps = self.trajectories = 0
        self._warn_of_leaks()

    def update(self) -> dict[str, float]:
        """Sample successes and attempts, make one Adam step, let the explorer learn."""
        config = self.config
        found = self.explorer.sample(config.batch, generator=self.generator)
        goals = self.outcomes.of(found.last)
        parts: list[tuple[Trajectories, Tensor, Tensor]] = []
        if config.positives:
            parts.append((found, goals, torch.ones(config.batch, dtype=torch.bool)))
        reached = 0.0
        if config.negatives:
            wanted = goals[torch.randperm(config.batch, generator=self.generator)]
            tried = self.reach(wanted, generator=self.generator, epsilon=config.epsilon)
            parts.append((tried.trajectories, wanted, tried.hit))
            reached = tried.success
        loss, log_f0 = self._losses(parts)
        if loss.requires_grad:
            self._set_rate()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        self.explorer.learn(found)
        self.step += 1
        self.trajectories += config.batch * (1 + config.negatives)
        self.environment_steps += int(found.length.sum())
        self.environment_steps += int(parts[-1][0].length.sum()) if config.negatives else 0
        return {"loss": float(loss.detach()), "reached": reached, "log_f0": log_f0}

    def reach(self, outcomes: Tensor, *, generator: torch.Generator, epsilon: float = 0.0) -> Reached:
        """One trajectory towards each outcome, `[B, ...]`."""
        policy = self.network.policy(self.outcomes.encode(outcomes))
        made = rollout(self.env, len(outcomes), generator=generator, logits=policy, epsilon=epsilon)
        return Reached(made, same(self.outcomes.of(made.last), outcomes))

    def paths_to(self, outcome: Tensor, n: int, *, generator: torch.Generator) -> Reached:
        """`n` trajectories towards one outcome `[...]`; warns, with the estimate, where it is hardly ever reached."""
        made = self.reach(outcome[None].expand(n, *outcome.shape).contiguous(), generator=generator)
        if made.success < RARELY:
            warnings.warn(
                f"outcome {outcome.tolist()} is reached by {made.success:.1%} of {n} trajectories only: did the "
                "explorer see it, and was the training long enough?",
                stacklevel=2,
            )
        return made

    def success(self, outcomes: Tensor, *, generator: torch.Generator) -> float:
        """Share of these outcomes that one trajectory each, without exploration, reaches."""
        with torch.no_grad():
            return self.reach(outcomes, generator=generator).success

    @torch.no_grad()
    def log_root_flow(self, outcomes: Tensor) -> Tensor:
        """Log F(s0|y), `[n]`; 0 where f is one-to-one and y is learned."""
        parts = []
        for chunk in outcomes.split(4096):
            root = self.env.encode(self.env.root(1)).expand(len(chunk), -1)
            parts.append(self.network(root, self.outcomes.encode(chunk))[2])
        return torch.cat(parts) if parts else torch.zeros(0)

    def work(self) -> dict[str, int]:
        """Environment steps (moves made forwards or backwards) and trajectories."""
        return {"environment_steps": self.environment_steps, "trajectories": self.trajectories}

    def state_dict(self) -> State:
        """Weights, optimiser, explorer, generator and counters."""
        return {
            "network": dict(self.network.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "explorer": self.explorer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "work": self.work(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue where `state_dict` was taken; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, own, what="oc-gfn state")
        require_keys(state["network"], own["network"], what="oc-gfn network")
        require_keys(state["work"], own["work"], what="oc-gfn work")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.explorer.load_state_dict(state["explorer"])
        self.network.load_state_dict(state["network"])
        self.generator.set_state(state["generator"].clone())
        self.step, work = int(state["step"]), state["work"]
        self.environment_steps, self.trajectories = int(work["environment_steps"]), int(work["trajectories"])

    def _losses(self, parts: list[tuple[Trajectories, Tensor, Tensor]]) -> tuple[Tensor, float]:
        """(sum over parts of the mean squared residual, mean log F(s0|y)) of trajectories, outcomes, hits."""
        losses, roots = [], []
        for batch, goals, hit in parts:
            residual, log_flow = self.residual(batch, goals, hit)
            losses.append((residual.square() * batch.live).sum() / batch.live.sum().clamp(min=1))
            roots.append(log_flow[0].detach().mean())
        if not losses:
            return torch.zeros(()), 0.0
        return torch.stack(losses).sum(), float(torch.stack(roots).mean())

    def residual(self, batch: Trajectories, goals: Tensor, hit: Tensor) -> tuple[Tensor, Tensor]:
        """(equation (2) `[T, B]`, zeros in the padding; log F(s|y) `[T + 1, B]`) of trajectories towards outcomes."""
        moves, config, width = Transitions.of(batch), self.config, len(batch.length)
        encoded = self.network.embed_states(self.env.encode(moves.states)).view(-1, width, config.hidden)
        embedded = (encoded + self.network.embed_outcomes(self.outcomes.encode(goals))).flatten(0, 1)
        forward_logits, backward_logits, flow = self.network.heads(embedded)
        rows = torch.arange(len(moves.actions)) if moves.rows is None else moves.rows
        mask = self.env.forward_mask(moves.parents)
        log_forward = masked_log_probability(forward_logits[rows], mask, moves.actions)
        log_backward = self._log_backward(backward_logits[rows + width], moves)
        known = torch.zeros(len(batch.actions) + 1, width, dtype=torch.bool)
        known[batch.length, torch.arange(width)] = True
        log_flow = torch.where(known, 0.0, flow.view(-1, width))
        log_last = math.log(config.failure_reward)
        log_inner = log_last if config.teleport else 0.0
        log_reward = edge_log_reward(
            hit, batch.length, steps=len(batch.actions), log_last=log_last, log_inner=log_inner
        )
        paths = moves.spread(log_forward), moves.spread(log_backward)
        return outcome_teleportation_residual(log_flow, *paths, log_reward), log_flow

    def _log_backward(self, logits: Tensor, moves: Transitions) -> Tensor:
        mask = self.env.backward_mask(moves.children)
        if self.config.backward == "uniform":
            found = -mask.sum(dim=1).clamp(min=1).to(logits.dtype).log()
        else:
            found = masked_log_probability(logits, mask, moves.actions.clamp(max=self.env.moves - 1))
        return torch.where(moves.actions < self.env.moves, found, 0.0)

    def _set_rate(self) -> None:
        """A lower learning rate in the last third: log F and the policy share a trunk and disturb each other."""
        late = self.step >= self.config.updates * 2 // 3
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * (self.config.late_rate if late else 1.0)

    def _warn_of_leaks(self) -> None:
        count = self.outcomes.count
        if count is None or not self.outcomes.one_to_one or self.config.teleport or not self.config.negatives:
            return
        best = fixed_point_success(count, self.config.failure_reward)
        if best < 0.9:
            warnings.warn(
                f"failure_reward: got {self.config.failure_reward:g}, which over {count:,} outcomes leaves success of "
                f"{best:.0%} at best; about {0.01 / count:.0e} would leave 99 %",
                stacklevel=3,
            )
