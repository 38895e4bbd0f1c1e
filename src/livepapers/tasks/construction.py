"""The construction contract: objects built move by move, forwards and backwards, with masks, energies, log reward.

GFlowNets and other samplers of discrete objects learn on it. States are plain tensors `[batch, ...]` of one dtype;
action `a` of `forward_mask` and action `a` of `backward_mask` name the same move, done and undone; the stop action,
where a construction has one, is the last forward action and has no backward counterpart. Energies and log rewards are
float64 (a long path sums a hundred of them); learners cast.

`check_construction` and `check_energy` tell the author of a new construction what is wrong with it.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from livepapers.core.errors import InputError


@runtime_checkable
class Construction(Protocol):
    """A directed acyclic graph of partial objects with one root.

    A trajectory starts at `root`, each move is one of `forward_mask`, and it ends in a terminal state: by the stop
    action where `has_stop`, otherwise when `is_terminal` says so. All paths to one state have the same number of
    moves, and equal objects are equal tensors. Two moves never lead from one state to the same child. No function
    changes its arguments.
    """

    moves: int  # number of moves (add item i, append letter i ...), the stop action not counted
    has_stop: bool  # whether trajectories end by a stop action, index `moves`, or by themselves
    longest: int  # no trajectory has more actions than this, the stop action counted
    shortest: int  # and none has fewer
    features: int  # width of `encode`

    def root(self, batch: int) -> Tensor:
        """The start state, repeated, `[batch, ...]`."""
        ...

    def encode(self, state: Tensor) -> Tensor:
        """What a network sees, `[batch, features]` in the default float type."""
        ...

    def forward_mask(self, state: Tensor) -> Tensor:
        """Allowed forward actions, `[batch, moves + has_stop]` bool; all False at terminal states only."""
        ...

    def backward_mask(self, state: Tensor) -> Tensor:
        """Moves that can have been the last one, `[batch, moves]` bool; all False at the root only."""
        ...

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """The child states; `action` `[batch]` int64 in [0, moves). The stop action never reaches this function."""
        ...

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """The parent states: the inverse of `step` for moves allowed by `backward_mask`."""
        ...

    def is_terminal(self, state: Tensor) -> Tensor:
        """Whether the object is finished without a stop action, `[batch]` bool; all False where `has_stop`."""
        ...

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """Energy of the move, `[batch]` float64; summed along any path to x it is -log R(x). Stopping costs 0."""
        ...

    def log_reward(self, state: Tensor) -> Tensor:
        """Log R of finished objects, `[batch]` float64."""
        ...

    def key(self, state: Tensor) -> list[bytes]:
        """One hashable name an object; equal exactly for equal objects."""
        ...


@runtime_checkable
class Factored(Construction, Protocol):
    """A construction whose finished objects are all tuples of digits: cells of a grid, strings of fixed length.

    What can still be reached from a state is a product over components: component i may take the digits that
    `open_digits` allows, whatever the others take.
    """

    bases: tuple[int, ...]  # how many digits each component has; their product is the number of objects

    def digits(self, objects: Tensor) -> Tensor:
        """The digits of finished objects, `[batch, component]` int64."""
        ...

    def objects(self, digits: Tensor) -> Tensor:
        """The finished objects of these digits, `[batch, ...]`: the inverse of `digits`."""
        ...

    def open_digits(self, state: Tensor) -> Tensor:
        """Digits that objects reachable from a state can have, `[batch, component, max(bases)]` bool."""
        ...


def draw_objects(env: Construction, samples: int, *, generator: torch.Generator) -> Tensor:
    """Finished objects `[samples, ...]`: uniformly where `env` is `Factored`, otherwise by uniformly random moves."""
    if not isinstance(env, Factored):
        return random_objects(env, samples, generator=generator)[0]
    bases = torch.tensor(env.bases)
    uniform = torch.rand(samples, len(bases), generator=generator, dtype=torch.float64)
    return env.objects((uniform * bases).to(torch.int64).clamp(max=bases - 1))


def can_reach(env: Factored, state: Tensor, objects: Tensor) -> Tensor:
    """Whether each object can still be built from the state beside it, `[batch]` bool."""
    digits = env.digits(objects)
    return env.open_digits(state).gather(2, digits[:, :, None]).squeeze(2).all(dim=1)


def row_keys(state: Tensor) -> list[bytes]:
    """One name a row, from its bytes: what `key` is for constructions whose equal objects are equal tensors."""
    return [row.tobytes() for row in state.detach().contiguous().numpy()]


def random_action(allowed: Tensor, generator: torch.Generator) -> Tensor:
    """One allowed action a row, uniformly; `allowed` `[batch, action]` bool. Rows without one get action 0."""
    noise = torch.rand(allowed.shape, generator=generator, dtype=torch.float64)
    return noise.masked_fill(~allowed, -1.0).argmax(dim=1)


def random_objects(env: Construction, samples: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Finished objects from uniformly random moves, and the sum of edge energies on the way to each.

    Returns:
        (state `[samples, ...]`, energy `[samples]` float64).
    """
    state, energy = env.root(samples), torch.zeros(samples, dtype=torch.float64)
    alive = ~env.is_terminal(state)
    while alive.any():
        action = random_action(env.forward_mask(state), generator)
        moving = alive & (action < env.moves)
        rows = moving.nonzero().squeeze(1)
        parents, chosen = state[rows], action[rows]
        children = env.step(parents, chosen)
        energy[rows] += env.edge_energy(parents, chosen, children)
        state = state.clone()
        state[rows] = children
        alive = moving & ~env.is_terminal(state)
    return state, energy


def check_construction(env: Construction, *, generator: torch.Generator, walks: int = 16) -> None:
    """Walk random paths through a construction and check its promises.

    Raises:
        InputError: Naming the function that breaks the contract, the offending state and the likely mistake.
    """
    name = type(env).__name__
    state = env.root(walks)
    _shapes(env, state)
    if env.backward_mask(state).any():
        raise _broken(name, "backward_mask", state[0], "no move to undo at the root")
    alive = torch.ones(walks, dtype=torch.bool)
    for length in range(env.longest + 1):
        forward, terminal = env.forward_mask(state), env.is_terminal(state)
        if (terminal & torch.tensor(env.has_stop)).any():
            raise _broken(name, "is_terminal", state[terminal][0], "False everywhere where has_stop is set")
        stuck = alive & (forward.any(dim=1) == terminal)
        if stuck.any():
            cause = "a state without a move must be terminal, a terminal one has none"
            raise _broken(
                name, "forward_mask", state[stuck][0], "a move exactly where the object is not finished", cause
            )
        action = random_action(forward, generator)
        ended = alive & (terminal | (action >= env.moves))
        if ended.any() and length + (not terminal[ended].any()) < env.shortest:
            expected = f"no trajectory shorter than {env.shortest}"
            raise _broken(name, "shortest", state[ended][0], expected, "count it again")
        alive = alive & ~ended
        if not alive.any():
            break
        if length == env.longest:
            raise _broken(
                name, "longest", state[alive][0], f"no trajectory longer than {env.longest}", "count it again"
            )
        rows = alive.nonzero().squeeze(1)
        children = _check_move(env, state[rows], action[rows])
        state = state.clone()
        state[rows] = children
    _check_finished(env, state)


def _check_finished(env: Construction, state: Tensor) -> None:
    """Check rewards and keys where walks ended."""
    name = type(env).__name__
    finished = env.log_reward(state)
    if not torch.isfinite(finished).all():
        raise _broken(
            name, "log_reward", state[~torch.isfinite(finished)][0], "a finite log reward for finished objects"
        )
    same = {key: row for row, key in enumerate(env.key(state))}
    for row, key in enumerate(env.key(state)):
        if not torch.equal(state[row], state[same[key]]):
            raise _broken(
                name, "key", state[row], "different keys for different objects", "does it drop part of the state?"
            )


def check_energy(env: Construction, *, generator: torch.Generator, walks: int = 64, tolerance: float = 1e-6) -> None:
    """Check on random paths that the edge energies sum to -log R.

    Args:
        env: Any construction that offers `edge_energy`.
        generator: Source of the paths.
        walks: How many paths.
        tolerance: Largest difference allowed, in nats, relative to max(1, |log R|).

    Raises:
        InputError: Naming the first offending path.
    """
    # the path is kept move by move so that the message can show it
    state, energy = env.root(walks), torch.zeros(walks, dtype=torch.float64)
    paths: list[list[int]] = [[] for _ in range(walks)]
    alive = ~env.is_terminal(state)
    while alive.any():
        action = random_action(env.forward_mask(state), generator)
        alive = alive & (action < env.moves)
        rows = alive.nonzero().squeeze(1)
        children = env.step(state[rows], action[rows])
        energy[rows] += env.edge_energy(state[rows], action[rows], children)
        for row in rows.tolist():
            paths[row].append(int(action[row]))
        state = state.clone()
        state[rows] = children
        alive = alive & ~env.is_terminal(state)
    log_reward = env.log_reward(state)
    wrong = ~((energy + log_reward).abs() <= tolerance * log_reward.abs().clamp(min=1.0))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InputError.of(
            f"{type(env).__name__}.edge_energy",
            f"{float(energy[row]):.6g} summed over the moves {paths[row]}",
            expected=f"-log R = {-float(log_reward[row]):.6g}",
            cause="E(root) must be 0, and a reward factor r is an energy of -log r",
        )


def _shapes(env: Construction, state: Tensor) -> None:
    name, batch = type(env).__name__, len(state)
    found = {
        "encode": (list(env.encode(state).shape), [batch, env.features]),
        "forward_mask": (list(env.forward_mask(state).shape), [batch, env.moves + env.has_stop]),
        "backward_mask": (list(env.backward_mask(state).shape), [batch, env.moves]),
        "is_terminal": (list(env.is_terminal(state).shape), [batch]),
    }
    for function, (got, expected) in found.items():
        if got != expected:
            raise InputError.of(f"{name}.{function}", f"shape {got}", expected=f"shape {expected}")
    for function in ("forward_mask", "backward_mask", "is_terminal"):
        dtype = getattr(env, function)(state).dtype
        if dtype != torch.bool:
            raise InputError.of(f"{name}.{function}", str(dtype), expected="torch.bool", cause="compare, do not count")


def _check_move(env: Construction, parents: Tensor, action: Tensor) -> Tensor:
    """One move forwards and back again: returns the children."""
    name, before = type(env).__name__, parents.clone()
    children = env.step(parents, action)
    if not torch.equal(parents, before):
        raise _broken(name, "step", before[0], "an unchanged argument", "clone the state before writing to it")
    undoable = env.backward_mask(children).gather(1, action[:, None]).squeeze(1)
    if not undoable.all():
        raise _broken(name, "backward_mask", children[~undoable][0], "the move just made to be undoable")
    back = env.undo(children, action)
    wrong = (back != parents).reshape(len(parents), -1).any(dim=1)
    if wrong.any():
        raise _broken(name, "undo", children[wrong][0], "undo(step(state, move), move) to be the state")
    energy = env.edge_energy(parents, action, children)
    if not torch.isfinite(energy).all():
        raise _broken(name, "edge_energy", parents[~torch.isfinite(energy)][0], "a finite energy for every move")
    return children


def _broken(name: str, function: str, state: Tensor, expected: str, cause: str = "") -> InputError:
    return InputError.of(f"{name}.{function}", f"at state {state.tolist()}", expected=expected, cause=cause)
