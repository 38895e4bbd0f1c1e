"""Where successful trajectories come from: exploring policies, or backward walks from given objects (oc-gfn)."""

from typing import Any, Protocol

import torch
from torch import Tensor

from livepapers.blocks.flow_networks import FlowNetwork, masked_log_probability
from livepapers.blocks.networks import MLP
from livepapers.blocks.trajectories import Trajectories, Transitions, rollout, walk_back
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import InputError
from livepapers.core.learner import State, load_optimizer_state, optimizer_state
from livepapers.core.rng import generator as stream
from livepapers.methods.oc_gfn.config import Config
from livepapers.tasks.construction import Construction, Factored, draw_objects


class Explorer(Protocol):
    """Makes trajectories without any task reward, and may learn from those it made."""

    def sample(self, batch: int, *, generator: torch.Generator) -> Trajectories:
        """`batch` complete trajectories."""
        ...

    def learn(self, batch: Trajectories) -> None:
        """One step on the trajectories just sampled."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """What the next `sample` and `learn` depend on."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Take over a state."""
        ...


class _Fixed:
    """An explorer that learns nothing."""

    def learn(self, batch: Trajectories) -> None:
        """Nothing to learn."""

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Nothing to take over."""
        require_keys(state, {}, what="oc-gfn explorer")


class UniformExplorer(_Fixed):
    """Uniformly random allowed moves."""

    def __init__(self, env: Construction) -> None:
        self.env = env

    def sample(self, batch: int, *, generator: torch.Generator) -> Trajectories:
        """See `Explorer`."""
        return rollout(self.env, batch, generator=generator)


class BackwardExplorer(_Fixed):
    """Objects drawn uniformly, and walked back from with uniform P_B: always successful, covers everything."""

    def __init__(self, env: Construction) -> None:
        if not isinstance(env, Factored):
            cause = "its objects cannot be drawn uniformly; explore with gafn or uniform, or give a data set"
            raise InputError.of("explorer", "backward", expected="a construction with digits", cause=cause)
        self.env = env

    def sample(self, batch: int, *, generator: torch.Generator) -> Trajectories:
        """See `Explorer`."""
        return walk_back(self.env, draw_objects(self.env, batch, generator=generator), generator=generator)


class DatasetExplorer(_Fixed):
    """Logged objects, drawn with replacement and walked back from with uniform P_B.

    Args:
        env: The construction.
        objects: Finished objects, `[n, ...]`.
    """

    def __init__(self, env: Construction, objects: Tensor) -> None:
        if len(objects) == 0:
            raise InputError.of("explorer", "an empty data set", expected="at least one finished object")
        unfinished = ~env.is_terminal(objects) if not env.has_stop else torch.zeros(len(objects), dtype=torch.bool)
        if unfinished.any():
            row = int(unfinished.nonzero()[0])
            raise InputError.of(f"explorer: object {row}", objects[row].tolist(), expected="a finished object")
        self.env, self.kept = env, objects

    def sample(self, batch: int, *, generator: torch.Generator) -> Trajectories:
        """See `Explorer`."""
        rows = torch.randint(len(self.kept), (batch,), generator=generator)
        return walk_back(self.env, self.kept[rows], generator=generator)


class AugmentedFlowExplorer:
    """GAFlowNet: detailed balance with a terminal reward of 1 and intrinsic rewards on the edges.

        log F(s) + log P_F(s'|s) = log( F(s') P_B(s|s') + r_i(s -> s') ),   F(x) = 1
        r_i(s -> s') = novelty * |g(s') - g_fixed(s')|^2 / running standard deviation

    Args:
        env: The construction.
        config: `explorer_hidden`, `explorer_rate`, `novelty`.
        seed: Of the weights.
    """

    def __init__(self, env: Construction, config: Config, *, seed: int) -> None:
        self.env, self.config, hidden = env, config, config.explorer_hidden
        self.network = FlowNetwork(
            env.features, env.moves, has_stop=env.has_stop, hidden=hidden, seed=seed, stream="oc-gfn explorer"
        )
        self.predictor, self.fixed = (
            MLP(
                env.features,
                [hidden] * 2,
                outputs=hidden,
                activation="leaky_relu",
                generator=stream(seed, "oc-gfn", name),
            )
            for name in ("novelty", "fixed novelty")
        )
        self.fixed.requires_grad_(False)
        trained = [*self.network.parameters(), *self.predictor.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=config.explorer_rate, fused=True)
        self.moments = torch.zeros(3)  # number, mean and sum of squared deviations of all errors so far

    def sample(self, batch: int, *, generator: torch.Generator) -> Trajectories:
        """See `Explorer`."""
        policy, epsilon = self.network.policy(), self.config.epsilon
        return rollout(self.env, batch, generator=generator, logits=policy, epsilon=epsilon)

    def learn(self, batch: Trajectories) -> None:
        """One Adam step on the balance residual and on the novelty error."""
        moves = Transitions.of(batch)
        error = (self.predictor(self.env.encode(moves.children)) - self.fixed(self.env.encode(moves.children))).square()
        error = error.mean(dim=1)
        residual = self._residual(batch, moves, self._intrinsic(error.detach()))
        loss = residual.square().mean() + error.mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """See `Explorer`."""
        return {
            "network": dict(self.network.state_dict()),
            "predictor": dict(self.predictor.state_dict()),
            "optimizer": optimizer_state(self.optimizer),
            "moments": self.moments.clone(),
        }

    def load_state_dict(self, state: State) -> None:
        """See `Explorer`."""
        own = self.state_dict()
        require_keys(state, own, what="oc-gfn explorer")
        for name in ("network", "predictor"):
            require_keys(state[name], own[name], what=f"oc-gfn explorer {name}")
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.network.load_state_dict(state["network"])
        self.predictor.load_state_dict(state["predictor"])
        self.moments = state["moments"].clone()

    def _intrinsic(self, error: Tensor) -> Tensor:
        """Scaled novelty of each transition; takes the errors into the running moments first."""
        number, mean, squares = self.moments.unbind()
        added, batch_mean = len(error), error.mean()
        total, gap = number + added, batch_mean - mean
        squares = squares + (error - batch_mean).square().sum() + gap.square() * number * added / total
        self.moments = torch.stack([total, mean + gap * added / total, squares])
        deviation = (squares / total).sqrt().clamp(min=1e-8)
        return self.config.novelty * error / deviation

    def _residual(self, batch: Trajectories, moves: Transitions, intrinsic: Tensor) -> Tensor:
        env, width = self.env, moves.width
        forward_logits, _, flow = self.network(env.encode(moves.states))
        known = torch.zeros(len(batch.actions) + 1, width, dtype=torch.bool)
        known[batch.length, torch.arange(width)] = True
        flow = torch.where(known.flatten(), 0.0, flow)
        rows = torch.arange(len(moves.actions)) if moves.rows is None else moves.rows
        log_forward = masked_log_probability(forward_logits[rows], env.forward_mask(moves.parents), moves.actions)
        undo = -env.backward_mask(moves.children).sum(dim=1).clamp(min=1).to(flow.dtype).log()
        undo = torch.where(moves.actions < env.moves, undo, 0.0)
        inflow = torch.logaddexp(flow[rows + width] + undo, intrinsic.clamp(min=1e-12).log())
        return flow[rows] + log_forward - inflow


def make_explorer(env: Construction, config: Config, dataset: Tensor | None, *, seed: int) -> Explorer:
    """The explorer that `config` names, or the data set's where there is one."""
    if dataset is not None:
        return DatasetExplorer(env, dataset)
    if config.explorer == "gafn":
        return AugmentedFlowExplorer(env, config, seed=seed)
    return BackwardExplorer(env) if config.explorer == "backward" else UniformExplorer(env)


def distinct_share(env: Construction, explorer: Explorer, *, samples: int, generator: torch.Generator) -> float:
    """Different objects among `samples` of the explorer's: 1 if no two are equal, near 0 if it goes to few places."""
    objects = explorer.sample(samples, generator=generator).last
    return len(set(env.key(objects))) / samples


__all__ = [
    "AugmentedFlowExplorer", "BackwardExplorer", "DatasetExplorer", "Explorer", "UniformExplorer", "distinct_share",
    "make_explorer",
]  # fmt: skip
