"""RNA strings that bind to a target RNA: rewards from the energies of ViennaRNA (extra `rna`).

E(x) = energy of the best duplex of x with the target, kcal/mol, at most 0       `duplex_energies`
R(x) = (min(-E(x), E_ref) / E_ref)^beta + R_min                                  `binding_log_reward`
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from livepapers.core.errors import InputError, MissingExtraError
from livepapers.tasks.constructions.strings import LogReward, Strings

ALPHABET = ("A", "C", "G", "U")
EXPONENT, FLOOR = 3.0, 1e-3
"""beta and R_min."""
_PAIR = {"A": "U", "C": "G", "G": "C", "U": "A"}


def rna_strings(length: int, *, log_reward: LogReward | None = None) -> Strings:
    """Strings over A, C, G, U, appended from 5' to 3'."""
    return Strings(ALPHABET, length, log_reward=log_reward)


def duplex_energies(candidates: Sequence[str], target: str) -> Tensor:
    """Energy of the best duplex of each candidate with `target`, kcal/mol, `[n]` float64; no duplex counts 0.

    Raises:
        InputError: The target is no RNA.
        MissingExtraError: ViennaRNA is not installed.
    """
    check_rna(target, field="target")
    try:
        import RNA
    except ImportError:
        raise MissingExtraError("viennarna", "rna") from None
    return torch.tensor([min(RNA.duplexfold(text, target).energy, 0.0) for text in candidates], dtype=torch.float64)


def check_rna(text: str, *, field: str) -> str:
    """The text itself; raises `InputError` unless it is RNA of 4 to 200 nucleotides."""
    wrong = next((letter for letter in text if letter not in ALPHABET), None)
    if wrong is not None or not 4 <= len(text) <= 200:
        cause = "U, not T, in RNA" if wrong == "T" else "lower case?" if wrong and wrong.upper() in ALPHABET else ""
        raise InputError.of(field, text, expected="4 to 200 letters A, C, G, U", cause=cause)
    return text


def reverse_complement(text: str) -> str:
    """The strand that pairs with `text` from end to end."""
    return "".join(_PAIR[letter] for letter in reversed(text))


def reference_energy(length: int, target: str) -> float:
    """The best energy of a perfect match of `length` nucleotides with a stretch of the target, kcal/mol, above 0."""
    check_rna(target, field="target")
    stretches = [target[i : i + length] for i in range(max(len(target) - length, 0) + 1)]
    best = -float(duplex_energies([reverse_complement(stretch) for stretch in stretches], target).min())
    if best <= 0.0:
        raise InputError.of(
            "target", target, expected="an RNA that something binds to", cause="no duplex has energy < 0"
        )
    return best


def binding_log_reward(target: str, *, length: int, exponent: float = EXPONENT, floor: float = FLOOR) -> LogReward:
    """Log R of RNA strings of `length`, by duplex energies with `target`; energies are kept once computed.

    Args:
        target: The RNA to bind to.
        length: Of the candidates.
        exponent: beta, how much more a better binder counts.
        floor: R_min > 0, so that log R exists where nothing binds.
    """
    if not floor > 0 or not exponent > 0:
        raise InputError.of("exponent, floor", (exponent, floor), expected="two numbers > 0")
    strings, scale, known = rna_strings(length), reference_energy(length, target), dict[str, float]()

    def log_reward(objects: Tensor) -> Tensor:
        texts = strings.text(objects)
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(fresh, duplex_energies(fresh, target).tolist(), strict=True))
        energy = torch.tensor([known[text] for text in texts], dtype=torch.float64)
        return torch.log((-energy).clamp(0.0, scale).div(scale).pow(exponent) + floor)

    return log_reward


@functools.cache
def all_energies(length: int, target: str) -> Tensor:
    """Energies of all 4^length strings in alphabetical order, `[4^length]`; 65,536 take about five seconds."""
    if length > 10:
        raise InputError.of("length", length, expected="at most 10", cause="4^length energies are computed")
    places = torch.cartesian_prod(*[torch.arange(4)] * length).reshape(-1, length)
    return duplex_energies(rna_strings(length).text(places), target)
