"""ReGENN: evolution at the source, encoder, time gate, variable sequencer, evolution at the target, highway."""

from typing import Any

import torch
from torch import Tensor, nn

from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.methods.cities_to_series.config import Activation, Config
from livepapers.methods.cities_to_series.evolution import GraphSoftEvolution, TimeMixing

_CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class ReGENN(nn.Module):
    """Forecast `[n, s, v]` from `[n, w, v]`.

    Args:
        graph: A, `[v, v]`, frozen: from `variable_graph`, or zeros where weights are loaded. v >= 2.
        settings: As `Config.to_json` gives them.
        generator: Of the initial weights; left out where weights are loaded.

    Raises:
        InputError: For fewer than two variables: there is no graph between them.
    """

    graph: Tensor

    def __init__(
        self, graph: Tensor | list[list[float]], *, settings: dict[str, Any], generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        made = torch.as_tensor(graph, dtype=torch.float32)
        variables = len(made)
        if variables < 2:
            raise InputError.of("variables", variables, expected="at least 2: ReGENN learns a graph between them")
        config = self.config = Config.from_json(settings)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        window, stride = config.window, config.stride
        self.register_buffer("graph", made.clone())
        self.source = self.target = self.mixing = None
        if config.evolution:
            self.source = GraphSoftEvolution(variables, biases=config.biases, generator=generator)
            self.target = GraphSoftEvolution(variables, biases=config.biases, generator=generator)
            self.mixing = TimeMixing(window, window, biases=config.biases, generator=generator)
        self.encoder = None
        if config.encoder:
            self.encoder = nn.TransformerEncoderLayer(
                window, 1, dim_feedforward=config.feed_forward, dropout=config.dropout,
                batch_first=config.attend == "variables",
            )  # fmt: skip
        self.gate = Summed(window, stride, config)
        self.sequencer = Summed(variables, variables, config) if config.sequencer else None
        self.highway = TimeMixing(window, stride, biases=config.biases, generator=generator) if config.highway else None
        self.dropout = nn.Dropout(config.dropout)
        _redraw(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """`[n, w, v]` scaled inputs -> `[n, s, v]` scaled forecasts."""
        mixed, graph = x, self.graph
        if self.source is not None and self.mixing is not None:
            mixed, graph = self.source(x, self.graph)
            mixed = self.mixing(self.dropout(mixed))
        tokens = mixed.transpose(1, 2)  # [n, v, w]
        if self.encoder is not None:
            tokens = self.encoder(tokens)
        gated = self.dropout(self.gate(tokens).transpose(1, 2))  # [n, s, v]
        if self.sequencer is not None:
            gated = self.dropout(self.sequencer(gated)) + gated
        made = gated if self.target is None else self.target(gated, graph)[0]
        if self.highway is not None:
            made = made + self.highway(x)
        return positive(made, self.config.activation, training=self.training)

    @torch.no_grad()
    def thetas(self) -> tuple[Tensor, Tensor]:
        """The learned graphs `[v, v]` at source and target: row i is what variable i is made of.

        Raises:
            InputError: For a network without evolution.
        """
        if self.source is None or self.target is None:
            raise InputError.of("evolution", "off", expected="on: without it there is no graph to show")
        at_source, hidden = self.source.theta(self.graph)
        return at_source, self.target.theta(hidden)[0]


def positive(made: Tensor, activation: Activation, *, training: bool) -> Tensor:
    """The output's activation. "clip" lets gradients pass while training: a ReLU that is always 0 never recovers."""
    return made.relu() if activation == "relu" or (activation == "clip" and not training) else made


class Summed(nn.Module):
    """A recurrence `[n, steps, in]` -> `[n, steps, out]`; of two directions the outputs are added."""

    def __init__(self, width: int, hidden: int, config: Config) -> None:
        super().__init__()
        self.cell = _CELLS[config.cell](width, hidden, batch_first=True, bidirectional=config.bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs at all steps."""
        made, _ = self.cell(x)
        return made if not self.cell.bidirectional else made.unflatten(2, (2, -1)).sum(2)


def _redraw(network: nn.Module, generator: torch.Generator) -> None:
    """Weights of the library's layers from our own stream: matrices Xavier uniform, vectors 0 (norms' scales 1)."""
    for module in network.modules():
        if isinstance(module, (nn.RNNBase, nn.MultiheadAttention, nn.Linear)):
            for parameter in module.parameters(recurse=False):
                if parameter.ndim > 1:
                    nn.init.xavier_uniform_(parameter, generator=generator)
                else:
                    nn.init.zeros_(parameter)


def untrained(graph: Tensor, config: Config, *, generator: torch.Generator, **changes: Any) -> ReGENN:
    """A network with fresh weights; `changes` are settings that differ, e.g. `evolution=False`."""
    with torch.random.fork_rng(devices=[]):  # the library's layers draw weights that are drawn again from our stream
        return ReGENN(graph, settings=replace(config, **changes).to_json(), generator=generator)
