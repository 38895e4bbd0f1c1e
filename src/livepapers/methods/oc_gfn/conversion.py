"""From one pre-trained model to a sampler for any reward, without training: exactly, or by Monte Carlo (oc-gfn)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.blocks.trajectories import rollout
from livepapers.core.errors import InputError
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.objectives import conversion
from livepapers.methods.oc_gfn.outcomes import Objects
from livepapers.methods.oc_gfn.sampling import PolicySampler, TableSampler, masked_policy
from livepapers.tasks.construction import Factored
from livepapers.tasks.constructions.exact import StateGraph

LogReward = Callable[[Tensor], Tensor]
"""Outcomes `[n, ...]` -> log r `[n]`."""
ROWS = 16_384
"""Pairs of a state and an outcome that the network sees at a time."""
MOST_PAIRS = 20_000_000
REPEATS = 16
"""Outcomes up to which, for each one drawn, it matters whether some are drawn twice."""


@dataclass(frozen=True)
class FlowTable:
    """All flows and policies of a model on an enumerated construction: a new reward costs a few sums over it.

    Only pairs from which the outcome can be reached are listed; the others have F(s|y) = 0, which a network cannot
    say.
    """

    graph: StateGraph
    outcomes: Tensor  # [outcome, ...]
    state: Tensor  # [pair] int64 index into graph.states
    outcome: Tensor  # [pair] int64 index into outcomes
    log_flow: Tensor  # [pair] float64 log F(s|y)
    log_forward: Tensor  # [pair, action] float64 log P_F(.|s,y)

    @classmethod
    @torch.no_grad()
    def of(
        cls, model: OutcomeConditionedGFlowNet, graph: StateGraph, *, known_reachability: bool = True
    ) -> "FlowTable":
        """Evaluate a model on all pairs.

        Args:
            model: The pre-trained model.
            graph: Its construction, enumerated.
            known_reachability: False takes pairs that cannot be with the flow that the network gives them.
        """
        outcomes, number = _listed(model, graph)
        if known_reachability:
            state, outcome = graph.reachable_pairs(number)
        else:
            count = len(graph.states) * len(outcomes)
            if count > MOST_PAIRS:
                raise InputError.of("known_reachability", False, expected=f"True, beyond {MOST_PAIRS:,} pairs")
            state, outcome = torch.arange(count) // len(outcomes), torch.arange(count) % len(outcomes)
        network, env = model.network, model.env
        states = network.embed_states(env.encode(graph.states))
        goals, allowed = network.embed_outcomes(model.outcomes.encode(outcomes)), env.forward_mask(graph.states)
        flows, policies = [], []
        for rows, columns in zip(state.split(ROWS), outcome.split(ROWS), strict=True):
            logits, _, flow = network.heads(states[rows] + goals[columns])
            flows.append(flow.to(torch.float64))
            policies.append(masked_policy(logits, allowed[rows]))
        log_flow = torch.cat(flows)
        if not env.has_stop:  # finished objects: the flow is 1 by definition, not by the network
            log_flow = torch.where(graph.may_end[state], 0.0, log_flow)
        return cls(graph, outcomes, state, outcome, log_flow, torch.cat(policies))

    @classmethod
    def exact(cls, graph: StateGraph) -> "FlowTable":
        """The closed form for uniform P_B and f the identity: what a perfect model would have."""
        flow = graph.passing()
        state, outcome = (flow > 0).nonzero(as_tuple=True)
        ends = graph.may_end.nonzero().squeeze(1)
        log_flow = flow[state, outcome].log()
        back = -graph.env.backward_mask(graph.states).sum(dim=1).clamp(min=1).to(torch.float64).log()
        forward = torch.zeros(len(graph.states), graph.env.moves + graph.env.has_stop, len(ends), dtype=torch.float64)
        forward[graph.parent, graph.move] = flow[graph.child] * back[graph.child, None].exp()
        if graph.env.has_stop:
            forward[ends, -1, torch.arange(len(ends))] = 1.0
        log_forward = forward[state, :, outcome].log() - log_flow[:, None]
        return cls(graph, graph.states[graph.may_end], state, outcome, log_flow, log_forward)

    def log_root_flow(self) -> Tensor:
        """Log F(s0|y) of each outcome, `[outcome]`; the logarithm of the number of its objects when learned."""
        at_root = self.state == 0
        found = torch.zeros(len(self.outcomes), dtype=torch.float64)
        found[self.outcome[at_root]] = self.log_flow[at_root]
        return found

    def sampler(self, log_reward: Tensor, *, calibrate: bool = False) -> TableSampler:
        """Equation (3) at every state.

        Args:
            log_reward: log r of each outcome, `[outcome]`, finite.
            calibrate: Divide F(s|y) by the learned F(s0|y). Where f is one-to-one its true value is 1, and this
                takes out what the model got wrong there; where outcomes have several objects, r becomes the reward of
                the outcome, shared among its objects, instead of the reward of each object.
        """
        weight = _finite(log_reward.to(torch.float64), self.outcomes)
        weight = weight - self.log_root_flow() if calibrate else weight
        mass = weight[self.outcome] + self.log_flow
        states, actions = len(self.graph.states), self.log_forward.shape[1]
        top = torch.full((states,), -torch.inf, dtype=torch.float64).scatter_reduce(0, self.state, mass, "amax")
        share = torch.exp(mass - top[self.state])
        total = torch.zeros(states, dtype=torch.float64).index_add_(0, self.state, share)
        flow = torch.zeros(states, actions, dtype=torch.float64)
        flow.index_add_(0, self.state, share[:, None] * self.log_forward.exp())
        return TableSampler(self.graph, flow.log() - total.log()[:, None])


class MonteCarloSampler(PolicySampler):
    """Equation (3) with a few drawn outcomes: weights r(y) / q(y) in numerator and denominator.

    Objects that are built with the same outcomes can only be among these; `sample` therefore draws outcomes anew for
    every object (`redraw`), which makes the whole a self-normalised importance resampling with a bias that falls as
    1 / n_outcomes.

    Args:
        model: The pre-trained model.
        log_reward: log r of outcomes.
        n_outcomes: How many outcomes stand for all.
        generator: Source of the outcomes that `log_forward` uses.
        redraw: Whether every sampled object gets outcomes of its own.
        calibrate: See `FlowTable.sampler`.
        distinct: Draw no outcome twice for one object, where there are at most 16 times as many as are drawn. All are
            as likely as before to be among them, so the weights stay the same, and sums vary less; where as many are
            asked for as there are, every object sees them all, and equation (3) is exact.

    Attributes:
        n_outcomes: How many stand for all; not more than there are where they are distinct.
        weighs_all: Whether all outcomes are among them.
    """

    def __init__(
        self,
        model: OutcomeConditionedGFlowNet,
        log_reward: LogReward,
        *,
        n_outcomes: int,
        generator: torch.Generator,
        redraw: bool = True,
        calibrate: bool = False,
        distinct: bool = False,
    ) -> None:
        super().__init__(model.env)
        if n_outcomes < 1:
            raise InputError.of("n_outcomes", n_outcomes, expected="a whole number >= 1")
        if model.outcomes.count is None or not model.outcomes.one_to_one:
            cause = "outcomes are drawn uniformly, which needs a Factored construction and f the identity"
            raise InputError.of("mode", "mc", expected="exact or amortised here", cause=cause)
        count = model.outcomes.count
        self._of = count if distinct and count <= REPEATS * n_outcomes else 0
        self.n_outcomes = min(n_outcomes, self._of) if self._of else n_outcomes
        self.model, self.log_reward, self.calibrate = model, log_reward, calibrate
        self.weighs_all = self.n_outcomes == self._of
        self.redraw = redraw and not self.weighs_all
        self._log_sums, self._drawn = torch.full((2,), -torch.inf, dtype=torch.float64), 0
        self._fixed = self._draw(1, generator)
        self.reward_evaluations = self.n_outcomes

    @property
    def effective(self) -> float:
        """How many equally good outcomes weigh as much as those of one object, by all that were drawn so far.

        Kish's effective sample size; samples are biased by about one over it.
        """
        total, squares = self._log_sums.tolist()
        return self.n_outcomes * math.exp(2.0 * total - squares) / self._drawn

    def log_forward(self, states: Tensor) -> Tensor:
        """The policy that the outcomes drawn at the start give."""
        outcomes, weight = self._fixed
        width = max(ROWS // self.n_outcomes, 1)
        parts = [self._given(chunk, outcomes, weight) for chunk in states.split(width)]
        return torch.cat(parts) if parts else self._given(states, outcomes, weight)

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """See `PolicySampler`."""
        if not self.redraw:
            return super().sample(n, generator=generator)
        made, width = [], max(ROWS // self.n_outcomes, 1)
        for start in range(0, n, width):
            count = min(width, n - start)
            outcomes, weight = self._draw(count, generator)
            self.reward_evaluations += count * self.n_outcomes

            def policy(states: Tensor, outcomes: Tensor = outcomes, weight: Tensor = weight) -> Tensor:
                return self._given(states, outcomes, weight)

            made.append(rollout(self.env, count, generator=generator, logits=policy, of_states=True).last)
        return torch.cat(made) if made else self.env.root(0)

    def _draw(self, sets: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`sets` sets of outcomes `[sets, n_outcomes, ...]` and log r(y) (- log F(s0|y)) `[sets, n_outcomes]`."""
        drawn = self._distinct(sets, generator) if self._of else None
        if drawn is None:
            drawn = self.model.outcomes.draw(sets * self.n_outcomes, generator=generator)
        weight = _finite(self.log_reward(drawn).to(torch.float64), drawn)
        sums = torch.stack([weight.logsumexp(0), (2.0 * weight).logsumexp(0)])
        self._log_sums, self._drawn = torch.logaddexp(self._log_sums, sums), self._drawn + len(weight)
        if self.calibrate:
            weight = weight - self.model.log_root_flow(drawn).to(torch.float64)
        return drawn.view(sets, self.n_outcomes, *drawn.shape[1:]), weight.view(sets, self.n_outcomes)

    def _distinct(self, sets: int, generator: torch.Generator) -> Tensor:
        """Outcomes of which no set has one twice, `[sets * n_outcomes, ...]`."""
        env = self.env
        assert isinstance(env, Factored)  # or its outcomes could not be counted
        number = torch.arange(self._of).repeat(sets)
        if not self.weighs_all:
            keys = torch.rand(sets, self._of, generator=generator)
            number = keys.topk(self.n_outcomes, dim=1).indices.flatten()
        return env.objects(torch.stack(torch.unravel_index(number, env.bases), 1))

    @torch.no_grad()
    def _given(self, states: Tensor, outcomes: Tensor, weight: Tensor) -> Tensor:
        """Log P_F^r of states `[B, ...]` for sets of outcomes `[B or 1, n_outcomes, ...]`, `[B, action]` float64."""
        model, batch = self.model, len(states)
        goals = outcomes.expand(batch, *outcomes.shape[1:]).flatten(0, 1)
        goal = model.network.embed_outcomes(model.outcomes.encode(outcomes.flatten(0, 1))).view(*outcomes.shape[:2], -1)
        logits, _, flow = model.network.heads(model.network.embed_states(self.env.encode(states))[:, None] + goal)
        flow = flow.to(torch.float64)
        possible = model.outcomes.reachable(states.repeat_interleave(self.n_outcomes, dim=0), goals)
        if possible is not None:  # not -inf: at a state from which none of the drawn outcomes can be reached ...
            floor = torch.tensor(model.config.failure_reward, dtype=torch.float64).log()
            flow = torch.where(possible.view_as(flow), flow, torch.minimum(flow, floor))  # ... something must be done
        policies = masked_policy(logits, self.env.forward_mask(states)[:, None])
        return conversion(weight, flow, policies)


def _listed(model: OutcomeConditionedGFlowNet, graph: StateGraph) -> tuple[Tensor, Tensor]:
    """(outcomes `[outcome, ...]`, number of the outcome of each object `[object]`)."""
    objects = graph.states[graph.may_end]
    if isinstance(model.outcomes, Objects):
        return objects, torch.arange(len(objects))
    return torch.unique(model.outcomes.of(objects), dim=0, return_inverse=True)


def _finite(log_reward: Tensor, outcomes: Tensor) -> Tensor:
    if log_reward.shape != (len(outcomes),):
        raise InputError.of("log_reward", f"shape {list(log_reward.shape)}", expected=f"[{len(outcomes)}]")
    bad = ~torch.isfinite(log_reward)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise InputError.of(
            f"log reward of outcome {outcomes[row].tolist()}", float(log_reward[row]), expected="a finite number",
            cause="a reward of 0 has none: floor it, or no path would lead through states with such outcomes only",
        )  # fmt: skip
    return log_reward
