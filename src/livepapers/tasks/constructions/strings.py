"""Strings of fixed length over a finite alphabet, appended from left to right: bit strings by words, RNA, peptides.

The states form a tree, so that P_B = 1 and the probability of an object is the product of P_F along its only path.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from livepapers.core.errors import InputError
from livepapers.tasks.construction import row_keys

LogReward = Callable[[Tensor], Tensor]
"""Finished objects `[n, ...]` -> log R `[n]` float64."""


class Strings:
    """Strings of `length` symbols; move a appends symbol a.

    State `[batch, length]` int64: symbols, and -1 behind the end.

    Args:
        alphabet: One name a symbol: letters, or words such as "0110"; all different.
        length: Symbols of a finished string.
        log_reward: Of finished strings; None is 0 everywhere, the uniform distribution.
    """

    has_stop = False

    def __init__(self, alphabet: Sequence[str], length: int, *, log_reward: LogReward | None = None) -> None:
        self.alphabet, self.length = tuple(alphabet), int(length)
        if len(self.alphabet) < 2 or len(set(self.alphabet)) < len(self.alphabet) or not all(self.alphabet):
            raise InputError.of("alphabet", list(self.alphabet), expected="at least two symbols, all different")
        if length < 1:
            raise InputError.of("length", length, expected="a whole number >= 1")
        self.moves, self.longest, self.shortest = len(self.alphabet), self.length, self.length
        self.features = self.length * (self.moves + 1) + self.length + 1
        self.bases = (self.moves,) * self.length
        self._log_reward = log_reward

    @classmethod
    def bits(cls, bits: int, *, word: int = 4, log_reward: LogReward | None = None) -> "Strings":
        """Bit strings of `bits` bits, appended in words of `word` bits."""
        if word < 1 or bits < word or bits % word:
            raise InputError.of("bits", bits, expected=f"a multiple of the word length {word}")
        return cls([f"{value:0{word}b}" for value in range(2**word)], bits // word, log_reward=log_reward)

    def root(self, batch: int) -> Tensor:
        """Empty strings, `[batch, length]`."""
        return torch.full((batch, self.length), -1)

    def encode(self, state: Tensor) -> Tensor:
        """One-hot symbols (the first stands for a blank) and one-hot number of symbols, `[batch, features]`."""
        hot = torch.nn.functional.one_hot(state + 1, self.moves + 1).flatten(1)
        place = torch.nn.functional.one_hot(self._filled(state), self.length + 1)
        return torch.cat([hot, place], dim=1).to(torch.get_default_dtype())

    def forward_mask(self, state: Tensor) -> Tensor:
        """Every symbol while there is room, `[batch, symbol]`."""
        return (state[:, -1:] < 0).expand(-1, self.moves)

    def backward_mask(self, state: Tensor) -> Tensor:
        """The last symbol, `[batch, symbol]`."""
        filled = self._filled(state)
        last = state.gather(1, (filled - 1).clamp(min=0)[:, None])
        return (torch.arange(self.moves) == last) & (filled > 0)[:, None]

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Append symbol `action`."""
        return state.scatter(1, self._filled(state)[:, None], action[:, None])

    def undo(self, state: Tensor, action: Tensor) -> Tensor:
        """Take the last symbol away; it is `action`."""
        del action
        return state.scatter(1, (self._filled(state) - 1).clamp(min=0)[:, None], -1)

    def is_terminal(self, state: Tensor) -> Tensor:
        """Whether the string is full, `[batch]`."""
        return state[:, -1] >= 0

    def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
        """-log R on the last move, 0 before: prefixes of a string mean nothing by themselves, `[batch]`."""
        del state, action
        energy = torch.zeros(len(child), dtype=torch.float64)
        full = self.is_terminal(child)
        energy[full] = -self.log_reward(child[full])
        return energy

    def log_reward(self, state: Tensor) -> Tensor:
        """Log R of full strings, `[batch]` float64."""
        if self._log_reward is None:
            return torch.zeros(len(state), dtype=torch.float64)
        return self._log_reward(state).to(torch.float64)

    def key(self, state: Tensor) -> list[bytes]:
        """The symbols' bytes."""
        return row_keys(state)

    def digits(self, objects: Tensor) -> Tensor:
        """The symbols of full strings, `[batch, length]`."""
        return objects

    def objects(self, digits: Tensor) -> Tensor:
        """The strings of these symbols, `[batch, length]`."""
        return digits

    def open_digits(self, state: Tensor) -> Tensor:
        """Symbols that each place of a full string that starts with `state` can have, `[batch, length, symbol]`."""
        return (torch.arange(self.moves) == state[:, :, None]) | (state < 0)[:, :, None]

    def text(self, state: Tensor) -> list[str]:
        """The strings as people write them."""
        return ["".join(self.alphabet[symbol] for symbol in row if symbol >= 0) for row in state.tolist()]

    def parse(self, texts: Sequence[str]) -> Tensor:
        """Full strings from their texts, `[n, length]`; raises `InputError` naming the first that is none."""
        width = len(self.alphabet[0])
        place = {symbol: index for index, symbol in enumerate(self.alphabet)}
        rows = []
        for text in texts:
            symbols = [text[i : i + width] for i in range(0, len(text), width)]
            unknown = next((symbol for symbol in symbols if symbol not in place), None)
            if unknown is not None or len(symbols) != self.length:
                shown = ", ".join(self.alphabet[:8]) + (" ..." if self.moves > 8 else "")
                cause = f"{unknown!r} is no symbol" if unknown is not None else f"it has {len(symbols)} symbols"
                raise InputError.of("string", text, expected=f"{self.length} of {shown}", cause=cause)
            rows.append([place[symbol] for symbol in symbols])
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), self.length)

    def exact_log_z(self) -> float:
        """Log Z of a reward of 1 everywhere; other rewards are summed by `exact.enumerate_states`."""
        if self._log_reward is not None:
            raise InputError.of("log_reward", "a function", expected="none", cause="sum it by enumeration")
        return self.length * math.log(self.moves)

    def _filled(self, state: Tensor) -> Tensor:
        return (state >= 0).sum(dim=1)


def nearest_mode_log_reward(modes: Tensor, *, sharpness: float) -> LogReward:
    """The log reward -sharpness * min over modes of Hamming(x, mode) / n: the reward of the bit-string benchmark.

    Args:
        modes: Objects `[mode, length]`, compared symbol by symbol.
        sharpness: Nats between a mode and a string that differs everywhere.
    """
    if modes.ndim != 2 or len(modes) == 0:
        raise InputError.of("modes", list(modes.shape), expected="at least one mode, [mode, length]")

    def log_reward(objects: Tensor) -> Tensor:
        nearest = torch.cdist(_hot(objects, modes), _hot(modes, modes), p=1).amin(dim=1) / 2
        return -sharpness * nearest.to(torch.float64) / modes.shape[1]

    return log_reward


def _hot(objects: Tensor, like: Tensor) -> Tensor:
    symbols = int(max(objects.max(), like.max())) + 1 if len(objects) else 1
    return torch.nn.functional.one_hot(objects, max(symbols, int(like.max()) + 1)).flatten(1).to(torch.float32)
