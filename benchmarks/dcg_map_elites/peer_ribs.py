"""pyribs: its CVT archive and its iso+line emitter; the point robot and its networks in NumPy, batched as ours.

pyribs has no environments and no networks, so the episode is written here as a user would write it.
"""

import itertools
import json
import platform
import statistics
import time
from importlib import metadata

import numpy as np
from ribs.archives import CVTArchive, k_means_centroids
from ribs.emitters import IsoLineEmitter
from ribs.schedulers import Scheduler

CELLS, WEIGHTS, BATCH, BATCHES = 1024, 4610, 256, 200
ITERATIONS, STEPS = 20, 50
WIDTHS = (4, 64, 64, 2)


def main() -> None:
    versions = {name: metadata.version(name) for name in ("ribs", "numpy")}
    for line in (insertions_a_second(), evaluations_a_second()):
        print(json.dumps({**line, "who": "pyribs", "versions": {**versions, "python": platform.python_version()}}))


def made_archive(half_width: float) -> CVTArchive:
    box = [(-half_width, half_width)] * 2
    cells, _ = k_means_centroids(centroids=CELLS, ranges=box, samples=50_000, seed=0, dtype=np.float32)
    return CVTArchive(solution_dim=WEIGHTS, centroids=cells, ranges=box, seed=0, dtype=np.float32)


def insertions_a_second() -> dict[str, object]:
    stream = np.random.default_rng(0)
    genomes = stream.standard_normal((BATCH, WEIGHTS), dtype=np.float32)
    places = stream.uniform(-1, 1, (BATCHES, BATCH, 2)).astype(np.float32)
    fitness = stream.random((BATCHES, BATCH), dtype=np.float32)
    archive, rates, covered = made_archive(1.0), [], 0.0
    for _ in range(4):
        archive.clear()
        start = time.perf_counter()
        for place, value in zip(places, fitness, strict=True):
            archive.add(genomes, value, place)
        rates.append(BATCH * BATCHES / (time.perf_counter() - start))
        covered = float(archive.stats.coverage)
    return {
        "figure": "insertions of policies of 4,610 weights into 1,024 cells", "value": statistics.median(rates[1:]),
        "unit": "insertions/s", "better": "higher", "check": {"coverage": round(covered, 2)},
    }  # fmt: skip


def episode(genomes: np.ndarray, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fitness and final place of each policy."""
    layers, used = [], 0
    for inputs, outputs in itertools.pairwise(WIDTHS):
        end = used + inputs * outputs
        layers.append((genomes[:, used:end].reshape(-1, outputs, inputs), genomes[:, end : end + outputs]))
        used = end + outputs
    place = np.zeros((len(genomes), 2), np.float32)
    velocity = 0.1 * stream.standard_normal((len(genomes), 2), dtype=np.float32)
    fitness = np.zeros(len(genomes), np.float32)
    for _ in range(STEPS):
        x = np.concatenate([place / 10, velocity], 1)
        for weight, bias in layers[:-1]:
            x = np.maximum((weight @ x[..., None])[..., 0] + bias, 0)
        action = np.tanh((layers[-1][0] @ x[..., None])[..., 0] + layers[-1][1])
        velocity = 0.9 * velocity + 0.1 * action
        place = np.clip(place + 0.5 * velocity, -10, 10)
        fitness += 1 - 0.5 * np.square(action).sum(1)
    return fitness, place


def evaluations_a_second() -> dict[str, object]:
    rates = []
    for seed in range(3):
        stream, archive = np.random.default_rng(seed), made_archive(10.0)
        first = 0.2 * stream.standard_normal((BATCH, WEIGHTS), dtype=np.float32)
        emitter = IsoLineEmitter(
            archive, iso_sigma=0.005, line_sigma=0.05, initial_solutions=first, batch_size=BATCH, seed=seed
        )
        scheduler = Scheduler(archive, [emitter])
        scheduler.ask()
        scheduler.tell(*episode(first, stream))
        start = time.perf_counter()
        for _ in range(ITERATIONS):
            scheduler.tell(*episode(scheduler.ask(), stream))
        rates.append(BATCH * ITERATIONS / (time.perf_counter() - start))
    return {
        "figure": "evaluations of the point robot by MAP-Elites", "value": statistics.median(rates),
        "unit": "evaluations/s", "better": "higher", "check": {"steps an evaluation": STEPS},
    }  # fmt: skip


if __name__ == "__main__":
    main()
