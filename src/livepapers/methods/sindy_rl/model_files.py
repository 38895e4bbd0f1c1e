"""The files that sindy-rl writes for a user, and the tables that go into them."""

from collections.abc import Mapping, Sequence

from livepapers.core import artifact
from livepapers.methods.sindy_rl.circles import Pairs, in_latex, remarks
from livepapers.methods.sindy_rl.equations import as_c, as_latex, as_text
from livepapers.methods.sindy_rl.model import SparseModel

EQUATIONS, CANDIDATES, POLICIES, LEARNING = "Equations", "Models that were tried", "Policies", "Learning"
FILES = {CANDIDATES: "candidates.csv", POLICIES: "policies.csv", LEARNING: "learning.csv"}


def equations(model: SparseModel, states: list[str], inputs: list[str], circles: Pairs) -> list[str]:
    """The equations of a model of the dynamics, one a line."""
    return model.written(states, inputs, [f"{name}'" for name in states], circles=circles)


def explained(lines: Sequence[str], states: list[str], circles: Pairs) -> str:
    """The file of equations: these, and below them what is known of their states."""
    told = remarks(states, circles)
    return "\n".join([*lines, *([""] if told else []), *told]) + "\n"


def model_files(model: SparseModel, states: list[str], inputs: list[str], circles: Pairs) -> dict[str, str]:
    """The dynamics as text, in LaTeX and in C: file -> content."""
    terms, after = model.library.terms(states, inputs), [f"{name}'" for name in states]
    shown = model.shown(states, inputs, circles)
    return {
        "equations.txt": explained(as_text(*shown, after, digits=8), states, circles),
        "equations.tex": as_latex(*shown, after, more=in_latex(states, circles)),
        "model.c": as_c(
            model.coefficients, terms, after, function="next_state", states=states, inputs=inputs, circles=circles
        ),
    }


def holds(written: Mapping[str, str]) -> dict[str, str]:
    """What each file of an output folder holds."""
    about = {
        "equations.txt": "the equations", "equations.tex": "the dynamics in LaTeX", "model.c": "the dynamics in C",
        "policy.c": "the dictionary policy in C", **{file: title.lower() for title, file in FILES.items()},
    }  # fmt: skip
    return {
        "artifact.json": "what this is and what made it", artifact.WEIGHTS: "its numbers",
        **{name: about[name] for name in written},
    }  # fmt: skip
