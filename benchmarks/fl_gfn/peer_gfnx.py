"""The same training in gfnx (JAX): a set environment in its contract, its jitted rollout, the loss as its baselines do.

gfnx has no set environment, so one stands here, written after its hypergrid. Its single-file baselines evaluate the
network on both ends of every transition; here it is evaluated once on all states of a trajectory, which is faster. The
whole update is one compiled function; compilation is not in the rate but in the time to the first update.
"""

# ruff: noqa: ARG002, D101, D102 - the methods and arguments are those of gfnx's contract, documented there

import itertools
import json
import os
import platform
import time
from importlib import metadata
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import chex
import gfnx
import jax
import jax.numpy as jnp
import optax
from gfnx import spaces
from gfnx.base import BaseEnvParams, BaseEnvState, BaseRewardModule, BaseVecEnvironment

SETS = {
    "large": (100, 80, (
        -0.8596854107736154, -0.5938789622812419, -0.5596177369051512, -0.4589997720511263, -0.15382957507887518,
        0.13832182722858843, 0.3925029176153736, 0.7231982581431591, 0.7326989860019331, 0.9244538380742333,
    )),
    "small": (30, 20, (
        -0.4381397850674522, -0.40046449111789073, -0.2745059751263419, 0.013149744911117978, 0.4110535720923896,
        0.6261749162235306, 0.6961474461702144, 0.7442282139370466, 0.8206350287761408, 0.883494921538938,
    )),
}  # fmt: skip
CASES = (("large", 16, 60), ("large", 256, 8), ("small", 16, 200))
EPSILON = 0.5


@chex.dataclass(frozen=True)
class State(BaseEnvState):
    state: chex.Array
    is_terminal: chex.Array
    is_initial: chex.Array
    is_pad: chex.Array


@chex.dataclass(frozen=True)
class Params(BaseEnvParams):
    reward_params: Any = None


class Reward(BaseRewardModule):
    """exp(-sum of the items' energies)."""

    def __init__(self, energies: chex.Array) -> None:
        self.energies = energies

    def init(self, rng_key: chex.PRNGKey, dummy_state: State) -> None:
        return None

    def log_reward(self, state: State, env_params: Params) -> chex.Array:
        return -state.state.astype(jnp.float32) @ self.energies

    def reward(self, state: State, env_params: Params) -> chex.Array:
        return jnp.exp(self.log_reward(state, env_params))


class SetEnvironment(BaseVecEnvironment):
    """Add absent items until the set has its size."""

    def __init__(self, reward_module: Reward, items: int, size: int) -> None:
        super().__init__(reward_module)
        self.items, self.size = items, size

    def get_init_state(self, num_envs: int) -> State:
        no = jnp.zeros((num_envs,), dtype=jnp.bool)
        return State(state=jnp.zeros((num_envs, self.items), dtype=jnp.bool), is_terminal=no, is_initial=~no, is_pad=no)

    def init(self, rng_key: chex.PRNGKey) -> Params:
        return Params()

    @property
    def max_steps_in_episode(self) -> int:
        return self.size

    def _single_transition(
        self, state: State, action: chex.Array, env_params: Params
    ) -> tuple[State, chex.Array, dict]:
        after = jnp.where(state.is_terminal, state.state, state.state.at[action].set(True))
        full = after.sum() >= self.size
        made = state.replace(state=after, is_terminal=full, is_initial=False, is_pad=state.is_terminal)
        return made, full, {}

    def _single_backward_transition(
        self, state: State, backward_action: chex.Array, env_params: Params
    ) -> tuple[State, chex.Array, dict]:
        before = state.state.at[backward_action].set(False)
        empty = before.sum() == 0
        made = state.replace(state=before, is_terminal=False, is_initial=empty, is_pad=state.is_initial)
        return made, empty, {}

    def get_obs(self, state: State, env_params: Params) -> chex.Array:
        return state.state.astype(jnp.float32)

    def get_backward_action(
        self, state: State, forward_action: chex.Array, next_state: State, env_params: Params
    ) -> chex.Array:
        return forward_action

    def get_forward_action(
        self, state: State, backward_action: chex.Array, prev_state: State, env_params: Params
    ) -> chex.Array:
        return backward_action

    def get_invalid_mask(self, state: State, env_params: Params) -> chex.Array:
        # a finished row may do anything: it only pads
        return state.state & ~state.is_terminal[:, None]

    def get_invalid_backward_mask(self, state: State, env_params: Params) -> chex.Array:
        return ~state.state

    @property
    def name(self) -> str:
        return "sets"

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(self.items)

    backward_action_space = action_space

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(low=0.0, high=1.0, shape=(self.items,))

    @property
    def state_space(self) -> spaces.Box:
        return spaces.Box(low=0.0, high=1.0, shape=(self.items,))


def main() -> None:
    names = ("jax", "gfnx", "optax")
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
    for instance, batch, updates in CASES:
        for line in measure(instance, batch=batch, updates=updates):
            print(json.dumps({**line, "who": "gfnx", "versions": versions}))


def measure(instance: str, *, batch: int, updates: int) -> list[dict[str, object]]:
    items, size, distinct = SETS[instance]
    start = time.perf_counter()
    energies = jnp.repeat(jnp.asarray(distinct), items // len(distinct))
    env = SetEnvironment(Reward(energies), items, size)
    env_params = env.init(jax.random.PRNGKey(0))
    params = network(jax.random.PRNGKey(1), items)
    optimizer = optax.adam(1e-3)

    def explore(key: chex.PRNGKey, obs: chex.Array, params: Any) -> tuple[chex.Array, dict]:
        forward, _, _ = flows(params, obs, items)
        uniform = jax.random.bernoulli(key, EPSILON, (len(obs), 1))
        return jnp.where(uniform, 0.0, forward), {}

    def loss(params: Any, data: Any) -> chex.Array:
        forward, backward, flow = flows(params, data.obs, items)
        inside, last = data.obs > 0, size - 1
        take = data.action[:, : last + 1, None]
        log_forward = jax.nn.log_softmax(forward, where=~inside, axis=-1)[:, :-1]
        log_backward = jax.nn.log_softmax(backward, where=inside, axis=-1)[:, 1:]
        log_forward = jnp.take_along_axis(log_forward, take, axis=-1)[..., 0]
        log_backward = jnp.take_along_axis(log_backward, take, axis=-1)[..., 0]
        flow = flow.at[:, -1].set(0.0)  # log F~ of finished sets
        residual = flow[:, :-1] + log_forward - flow[:, 1:] - log_backward + energies[take[..., 0]]
        return jnp.square(residual).mean()

    @jax.jit
    def update(key: chex.PRNGKey, params: Any, state: Any) -> tuple[Any, Any, chex.Array]:
        data, _ = gfnx.utils.forward_rollout(key, batch, explore, params, env, env_params)
        value, gradient = jax.value_and_grad(loss)(params, data)
        change, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, change), state, value

    state, keys = optimizer.init(params), iter(jax.random.split(jax.random.PRNGKey(2), updates + 3))
    params, state, first = jax.block_until_ready(update(next(keys), params, state))
    until_first = time.perf_counter() - start
    for _ in range(2):
        params, state, _ = update(next(keys), params, state)
    jax.block_until_ready(params)
    start_cpu = time.process_time()
    for _ in range(updates):
        params, state, value = update(next(keys), params, state)
    jax.block_until_ready(params)
    seconds = time.process_time() - start_cpu
    case = f"{size} of {items} items, batch {batch}"
    return [
        {
            "figure": f"transitions trained, {case}",
            "value": updates * batch * size / seconds,
            "unit": "a second of processor time",
            "better": "higher",
            "check": {"loss at the start": round(float(first), 3), "loss at the end": round(float(value), 3)},
        },
        {"figure": f"until the first update, {case}", "value": until_first, "unit": "s", "better": "lower"},
    ]


def network(key: chex.PRNGKey, items: int) -> list[tuple[chex.Array, chex.Array]]:
    """Weights of two hidden layers of 256 and the three heads, drawn as PyTorch draws them."""
    widths, layers = [items, 256, 256, 2 * items + 1], []
    for before, after in itertools.pairwise(widths):
        key, one, two = jax.random.split(key, 3)
        bound = before**-0.5
        layers.append(
            (jax.random.uniform(one, (before, after), minval=-bound, maxval=bound),
             jax.random.uniform(two, (after,), minval=-bound, maxval=bound))
        )  # fmt: skip
    return layers


def flows(params: Any, obs: chex.Array, items: int) -> tuple[chex.Array, chex.Array, chex.Array]:
    hidden = obs
    for weight, bias in params[:-1]:
        hidden = jax.nn.leaky_relu(hidden @ weight + bias)
    out = hidden @ params[-1][0] + params[-1][1]
    return out[..., :items], out[..., items : 2 * items], out[..., -1]


if __name__ == "__main__":
    main()
