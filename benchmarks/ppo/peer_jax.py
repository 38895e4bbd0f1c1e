"""PPO on CartPole-v1 in JAX, compiled end to end, in the manner of PureJaxRL: one function holds rollout and epochs.

Same networks, sizes, losses and optimiser as ours.py; as in PureJaxRL an episode that was cut counts as ended.
Compilation is not in the rate but in the time until the first update.
"""

import json
import os
import platform
import time
from importlib import metadata
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

LANES, STEPS, EPOCHS, MINIBATCHES, UPDATES = 1024, 128, 4, 4, 6
RATE, DISCOUNT, TRACE, CLIP, NORM, EPSILON = 2.5e-4, 0.99, 0.95, 0.2, 0.5, 1e-5
FIGURE = "steps learned from, CartPole-v1"
Tree = Any


def network(key: jax.Array, outputs: int, gain: float) -> list[tuple[jax.Array, jax.Array]]:
    sizes, gains = ((4, 64), (64, 64), (64, outputs)), (2**0.5, 2**0.5, gain)
    keys = jax.random.split(key, 3)
    return [
        (jax.nn.initializers.orthogonal(g)(k, size), jnp.zeros(size[1]))
        for k, size, g in zip(keys, sizes, gains, strict=True)
    ]


def forward(layers: list[tuple[jax.Array, jax.Array]], x: jax.Array) -> jax.Array:
    for weight, bias in layers[:-1]:
        x = jnp.tanh(x @ weight + bias)
    return x @ layers[-1][0] + layers[-1][1]


def start(key: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (LANES, 4), minval=-0.05, maxval=0.05)


def world(
    state: jax.Array, clock: jax.Array, action: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    place, speed, angle, turn = state.T
    push = (action * 20.0 - 10.0 + 0.05 * turn**2 * jnp.sin(angle)) / 1.1
    spin = (9.8 * jnp.sin(angle) - jnp.cos(angle) * push) / (0.5 * (4.0 / 3.0 - 0.1 * jnp.cos(angle) ** 2 / 1.1))
    pull = push - 0.05 * spin * jnp.cos(angle) / 1.1
    after = jnp.stack([place + 0.02 * speed, speed + 0.02 * pull, angle + 0.02 * turn, turn + 0.02 * spin], 1)
    over = (jnp.abs(after[:, 0]) > 2.4) | (jnp.abs(after[:, 2]) > 12 * 2 * jnp.pi / 360) | (clock + 1 >= 500)
    return jnp.where(over[:, None], start(key), after), jnp.where(over, 0, clock + 1), over


def loss(nets: Tree, batch: Tree) -> jax.Array:
    seen, action, before, advantage, target = batch
    log_probs = jax.nn.log_softmax(forward(nets["actor"], seen))
    log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
    ratio = jnp.exp(log_prob - before)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage).mean()
    return 0.5 * ((forward(nets["critic"], seen)[:, 0] - target) ** 2).mean() - gain


def adam(nets: Tree, gradient: Tree, moments: Tree) -> tuple[Tree, Tree]:
    first, second, count = moments
    norm = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1.0, NORM / (norm + 1e-6)), gradient)
    count = count + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)
    nets = jax.tree.map(
        lambda p, m, v: p - RATE * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + EPSILON),
        nets, first, second,
    )  # fmt: skip
    return nets, (first, second, count)


@jax.jit
def update(nets: Tree, moments: Tree, lanes: Tree, key: jax.Array) -> tuple[Tree, Tree, Tree, jax.Array, jax.Array]:
    def step(carry: Tree, key: jax.Array) -> tuple[Tree, Tree]:
        state, clock = carry
        draw, again = jax.random.split(key)
        log_probs = jax.nn.log_softmax(forward(nets["actor"], state))
        action = jax.random.categorical(draw, log_probs)
        log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
        value = forward(nets["critic"], state)[:, 0]
        after, ticks, over = world(state, clock, action, again)
        return (after, ticks), (state, action, log_prob, value, over, clock + 1)

    key, *keys = jax.random.split(key, STEPS + EPOCHS + 1)
    lanes, (seen, action, log_prob, value, over, length) = jax.lax.scan(step, lanes, jnp.stack(keys[:STEPS]))
    last = forward(nets["critic"], lanes[0])[:, 0]

    def back(carry: Tree, row: Tree) -> tuple[Tree, jax.Array]:
        later, following = carry
        value, over = row
        delta = 1.0 + DISCOUNT * following * ~over - value
        later = delta + DISCOUNT * TRACE * ~over * later
        return (later, value), later

    _, advantage = jax.lax.scan(back, (jnp.zeros(LANES), last), (value, over), reverse=True)
    rows = jax.tree.map(
        lambda x: x.reshape(LANES * STEPS, *x.shape[2:]), (seen, action, log_prob, advantage, advantage + value)
    )

    def epoch(carry: Tree, key: jax.Array) -> tuple[Tree, None]:
        order = jax.random.permutation(key, LANES * STEPS).reshape(MINIBATCHES, -1)

        def learn(carry: Tree, chosen: jax.Array) -> tuple[Tree, None]:
            nets, moments = carry
            gradient = jax.grad(loss)(nets, jax.tree.map(lambda x: x[chosen], rows))
            return adam(nets, gradient, moments), None

        return jax.lax.scan(learn, carry, order)

    (trained, moments), _ = jax.lax.scan(epoch, (nets, moments), jnp.stack(keys[STEPS:]))
    return trained, moments, lanes, key, (length * over).sum() / over.sum()


def main() -> None:
    begun = time.perf_counter()
    key, *keys = jax.random.split(jax.random.key(0), 4)
    nets = {"actor": network(keys[0], 2, 0.01), "critic": network(keys[1], 1, 1.0)}
    moments = (jax.tree.map(jnp.zeros_like, nets), jax.tree.map(jnp.zeros_like, nets), jnp.zeros(()))
    lanes = (start(keys[2]), jnp.zeros(LANES, jnp.int32))
    nets, moments, lanes, key, mean = update(nets, moments, lanes, key)
    mean.block_until_ready()
    until_first = time.perf_counter() - begun
    timed = time.process_time()
    for _ in range(UPDATES):
        nets, moments, lanes, key, mean = update(nets, moments, lanes, key)
    mean.block_until_ready()
    rate = UPDATES * LANES * STEPS / (time.process_time() - timed)
    check = {"mean return of the episodes that ended in the last update": round(float(mean), 1)}
    versions = {"python": platform.python_version(), "jax": metadata.version("jax")}
    for line in (
        {"figure": FIGURE, "value": rate, "unit": "a second of processor time", "better": "higher", "check": check},
        {"figure": "until the first update is done", "value": until_first, "unit": "s", "better": "lower"},
    ):
        print(json.dumps({**line, "who": "jax", "versions": versions}))


if __name__ == "__main__":
    main()
