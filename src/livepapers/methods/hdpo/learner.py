"""The learner of hdpo: its settings, the loss that is differentiated through the simulator, and the update."""

from typing import Any

import torch
from torch import Tensor, nn

from livepapers.core.checkpoint import require_keys
from livepapers.core.config import Presets, config_dataclass, setting
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.methods.hdpo.policies import VanillaPolicy
from livepapers.tasks.demand import Poisson
from livepapers.tasks.inventory import Edge, InventoryNetwork, InventoryPolicy, InventorySimulator, InventoryState, Node
from livepapers.tasks.scenarios import DevSelection, Scenarios, Source, draw, fixed, fresh, set_rate

ROLE = "learner"
METRICS = ("loss", "gradient_norm", "dev_cost", "best_dev_cost", "stopped")
"""Training cost a store and period; norm before clipping; latest and best dev cost; 1 once patience has run out."""


@config_dataclass
class Config(Presets):
    """Training settings; the defaults are the laptop preset."""

    hidden: tuple[int, ...] = setting((32, 32, 32), "one store: 32, 32, 32; serial and graph network: 32, 32")
    learning_rate: float = setting(3e-3, "Adam; paper: one store 3e-3, serial 1e-2, graph network 1e-3", gt=0, le=10)
    decay: bool = setting(True, "the rate falls to 0 over the last 30 % of the updates; paper: constant")
    clip_norm: float = setting(1.0, "gradient norm, 0 = no clipping; paper: 1.0 for the graph network, else none", ge=0)
    updates: int = setting(500, "gradient steps; paper: 4 an epoch, up to 20,000 epochs", ge=1)
    batch: int = setting(128, "scenarios an update; paper: 8,192, networks 1,024", ge=1)
    train_scenarios: int = setting(0, "size of a fixed training set, 0 = fresh traces; paper: 32,768", ge=0)
    periods: int = setting(50, "T in training; section 4; periods", ge=1)
    dev_scenarios: int = setting(256, "paper: 32,768", ge=1)
    dev_periods: int = setting(100, "section 4; periods", ge=1)
    dev_ignore: int = setting(60, "section 4: the dev cost is that of the last 40 periods; periods", ge=0)
    dev_every: int = setting(10, "updates between dev checks; paper: 10 epochs", ge=1)
    patience: int = setting(0, "dev checks without improvement before it stops, 0 = never; paper: 500 epochs", ge=0)
    cut_every: int = setting(0, "ablation: periods after which the gradient is cut, 0 = never (the method)", ge=0)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if self.dev_ignore >= self.dev_periods:
            raise InputError.of("dev_ignore", self.dev_ignore, expected=f"below dev_periods = {self.dev_periods}")
        if not all(width >= 1 for width in self.hidden):
            raise InputError.of("hidden", self.hidden, expected="widths >= 1")

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            hidden=(8,),
            learning_rate=1e-2,
            updates=40,
            batch=16,
            periods=10,
            dev_scenarios=16,
            dev_periods=20,
            dev_ignore=5,
        )

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(hidden=(16, 16), learning_rate=1e-2, updates=60, batch=64, periods=30, dev_scenarios=128)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published sample sizes, for one store."""
        return cls(
            updates=80_000,
            batch=8192,
            train_scenarios=32_768,
            dev_scenarios=32_768,
            dev_every=40,
            patience=50,
            clip_norm=0.0,
            decay=False,
        )


class HindsightPolicyOptimization(Learner):
    """Adam on the gradient of the total cost through the simulator, with the best weights by dev cost kept.

    Args:
        simulator: The world that is differentiated.
        policy: What is trained; a module that maps states to orders.
        config: Training settings; the policy, the training set and the dev set are made outside, see `learner_for`.
        train: Source of training scenarios.
        dev: Dev scenarios.
        generator: Stream of the training scenarios; owned by the learner from now on.
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
        self.simulator, self.policy, self.config = simulator, policy, config
        self._train, self._generator = train, generator
        self._optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
        self.selection = DevSelection(
            simulator, policy, dev=dev, ignore=config.dev_ignore, every=config.dev_every, last=config.updates,
            patience=config.patience,
        )  # fmt: skip
        self._steps, self._periods = 0, 0
        self._metrics: dict[str, float] = {}

    def update(self) -> dict[str, float]:
        """One gradient step on one batch of scenarios, and a dev check when it is time."""
        if self.selection.exhausted:
            self._metrics = {**self._metrics, "stopped": 1.0}
            return dict(self._metrics)
        state, demand = self._train(self.config.batch, self._generator)
        loss = hindsight_loss(self.policy, self.simulator, state=state, demand=demand, cut_every=self.config.cut_every)
        if self.config.decay:
            set_rate(self._optimizer, self.config.learning_rate, step=self._steps, of=self.config.updates)
        self._optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        norm = nn.utils.clip_grad_norm_(self.policy.parameters(), self.config.clip_norm or float("inf"))
        self._optimizer.step()
        self._steps += 1
        self._periods += demand.shape[0] * demand.shape[1]
        self.selection.after(self._steps)
        self._metrics = {
            "loss": loss.item(),
            "gradient_norm": norm.item(),
            "dev_cost": self.selection.cost,
            "best_dev_cost": self.selection.best_cost,
            "stopped": 0.0,
        }
        return dict(self._metrics)

    def best_policy(self) -> nn.Module:
        """The policy with its best weights by dev cost; training is over after this."""
        self.selection.restore_best()
        return self.policy

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimiser, best weights, stream and counters."""
        return {
            "policy": {name: value.detach().clone() for name, value in self.policy.state_dict().items()},
            "optimizer": optimizer_state(self._optimizer),
            "selection": self.selection.state_dict(),
            "generator": self._generator.get_state(),
            "steps": self._steps,
            "periods": self._periods,
            "metrics": dict(self._metrics),
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="hdpo state")
        require_keys(state["policy"], self.policy.state_dict(), what="policy")
        self.selection.check(state["selection"])
        load_optimizer_state(self._optimizer, state["optimizer"])
        self.policy.load_state_dict(state["policy"])
        self.selection.load_state_dict(state["selection"])
        self._generator.set_state(state["generator"].clone())
        self._steps, self._periods = int(state["steps"]), int(state["periods"])
        self._metrics = {name: float(value) for name, value in state["metrics"].items()}

    def work(self) -> dict[str, int]:
        """Simulated periods (over all problems of a batch) for training and for dev checks, and gradient steps."""
        return {
            "simulated_periods": self._periods,
            "dev_periods": self.selection.periods,
            "gradient_steps": self._steps,
        }


def hindsight_loss(
    policy: InventoryPolicy,
    simulator: InventorySimulator,
    *,
    state: InventoryState,
    demand: Tensor,
    cut_every: int = 0,
) -> Tensor:
    """Equation (1): the average cost a scenario, period and store; its gradient runs through all periods.

    Args:
        policy: Orders for a state.
        simulator: The dynamics and costs.
        state: Start states of B scenarios.
        demand: `[B, T, S]`, the traces on which the policy is judged in hindsight.
        cut_every: Ablation: states are detached after so many periods, so that orders are not charged for what they
            cause beyond; 0 never cuts.

    Returns:
        `[]`, differentiable in the policy's parameters.
    """
    costs = []
    for piece in demand.split(cut_every or demand.shape[1], dim=1):
        rollout = simulator.rollout(policy, state=state, demand=piece)
        costs.append(rollout.costs)
        state = InventoryState(*(part.detach() for part in rollout.final)) if cut_every else rollout.final
    return torch.cat(costs, 1).mean() / len(simulator.network.stores)


def learner_for(
    simulator: InventorySimulator, policy: nn.Module, *, config: Config, seed: int
) -> HindsightPolicyOptimization:
    """A learner on the simulator's own demand process, as `config` says: fresh traces or a fixed set, and a dev set."""
    source = fresh(simulator, periods=config.periods)
    if config.train_scenarios:
        stream = make_generator(seed, "hdpo", "train set")
        source = fixed(draw(simulator, config.train_scenarios, periods=config.periods, generator=stream))
    dev = draw(
        simulator, config.dev_scenarios, periods=config.dev_periods, generator=make_generator(seed, "hdpo", "dev set")
    )
    stream = make_generator(seed, "hdpo", "train")
    return HindsightPolicyOptimization(simulator, policy, config=config, train=source, dev=dev, generator=stream)


def example(config: Config, seed: int) -> HindsightPolicyOptimization:
    """The smallest whole problem: one store, lost sales, lead time 2, Poisson demand."""
    network = InventoryNetwork(
        nodes=(Node(name="store", kind="store", holding=1.0, shortage=9.0),),
        edges=(Edge(source="supplier", target="store", lead_time=2),),
        unmet="lost",
    )
    simulator = InventorySimulator(network, Poisson(5.0), horizon=config.periods)
    policy = VanillaPolicy(
        network, [5.0], lead=2, hidden=config.hidden, generator=make_generator(seed, "hdpo", "weights")
    )
    return learner_for(simulator, policy, config=config, seed=seed)
