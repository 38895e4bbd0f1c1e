"""QDax: its MAP-Elites repertoire and mutation, compiled by JAX; the point robot as a scanned function.

Compilation is outside the clock.
"""

import functools
import json
import platform
import statistics
import time
from importlib import metadata

import jax
import jax.numpy as jnp
from qdax.core.containers.mapelites_repertoire import MapElitesRepertoire, compute_cvt_centroids
from qdax.core.emitters.mutation_operators import isoline_variation

CELLS, WEIGHTS, BATCH, BATCHES = 1024, 4610, 256, 200
ITERATIONS, STEPS = 20, 50
WIDTHS = ((4, 64), (64, 64), (64, 2))


def main() -> None:
    versions = {name: metadata.version(name) for name in ("qdax", "jax")}
    for line in (insertions_a_second(), evaluations_a_second()):
        print(json.dumps({**line, "who": "QDax", "versions": {**versions, "python": platform.python_version()}}))


@functools.cache
def cells() -> jax.Array:
    made = compute_cvt_centroids(
        num_descriptors=2, num_init_cvt_samples=50_000, num_centroids=CELLS, minval=-1.0, maxval=1.0,
        key=jax.random.key(0),
    )  # fmt: skip
    return made[0] if isinstance(made, tuple) else made


def empty(genomes: jax.Array) -> MapElitesRepertoire:
    made = MapElitesRepertoire.init(
        genotypes=genomes, fitnesses=jnp.zeros((len(genomes), 1)), descriptors=jnp.zeros((len(genomes), 2)),
        centroids=cells(),
    )  # fmt: skip
    return made.replace(fitnesses=jnp.full_like(made.fitnesses, -jnp.inf))


@jax.jit
def inserted(repertoire, genomes, places, fitness):
    return repertoire.add(genomes, places, fitness)


def insertions_a_second() -> dict[str, object]:
    one, two, three = jax.random.split(jax.random.key(0), 3)
    genomes = jax.random.normal(one, (BATCH, WEIGHTS))
    places = jax.random.uniform(two, (BATCHES, BATCH, 2), minval=-1.0, maxval=1.0)
    fitness = jax.random.uniform(three, (BATCHES, BATCH, 1))
    start_from, rates, covered = empty(genomes), [], 0.0
    for _ in range(4):
        archive = start_from
        start = time.perf_counter()
        for place, value in zip(places, fitness, strict=True):
            archive = inserted(archive, genomes, place, value)
        archive.fitnesses.block_until_ready()
        rates.append(BATCH * BATCHES / (time.perf_counter() - start))
        covered = float(jnp.isfinite(archive.fitnesses).mean())
    return {
        "figure": "insertions of policies of 4,610 weights into 1,024 cells", "value": statistics.median(rates[1:]),
        "unit": "insertions/s", "better": "higher", "check": {"coverage": round(covered, 2)},
    }  # fmt: skip


def actions(genome: jax.Array, x: jax.Array) -> jax.Array:
    used = 0
    for inputs, outputs in WIDTHS:
        end = used + inputs * outputs
        x = genome[used:end].reshape(outputs, inputs) @ x + genome[end : end + outputs]
        used = end + outputs
        x = jnp.tanh(x) if outputs == 2 else jax.nn.relu(x)
    return x


def episode(genome: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    def step(state, _):
        place, velocity = state
        action = actions(genome, jnp.concatenate([place / 10, velocity]))
        velocity = 0.9 * velocity + 0.1 * action
        return (jnp.clip(place + 0.5 * velocity, -10, 10), velocity), 1 - 0.5 * jnp.square(action).sum()

    (place, _), rewards = jax.lax.scan(step, (jnp.zeros(2), 0.1 * jax.random.normal(key, (2,))), length=STEPS)
    return rewards.sum()[None], place / 10


@jax.jit
def iteration(repertoire, key):
    one, two, three, four = jax.random.split(key, 4)
    drawn = jax.random.categorical(
        one, jnp.where(jnp.isfinite(repertoire.fitnesses[:, 0]), 0.0, -jnp.inf), shape=(2, BATCH)
    )
    first, second = repertoire.genotypes[drawn[0]], repertoire.genotypes[drawn[1]]
    made = isoline_variation(first, second, two, iso_sigma=0.005, line_sigma=0.05)
    made = made[0] if isinstance(made, tuple) else made
    fitness, places = jax.vmap(episode)(made, jax.random.split(three, BATCH))
    return repertoire.add(made, places, fitness), four


def evaluations_a_second() -> dict[str, object]:
    rates = []
    for seed in range(4):
        key = jax.random.key(seed)
        first = 0.2 * jax.random.normal(key, (BATCH, WEIGHTS))
        fitness, places = jax.vmap(episode)(first, jax.random.split(key, BATCH))
        archive = empty(first).add(first, places, fitness)
        start = time.perf_counter()
        for _ in range(ITERATIONS):
            archive, key = iteration(archive, key)
        archive.fitnesses.block_until_ready()
        rates.append(BATCH * ITERATIONS / (time.perf_counter() - start))
    return {
        "figure": "evaluations of the point robot by MAP-Elites", "value": statistics.median(rates[1:]),
        "unit": "evaluations/s", "better": "higher", "check": {"steps an evaluation": STEPS},
    }  # fmt: skip


if __name__ == "__main__":
    main()
