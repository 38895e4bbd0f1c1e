"""drl-diagnosis for a user: the unstable direction of their policy, under changes, and beside a robust one."""

import io
import json
import math
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from torch import Tensor

from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.core.application import (
    Application,
    Row,
    as_typed,
    check_numbers,
    options_checked,
    refuse_changed,
    to_csv,
)
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, write_atomic
from livepapers.core.rng import Seed
from livepapers.methods.drl_diagnosis import measures
from livepapers.methods.drl_diagnosis.collecting import (
    Environment,
    fits,
    has_own_ranges,
    is_picture,
    picture_of,
    task_of,
)
from livepapers.methods.drl_diagnosis.config import Config
from livepapers.methods.drl_diagnosis.diagnosing import ALL_CHANGES, ATTACKS, differentiable
from livepapers.methods.drl_diagnosis.direction import Loss, squared_cosine
from livepapers.methods.drl_diagnosis.judging import Judged, judge_policy, not_robust
from livepapers.methods.drl_diagnosis.plot import heat_maps_svg, series_svg
from livepapers.methods.drl_diagnosis.reporting import rows_of_both, rows_of_figures, rows_of_sets
from livepapers.tasks import worlds

SETS, POLICY, AGAINST = "Sets of states", "Policy", "Beside the other policy"
SATURATED = 0.999
SMALL = 0.1
"""`attack_size` where each number has a range of its own: 1 would take it from any state to almost any other."""


@options_checked
def apply(
    artifact: Path,
    /,
    *,
    env: str = "",
    against: Path | None = None,
    changes: str = "",
    relabel: bool = False,
    episodes: int = 10,
    repeats: int = 5,
    horizon: int = 500,
    temperature: float = 1.0,
    loss: Loss = "argmax-ce",
    attack_size: float | None = None,
    radius: float = 0.05,
    confidence: float = 0.95,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Diagnose your policy: the input direction along which its decisions are fragile, in all states it visits.

    ARTIFACT is a folder with artifact.json, of a policy with values or logits of discrete actions. It plays greedy
    episodes; the gradients of its decisions give the direction, how much of the instability that one direction is, and
    what is left of it when observations are attacked or shifted. Every figure stands beside an independent run. Where
    the policy is no better than random play, the verdict is void.

    States are let go once their gradients are taken, so that pictures of Atari need no more memory the longer they are
    looked at; attacks on them take most of the time, `--changes none` or `--horizon 100` the least.

    Args:
        artifact: The policy.
        env: The world: a name of livepapers, a Gymnasium id, module:id, or atari:<game>; the policy's own when left
            out.
        against: A second policy of the same world that is said to be robust: are the fragile inputs gone, or others?
        changes: Names of changes separated by commas, or none; all that the observations allow when left out.
        relabel: Change the states that the unchanged policy visits, instead of letting it act on what was changed.
        episodes: Greedy episodes of each set of states.
        repeats: Independent sets, from which the intervals come; at least 2.
        horizon: Steps of an episode that are looked at; 0: all.
        temperature: Of the softmax; raise it where the policy is so certain that gradients vanish.
        loss: argmax-ce (the paper's), or max-logit-gap, which never saturates.
        attack_size: Largest l2 norm of an attack's change of one observation, in shares of the observations' range: 1
            of pixels in bytes is 255. Where observations have no bounds and are no pictures, each number counts in
            shares of the range in which it was seen. Left out, it is 1, and 0.1 where there are no bounds.
        radius: With --against: each number may be changed by this share of the range in the attack that tells whether
            it is robust.
        confidence: Of each interval, and of the verdicts on all changes together.
        seed: Of all episodes.
        output: Folder for tables, heat maps and the direction; nothing is written when left out.

    Returns:
        The table of sets with verdicts, the figures of the policy, and the comparison with the second one.

    Raises:
        InputError: One line that names option, value, what was expected and the likely cause; nothing was written.

    Examples:
        livepapers apply drl-diagnosis policy
        livepapers apply drl-diagnosis policy --env minatar-breakout --changes nesterov,blur --output report
        livepapers apply drl-diagnosis policy --env atari:freeway --changes blur,nesterov --horizon 100
        livepapers apply drl-diagnosis plain --against robust --radius 0.05 --output report
    """
    config = _config(
        episodes=episodes, repeats=repeats, horizon=horizon, temperature=temperature, loss=loss,
        attack_size=1.0 if attack_size is None else attack_size,
    )  # fmt: skip
    if against is None:
        refuse_changed(apply, "only with --against is it told whether a policy is robust", radius=radius)
    changes = as_typed(changes)
    if changes.strip() == "none":
        refuse_changed(apply, "with --changes none no state is changed", relabel=relabel)
    _check(radius=radius, seed=seed, confidence=confidence)
    if output is not None:
        check_output_folder(output)
    policy, other = as_policy(artifact), None if against is None else as_policy(against)
    world = _world(policy, env)
    space = _fitting(policy, other, world, own=not env)
    names = parse_changes(changes, space.shape or ())
    if not set(names) & set(ATTACKS):
        refuse_changed(apply, "none of the changes is an attack", attack_size=attack_size)
    if attack_size is None and has_own_ranges(space):
        config = replace(config, attack_size=SMALL)
    robust = radius if other is not None else 0.0
    first = judge_policy(policy, world, config, names, seed=seed, radius=robust, relabel=relabel)
    rows = rows_of_sets(first, confidence)
    tables: dict[str, list[Row]] = {SETS: rows, POLICY: rows_of_figures(first.found, confidence)}
    second, void = None, first.void
    if other is not None:
        second = judge_policy(other, world, config, (), seed=seed, radius=robust, relabel=relabel)
        void = first.void or second.void or not_robust(first, second)
        tables[AGAINST] = rows_of_both(first.found, second.found, void, confidence)
    done = Application(
        "drl-diagnosis", _headline(first, second, void, rows), tables, _notes(first, void, config, relabel)
    )
    return done if output is None else _write(done, output, first, second)


def _fitting(policy: AnyPolicy, other: AnyPolicy | None, world: Environment, *, own: bool) -> gymnasium.Space[Any]:
    """The world's observations, once both policies are known to fit it; `own`: the first one named the world itself."""
    with worlds.closing(task_of(world, 1)) as task:
        if own and not isinstance(task.action_space, Discrete):
            shown = f"{policy.about}, made for {dict(policy.task or {}).get('name')} with actions {task.action_space}"
            raise InputError.of("policy", shown, expected="discrete actions")
        for each in (policy, other):
            fits(each, task)
            if each is not None:
                differentiable(each)
        return task.observation_space


def parse_changes(text: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names separated by commas; nothing means all that observations of this shape allow; raises `InputError`."""
    if text.strip() == "none":
        return ()
    if not text.strip():
        return ALL_CHANGES if is_picture(shape) else ATTACKS
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in ALL_CHANGES:
            raise InputError.of("changes", name or "nothing", expected=f"none, or some of {', '.join(ALL_CHANGES)}")
        if name not in ATTACKS and not is_picture(shape):
            raise InputError.of(
                "changes", f"{name} of observations {shape}", expected="an attack: these are no pictures"
            )
    if len(set(names)) < len(names):
        raise InputError.of("changes", text, expected="each name once")
    return names


def _config(*, episodes: int, repeats: int, horizon: int, temperature: float, loss: Loss, attack_size: float) -> Config:
    """The options of a diagnosis, checked, as its settings."""
    check_numbers({
        "episodes": (episodes, 1, 10_000), "repeats": (repeats, 2, 100), "horizon": (horizon, 0, 1_000_000)
    })  # fmt: skip
    for name, value in (("temperature", temperature), ("attack-size", attack_size)):
        _check_positive(name, value)
    if loss not in ("argmax-ce", "max-logit-gap"):
        raise InputError.of("loss", loss, expected="argmax-ce or max-logit-gap")
    return replace(
        Config(), episodes=episodes, repeats=repeats, horizon=horizon, temperature=temperature, loss=loss,
        attack_size=attack_size,
    )  # fmt: skip


def _check(*, radius: float, seed: int, confidence: float) -> None:
    check_numbers({"seed": (seed, 0, 2**63 - 1)})
    _check_positive("radius", radius)
    if not 0.5 <= confidence < 1.0:
        raise InputError.of("confidence", confidence, expected="a number from 0.5 to below 1")


def _check_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise InputError.of(name, value, expected="a finite number > 0")


def _world(policy: AnyPolicy, env: str) -> Environment:
    """The world that was asked for, or the one the policy says it was made for."""
    name, arguments = worlds.asked_for(env, policy.task, field="policy")
    if env:
        return worlds.typed(name, arguments)  # a person may name a module, a file may not
    return {"name": name, "arguments": arguments} if arguments else name


def _headline(first: Judged, second: Judged | None, void: str, rows: list[Row]) -> str:
    if void:
        return f"void: {void}"
    share = float(first.found.figures["share"].mean())
    plain = f"{first.about}: one direction makes up {100 * share:.0f} % of its instability"
    moved, closer = ([str(row["set"]) for row in rows if row["verdict"] == name] for name in ("moved", "closer"))
    told = "; none of the changes tried was told apart from an independent run" if len(rows) > 1 else ""
    if moved:
        told = f"; moved by {', '.join(moved)}"
    elif closer:
        told = f"; none of the changes tried was seen to move it, closer than an independent run: {', '.join(closer)}"
    if second is not None:
        cosine = squared_cosine(first.found.direction, second.found.direction)
        told += f"; the second policy's direction has squared cosine {cosine:.2g} with it"
    return plain + told


def _notes(judged: Judged, void: str, config: Config, relabel: bool) -> tuple[str, ...]:
    found = judged.found
    notes = [
        "quotients are to be read beside the independent run's, which need not be 1",
        "a quotient can be high although the squared cosine is low, where few directions make up all instability",
        f"{config.episodes} greedy episodes a set, {config.repeats} independent sets"
        + ("; changed after they were visited" if relabel else ""),
    ]
    if void:
        notes.insert(0, f"VOID: {void}; the figures stand here to be looked at, nothing follows from them")
    if float(found.figures["certainty"].mean()) > SATURATED:
        notes.append("the policy is nearly certain everywhere: try --temperature 10 or --loss max-logit-gap")
    if float(found.figures["gap"].mean()) < 0.2:
        notes.append("first and second eigenvalue are close: read the column of three directions instead")
    if found.limits.unit is not None and set(found.table) & set(ATTACKS):
        notes.append(
            f"attacks change an observation by at most {config.attack_size:g}, each of its numbers in shares of the "
            "range in which it was seen"
        )
    if float(found.figures["lost"].max()) > 0.0:
        lost = float(found.figures["lost"].max())
        notes.append(f"gradients were kept as a sketch: eigenvalues are right to {lost:.2g} of the largest one")
    return tuple(notes)


def _write(done: Application, output: Path, first: Judged, second: Judged | None) -> Application:
    def panel(direction: Tensor) -> Tensor:
        return measures.heat(picture_of(direction))

    panels = {"first state seen": panel(first.found.state), "the policy's own states": panel(first.found.direction)}
    panels |= {name: panel(other) for name, other in first.found.others.items()}
    lines = {"first policy": first.found.series}
    if second is not None:
        panels["the second policy"] = panel(second.found.direction)
        lines["second policy"] = second.found.series
    kept = io.BytesIO()
    np.save(kept, first.found.direction.numpy(), allow_pickle=False)
    files: dict[str, str | bytes] = {
        "sets.csv": to_csv(done.tables[SETS]), "policy.csv": to_csv(done.tables[POLICY]),
        "heat-maps.svg": heat_maps_svg(panels, title="Unstable direction, |G|"),
        "series.svg": series_svg(lines, title="Length of the gradient over its mean"),
        "direction.npy": kept.getvalue(),
    }  # fmt: skip
    about = {
        "sets.csv": "quotients of each set of states, with intervals and verdicts", "policy.csv": "its figures",
        "heat-maps.svg": "where the direction lies, for each set of states",
        "series.svg": "bursts of instability", "direction.npy": "the direction, in the observation's shape",
        "diagnosis.json": "all of this to be read by programs",
    }  # fmt: skip
    if is_picture(tuple(first.found.direction.shape)):
        files["spectra.svg"], about["spectra.svg"] = _spectra(first, second), "its spatial frequencies"
    if second is not None:
        files["against.csv"] = to_csv(done.tables[AGAINST])
        about["against.csv"] = "both policies side by side"
    made = Application("drl-diagnosis", done.headline, done.tables, done.notes, about, output)
    files["diagnosis.json"] = json.dumps({**made.to_json(), "output": None}, indent=2) + "\n"
    with new_folder(output) as folder:
        for name, content in files.items():
            write_atomic(folder / name, content)
    return made


def _spectra(first: Judged, second: Judged | None) -> str:
    policies = {"first policy": first} | ({} if second is None else {"second policy": second})
    shown = {name: measures.spectrum(picture_of(one.found.direction)).magnitude for name, one in policies.items()}
    return heat_maps_svg(shown, title="Its Fourier transform")
