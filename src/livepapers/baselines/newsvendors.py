"""Generalised newsvendors on recorded demand: forecast demand quantiles over L + 1 periods, order up to one.

    quantile     level = quantile q = p / (p + h) of the demand from now until the order arrives, that period included
    fixed        one q for all series, the best on the training periods
    transformed  q = a learned map of p / (p + h), trained through the simulator
    returns      like quantile, but stock may be sent back: not admissible, shown as a bound
    just in time knows all future demand: no unit is kept, none is missing; an upper bound on profit
Source: paper, section on real data (setting S7). The forecaster is a network of 128, 128 ELU units that predicts the
quantiles 0.05 ... 0.95 with the pinball loss. Demand is exogenous, so its forecasts form a table over (series, period).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from livepapers.core.errors import InputError
from livepapers.tasks.demand import Panel
from livepapers.tasks.inventory import InventoryPolicy, InventorySimulator, InventoryState

LEVELS = torch.linspace(0.05, 0.95, 19)
WINDOW = 64  # periods; the training record is replayed in pieces of this length, side by side
SETTLING = 8  # periods at the start of a piece that do not count: its first stock is made up

QuantileMap = Callable[[Tensor], Tensor]
"""From the critical fractile p / (p + h), `[B]`, to the quantile to order up to, `[B]`."""


class QuantileForecaster(nn.Module):
    """Quantiles of demand over L + 1 periods, from past demand, lead time and the time of the year."""

    def __init__(self, history: int, *, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.history = history
        self.net = nn.Sequential(
            nn.Linear(history + 2, hidden),
            nn.ELU(),
            nn.Linear(hidden, hidden),
            nn.ELU(),
            nn.Linear(hidden, len(LEVELS)),
        )
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                for parameter in layer.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, past: Tensor, mean: Tensor, lead_time: Tensor, season: Tensor) -> Tensor:
        """Quantiles at `LEVELS`, ascending, `[B, 19]` in units.

        Args:
            past: The last demands, `[B, H]`, units.
            mean: Scale of the series, `[B]`, units a period.
            lead_time: L, `[B]`, periods.
            season: Any number that tells the time of the year, `[B]`; zeros do.
        """
        recent = past.mean(1)
        scale = mean.clamp(min=1e-6)
        inputs = torch.cat([past / scale[:, None], lead_time[:, None].float() / 4.0, season[:, None]], 1)
        relative = (self.net(inputs) + (recent / scale)[:, None]).clamp(min=0.0)
        return relative.sort(1).values * (scale * (lead_time + 1))[:, None]


def pinball_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """The mean over quantiles and samples of max(q e, (q - 1) e), e = target - predicted; `[B, 19]`, `[B]` -> `[]`."""
    error = target[:, None] - predicted
    return torch.maximum(LEVELS * error, (LEVELS - 1) * error).mean()


def fit_forecaster(
    panel: Panel,
    lead_time: Tensor,
    *,
    generator: torch.Generator,
    season: Tensor | None = None,
    check: Panel | None = None,
    history: int = 16,
    hidden: int = 128,
    steps: int = 1500,
    batch: int = 512,
    rate: float = 1e-3,
) -> QuantileForecaster:
    """Train on the windows of `panel`; the weights that do best on `check` are kept.

    Args:
        panel: K series of one store; only the periods of its windows are seen.
        lead_time: L of each series, `[K]` int64.
        generator: Initial weights and windows.
        season: `[W]`, see `QuantileForecaster.forward`.
        check: The same record with later windows, for choosing the weights; the last ones when left out.
        history: Past demands seen.
        hidden: Units of the two layers.
        steps: Adam steps.
        batch: Windows a step.
        rate: Learning rate.
    """
    if panel.values.shape[1] != 1 or lead_time.shape != (panel.values.shape[0],):
        shown = f"{panel.values.shape[1]} stores, {list(lead_time.shape)} lead times"
        raise InputError.of("panel", shown, expected="one store a series, one lead time a series")
    season = torch.zeros(panel.values.shape[2]) if season is None else season
    model = QuantileForecaster(history, hidden=hidden, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    held_out = None if check is None else _windows(check, lead_time, 4 * batch, history, generator)
    best, kept = float("inf"), copy.deepcopy(model.state_dict())
    for step in range(1, steps + 1):
        past, mean, lead, when, target = _windows(panel, lead_time, batch, history, generator)
        loss = pinball_loss(model(past, mean, lead, season[when]) / mean[:, None], target / mean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if held_out is not None and (step % 50 == 0 or step == steps):
            past, mean, lead, when, target = held_out
            with torch.no_grad():
                score = float(pinball_loss(model(past, mean, lead, season[when]) / mean[:, None], target / mean))
            if score < best:
                best, kept = score, copy.deepcopy(model.state_dict())
    if held_out is not None:
        model.load_state_dict(kept)
    return model


def forecast_table(
    model: QuantileForecaster, panel: Panel, lead_time: Tensor, *, season: Tensor | None = None
) -> Tensor:
    """Forecasts for every series and period, made from what was known then, `[K, W, 19]`.

    The first `history` periods, for which too little was known, repeat the first forecast.
    """
    values = panel.values[:, 0]
    series, periods = values.shape
    season = torch.zeros(periods) if season is None else season
    past = values.unfold(1, model.history, 1)[:, :-1]  # [K, W - H, H]: row j ends before period H + j
    count = past.shape[1]
    with torch.no_grad():
        rows = model(
            past.reshape(-1, model.history),
            panel.mean[:, 0].repeat_interleave(count),
            lead_time.repeat_interleave(count),
            season[model.history :].repeat(series),
        ).view(series, count, -1)
    return torch.cat([rows[:, :1].expand(-1, model.history, -1), rows], 1)


def policy(table: Tensor, quantile: QuantileMap, *, returns: bool = False) -> InventoryPolicy:
    """Order up to a quantile of the forecast; differentiable in what `quantile` is made of.

    Args:
        table: From `forecast_table`.
        quantile: Which quantile to order up to.
        returns: Whether negative orders are allowed (not admissible, a bound).
    """

    def orders(state: InventoryState) -> Tensor:
        wanted = quantile(critical_fractile(state))
        level = interpolate(table[state.instance, state.period], wanted)
        missing = (level - state.pipeline[:, 0].sum(1))[:, None]
        return missing if returns else missing.clamp(min=0.0)

    return orders


def critical_fractile(state: InventoryState) -> Tensor:
    """P / (p + h) of a one-store problem, `[B]`."""
    return state.shortage[:, 0] / (state.shortage[:, 0] + state.holding[:, 0])


def interpolate(quantiles: Tensor, wanted: Tensor) -> Tensor:
    """Values of `quantiles` `[B, 19]` at `wanted` `[B]`, linear between levels, constant beyond the outermost."""
    place = ((wanted - LEVELS[0]) / (LEVELS[1] - LEVELS[0])).clamp(0.0, len(LEVELS) - 1.0)
    low = place.detach().floor().clamp(max=len(LEVELS) - 2).long()
    pair = quantiles.gather(1, torch.stack([low, low + 1], 1))
    return pair[:, 0] + (place - low) * (pair[:, 1] - pair[:, 0])


def identity(fractile: Tensor) -> Tensor:
    """The quantile newsvendor's map."""
    return fractile


def fit_fixed(table: Tensor, simulator: InventorySimulator, *, first: int, last: int) -> QuantileMap:
    """The one quantile of lowest cost over periods [first, last) of all series, from 0.05, 0.06 ... 0.95."""
    state, demand = replay(simulator, first, last, window=WINDOW)

    def cost(quantile: float) -> float:
        costs = simulator.rollout(policy(table, _constant(quantile)), state=state, demand=demand).costs
        return float(costs[:, SETTLING:].mean())

    with torch.no_grad():
        costs = {step / 100: cost(step / 100) for step in range(5, 96)}
    return _constant(min(costs, key=lambda quantile: costs[quantile]))


@dataclass(frozen=True)
class TransformedFractile:
    """The transformed newsvendor's map: a small network on the fractile's log-odds, started at the identity."""

    net: nn.Sequential

    def __call__(self, fractile: Tensor) -> Tensor:
        """`[B]` -> `[B]`, both in (0, 1)."""
        odds = torch.logit(fractile)
        return torch.sigmoid(odds + self.net(odds[:, None])[:, 0])


def fit_transformed(
    table: Tensor,
    simulator: InventorySimulator,
    *,
    first: int,
    last: int,
    generator: torch.Generator,
    steps: int = 150,
    rate: float = 1e-2,
) -> TransformedFractile:
    """Learn the map through the simulator, on periods [first, last) of all series at once.

    Args:
        table: From `forecast_table`; kept fixed.
        simulator: One store, the panel as its demand.
        first: First period of the replay.
        last: Its end.
        generator: Initial weights.
        steps: Adam steps.
        rate: Learning rate.
    """
    net = nn.Sequential(nn.Linear(1, 16), nn.ELU(), nn.Linear(16, 1))
    with torch.no_grad():
        for parameter in net[:2].parameters():
            parameter.uniform_(-1.0, 1.0, generator=generator)
        for parameter in net[2].parameters():
            parameter.zero_()
    learned = TransformedFractile(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    state, demand = replay(simulator, first, last, window=WINDOW)
    scale = float(demand.abs().mean() * simulator.network.shortage.mean())
    for _ in range(steps):
        costs = simulator.rollout(policy(table, learned), state=state, demand=demand).costs
        loss = costs[:, SETTLING:].mean() / scale
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return learned


def just_in_time(panel: Panel) -> InventoryPolicy:
    """The oracle: order exactly what will be asked for until the order arrives, that period included."""
    padded = torch.nn.functional.pad(panel.values[:, 0], (1, 0)).cumsum(1)  # [K, W + 1]
    last = padded.shape[1] - 1

    def orders(state: InventoryState) -> Tensor:
        end = (state.period + state.lead_time[:, 0] + 1).clamp(max=last)
        needed = padded[state.instance, end] - padded[state.instance, state.period]
        return (needed - state.pipeline[:, 0].sum(1)).clamp(min=0.0)[:, None]

    return orders


def replay(
    simulator: InventorySimulator, first: int, last: int, *, window: int | None = None
) -> tuple[InventoryState, Tensor]:
    """Every series from period `first` to `last`: states `[B, ...]` and their demand `[B, T, S]`.

    Args:
        simulator: Its demand is recorded; states start with one mean demand in each place of the pipelines.
        first: First period; `simulator.history` periods before it are known.
        last: The period behind the last one.
        window: Cut the record into pieces of so many periods, side by side (faster); one piece when left out.
    """
    length = min(window or last - first, last - first)
    pieces = [simulator.each_instance(start) for start in range(first, last - length + 1, length)]
    state = InventoryState(*(torch.cat(parts) for parts in zip(*pieces, strict=True)))
    noise = simulator.demand.noise(state.period.shape[0], length, torch.Generator())
    return state, simulator.demand.realise(noise, state.instance, state.period).to(simulator.dtype)


def _constant(quantile: float) -> QuantileMap:
    def same(fractile: Tensor) -> Tensor:
        return torch.full_like(fractile, quantile)

    return same


def _windows(
    panel: Panel, lead_time: Tensor, batch: int, history: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Random (past `[B, H]`, mean `[B]`, lead time `[B]`, period `[B]`, demand over L + 1 periods `[B]`)."""
    longest = int(lead_time.max()) + 1
    instance, start = panel.windows(batch, history + longest, generator)
    values = panel.realise(panel.noise(batch, history + longest, generator), instance, start)[..., 0]
    lead = lead_time[instance]
    counted = torch.arange(longest) <= lead[:, None]
    target = (values[:, history:] * counted).sum(1)
    return values[:, :history], panel.mean[instance, 0], lead, start + history, target
