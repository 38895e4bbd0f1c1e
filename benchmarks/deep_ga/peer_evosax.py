"""evosax: its Simple GA on gymnax's CartPole, compiled by JAX, and the bytes of an individual as it stores it.

Ask, evaluation and tell of a generation are one compiled function; compilation is outside the clock.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import jax
import jax.numpy as jnp
import optax
from evosax.algorithms import SimpleGA
from evosax.problems import MLP
from evosax.problems.rl.gymnax import GymnaxProblem

POPULATION, GENERATIONS, STEPS = 500, 10, 200
LARGE = 4_052_658


def main() -> None:
    versions = {name: metadata.version(name) for name in ("evosax", "gymnax", "jax")}
    for line in (evaluations_a_second(), bytes_an_individual()):
        print(json.dumps({**line, "who": "evosax", "versions": {**versions, "python": platform.python_version()}}))


def preferred(x: jax.Array, key: jax.Array | None = None) -> jax.Array:  # noqa: ARG001 - evosax calls it so
    """The most preferred action, as the paper's policies act."""
    return jnp.argmax(x, axis=-1)


def evaluations_a_second() -> dict[str, object]:
    policy = MLP(layer_sizes=(16, 2), output_fn=preferred)
    problem = GymnaxProblem("CartPole-v1", policy, episode_length=STEPS, use_normalize_obs=False)
    key = jax.random.key(0)
    solution = problem.sample(key)
    search = SimpleGA(POPULATION, solution, std_schedule=optax.constant_schedule(0.05))
    params = search.default_params

    @jax.jit
    def generation(key, state, task):
        one, two, three = jax.random.split(key, 3)
        population, state = search.ask(one, state, params)
        returns, task, _ = problem.eval(two, population, task)
        state, _ = search.tell(three, population, -returns, state, params)  # it minimises
        return state, task, returns.mean()

    @jax.jit
    def started(key):
        one, two, three = jax.random.split(key, 3)
        population = jax.vmap(problem.sample)(jax.random.split(one, POPULATION))
        task = problem.init(two)
        returns, task, _ = problem.eval(three, population, task)
        return search.init(one, population, -returns, params), task, returns.mean()

    state, task, first = started(key)
    generation(key, state, task)[2].block_until_ready()
    rates = []
    for seed in range(3):
        keys = jax.random.split(jax.random.key(seed), GENERATIONS)
        start = time.perf_counter()
        state, task, first = started(keys[0])
        for one in keys[1:]:
            state, task, mean = generation(one, state, task)
        mean.block_until_ready()
        rates.append(POPULATION * GENERATIONS / (time.perf_counter() - start))
    return {
        "figure": "evaluations of CartPole, 500 individuals, 10 generations, after compiling",
        "value": statistics.median(rates),
        "unit": "evaluations/s", "better": "higher", "check": {"mean return of initial weights": round(float(first))},
    }  # fmt: skip


def bytes_an_individual() -> dict[str, object]:
    row = jnp.zeros(LARGE, jnp.float32)
    return {
        "figure": "bytes a checkpoint keeps of an individual, 4 million weights, 100 generations",
        "value": row.size * row.dtype.itemsize, "unit": "bytes", "better": "lower", "check": {"weights": LARGE},
    }  # fmt: skip


if __name__ == "__main__":
    main()
