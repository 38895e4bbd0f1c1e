"""Training: rollouts, one forward pass over all stored states, one Adam step (fl-gfn)."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from livepapers.blocks.flow_networks import FlowNetwork, masked_log_probability
from livepapers.blocks.trajectories import Trajectories, Transitions, rollout, truncate
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods.fl_gfn.objectives import Objective, Terms, objective_loss
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Sets

ROLE = "learner"
METRICS = ("loss", "log_z", "share_ended")
"""Keys of `update()`: the loss; the estimate of log Z, nats; the share of trajectories that were not cut."""

ARCHITECTURES = {"FlowNetwork": FlowNetwork}
BackwardPolicy = Callable[[Tensor], Tensor]
"""States `[batch, ...]` -> logits of P_B `[batch, moves]`, masked by the learner."""


@config_dataclass
class Config(Presets):
    """Settings of one training run; values from the official code unless said otherwise."""

    objective: Objective = setting("fl-db", "equation (1); fl-subtb, db, tb, subtb are the paper's other objectives")
    backward: Literal["learned", "uniform"] = setting("learned", "P_B: learned in the set task, uniform in molecules")
    updates: int = setting(2500, "Adam steps; paper: 10,000", ge=1, le=10_000_000)
    batch: int = setting(16, "trajectories an update, set task", ge=1, le=65_536)
    hidden: int = setting(256, "units a hidden layer", ge=1, le=8192)
    layers: int = setting(2, "hidden layers", ge=1, le=16)
    learning_rate: float = setting(1e-3, "Adam, set task", gt=0, le=1)
    log_z_learning_rate: float = setting(0.1, "Adam on the log Z of tb", gt=0, le=10)
    sub_trajectory_decay: float = setting(0.9, "lambda of the sub-trajectory objectives", gt=0, le=1)
    epsilon: float = setting(0.5, "share of uniform moves at the start; set task, FL, medium and large", ge=0, le=1)
    epsilon_end: float = setting(0.5, "share of uniform moves after `schedule` updates", ge=0, le=1)
    temperature: float = setting(1.0, "of the behaviour policy at the start", gt=0, le=1000)
    temperature_end: float = setting(1.0, "of the behaviour policy after `schedule` updates", gt=0, le=1000)
    schedule: int = setting(1, "updates over which epsilon and temperature go linearly to their ends", ge=1)
    truncate_probability: float = setting(0.0, "share of trajectories cut at a random length", ge=0, le=1)
    interior: bool = setting(True, "whether moves of cut trajectories are learned from (tb never can)")
    anchor_terminal: bool = setting(True, "log F~ = 0 at finished objects; False: the official set code, an ablation")

    @classmethod
    def tiny(cls) -> "Config":
        """For the battery."""
        return cls(updates=20, batch=8, hidden=32)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(updates=200, hidden=64)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published values of the set task."""
        return cls(updates=10_000)


class ForwardLookingGFlowNet(Learner):
    """A GFlowNet trainer with five objectives over one construction contract.

    Args:
        env: The construction.
        config: The settings.
        seed: Of weights and exploration.
        backward_policy: A fixed P_B of your own; overrides `config.backward`.

    Raises:
        InputError: The construction has no energies of partial objects and the objective needs them, or an energy is
            not finite (the state is named).
    """

    def __init__(
        self, env: Construction, config: Config, *, seed: int, backward_policy: BackwardPolicy | None = None
    ) -> None:
        self.env, self.config, self.seed, self.backward_policy = env, config, seed, backward_policy
        self.forward_looking = config.objective.startswith("fl-")
        self.network = FlowNetwork(
            env.features, env.moves, has_stop=env.has_stop, hidden=config.hidden, layers=config.layers, seed=seed,
            stream="fl-gfn",
        )  # fmt: skip
        self.log_z_parameter = nn.Parameter(torch.zeros(()))
        groups = [{"params": list(self.network.parameters()), "lr": config.learning_rate}]
        if config.objective == "tb":
            groups.append({"params": [self.log_z_parameter], "lr": config.log_z_learning_rate})
        self.optimizer = torch.optim.Adam(groups, fused=True)
        self.generator = generator(seed, "fl-gfn", "exploration")
        self.step = self.transitions = self.trajectories = self.energy_evaluations = 0
        if config.truncate_probability == 1.0 and env.longest > 1:
            warnings.warn(
                "truncate_probability: got 1, so no finished object is seen; flows are not anchored and only their "
                "differences are learned",
                stacklevel=2,
            )

    def update(self) -> dict[str, float]:
        """Sample a batch, make one Adam step."""
        batch = self.collect()
        terms = self.terms(batch)
        loss = objective_loss(
            self.config.objective, terms, log_z=self.log_z_parameter, decay=self.config.sub_trajectory_decay
        )
        if loss.requires_grad:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        self.step += 1
        known = self.config.objective != "tb" and bool(batch.length[0] > 0)  # the root's flow is already at hand
        return {
            "loss": float(loss.detach()),
            "log_z": float(terms.log_flow[0, 0].detach()) if known else self.log_z(),
            "share_ended": float(batch.ended.float().mean()),
        }

    def collect(self) -> Trajectories:
        """Trajectories of the behaviour policy, cut as configured."""
        config = self.config
        done = min(self.step / config.schedule, 1.0)
        batch = rollout(
            self.env,
            config.batch,
            generator=self.generator,
            logits=self.network.policy(),
            epsilon=config.epsilon + done * (config.epsilon_end - config.epsilon),
            temperature=config.temperature + done * (config.temperature_end - config.temperature),
        )
        if config.truncate_probability > 0.0:
            batch = truncate(batch, config.truncate_probability, generator=self.generator)
        if not config.interior:
            batch = Trajectories(batch.states, batch.actions, torch.where(batch.ended, batch.length, 0), batch.ended)
        self.trajectories += config.batch
        return batch

    def terms(self, batch: Trajectories) -> Terms:
        """Flows, log probabilities and energies of a batch, with gradients, from one pass of the network."""
        moves = Transitions.of(batch)
        log_flow, log_forward, log_backward = self._score(moves)
        energy, log_reward = self._energies(batch, moves)
        self.transitions += len(moves.actions)
        return Terms(
            log_flow=self._anchor(log_flow, batch, log_reward),
            log_forward=moves.spread(log_forward),
            log_backward=moves.spread(log_backward),
            energy=moves.spread(energy),
            live=batch.live,
            length=batch.length,
            ended=batch.ended,
            log_reward=log_reward,
        )

    def log_path(self, batch: Trajectories) -> tuple[Tensor, Tensor]:
        """Sums of log P_F and of log P_B along each trajectory, `[B]` float64 each, without gradients."""
        with torch.no_grad():
            moves = Transitions.of(batch)
            _, log_forward, log_backward = self._score(moves)
        return tuple(moves.spread(part).to(torch.float64).sum(dim=0) for part in (log_forward, log_backward))  # type: ignore[return-value]

    def log_z(self) -> float:
        """The current estimate of log Z: the parameter of "tb", otherwise the root's log flow (E(root) = 0)."""
        if self.config.objective == "tb":
            return float(self.log_z_parameter.detach())
        with torch.no_grad():
            return float(self.network(self.env.encode(self.env.root(1)))[2])

    def work(self) -> dict[str, int]:
        """Transitions trained on, trajectories sampled, energies or rewards asked for."""
        return {
            "transitions": self.transitions,
            "trajectories": self.trajectories,
            "energy_evaluations": self.energy_evaluations,
        }

    def state_dict(self) -> State:
        """Weights, optimiser, generator and counters."""
        return {
            "network": dict(self.network.state_dict()),
            "log_z": self.log_z_parameter.detach().clone(),
            "optimizer": optimizer_state(self.optimizer),
            "generator": self.generator.get_state(),
            "step": self.step,
            "work": self.work(),
        }

    def load_state_dict(self, state: State) -> None:
        """Continue where `state_dict` was taken; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, own, what="fl-gfn state")
        require_keys(state["network"], own["network"], what="fl-gfn network")
        require_keys(state["work"], own["work"], what="fl-gfn work")
        _check_moments(state["optimizer"], self.optimizer)
        self.network.load_state_dict(state["network"])
        with torch.no_grad():
            self.log_z_parameter.copy_(state["log_z"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"])
        self.step = int(state["step"])
        work = state["work"]
        self.transitions, self.trajectories = int(work["transitions"]), int(work["trajectories"])
        self.energy_evaluations = int(work["energy_evaluations"])

    def _score(self, moves: Transitions) -> tuple[Tensor, Tensor, Tensor]:
        """(log flow of all states `[T + 1, B]`, log P_F and log P_B of the transitions `[transition]`)."""
        states, count = moves.states, len(moves.states)
        if moves.rows is None:
            forward_logits, backward_logits, flow = self.network(self.env.encode(states))
            forward_logits, backward_logits = forward_logits[: count - moves.width], backward_logits[moves.width :]
        else:
            used = torch.zeros(count, dtype=torch.bool)
            used[moves.rows] = used[moves.rows + moves.width] = True
            used_rows, place = used.nonzero().squeeze(1), used.cumsum(0) - 1
            forward_logits, backward_logits, flow = self.network(self.env.encode(states[used_rows]))
            forward_logits = forward_logits[place[moves.rows]]
            backward_logits = backward_logits[place[moves.rows + moves.width]]
            flow = flow.new_zeros(count).index_put((used_rows,), flow)
        log_forward = masked_log_probability(forward_logits, self.env.forward_mask(moves.parents), moves.actions)
        log_backward = self._log_backward(backward_logits, moves.children, moves.actions)
        return flow.view(-1, moves.width), log_forward, log_backward

    def _log_backward(self, logits: Tensor, children: Tensor, actions: Tensor) -> Tensor:
        """Log P_B of undoing `actions`; 0 where the action was to stop."""
        mask = self.env.backward_mask(children)
        if self.backward_policy is None and self.config.backward == "uniform":
            found = -mask.sum(dim=1).clamp(min=1).to(logits.dtype).log()
        else:
            logits = logits if self.backward_policy is None else self.backward_policy(children).to(logits.dtype)
            found = masked_log_probability(logits, mask, actions.clamp(max=self.env.moves - 1))
        return torch.where(actions < self.env.moves, found, 0.0) if self.env.has_stop else found

    def _energies(self, batch: Trajectories, moves: Transitions) -> tuple[Tensor, Tensor]:
        """Energies of the transitions (forward-looking) or rewards of the finished objects (the others)."""
        energy, log_reward = torch.zeros(len(moves.actions)), torch.zeros(moves.width)
        if self.forward_looking:
            parents, actions, children = moves.parents, moves.actions, moves.children
            rows = (
                (actions < self.env.moves).nonzero().squeeze(1) if self.env.has_stop else slice(None)
            )  # stopping costs nothing
            children = children[rows]
            values = self.env.edge_energy(parents[rows], actions[rows], children)
            energy[rows] = values.to(energy.dtype)
            self.energy_evaluations += len(values)
            _require_finite(values, children, "energy of the move to")
        else:
            rows = (batch.ended & (batch.length > 0)).nonzero().squeeze(1)
            if len(rows):
                objects = batch.last[rows]
                values = self.env.log_reward(objects)
                log_reward[rows] = values.to(log_reward.dtype)
                self.energy_evaluations += len(rows)
                _require_finite(values, objects, "log reward of")
        return energy, log_reward

    def _anchor(self, log_flow: Tensor, batch: Trajectories, log_reward: Tensor) -> Tensor:
        """Put the known flow of finished objects in place: 0 for log F~, log R for log F."""
        if self.forward_looking and not self.config.anchor_terminal:
            return log_flow
        known = torch.zeros(log_flow.shape, dtype=torch.bool)
        known[batch.length, torch.arange(len(batch.length))] = batch.ended
        return torch.where(known, log_reward[None, :], log_flow)


def example(config: Config, seed: int) -> ForwardLookingGFlowNet:
    """The smallest whole problem: 5 of 10 items with energies uniform in (-1, 1)."""
    energies = numpy_generator(0, "fl-gfn", "example").uniform(-1.0, 1.0, size=10)
    return ForwardLookingGFlowNet(Sets(energies.tolist(), 5), config, seed=seed)


def _require_finite(values: Tensor, states: Tensor, what: str) -> None:
    bad = ~torch.isfinite(values)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise InputError.of(
            f"{what} state {states[row].tolist()}", float(values[row]), expected="a finite number",
            cause="the energy function fails there",
        )  # fmt: skip


def _check_moments(state: State, optimizer: torch.optim.Optimizer) -> None:
    """Adam's moments must have the shapes of the parameters they belong to."""
    parameters: list[Any] = [p for group in optimizer.param_groups for p in group["params"]]
    if set(state) != {"state", "param_groups"} or len(state["param_groups"]) != len(optimizer.param_groups):
        raise CorruptFileError("fl-gfn optimizer: not the state of this optimiser")
    for index, values in state["state"].items():
        if int(index) >= len(parameters):
            raise CorruptFileError(f"fl-gfn optimizer: parameter {index} of {len(parameters)}")
        like = parameters[int(index)].detach()
        require_keys(
            values, {"step": torch.zeros(()), "exp_avg": like, "exp_avg_sq": like}, what=f"fl-gfn optimizer/{index}"
        )
