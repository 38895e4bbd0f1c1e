"""Formulas of LaTeX in titles: as letters and signs for people, and as formulas again for LaTeX."""

import re
from collections.abc import Callable

_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_GREEK = dict(zip(_NAMES.split(), "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
_SIGNS = {
    **_GREEK, "varepsilon": "ε", "vartheta": "ϑ", "varphi": "φ", "ell": "ℓ", "infty": "∞", "times": "×", "cdot": "·",
    "pm": "±", "to": "→", "rightarrow": "→", "leftrightarrow": "↔", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
    "neq": "≠", "approx": "≈", "sim": "~",
}  # fmt: skip
_STYLES = ("mathcal", "mathbb", "mathbf", "mathrm", "mathsf", "sqrt", "log", "exp", "min", "max", "sum", "in")
_COMMANDS = {letter: name for name, letter in _GREEK.items()}

FORMULA = re.compile(r"(?<!\\)\$(?=\S)([^$]{1,200})(?<=[^\s\\])\$(?!\d)")
"""What stands between dollars; "$5 or $6" is none."""
_COMMAND = re.compile(r"\\([A-Za-z]+) *")
_LETTER = re.compile(rf"(?<![Ͱ-Ͽ])[{''.join(_COMMANDS)}](?![Ͱ-Ͽ])")  # alone: words of Greek are no formulas
_HARMLESS = re.compile(
    rf"(?:[\w ^+\-=(),.;:/<>|!*'\[\]{{}}]|\\(?:{'|'.join((*_SIGNS, *_STYLES))})(?![A-Za-z]))+"
)  # others' titles must not bring LaTeX that does something


def plain(title: str) -> str:
    """The title with each formula that letters and signs can say, said by them; the others stay as they are."""
    return FORMULA.sub(_said, title)


def latex(title: str, escape: Callable[[str], str]) -> str:
    """The title for LaTeX: formulas as such, Greek letters as formulas, all else as `escape` has it."""
    made, last = "", 0
    for found in FORMULA.finditer(title):
        if _HARMLESS.fullmatch(found[1]) and _balanced(found[1]):
            made += _lettered(escape(title[last : found.start()]))
            made += f"${_LETTER.sub(lambda letter: f'{{{chr(92)}{_COMMANDS[letter[0]]}}}', found[1])}$"
            last = found.end()
    return made + _lettered(escape(title[last:]))


def _said(formula: re.Match[str]) -> str:
    bare = _COMMAND.sub(lambda command: _SIGNS.get(command[1], command[0]), formula[1])
    return formula[0] if re.search(r"[\\^_{}]", bare) else bare


def _lettered(text: str) -> str:
    return _LETTER.sub(lambda letter: rf"$\{_COMMANDS[letter[0]]}$", text)


def _balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0
