"""An epoch of PyTorch Geometric's GINE of equal width and depth, fed by its own loader."""

import json
import platform
import statistics
import time

import molecules
import torch
import torch_geometric
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINEConv, global_add_pool, global_mean_pool

HIDDEN, LAYERS, CLASSES, EPOCHS = 64, 3, 3, 5


class Network(nn.Module):
    """As our GIN: a linear start, layers with bonds, the sum over layers, sum and mean, two layers on top."""

    def __init__(self, nodes: int, edges: int) -> None:
        super().__init__()
        self.start = nn.Linear(nodes, HIDDEN)
        self.layers = nn.ModuleList(
            GINEConv(nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN)), train_eps=True,
                     edge_dim=edges)
            for _ in range(LAYERS)
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))

    def forward(self, data: Data) -> torch.Tensor:
        """Scores of the classes, `[graphs, classes]`."""
        h = self.start(data.x)
        total = h
        for layer in self.layers:
            h = torch.relu(layer(h, data.edge_index, data.edge_attr))
            total = total + h
        both = [global_add_pool(total, data.batch) / 13.0, global_mean_pool(total, data.batch)]
        return self.head(torch.cat(both, dim=1))


def dataset() -> list[Data]:
    read = molecules.read()
    graphs = []
    for nodes, ends, edges, target in zip(read["nodes"], read["ends"], read["edges"], read["targets"], strict=True):
        index = torch.tensor(ends, dtype=torch.int64).reshape(-1, 2).T
        bonds = torch.tensor(edges).reshape(index.shape[1], -1)
        graphs.append(Data(x=torch.tensor(nodes), edge_index=torch.cat([index, index.flip(0)], 1),
                           edge_attr=torch.cat([bonds, bonds]), y=torch.tensor([target])))  # fmt: skip
    return graphs


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    graphs = dataset()
    loader = DataLoader(graphs, batch_size=64, shuffle=True)
    network = Network(graphs[0].num_features, graphs[0].num_edge_features)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    seconds = []
    for _ in range(EPOCHS + 1):
        start = time.process_time()
        network.train()
        for batch in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), batch.y).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
        network.eval()
        with torch.no_grad():
            network(next(iter(loader)))
        seconds.append(time.process_time() - start)
    versions = {"python": platform.python_version(), "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__}  # fmt: skip
    print(json.dumps({"figure": "an epoch of GIN with bonds, 1,025 molecules, hidden 64",
                      "value": statistics.median(seconds[1:]), "unit": "s of CPU", "better": "lower",
                      "who": "PyTorch Geometric", "versions": versions}))  # fmt: skip


if __name__ == "__main__":
    main()
