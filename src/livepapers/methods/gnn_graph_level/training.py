"""One training for every encoder: same batches, same early stopping, with or without a contrastive loss."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.graph_batches import GraphBatch, GraphStore, batches, standardised
from livepapers.baselines.graph_networks import Dropout, GraphNetwork, ego_balls, rival
from livepapers.baselines.weisfeiler_lehman import graph_colours, neighbour_colours
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State, load_optimizer_state, load_or_keep, optimizer_state
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator
from livepapers.methods.gnn_graph_level.contrast import Contrast
from livepapers.methods.gnn_graph_level.encoder import PathEncoder, PathRootedEncoder, rooted_paths
from livepapers.methods.gnn_graph_level.paths import path_labels
from livepapers.methods.gnn_graph_level.settings import Config
from livepapers.tasks.graph_scenarios import Split
from livepapers.tasks.graphs import GraphTable

ROLE = "learner"
METRICS = ("loss", "contrast", "importance", "validation")
"""Of an epoch: mean loss of the task, mean contrastive loss, mean importance of edges (0 without), validation loss."""
_PREDICTED = 256  # graphs at once
_CLIP = 5.0  # norm of a step's gradient, the same for all


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets as a network learns them: classes, or numbers standardised by the training graphs."""

    values: Tensor  # [graphs] int64, or [graphs, targets] float32
    classes: int  # 0: numbers
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, table: GraphTable, train: np.ndarray) -> "Targets":
        """The targets of a table; unknown ones are 0, nobody looks at them."""
        seen = table.targets[train]
        if not np.isfinite(seen).all():
            raise InputError.of("training graphs", "an unknown target", expected="a target for each")
        if table.classes:
            labels = torch.from_numpy(np.nan_to_num(table.targets[:, 0]).astype(np.int64))
            return cls(labels, len(table.classes), np.zeros(1), np.ones(1))
        scale = np.where(seen.std(axis=0) > 0, seen.std(axis=0), 1.0)
        values = standardised(np.nan_to_num(table.targets), seen)
        return cls(torch.from_numpy(values), 0, seen.mean(axis=0), scale)

    @property
    def outputs(self) -> int:
        """Of the network."""
        return self.classes or self.values.shape[1]

    def loss(self, outputs: Tensor, graphs: np.ndarray) -> Tensor:
        """Cross-entropy, or the mean absolute error in standard deviations."""
        wanted = self.values[torch.from_numpy(graphs)]
        if self.classes:
            return nn.functional.cross_entropy(outputs, wanted)
        return nn.functional.l1_loss(outputs, wanted)


class GraphLearner(Learner):
    """Trains one model on the training graphs of a split; an update is an epoch.

    After `config.pretrain` epochs of the contrastive loss alone come those of the task. When the validation loss has
    not improved for `config.patience` epochs the learner is finished: it stands at its best, and updates do nothing.

    Args:
        table: All graphs.
        parts: Who is trained on, who decides when to stop, who may be looked at without a label.
        config: The model and its training.
        seed: Of weights, batches, views and sampled paths; models of one seed see the same batches.
    """

    def __init__(self, table: GraphTable, parts: Split, *, config: Config, seed: int) -> None:
        self.config, self.parts = config, parts
        self.targets = Targets.of(table, parts.train)
        self.store, self.sampled = build_store(table, parts.train, config, seed)
        self.identity = torch.from_numpy(graph_colours(table, neighbour_colours(table)))
        # examples without a label are looked at by the contrastive loss only
        self.pool = np.sort(np.concatenate([parts.train, parts.unlabelled]))
        weights = make_generator(seed, "gnn-graph-level", "weights", config.model)
        self._generators = {
            "dropout": make_generator(seed, "gnn-graph-level", "dropout", config.model),
            "order": make_generator(seed, "gnn-graph-level", "order"),
            "views": make_generator(seed, "gnn-graph-level", "views"),
        }
        self.network, self.contrast = self._networks(table, weights)
        self._parameters = [*self.network.parameters(), *(self.contrast.parameters() if self.contrast else ())]
        self.optimizer = torch.optim.Adam(self._parameters, lr=config.learning_rate)
        self.best = copy.deepcopy(self.network.state_dict())
        self.best_loss, self.waited, self.epochs, self.seen = math.inf, 0, 0, 0
        self.last: dict[str, float] = dict.fromkeys(METRICS, 0.0)

    def _networks(self, table: GraphTable, weights: torch.Generator) -> tuple[GraphNetwork, Contrast | None]:
        config, attributes = self.config, (table.nodes.shape[1], table.edges.shape[1])
        size = float(table.sizes[self.parts.train].mean())
        shared: dict[str, Any] = {
            "width": config.hidden, "layers": config.layers, "dropout": config.dropout, "size": size,
            "generator": weights,
        }  # fmt: skip
        encoder: nn.Module
        if config.model == "path":
            seen = self.store.batch(self.parts.train)
            encoder = PathEncoder(attributes, seen, cycles=config.cycles, **shared)
        elif config.model == "rooted":
            encoder = PathRootedEncoder(attributes, self.store.batch(self.parts.train), **shared)
        else:
            encoder = rival(config.model, attributes, **shared)
        network = GraphNetwork(
            encoder, width=config.hidden, outputs=self.targets.outputs, dropout=config.dropout, generator=weights
        )
        for module in network.modules():
            if isinstance(module, Dropout):  # dropout draws from its own stream, not from that of the weights
                module.generator = self._generators["dropout"]
        if config.contrast == "none":
            return network, None
        return network, Contrast(
            config.hidden, attributes[1], adaptive=config.contrast == "adaptive", generator=weights
        )

    @property
    def finished(self) -> bool:
        """Whether further updates change nothing."""
        return self.waited >= self.config.patience or self.epochs >= self.config.pretrain + self.config.epochs

    def update(self) -> dict[str, float]:
        """One epoch; nothing once finished."""
        if self.finished:
            return dict(self.last)
        pretraining = self.epochs < self.config.pretrain and self.contrast is not None
        self.network.train()
        labelled = self._shuffled(self.pool if pretraining else self.parts.train)
        parts = batches(labelled, self.config.batch)
        others = parts if pretraining or not len(self.parts.unlabelled) else self._pool_batches(len(parts))
        sums = np.zeros(3)
        for own, pool in zip(parts, others, strict=True):
            sums += self._step(None if pretraining else own, pool)
        self.epochs += 1
        self.seen += len(labelled)
        means = [*map(float, sums / len(parts)), self._watch(pretraining)]
        self.last = dict(zip(METRICS, means, strict=True))
        return dict(self.last)

    def _step(self, own: np.ndarray | None, pool: np.ndarray) -> np.ndarray:
        """One gradient step; its losses and the mean importance."""
        batch = None if own is None else self.store.batch(own)
        task = torch.zeros(()) if batch is None or own is None else self.targets.loss(self.network(batch), own)
        contrasted, importance, total = torch.zeros(()), torch.zeros(()), task
        if self.contrast is not None:
            seen = batch if batch is not None and pool is own else self.store.batch(pool)
            contrasted, importance = self._contrasted(self.contrast, seen, pool)
            total = contrasted if own is None else task + self.config.weight * contrasted
        self.optimizer.zero_grad()
        total.backward()
        for parameter in self._parameters:  # the head, while nothing but the contrast is learned: Adam shall know it
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        return np.array([task.item(), contrasted.item(), importance.item()])

    def _contrasted(self, contrast: Contrast, batch: GraphBatch, graphs: np.ndarray) -> tuple[Tensor, Tensor]:
        config = self.config
        return contrast.loss(
            self.network.encoder, batch, drop=config.drop, most=config.most_drop, relaxation=config.relaxation,
            temperature=config.temperature, keep_mean=config.keep_mean,
            identity=self.identity[torch.from_numpy(graphs)], generator=self._generators["views"],
        )  # fmt: skip

    def _watch(self, pretraining: bool) -> float:
        """The validation loss; keeps the best weights, and goes back to them at the end."""
        outputs = self._outputs(self.parts.validation)
        loss = float(self.targets.loss(outputs, self.parts.validation))
        if pretraining:
            return loss
        if loss < self.best_loss:
            self.best, self.best_loss, self.waited = copy.deepcopy(self.network.state_dict()), loss, 0
        else:
            self.waited += 1
            if self.waited % self.config.halve_after == 0:
                for group in self.optimizer.param_groups:
                    group["lr"] /= 2
        if self.finished:
            self.network.load_state_dict(self.best)
        return loss

    def _shuffled(self, numbers: np.ndarray) -> np.ndarray:
        return numbers[torch.randperm(len(numbers), generator=self._generators["order"]).numpy()]

    def _pool_batches(self, count: int) -> list[np.ndarray]:
        """As many batches of the whole pool, drawn anew in every epoch."""
        shuffled = self._shuffled(self.pool)
        size = min(self.config.batch, len(shuffled))
        return [np.take(shuffled, np.arange(size) + number * size, mode="wrap") for number in range(count)]

    @torch.no_grad()
    def _outputs(self, graphs: np.ndarray) -> Tensor:
        self.network.eval()
        return torch.cat([self.network(self.store.batch(part)) for part in batches(graphs, _PREDICTED)])

    def predict(self, graphs: np.ndarray) -> np.ndarray:
        """Probabilities `[graphs, classes]`, or numbers `[graphs, targets]` in the targets' units, at the best."""
        kept = copy.deepcopy(self.network.state_dict())
        self.network.load_state_dict(self.best)
        outputs = self._outputs(graphs)
        self.network.load_state_dict(kept)
        if self.targets.classes:
            return torch.softmax(outputs, dim=1).double().numpy()
        return outputs.double().numpy() * self.targets.scale + self.targets.mean

    @torch.no_grad()
    def edge_importance(self, graphs: np.ndarray) -> np.ndarray:
        """W of all edges of the given graphs, one graph after the other, `[edges]`.

        Raises:
            InputError: When the contrast is not adaptive, so that none was learned.
        """
        if self.contrast is None or self.contrast.importance is None:
            raise InputError.of("contrast", self.config.contrast, expected="adaptive, which learns the importance")
        self.network.eval()
        return self.contrast.weigh(self.network.encoder, self.store.batch(graphs)).numpy()

    def state_dict(self) -> dict[str, Any]:
        """Weights now and at their best, optimiser, streams, and where the training stands."""
        networks = {"network": self.network, "contrast": self.contrast}
        return {
            **{name: dict(module.state_dict()) if module else {} for name, module in networks.items()},
            "best": dict(self.best),
            "optimizer": optimizer_state(self.optimizer),
            "streams": {name: stream.get_state() for name, stream in self._generators.items()},
            "progress": [self.epochs, self.waited, self.seen],
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
            "last": dict(self.last),
        }

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, own, what="gnn-graph-level state")
        for name in ("network", "contrast", "best", "streams", "last"):
            require_keys(state[name], own[name], what=f"gnn-graph-level {name}")
        load_or_keep(self, self._load, state)

    def _load(self, state: State) -> None:
        self.network.load_state_dict(state["network"])
        if self.contrast is not None:
            self.contrast.load_state_dict(state["contrast"])
        self.best = {name: value.clone() for name, value in state["best"].items()}
        load_optimizer_state(self.optimizer, state["optimizer"])
        for name, stream in self._generators.items():
            stream.set_state(state["streams"][name])
        self.epochs, self.waited, self.seen = (int(value) for value in state["progress"])
        self.best_loss = math.inf if state["best_loss"] is None else float(state["best_loss"])
        self.last = {name: float(value) for name, value in state["last"].items()}

    def work(self) -> dict[str, int]:
        """Epochs, and graphs that were trained on."""
        return {"epochs": self.epochs, "graphs": self.seen}


def build_store(table: GraphTable, train: np.ndarray, config: Config, seed: int) -> tuple[GraphStore, int]:
    """The store that a model needs, and how many roots had to be sampled."""
    if config.model == "ego":
        return GraphStore.of(table, train=train, rooted=ego_balls(table)), 0
    if config.model not in {"path", "rooted"}:
        return GraphStore.of(table, train=train), 0
    rng = numpy_generator(seed, "gnn-graph-level", "paths")
    labels = path_labels(table, config.k, max_paths=config.max_paths, rng=rng, keep_paths=config.contrast != "none")
    return GraphStore.of(table, train=train, rooted=rooted_paths(labels)), labels.sampled


def train(table: GraphTable, parts: Split, *, config: Config, seed: int) -> GraphLearner:
    """A learner that has been updated until it is finished, outside any driving loop: for pilots and small jobs."""
    learner = GraphLearner(table, parts, config=config, seed=seed)
    while not learner.finished:
        learner.update()
    return learner
