"""The amortised predictor: N and Q learn the sum over outcomes of a frozen model (oc-gfn)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.blocks.flow_networks import FlowNetwork, masked_log_probability
from livepapers.blocks.trajectories import Transitions, rollout
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.conversion import LogReward
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.network import OutcomePredictor
from livepapers.methods.oc_gfn.objectives import amortisation_residual
from livepapers.methods.oc_gfn.sampling import PolicySampler, masked_policy

UNIFORM = 1e6
"""A temperature at which all open digits are equally likely."""


class AmortisedNetworks(nn.Module):
    """N, one scalar an action of the state, and Q, a distribution of outcomes given a move.

    Args:
        features: Width of encoded states.
        moves: Moves of the construction.
        has_stop: Whether there is a stop action.
        bases: Digits of each component of an outcome.
        hidden: Width of the hidden layers.
        layers: Hidden layers of N.
        seed: Of the initial weights.
    """

    def __init__(
        self, features: int, moves: int, *, has_stop: bool, bases: list[int], hidden: int, layers: int, seed: int = 0
    ) -> None:
        super().__init__()
        self.arguments = {
            "features": features, "moves": moves, "has_stop": has_stop, "bases": list(bases), "hidden": hidden,
            "layers": layers,
        }  # fmt: skip
        self.numerator = FlowNetwork(
            features, moves, has_stop=has_stop, hidden=hidden, layers=layers, seed=seed, stream="oc-gfn numerator"
        )
        self.predictor = OutcomePredictor(features + moves + has_stop, bases, hidden=hidden, seed=seed)


class Adaptation(Learner):
    """Learns N and Q for one reward; the pre-trained model stays as it is.

    Args:
        model: The pre-trained model.
        log_reward: log r of outcomes, `[n, ...]` -> `[n]`, finite.
        seed: Of weights and exploration.
        config: Settings; those of the model by default.
    """

    def __init__(
        self, model: OutcomeConditionedGFlowNet, log_reward: LogReward, *, seed: int, config: Config | None = None
    ) -> None:
        self.env, self.outcomes, self.config = model.env, model.outcomes, config or model.config
        if not self.outcomes.bases:
            self.outcomes.digits(self.env.root(0))  # says why there are none
        self.log_reward, self.seed, env = log_reward, seed, model.env
        self.teacher = copy.deepcopy(model.network).requires_grad_(False)
        self.networks = AmortisedNetworks(
            env.features, env.moves, has_stop=env.has_stop, bases=list(self.outcomes.bases),
            hidden=self.config.hidden, layers=self.config.layers, seed=seed,
        )  # fmt: skip
        self.optimizer = torch.optim.Adam(self.networks.parameters(), lr=self.config.adapt_rate, fused=True)
        self.generator = generator(seed, "oc-gfn", "adaptation")
        self.step = self.environment_steps = self.reward_evaluations = 0

    def update(self) -> dict[str, float]:
        """Sample trajectories, an outcome for each of their edges, and make one Adam step on equation (4)."""
        config = self.config
        batch = rollout(
            self.env, config.adapt_batch, generator=self.generator, logits=self.networks.numerator.policy(),
            epsilon=config.adapt_epsilon, temperature=config.adapt_temperature,
        )  # fmt: skip
        moves = Transitions.of(batch)
        rows = torch.arange(len(moves.actions)) if moves.rows is None else moves.rows
        ends = self.outcomes.of(batch.last)[rows % moves.width]
        known, open_digits = (
            self._known(moves),
            self.outcomes.open_digits(moves.children, moves.actions == self.env.moves),
        )
        digits = self._draw(known, open_digits, self.outcomes.digits(ends))
        log_outcome = self.networks.predictor.log_probability(known, digits, open_digits)
        numerator = self.networks.numerator(self.env.encode(moves.parents))[0]
        log_numerator = numerator.gather(1, moves.actions[:, None]).squeeze(1)
        target = self.target(moves, self.outcomes.from_digits(digits))
        loss = amortisation_residual(log_numerator, log_outcome, *target).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.step += 1
        self.environment_steps += int(batch.length.sum())
        self.reward_evaluations += len(digits)
        return {"loss": float(loss.detach()), "log_z": self.log_z(), "log_reward": float(target[0].mean())}

    @torch.no_grad()
    def target(self, moves: Transitions, outcomes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(log r(y), log F(s|y), log P_F(s'|s,y)) of the frozen model on moves, `[move]` each."""
        log_reward = self.log_reward(outcomes)
        bad = ~torch.isfinite(log_reward)
        if bad.any():
            row = int(bad.nonzero()[0])
            field = f"log reward of outcome {outcomes[row].tolist()}"
            raise InputError.of(field, float(log_reward[row]), expected="a finite number", cause="floor the reward")
        logits, _, log_flow = self.teacher(self.env.encode(moves.parents), self.outcomes.encode(outcomes))
        log_forward = masked_log_probability(logits, self.env.forward_mask(moves.parents), moves.actions)
        return log_reward.to(log_flow.dtype), log_flow, log_forward

    @torch.no_grad()
    def log_z(self) -> float:
        """Log of the sum of all N at the root: log sum_y r(y) F(s0|y)."""
        root = self.env.root(1)
        logits = self.networks.numerator(self.env.encode(root))[0]
        return float(logits.masked_fill(~self.env.forward_mask(root), -torch.inf).logsumexp(dim=1))

    def work(self) -> dict[str, int]:
        """Environment steps and rewards asked for; the pre-training's are not among them."""
        return {"environment_steps": self.environment_steps, "reward_evaluations": self.reward_evaluations}

    def state_dict(self) -> State:
        """Networks, optimiser, generator and counters; not the frozen model."""
        return {
            "networks": dict(self.networks.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "generator": self.generator.get_state(),
            "step": self.step,
            "work": self.work(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue where `state_dict` was taken; raises `CorruptFileError` and changes nothing if it does not fit."""
        own: dict[str, Any] = dict(self.state_dict())
        require_keys(state, own, what="oc-gfn adaptation")
        require_keys(state["networks"], own["networks"], what="oc-gfn adaptation networks")
        require_keys(state["work"], own["work"], what="oc-gfn adaptation work")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.networks.load_state_dict(state["networks"])
        self.generator.set_state(state["generator"].clone())
        self.step, work = int(state["step"]), state["work"]
        self.environment_steps, self.reward_evaluations = (
            int(work["environment_steps"]),
            int(work["reward_evaluations"]),
        )

    def _known(self, moves: Transitions) -> Tensor:
        """What Q sees of a move: the encoded state and the one-hot action."""
        action = torch.nn.functional.one_hot(moves.actions, self.env.moves + self.env.has_stop)
        encoded = self.env.encode(moves.parents)
        return torch.cat([encoded, action.to(encoded.dtype)], dim=1)

    def _draw(self, known: Tensor, open_digits: Tensor, own: Tensor) -> Tensor:
        """An outcome for each move, as digits: its trajectory's own end, one of Q's, or a uniform one."""
        config = self.config
        chance = torch.rand(2, len(known), generator=self.generator)
        temperature = torch.where(chance[1] < config.adapt_epsilon, UNIFORM, config.adapt_temperature)[:, None]
        drawn = self.networks.predictor.sample(known, open_digits, generator=self.generator, temperature=temperature)
        return torch.where((chance[0] < config.own_end)[:, None], own, drawn)


class AmortisedSampler(PolicySampler):
    """The policy N(s'|s) / sum over s'' of N(s''|s).

    Args:
        env: The construction.
        networks: N and Q, trained.
    """

    def __init__(self, env: Any, networks: AmortisedNetworks) -> None:
        super().__init__(env)
        self.networks = networks

    @torch.no_grad()
    def log_forward(self, states: Tensor) -> Tensor:
        """See `PolicySampler`."""
        return masked_policy(self.networks.numerator(self.env.encode(states))[0], self.env.forward_mask(states))
