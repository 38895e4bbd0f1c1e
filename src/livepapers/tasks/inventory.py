"""Inventory networks as a batched, differentiable simulator.

The order of one period t (all tensors batched, [B, node, ...]):
    1. The policy sees the state before demand; column 0 of a pipeline is stock on hand, arrivals of t included.
    2. `decide`: shipments leave the warehouses, y = on hand - shipped; cost h max(y, 0) + procurement; what was
       ordered over an edge with lead time L becomes usable in t + L, before the demand of t + L.
    3. `resolve`: stores, y = on hand - D; cost p max(-y, 0) + h max(y, 0), or h max(y, 0) - p min(on hand, D) when
       the objective is profit. Lost demand: y <- max(y, 0); backlogged demand stays as negative stock.
    4. Columns move left by one period.
Stock in transit costs nothing. Source: Alvo, Russo, Kanoria, Lee, arXiv 2306.11246, sections 2 and 4.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import gymnasium
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from livepapers.core.errors import InputError
from livepapers.tasks.demand import DemandProcess
from livepapers.tasks.inventory_network import SUPPLIER, Edge, InventoryNetwork, Node

__all__ = [
    "SUPPLIER", "Edge", "Instances", "InventoryNetwork", "InventoryPolicy", "InventoryPost", "InventorySimulator",
    "InventoryState", "Node", "NodeCosts", "Rollout", "ration",
]  # fmt: skip


class InventoryState(NamedTuple):
    """B independent problems before the orders of a period; nothing here is ever changed in place."""

    pipeline: Tensor  # [B, N, L] column 0: on hand, arrivals of this period included; column j: arrives in j periods
    holding: Tensor  # [B, N] cost per unit left at the end of a period
    shortage: Tensor  # [B, S] cost per unit short, or unit price
    lead_time: Tensor  # [B, E] int64, periods, >= 1
    history: Tensor  # [B, S, H] the last H demands, oldest first
    demand_mean: Tensor  # [B, S] of the demand process
    demand_std: Tensor  # [B, S]
    instance: Tensor  # [B] int64, which instance of the parameters and of the demand process
    period: Tensor  # [B] int64, counted from the first period of the demand process


class InventoryPost(NamedTuple):
    """The post-decision state: shipments have left, orders are under way, demand is yet to come."""

    on_hand: Tensor  # [B, N] after shipments
    arrivals: Tensor  # [B, N, L] column j: arrives in j + 1 periods, this period's orders included
    before: InventoryState  # what does not change within a period


class NodeCosts(NamedTuple):
    """Costs by node and kind; their sum over kinds and nodes is `Rollout.costs`."""

    holding: Tensor  # [B, T, N]
    shortage: Tensor  # [B, T, N] cost of units short; minus sales revenue when the objective is profit
    procurement: Tensor  # [B, T, N] charged to the node that orders


class Rollout(NamedTuple):
    """What happened over T periods."""

    costs: Tensor  # [B, T] summed over nodes
    final: InventoryState
    node_costs: NodeCosts | None  # None unless asked for
    orders: Tensor | None  # [B, T, E]; None unless asked for
    on_hand: Tensor | None  # [B, T, N] at the end of each period, negative where backlogged; None unless asked for
    unmet: Tensor | None  # [B, T, S] units short in each period (backlog: owed at its end); None unless asked for


class Instances(NamedTuple):
    """Parameters of K instances, where they are not the network's own."""

    holding: Tensor  # [K, N]
    shortage: Tensor  # [K, S]
    lead_time: Tensor  # [K, E] int64

    @classmethod
    def random(
        cls,
        network: InventoryNetwork,
        generator: torch.Generator,
        *,
        instances: int = 1,
        holding: tuple[float, float] | None = None,
        shortage: tuple[float, float] | None = None,
        lead_time: tuple[int, int] | None = None,
    ) -> "Instances":
        """Draw store parameters uniformly from closed ranges; None keeps the network's own values.

        Args:
            network: Gives everything that is not drawn, and all of the warehouses' values.
            generator: Source of randomness.
            instances: K.
            holding: Range of the stores' holding costs, e.g. (0.7, 1.3) (paper, setting S5).
            shortage: Range of the stores' shortage costs, e.g. (6.3, 11.7).
            lead_time: Range of the lead times of edges into stores, both ends included, e.g. (2, 3).
        """
        made = cls(
            network.holding.float().repeat(instances, 1),
            network.shortage.float().repeat(instances, 1),
            network.lead_time.repeat(instances, 1),
        )
        shape = (instances, len(network.stores))
        if holding is not None:
            made.holding[:, network.store_index] = torch.empty(shape).uniform_(*holding, generator=generator)
        if shortage is not None:
            made.shortage.uniform_(*shortage, generator=generator)
        if lead_time is not None:
            into = torch.isin(network.edge_target, network.store_index)
            drawn = torch.randint(lead_time[0], lead_time[1] + 1, made.lead_time.shape, generator=generator)
            made.lead_time[:, into] = drawn[:, into]
        return made


InventoryPolicy: TypeAlias = Callable[[InventoryState], Tensor]
"""Orders `[B, E]` >= 0 in the order of `network.edges`, of which no warehouse ships more than it has on hand."""


class InventorySimulator:
    """A `Simulator` of one network under one demand process. Reward = -cost of the period, summed over nodes.

    Args:
        network: What is simulated.
        demand: Of `len(network.stores)` stores, in their order.
        horizon: Periods an episode.
        history: How many past demands a state carries (H).
        instances: Parameters per instance; as many as the demand process has, or one of the two has one.
        rationed: Whether `decide` first applies `ration`, so that infeasible orders of an agent that knows nothing
            of the network are scaled down instead of shipping stock that is not there.
        dtype: Float type of all states; float64 for gradient checks.

    Attributes:
        features: The names of the columns of `observe`, F of them.
        order_bound: `[E]` four times the mean demand behind an edge, the scale of orders.
    """

    def __init__(
        self,
        network: InventoryNetwork,
        demand: DemandProcess,
        *,
        horizon: int,
        history: int = 0,
        instances: Instances | None = None,
        rationed: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if demand.mean.shape[1] != len(network.stores):
            raise InputError.of("demand", f"{demand.mean.shape[1]} stores", expected=f"{len(network.stores)} stores")
        if horizon < 1 or history < 0:
            raise InputError.of("horizon, history", (horizon, history), expected="at least 1 and at least 0")
        self.network, self.demand, self.horizon, self.history = network, demand, horizon, history
        self.rationed, self.dtype = rationed, dtype
        self._parameters = _parameters(network, instances, demand, dtype)
        self._lead = int(self._parameters.lead_time.max())
        self._leaves = functional.one_hot(network.edge_source + 1, len(network.nodes) + 1)[:, 1:].to(dtype)  # [E, N]
        self._enters = functional.one_hot(network.edge_target, len(network.nodes)).to(dtype)  # [E, N]
        self._one_edge_each = network.edge_target.tolist() == list(range(len(network.nodes)))
        self._edge_cost = network.edge_cost.to(dtype)
        self._warehouse = torch.tensor([float(node.kind == "warehouse") for node in network.nodes], dtype=dtype)
        self._columns = _columns(network, self._parameters.lead_time, self._lead)
        self._used = self._columns.nonzero().squeeze(1)
        self.features = self._feature_names()
        behind = network.serves[network.edge_target].to(dtype) @ demand.mean.amax(0).to(dtype)
        self.order_bound = 4.0 * behind
        self.action_space = gymnasium.spaces.Box(0.0, self.order_bound.numpy().astype(np.float32), dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (len(self.features),), np.float32)

    def initial(self, batch: int, generator: torch.Generator) -> InventoryState:
        """Random instances; pipeline entries U(0, 1) times the mean demand behind the node (paper, setting S1)."""
        instance, period = self.demand.windows(batch, self.history + self.horizon, generator)
        period = period + self.history
        if self._parameters.holding.shape[0] > self.demand.mean.shape[0]:
            instance = torch.randint(self._parameters.holding.shape[0], (batch,), generator=generator)
        usual = self._usual(instance)
        pipeline = usual * torch.rand(usual.shape, generator=generator, dtype=self.dtype)
        past = self._past(instance, period, generator)
        return self.start(pipeline, history=past, instance=instance, period=period)

    def each_instance(self, period: int) -> InventoryState:
        """Every instance once, at `period`, with one mean demand in each place of its pipelines; nothing is random.

        For recorded demand: the history is what the record holds before `period`.
        """
        instance = torch.arange(max(self._parameters.holding.shape[0], self.demand.mean.shape[0]))
        when = torch.full_like(instance, period)
        past = self._past(instance, when, torch.Generator())
        return self.start(self._usual(instance), history=past, instance=instance, period=when)

    def start(
        self,
        pipeline: Tensor,
        *,
        history: Tensor | None = None,
        instance: Tensor | None = None,
        period: Tensor | None = None,
    ) -> InventoryState:
        """The state with this stock: known today, or made up.

        Args:
            pipeline: `[B, N, L]`, L up to the longest lead time; shorter ones are filled with zeros.
            history: `[B, S, H]`; zeros when left out.
            instance: `[B]` int64; zeros when left out.
            period: `[B]` int64; zeros when left out.
        """
        batch = pipeline.shape[0]
        if pipeline.shape[1] != len(self.network.nodes) or pipeline.shape[2] > self._lead:
            expected = f"[batch, {len(self.network.nodes)}, up to {self._lead}]"
            raise InputError.of("pipeline", list(pipeline.shape), expected=expected)
        pipeline = functional.pad(pipeline.to(self.dtype), (0, self._lead - pipeline.shape[2]))
        if instance is None:
            instance = torch.zeros(batch, dtype=torch.int64)
        if history is None:
            history = pipeline.new_zeros(batch, len(self.network.stores), self.history)
        return InventoryState(
            pipeline,
            _rows(self._parameters.holding, instance),
            _rows(self._parameters.shortage, instance),
            _rows(self._parameters.lead_time, instance),
            history.to(self.dtype),
            _rows(self.demand.mean.to(self.dtype), instance),
            _rows(self.demand.std.to(self.dtype), instance),
            instance,
            torch.zeros(batch, dtype=torch.int64) if period is None else period,
        )

    def trace(self, state: InventoryState, periods: int, generator: torch.Generator) -> Tensor:
        """Demand `[B, T, S]` of the next `periods` periods of these problems."""
        noise = self.demand.noise(state.pipeline.shape[0], periods, generator)
        return self.demand.realise(noise, self._demand_row(state.instance), state.period).to(self.dtype)

    def draw(self, batch: int, t: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002 - noise is standard
        """The demand process's standard noise of one period, `[B, S]`."""
        return self.demand.noise(batch, 1, generator)[:, 0]

    def observe(self, state: InventoryState) -> Tensor:
        """`[B, F]`, columns as in `features`: pipelines in units, then history, then parameters that vary."""
        batch = state.pipeline.shape[0]
        parts = [state.pipeline.reshape(batch, len(self.network.nodes) * self._lead)]
        if len(self._used) < parts[0].shape[1]:
            parts = [parts[0].index_select(1, self._used)]
        if self.history:
            parts.append(state.history.reshape(batch, len(self.network.stores) * self.history))
        if self._parameters.holding.shape[0] > 1:
            parts += [state.holding, state.shortage, state.lead_time.to(self.dtype)]
        if self.demand.mean.shape[0] > 1:
            parts += [state.demand_mean, state.demand_std]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    def mask(self, state: InventoryState) -> None:  # noqa: ARG002
        """None: orders are real numbers."""
        return

    def decide(self, state: InventoryState, action: Tensor) -> tuple[InventoryPost, Tensor]:
        """Ship and order `action` `[B, E]` >= 0; reward = -(warehouse holding + procurement). Differentiable."""
        if self.rationed:
            action = ration(self.network, state, action)
        post, cost = self._order(state, action, self._slots(state.lead_time))
        return post, -cost

    def resolve(self, post: InventoryPost, noise: Tensor) -> tuple[InventoryState, Tensor, Tensor]:
        """Demand comes; reward = -(store holding + shortage). Never terminates: the horizon truncates."""
        before = post.before
        demand = self.demand.realise(noise[:, None], self._demand_row(before.instance), before.period)[:, 0]
        state, cost, _, _ = self._serve(post, demand.to(self.dtype))
        return state, -cost, torch.zeros(cost.shape, dtype=torch.bool)

    def rollout(
        self, policy: InventoryPolicy, *, state: InventoryState, demand: Tensor, detail: bool = False
    ) -> Rollout:
        """Run a policy against recorded or sampled demand; the costs are differentiable in its parameters.

        Args:
            policy: Orders for a state.
            state: Where the problems start; not changed.
            demand: `[B, T, S]`.
            detail: Whether to keep costs by node, orders and stock.

        Raises:
            ValueError: The policy shipped stock that a warehouse did not have.
        """
        slots = self._slots(state.lead_time)
        own = not torch.is_grad_enabled()
        kept: list[tuple[Tensor, ...]] = []
        costs: list[Tensor] = []
        lowest: list[Tensor] = []
        for today in demand.unbind(1):
            action = policy(state)
            if self.rationed:
                action = ration(self.network, state, action)
            post, upstream = self._order(state, action, slots)
            state, downstream, stock, unmet = self._serve(post, today, own=own)
            costs.append(upstream + downstream)
            if self.network.warehouses:
                lowest.append((post.on_hand.detach() * self._warehouse).amin())
            if detail:
                kept.append((*self._by_node(post.before, action, stock, unmet, today), action, stock, unmet))
        self._check_shipped(lowest)
        total = torch.stack(costs, 1) if costs else state.pipeline.new_zeros(demand.shape[:2])
        if not kept:
            return Rollout(total, state, None, None, None, None)
        holding, shortage, procurement, orders, on_hand, unmet = (
            torch.stack(each, 1) for each in zip(*kept, strict=True)
        )
        return Rollout(total, state, NodeCosts(holding, shortage, procurement), orders, on_hand, unmet)

    def _order(self, state: InventoryState, action: Tensor, slots: Tensor) -> tuple[InventoryPost, Tensor]:
        """Step 2: the post-decision state and its cost `[B]`."""
        arrivals = _shifted(state.pipeline)
        if self._one_edge_each:
            arrivals = arrivals.addcmul_(action[..., None], slots)
        else:
            arrivals = arrivals.index_add_(1, self.network.edge_target, action[..., None] * slots)
        on_hand = state.pipeline[..., 0]
        cost = action @ self._edge_cost
        if self.network.warehouses:
            on_hand = on_hand - action @ self._leaves
            cost = cost + (state.holding * on_hand.clamp(min=0.0)) @ self._warehouse
        return InventoryPost(on_hand, arrivals, state), cost

    def _serve(
        self, post: InventoryPost, demand: Tensor, *, own: bool = False
    ) -> tuple[InventoryState, Tensor, Tensor, Tensor]:
        """Steps 3 and 4: next state, cost `[B]`, stock at the end of the period `[B, N]`, units short `[B, S]`.

        `own` says that nobody else looks at `post` and no gradient is taken: its arrivals become the next pipeline.
        """
        before, stores = post.before, self.network.store_index
        on_hand, holding = post.on_hand, before.holding
        if self.network.warehouses:
            on_hand, holding = on_hand[:, stores], holding[:, stores]
        left = on_hand - demand
        kept = left.clamp(min=0.0)
        unmet = kept - left
        paid = unmet if self.network.objective == "cost" else unmet - demand  # -sales
        cost = (holding * kept).sum(1) + (before.shortage * paid).sum(1)
        end = kept if self.network.unmet == "lost" else left
        stock = post.on_hand.index_copy(1, stores, end) if self.network.warehouses else end
        if own:
            pipeline = post.arrivals
            pipeline[..., 0] += stock
        else:
            first = stock[..., None] + post.arrivals[..., :1]
            pipeline = torch.cat([first, post.arrivals[..., 1:]], 2) if self._lead > 1 else first
        history = torch.cat([before.history[..., 1:], demand[..., None]], 2) if self.history else before.history
        return before._replace(pipeline=pipeline, history=history, period=before.period + 1), cost, stock, unmet

    def _by_node(
        self, state: InventoryState, action: Tensor, stock: Tensor, unmet: Tensor, demand: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Costs of one period by node: holding, shortage, procurement, each `[B, N]`."""
        paid = unmet if self.network.objective == "cost" else unmet - demand
        shortage = torch.zeros_like(stock).index_copy(1, self.network.store_index, state.shortage * paid)
        return state.holding * stock.clamp(min=0.0), shortage, (action * self._edge_cost) @ self._enters

    def _slots(self, lead_time: Tensor) -> Tensor:
        """Where orders enter `arrivals`: one-hot lead times `[B or 1, E, L]`; one row when all problems share it."""
        shared = lead_time[:1] if lead_time.stride(0) == 0 else lead_time
        return functional.one_hot(shared - 1, self._lead).to(self.dtype)

    def _usual(self, instance: Tensor) -> Tensor:
        """Mean demand behind each node, in each column of its pipeline that its lead times use, `[B, N, L]`."""
        lead = _rows(self._parameters.lead_time, instance)
        longest = torch.zeros(len(instance), len(self.network.nodes), dtype=torch.int64)
        longest = longest.scatter_reduce(1, self.network.edge_target.expand_as(lead), lead, "amax")
        used = torch.arange(self._lead) < longest[..., None]
        mean = _rows(self.demand.mean.to(self.dtype), instance) @ self.network.flow.T.to(self.dtype)
        return mean[..., None] * used

    def _past(self, instance: Tensor, period: Tensor, generator: torch.Generator) -> Tensor:
        """The `history` demands before `period`, `[B, S, H]`."""
        noise = self.demand.noise(instance.shape[0], self.history, generator)
        past = self.demand.realise(noise, self._demand_row(instance), period - self.history)
        return past.transpose(1, 2).to(self.dtype)

    def _demand_row(self, instance: Tensor) -> Tensor:
        return instance if self.demand.mean.shape[0] > 1 else torch.zeros_like(instance)

    def _check_shipped(self, lowest: list[Tensor]) -> None:
        """Rounding aside, no warehouse may ship more than it has: that would be free stock."""
        if not lowest:
            return
        stock = torch.stack(lowest)
        short = (stock < -1e-3 * float(self.order_bound.max())).nonzero()
        if len(short):
            period = int(short[0])
            amount = f"{-float(stock[period]):.4g}"
            raise ValueError(f"policy: a warehouse ships {amount} more than it has in period {period}; apply `ration`")

    def _feature_names(self) -> tuple[str, ...]:
        network = self.network
        names = [f"{node.name} in {j}" for node in network.nodes for j in range(self._lead)]
        names = [name for name, used in zip(names, self._columns.tolist(), strict=True) if used]
        names += [f"{node.name} sold {j} ago" for node in network.stores for j in range(self.history, 0, -1)]
        if self._parameters.holding.shape[0] > 1:
            names += [f"{node.name} holding" for node in network.nodes]
            names += [f"{node.name} shortage" for node in network.stores]
            names += [f"{edge.source} to {edge.target} lead time" for edge in network.edges]
        if self.demand.mean.shape[0] > 1:
            names += [f"{node.name} mean" for node in network.stores] + [f"{node.name} std" for node in network.stores]
        return tuple(names)


def ration(network: InventoryNetwork, state: InventoryState, desired: Tensor) -> Tensor:
    """Make desired flows feasible by proportional allocation (paper, section 3): the nearest feasible orders.

    Negative flows become 0. The flows that leave a warehouse are scaled by min(1, on hand / their sum); by
    on hand / their sum where the warehouse may not hold. Flows from the outside supplier stay as they are.

    Args:
        network: Whose edges these are.
        state: Stock on hand, B problems.
        desired: `[B, E]`.

    Returns:
        Feasible orders `[B, E]`, differentiable in `desired`.
    """
    desired = desired.clamp(min=0.0)
    internal = (network.edge_source >= 0).nonzero().squeeze(1)
    if not len(internal):
        return desired
    source = network.edge_source[internal]
    wanted = desired[:, internal]
    total = torch.zeros_like(state.pipeline[..., 0]).index_add(1, source, wanted)
    scale = state.pipeline[..., 0].clamp(min=0.0) / total.clamp(min=1e-9)
    capped = torch.tensor([node.may_hold for node in network.nodes])
    scale = torch.where(capped, scale.clamp(max=1.0), scale)
    return desired.index_copy(1, internal, wanted * scale[:, source])


def _parameters(
    network: InventoryNetwork, instances: Instances | None, demand: DemandProcess, dtype: torch.dtype
) -> Instances:
    made = (
        Instances(network.holding[None], network.shortage[None], network.lead_time[None])
        if instances is None
        else instances
    )
    rows, processes = made.holding.shape[0], demand.mean.shape[0]
    if rows != processes and 1 not in (rows, processes):
        raise InputError.of("instances", rows, expected=f"1 or {processes}", cause="the demand process has that many")
    if int(made.lead_time.min()) < 1:
        raise InputError.of("lead_time", int(made.lead_time.min()), expected="at least 1 period")
    return Instances(made.holding.to(dtype), made.shortage.to(dtype), made.lead_time)


def _columns(network: InventoryNetwork, lead_time: Tensor, lead: int) -> Tensor:
    """Which of the N x L pipeline columns can ever hold stock, `[N * L]` bool: nothing is later than its lead time."""
    longest = torch.zeros(len(network.nodes), dtype=torch.int64)
    longest = longest.scatter_reduce(0, network.edge_target, lead_time.amax(0), "amax")
    return (torch.arange(lead) < longest[:, None]).flatten()


def _shifted(pipeline: Tensor) -> Tensor:
    """A new tensor with columns moved left by one and zeros behind; one straight copy where no gradient is taken."""
    if torch.is_grad_enabled() or not pipeline.is_contiguous():
        return functional.pad(pipeline[..., 1:], (0, 1))
    moved = torch.empty_like(pipeline)
    moved.view(-1)[:-1] = pipeline.view(-1)[1:]
    moved[..., -1] = 0.0
    return moved


def _rows(table: Tensor, instance: Tensor) -> Tensor:
    """The parameters of each problem; one instance is expanded, not copied."""
    return table.expand(instance.shape[0], -1) if table.shape[0] == 1 else table[instance]
