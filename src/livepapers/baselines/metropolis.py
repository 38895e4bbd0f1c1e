"""Metropolis sampling of sets, independent sets, and tuples of digits: the rival of samplers that needs no training.

Chains run side by side; a step proposes one change for each and accepts it with probability min(1, R'/R). Proposals are
symmetric: swap a random item out and a random one in (sets), toggle a random vertex (independent sets), or give a
random component a random digit (grids, strings).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import Factored, draw_objects, random_objects
from livepapers.tasks.constructions import IndependentSets, Sets

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def metropolis(
    env: Sets | IndependentSets | Factored, steps: int, *, chains: int, generator: torch.Generator, keep: int
) -> tuple[Tensor, Tensor]:
    """Run `chains` Metropolis chains of `steps` steps each from random objects.

    Args:
        env: The target, R / Z.
        steps: Proposals of each chain; each costs one energy evaluation.
        chains: How many chains.
        generator: Source of all draws.
        keep: How many objects to keep, evenly spaced over the second half of the chains; at most chains * steps / 2.

    Returns:
        (objects `[kept, n]` bool, their log rewards `[kept]` float64), kept <= `keep`.
    """
    if steps < 2:
        raise InputError.of("steps", steps, expected="a whole number >= 2", cause="half of the steps are burn-in")
    if isinstance(env, Factored):
        state, propose = draw_objects(env, chains, generator=generator), _change_digit
    elif isinstance(env, (Sets, IndependentSets)):
        state, propose = (
            random_objects(env, chains, generator=generator)[0],
            _swap if isinstance(env, Sets) else _toggle,
        )
    else:
        raise InputError.of("env", type(env).__name__, expected="Sets, IndependentSets or a Factored construction")
    every = max((steps - steps // 2) // max(keep // chains, 1), 1)
    with torch.inference_mode():
        kept = []
        for step in range(steps):
            state = propose(env, state, generator)  # type: ignore[arg-type]  # the pair was chosen together
            if step >= steps // 2 and (step - steps // 2 + 1) % every == 0:
                kept.append(state)
    objects = torch.cat(kept)[:keep]
    return objects, env.log_reward(objects)


def _swap(env: Sets, state: Tensor, generator: torch.Generator) -> Tensor:
    """Exchange one member for one absent item, or leave the set as it is."""
    if env.size == env.moves:
        return state
    noise = torch.rand(state.shape, generator=generator)
    out, into = torch.where(state, noise, -1.0).argmax(dim=1), torch.where(state, -1.0, noise).argmax(dim=1)
    rise = env.energies[into] - env.energies[out]
    take = torch.rand(len(state), generator=generator).to(torch.float64).log() < -rise
    changed = state.scatter(1, out[:, None], False).scatter(1, into[:, None], True)
    return torch.where(take[:, None], changed, state)


def _toggle(env: IndependentSets, state: Tensor, generator: torch.Generator) -> Tensor:
    """Add a vertex that may be added, or take one out."""
    vertex = torch.randint(env.moves, (len(state), 1), generator=generator)
    inside = state.gather(1, vertex).squeeze(1)
    allowed = inside | env.forward_mask(state).gather(1, vertex).squeeze(1)
    energy = env.energies[vertex.squeeze(1)]
    rise = torch.where(inside, -energy, energy)
    take = allowed & (torch.rand(len(state), generator=generator).to(torch.float64).log() < -rise)
    return state.scatter(1, vertex, torch.where(take, ~inside, inside)[:, None])


def _change_digit(env: Factored, state: Tensor, generator: torch.Generator) -> Tensor:
    """Give one component of each object a random digit, or leave the object as it is."""
    draws, bases = torch.rand(3, len(state), generator=generator, dtype=torch.float64), torch.tensor(env.bases)
    place = (draws[0] * len(bases)).to(torch.int64).clamp(max=len(bases) - 1)
    digit = (draws[1] * bases[place]).to(torch.int64).clamp(max=bases[place] - 1)
    changed = env.objects(env.digits(state).scatter(1, place[:, None], digit[:, None]))
    take = draws[2].log() < env.log_reward(changed) - env.log_reward(state)
    return torch.where(take.reshape(-1, *[1] * (state.ndim - 1)), changed, state)
