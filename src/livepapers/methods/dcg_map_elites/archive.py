"""The archive: a box of descriptors cut into cells around centroids, the best policy of each kept."""

import math
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.spatial import KDTree
from scipy.stats import qmc
from torch import Tensor

from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.learner import State
from livepapers.core.loop import counted
from livepapers.core.rng import generator as make_generator
from livepapers.core.rng import numpy_generator

ROUNDS = 30
"""Of k-means; centroids of 50,000 points move by less than a hundredth of a cell afterwards."""
FEW = 1024
"""Cells up to which every point is compared with every centroid, as the paper does for as many."""
LLOYD_ROUNDS = 10
"""For more cells; points that are even already need fewer."""


def voronoi_centroids(cells: int, size: int, *, samples: int, seed: int) -> Tensor:
    """Centroids of a CVT of the box from -1 to 1, `[cells, size]`: k-means of uniform samples (Vassiliades 2018).

    Up to 1,024 cells start from some of the samples. More, or so few samples that a cell loses all of its own, start
    from a scrambled Sobol sequence, which is even already, and get ten rounds with a k-d tree; a cell without samples
    keeps its place. Listeners hear of those rounds.

    Raises:
        InputError: There are fewer samples than cells.
    """
    if samples < cells:
        raise InputError.of("cell_samples", samples, expected=f"at least the {cells} cells")
    drawn = 2.0 * torch.rand(samples, size, generator=make_generator(seed, "archive", "samples")) - 1.0
    points = drawn.numpy().astype(np.float64)
    if cells > FEW:
        return _from_even_points(points, cells, seed)
    stream = numpy_generator(seed, "archive", "k-means")
    start = points[stream.choice(samples, cells, replace=False)]
    try:
        found, _ = kmeans2(points, start, iter=ROUNDS, minit="matrix", missing="raise")
    except ClusterError:
        return _from_even_points(points, cells, seed)
    return torch.from_numpy(found).float()


def _from_even_points(points: np.ndarray, cells: int, seed: int) -> Tensor:
    """Lloyd's rounds over points `[samples, size]` of the box from -1 to 1, `[cells, size]`."""
    size = points.shape[1]
    sequence = qmc.Sobol(size, scramble=True, rng=numpy_generator(seed, "archive", "Sobol"))
    centroids = 2.0 * sequence.random_base2(math.ceil(math.log2(cells)))[:cells] - 1.0  # whole powers of 2 are even
    for _ in counted(range(LLOYD_ROUNDS), name="cells of the archive"):
        _, owner = KDTree(centroids).query(points)
        count = np.bincount(owner, minlength=cells)
        sums = np.stack([np.bincount(owner, weights=column, minlength=cells) for column in points.T], 1)
        centroids = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centroids)
    return torch.from_numpy(centroids).float()


class Archive:
    """Cells of descriptor space with at most one policy each.

    Descriptors are normalised: -1 to 1 inside the box. An empty cell's fitness is minus infinity.

    Args:
        centroids: Of the cells, `[C, D]`.
        parameters: Numbers in a genome.
    """

    def __init__(self, centroids: Tensor, parameters: int) -> None:
        count, size = centroids.shape
        self.centroids = centroids
        self.genomes = torch.zeros(count, parameters)
        self.fitness = torch.full((count,), -torch.inf)
        self.descriptors = torch.zeros(count, size)

    @property
    def occupied(self) -> Tensor:
        """Cells that hold a policy, ascending, int64."""
        return torch.isfinite(self.fitness).nonzero()[:, 0]

    @property
    def qd_score(self) -> float:
        """Sum of the fitness of all policies."""
        return float(self.fitness[self.occupied].double().sum())

    @property
    def coverage(self) -> float:
        """Share of cells that hold a policy."""
        return len(self.occupied) / len(self.fitness)

    @property
    def best(self) -> float:
        """Highest fitness; 0 while the archive is empty."""
        return float(self.fitness.max()) if len(self.occupied) else 0.0

    def cells(self, descriptors: Tensor) -> Tensor:
        """The cell of each descriptor, `[B, D] -> [B]`: the nearest centroid, the first of equally near ones."""
        return torch.cdist(descriptors, self.centroids, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)

    def add(self, genomes: Tensor, fitness: Tensor, *, descriptors: Tensor) -> Tensor:
        """Offer a batch: of those in one cell the best, the first of equals; in if the cell is empty or strictly worse.

        Args:
            genomes: `[B, parameter]`.
            fitness: `[B]`.
            descriptors: `[B, D]`.

        Returns:
            Who got in, `[B]` bool.

        Raises:
            InputError: A fitness or a descriptor is not finite.
        """
        fine = torch.isfinite(fitness) & torch.isfinite(descriptors).all(1)
        if not bool(fine.all()):
            row = int((~fine).nonzero()[0, 0])
            shown = f"{float(fitness[row])} at {descriptors[row].tolist()}"
            cause = f"policy {row} of the batch; does the environment give NaN or infinite numbers?"
            raise InputError.of("fitness and descriptor", shown, expected="finite numbers", cause=cause)
        cell, count = self.cells(descriptors), len(self.fitness)
        best = torch.full((count,), -torch.inf).scatter_reduce(0, cell, fitness, "amax")
        row = torch.arange(len(cell))
        among = torch.where(fitness == best[cell], row, len(cell))
        first = torch.full((count,), len(cell)).scatter_reduce(0, cell, among, "amin")
        accepted = (row == first[cell]) & (fitness > self.fitness[cell])
        into = cell[accepted]
        self.genomes[into] = genomes[accepted]
        self.fitness[into], self.descriptors[into] = fitness[accepted], descriptors[accepted]
        return accepted

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Occupied cells, uniform with replacement, `[count]`; raises `InputError` while there is none."""
        occupied = self.occupied
        if not len(occupied):
            raise InputError.of("archive", "no policy", expected="at least one")
        return occupied[torch.randint(len(occupied), (count,), generator=generator)]

    def nearest(self, descriptor: Tensor) -> int:
        """The occupied cell whose policy's descriptor is nearest to `[D]`; raises `InputError` while there is none."""
        occupied = self.occupied
        if not len(occupied):
            raise InputError.of("archive", "no policy", expected="at least one")
        return int(occupied[torch.linalg.vector_norm(self.descriptors[occupied] - descriptor, dim=1).argmin()])

    def emptied(self) -> "Archive":
        """An archive of the same cells without any policy."""
        return Archive(self.centroids, self.genomes.shape[1])

    def state_dict(self) -> dict[str, Any]:
        """Its four tensors, copied."""
        kept = {"centroids": self.centroids, "genomes": self.genomes, "fitness": self.fitness}
        return {name: value.clone() for name, value in {**kept, "descriptors": self.descriptors}.items()}

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="archive")
        self.centroids, self.genomes = state["centroids"].clone(), state["genomes"].clone()
        self.fitness, self.descriptors = state["fitness"].clone(), state["descriptors"].clone()

    @classmethod
    def of_state(cls, state: State) -> "Archive":
        """The archive that `state_dict` described; raises `CorruptFileError` for what is none."""
        try:
            made = cls(state["centroids"], int(state["genomes"].shape[1]))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise CorruptFileError(f"archive: not one of ours ({plainly(error)})") from None
        made.load_state_dict(state)
        return made
