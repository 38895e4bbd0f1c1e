"""Our side of the dcg-map-elites benchmark: insertions into an archive, and evaluations of a whole MAP-Elites loop.

`python benchmarks/dcg_map_elites/ours.py` prints one JSON object a line; `livepapers bench dcg-map-elites` runs it
beside the peers. An insertion offers one policy of 4,610 weights to an archive of 1,024 Voronoi cells, in batches of
256. An evaluation is an episode of 50 steps of the point robot; the loop mutates, evaluates and inserts.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import torch

from livepapers.core.config import replace
from livepapers.methods import dcg_map_elites as dcg

CELLS, WEIGHTS, BATCH, BATCHES = 1024, 4610, 256, 200
ITERATIONS = 20


def main() -> None:
    torch.set_num_threads(1)
    versions = {
        "python": platform.python_version(), "torch": torch.__version__, "livepapers": metadata.version("livepapers")
    }  # fmt: skip
    for line in (insertions_a_second(), evaluations_a_second()):
        print(json.dumps({**line, "who": "livepapers", "versions": versions}))


def insertions_a_second() -> dict[str, object]:
    """Batches offered to the archive, made before the clock starts."""
    stream = torch.Generator().manual_seed(0)
    centroids = dcg.voronoi_centroids(CELLS, 2, samples=50_000, seed=0)
    genomes = torch.randn(BATCH, WEIGHTS, generator=stream)
    places = 2.0 * torch.rand(BATCHES, BATCH, 2, generator=stream) - 1.0
    fitness = torch.rand(BATCHES, BATCH, generator=stream)
    rates, covered = [], 0.0
    for _ in range(4):
        archive = dcg.Archive(centroids, WEIGHTS)
        start = time.perf_counter()
        for place, value in zip(places, fitness, strict=True):
            archive.add(genomes, value, descriptors=place)
        rates.append(BATCH * BATCHES / (time.perf_counter() - start))
        covered = archive.coverage
    return {
        "figure": "insertions of policies of 4,610 weights into 1,024 cells", "value": statistics.median(rates[1:]),
        "unit": "insertions/s", "better": "higher", "check": {"coverage": round(covered, 2)},
    }  # fmt: skip


def evaluations_a_second() -> dict[str, object]:
    """MAP-Elites on the point robot: iso+line mutation, 256 episodes, insertion."""
    config = dcg.variant(replace(dcg.Config(), cells=CELLS, mutated=BATCH // 2, gradients=BATCH // 2), "map-elites")
    rates = []
    for seed in range(3):
        learner = dcg.DescriptorConditionedSearch(dcg.World.of("point-omni"), config=config, seed=seed)
        learner.update()
        start = time.perf_counter()
        for _ in range(ITERATIONS):
            learner.update()
        rates.append(BATCH * ITERATIONS / (time.perf_counter() - start))
    return {
        "figure": "evaluations of the point robot by MAP-Elites", "value": statistics.median(rates),
        "unit": "evaluations/s", "better": "higher", "check": {"steps an evaluation": 50},
    }  # fmt: skip


if __name__ == "__main__":
    main()
