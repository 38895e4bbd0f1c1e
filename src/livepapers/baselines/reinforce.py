"""The REINFORCE family on inventory problems: what hdpo is compared with (arXiv 2306.11246, section on baselines).

The policy network gives the mean of a Gaussian, orders are a = max(0, mean + sigma * noise), and the gradient is that
of log pi(unclipped order) times an advantage: the return-to-go minus a baseline, undiscounted, costs as they come.

    fixed     sigma stays as set; baseline: the batch mean at the same period
    learned   sigma is a parameter
    clipped   sigma fixed; PPO's clipped ratio, several gradient steps on each batch
    paired    sigma fixed; every trace is replayed with two noise draws, each the other's baseline
    critic    sigma fixed; baseline: a network of the state and the time left, on top of the batch mean

All get the same networks, the same number of simulated periods an update, the same optimiser and the same choice of
weights on a dev set as hdpo. Orders here are feasible by being >= 0, so networks with warehouses are refused.

Source: Williams 1992; Schulman et al. 2017, equation (7), for `clipped`.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from livepapers.blocks.networks import MLP
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.tasks.inventory import InventorySimulator, InventoryState
from livepapers.tasks.scenarios import DevSelection, Scenarios, Source, set_rate

Variant = Literal["fixed", "learned", "clipped", "paired", "critic"]


@config_dataclass
class Config(Presets):
    """Training settings; the learning-rate sweep of the hdpo study sets rate, updates and batch itself."""

    variant: Variant = setting("fixed", "which member of the family")
    sigma: float = setting(0.5, "standard deviation of the exploration, in units; its start where it is learned", gt=0)
    learning_rate: float = setting(3e-3, "Adam; swept", gt=0, le=10)
    updates: int = setting(800, "over which the rate decays, as for hdpo", ge=1)
    clip_norm: float = setting(1.0, "gradient norm, 0 = no clipping; as for hdpo", ge=0)
    decay: bool = setting(True, "the rate falls to 0 over the last 30 % of the updates")
    batch: int = setting(128, "scenarios an update; for `paired` half as many traces, replayed twice", ge=2)
    normalise: bool = setting(True, "divide advantages by their standard deviation at the same period")
    clip: float = setting(0.2, "PPO: ratios beyond 1 +- clip get no gradient", gt=0, lt=1)
    epochs: int = setting(4, "gradient steps a batch: of the policy (clipped), of the learned baseline (critic)", ge=1)
    value_hidden: tuple[int, ...] = setting((64, 64), "critic: hidden layers of the learned baseline")
    value_rate: float = setting(3e-3, "critic: Adam of the learned baseline, whatever the policy's rate", gt=0, le=1)
    dev_ignore: int = setting(60, "dev periods at the start that do not count; periods", ge=0)
    dev_every: int = setting(10, "updates between dev checks", ge=1)

    @classmethod
    def tiny(cls) -> "Config":
        """For tests."""
        return cls(batch=16, dev_ignore=5)

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(batch=64)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """As many scenarios an update as the paper gives hdpo."""
        return cls(batch=8192, updates=80_000, decay=False)


class Reinforce(Learner):
    """One member of the family.

    Args:
        simulator: The world; only sampled, never differentiated.
        policy: The mean of the orders; a module that maps states to orders.
        config: Training settings.
        train: Source of training scenarios.
        dev: Dev scenarios; the mean is evaluated, without exploration.
        generator: Stream of scenarios and exploration; owned by the learner from now on.
    """

    def __init__(
        self,
        simulator: InventorySimulator,
        policy: nn.Module,
        *,
        config: Config,
        train: Source,
        dev: Scenarios,
        generator: torch.Generator,
    ) -> None:
        if len(simulator.network.warehouses):
            raise InputError.of(
                "network",
                "warehouses",
                expected="stores only",
                cause="Gaussian orders can ship stock that is not there",
            )
        self.simulator, self.policy, self.config = simulator, policy, config
        self._train, self._generator = train, generator
        self._log_sigma = nn.Parameter(torch.tensor(math.log(config.sigma)))
        trained = [*policy.parameters(), *([self._log_sigma] if config.variant == "learned" else [])]
        self._optimizer = torch.optim.Adam(trained, lr=config.learning_rate)
        self._baseline = LearnedBaseline(simulator, config) if config.variant == "critic" else None
        self.selection = DevSelection(
            simulator, policy, dev=dev, ignore=config.dev_ignore, every=config.dev_every, last=config.updates,
            patience=0,
        )  # fmt: skip
        self._steps, self._gradient_steps, self._periods = 0, 0, 0

    def update(self) -> dict[str, float]:
        """Sample one batch of episodes and take the variant's gradient step or steps."""
        variant = self.config.variant
        scenarios = self._train(self.config.batch // (2 if variant == "paired" else 1), self._generator)
        if variant == "paired":
            rows = torch.arange(scenarios.demand.shape[0]).repeat(2)
            scenarios = scenarios.take(rows)
        states, orders, costs = self._explore(scenarios)
        advantage = advantages(costs, paired=variant == "paired", normalise=self.config.normalise)
        if self._baseline is not None:
            advantage = self._baseline.subtract(states, advantage)
        before = self._log_prob(states, orders, costs.shape[0]).detach() if variant == "clipped" else None
        loss = self._step(states, orders, advantage, before)
        for _ in range(self.config.epochs - 1 if variant == "clipped" else 0):
            loss = self._step(states, orders, advantage, before)
        self._steps += 1
        self._periods += costs.numel()
        self.selection.after(self._steps)
        return {
            "loss": loss.item(),
            "training_cost": costs.mean().item() / len(self.simulator.network.stores),
            "sigma": self._log_sigma.exp().item(),
            "dev_cost": self.selection.cost,
            "best_dev_cost": self.selection.best_cost,
        }

    def _step(self, states: InventoryState, orders: Tensor, advantage: Tensor, before: Tensor | None) -> Tensor:
        log_prob = self._log_prob(states, orders, advantage.shape[0])
        if before is None:
            loss = score_loss(log_prob, advantage)
        else:
            loss = clipped_loss(log_prob, advantage, before=before, clip=self.config.clip)
        if self.config.decay:
            set_rate(self._optimizer, self.config.learning_rate, step=self._steps, of=self.config.updates)
        self._optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self._optimizer.param_groups[0]["params"], self.config.clip_norm)
        self._optimizer.step()
        self._gradient_steps += 1
        return loss.detach()

    @torch.no_grad()
    def _explore(self, scenarios: Scenarios) -> tuple[InventoryState, Tensor, Tensor]:
        """(states `[T * B, ...]`, unclipped orders `[T * B, E]`, costs `[B, T]`) of noisy episodes."""
        seen: list[InventoryState] = []
        tried: list[Tensor] = []
        sigma = self._log_sigma.exp()

        def noisy(state: InventoryState) -> Tensor:
            mean = self.policy(state)
            order = mean + sigma * torch.randn(mean.shape, generator=self._generator)
            seen.append(state)
            tried.append(order)
            return order.clamp(min=0.0)

        costs = self.simulator.rollout(noisy, state=scenarios.state, demand=scenarios.demand).costs
        states = InventoryState(*(torch.cat(parts) for parts in zip(*seen, strict=True)))
        return states, torch.cat(tried), costs

    def _log_prob(self, states: InventoryState, orders: Tensor, batch: int) -> Tensor:
        """Log density of unclipped orders, up to a constant, `[B, T]`."""
        standard = (orders - self.policy(states)) * torch.exp(-self._log_sigma)
        density = (-0.5 * standard.square() - self._log_sigma).sum(1)
        return density.view(-1, batch).T

    def best_policy(self) -> nn.Module:
        """The policy with its best weights by dev cost; training is over after this."""
        self.selection.restore_best()
        return self.policy

    def state_dict(self) -> dict[str, Any]:
        """Weights, sigma, optimiser, best weights, stream and counters."""
        return {
            "policy": {name: value.detach().clone() for name, value in self.policy.state_dict().items()},
            "log_sigma": self._log_sigma.detach().clone(),
            "optimizer": optimizer_state(self._optimizer),
            "selection": self.selection.state_dict(),
            **({"baseline": self._baseline.state_dict()} if self._baseline else {}),
            "generator": self._generator.get_state(),
            "steps": self._steps,
            "gradient_steps": self._gradient_steps,
            "periods": self._periods,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="reinforce state")
        require_keys(state["policy"], self.policy.state_dict(), what="policy")
        self.selection.check(state["selection"])
        load_or_keep(self, self._take, state)

    def _take(self, state: State) -> None:
        if self._baseline is not None:
            self._baseline.load_state_dict(state["baseline"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        self.policy.load_state_dict(state["policy"])
        with torch.no_grad():
            self._log_sigma.copy_(state["log_sigma"])
        self.selection.load_state_dict(state["selection"])
        self._generator.set_state(state["generator"].clone())
        self._steps, self._gradient_steps = int(state["steps"]), int(state["gradient_steps"])
        self._periods = int(state["periods"])

    def work(self) -> dict[str, int]:
        """Simulated periods (over all problems of a batch) for training and for dev checks, and gradient steps."""
        return {
            "simulated_periods": self._periods,
            "dev_periods": self.selection.periods,
            "gradient_steps": self._gradient_steps,
        }


class LearnedBaseline:
    """What the advantage at a state is expected to be: a network of the stock, the pipeline and the time left.

    It is fitted by least squares to the advantages of each batch, after they have been reduced by its forecast, so the
    forecast never knows the noise it is subtracted from.

    Args:
        simulator: The world; one of stores only.
        config: `value_hidden`, `value_rate`.
    """

    def __init__(self, simulator: InventorySimulator, config: Config) -> None:
        width = len(simulator.network.nodes) * int(simulator.network.lead_time.max()) + 1
        stream = make_generator(0, "reinforce", "baseline")
        self._network = MLP(width, config.value_hidden, outputs=1, activation="elu", generator=stream, output_scale=0.0)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=config.value_rate)
        self._unit, self._steps = float(simulator.demand.mean.mean()), config.epochs

    def subtract(self, states: InventoryState, advantage: Tensor) -> Tensor:
        """`[B, T]` less the forecast for the states `[T * B, ...]`; then a few steps towards it."""
        batch, periods = advantage.shape
        left = torch.linspace(1.0, 1.0 / periods, periods).repeat_interleave(batch).unsqueeze(1)
        stock = torch.asinh(states.pipeline.flatten(1) / self._unit)  # early policies order without bound
        seen, target = torch.cat([stock, left], 1), advantage.T.reshape(-1, 1)
        forecast = self._network(seen).detach()
        for _ in range(self._steps):
            self._optimizer.zero_grad()
            (self._network(seen) - target).square().mean().backward()
            self._optimizer.step()
        return advantage - forecast.view(periods, batch).T

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser."""
        weights = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
        return {"network": weights, "optimizer": optimizer_state(self._optimizer)}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="learned baseline")
        require_keys(state["network"], self._network.state_dict(), what="learned baseline's network")
        load_optimizer_state(self._optimizer, state["optimizer"])
        self._network.load_state_dict(state["network"])


def advantages(costs: Tensor, *, paired: bool, normalise: bool) -> Tensor:
    """Return-to-go G_t = sum of costs from t on, minus its baseline, `[B, T]`.

    Args:
        costs: `[B, T]`.
        paired: Rows i and i + B/2 replay one trace and are each other's baseline; otherwise the baseline is the mean
            over the batch at the same period.
        normalise: Divide by the standard deviation over the batch at the same period.
    """
    returns = costs.flip(1).cumsum(1).flip(1)
    if paired:
        first, second = returns.chunk(2)
        advantage = torch.cat([first - second, second - first])
    else:
        advantage = returns - returns.mean(0)
    return advantage / (advantage.std(0) + 1e-8) if normalise else advantage


def score_loss(log_prob: Tensor, advantage: Tensor) -> Tensor:
    """The score-function surrogate for costs: mean of log pi x advantage; descending it lowers the cost."""
    return (log_prob * advantage).mean()


def clipped_loss(log_prob: Tensor, advantage: Tensor, *, before: Tensor, clip: float) -> Tensor:
    """PPO's surrogate for costs (a maximum where the original for rewards has a minimum).

    Args:
        log_prob: `[B, T]` under the current policy.
        advantage: `[B, T]`.
        before: `[B, T]` under the policy that sampled.
        clip: Half-width of the trusted ratio.
    """
    ratio = torch.exp(log_prob - before)
    return torch.maximum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean()
