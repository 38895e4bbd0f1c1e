"""policy-smoothing for a user: the certificate of their policy, or of returns that they recorded themselves."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from livepapers.blocks.policy_door import AnyPolicy, as_policy
from livepapers.core.application import Application, Row, as_typed, options_checked, refuse_changed, to_csv
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, write_atomic
from livepapers.core.rng import Seed, derive
from livepapers.methods.policy_smoothing.attack import Search, attack, gaps_at
from livepapers.methods.policy_smoothing.certificate import Certificate, Estimator, budget_from_per_step
from livepapers.methods.policy_smoothing.environments import Environment
from livepapers.methods.policy_smoothing.plot import certificate_svg
from livepapers.methods.policy_smoothing.smoothing import certify
from livepapers.tasks import worlds
from livepapers.tasks.tables import read_table

CURVE, DEMANDS = "Certificate", "Demands"
MOST_BUDGETS, MOST_EPISODES = 200, 1_000_000
FEW = 1000  # episodes below which the ceiling is far from the top
GAP_SHARES = (0.0, 0.25, 0.5, 0.75)
WORTH_NAMING = 1e-3  # share of the way from the lowest to the highest return that the headline calls certified
ALWAYS = "always: no return is lower"
SHARES = (0.5, 0.9)  # of episodes, in the table of demands
QUANTILES = (0.05, 0.5)  # of the returns, which stand there where no success was asked for


@options_checked
def apply(
    artifact: Path | None = None,
    /,
    *,
    sigma: str,
    env: str = "",
    returns: Path | None = None,
    column: str = "return",
    budgets: str = "0:1:0.1",
    per_step: float = 0.0,
    horizon: int = 0,
    episodes: int = 10_000,
    confidence: float = 0.95,
    estimator: Estimator = "auto",
    lowest: float | None = None,
    highest: float | None = None,
    success: float | None = None,
    frames: int = 0,
    attack_episodes: int = 0,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Certify your policy: a return that no tampering with its observations within a budget can push it below.

    ARTIFACT is a policy: a folder with artifact.json, or an ONNX file as `livepapers export` writes it. It plays clean
    episodes with Gaussian noise on each observation; what they return certifies it, as long as it is deployed with that
    noise, against every adversary that changes observations by at most the budget in all, whatever it knows. Without a
    policy, --returns takes the returns of such episodes that you played yourself.

    Args:
        artifact: The policy; left out with --returns.
        sigma: Standard deviation of the noise, in the observation's units: one number, or one a feature, separated by
            commas; then budgets are in standard deviations.
        env: The world: a name of livepapers, a Gymnasium id, or module:id; arguments follow it as in
            'Acrobot-v1?render_mode=rgb_array'. The policy's own when left out.
        returns: CSV file with one noisy episode a row, instead of a policy.
        column: With --returns, the column of the returns.
        budgets: Total l2 budgets: first:last:step, or numbers separated by commas.
        per_step: An adversary that may change each observation by this l2 norm is certified against too; needs
            --horizon.
        horizon: Longest episode, for --per-step.
        episodes: Noisy episodes to play; with few, even a perfect policy gets little.
        confidence: How often each statement has to be right.
        estimator: levels (each level of whole returns by itself), band (any returns), or auto.
        lowest: A value that no return can be below; without it, only quantiles are certified. Worlds of livepapers
            know theirs.
        highest: A value that no return can be above.
        success: Certify also the probability that the return is at least this.
        frames: Observations that the policy sees together; as its input says when left out.
        attack_episodes: Attack the policy in as many episodes for each budget, to see how far the certificate is from
            what an adversary manages; 0 leaves it out.
        seed: Of episodes and noise; it must not be one by which the policy was trained or chosen.
        output: Folder for certificate, curve, returns and picture; nothing is written when left out.

    Returns:
        The certified curve with its ceiling, and what it means.

    Raises:
        InputError: One line that names option, value, what was expected and the likely cause; nothing was written.

    Examples:
        livepapers apply policy-smoothing policy --sigma 0.2
        livepapers apply policy-smoothing policy.onnx --env cart-pole --sigma 0.2 --budgets 0,0.2,0.4
        livepapers apply policy-smoothing --returns episodes.csv --sigma 0.2 --lowest 0 --highest 200 --output proof
    """
    noise, points = parse_sigma(sigma), parse_budgets(budgets)
    points = _with_per_step(points, per_step, horizon, noise)
    if (artifact is None) == (returns is None):
        shown = "neither" if artifact is None else "both"
        raise InputError.of("ARTIFACT and --returns", shown, expected="exactly one of them")
    if returns is not None:
        because = "with --returns there is no policy to play"
        refuse_changed(
            apply, because, env=env, episodes=episodes, frames=frames, attack_episodes=attack_episodes, seed=seed
        )
    else:
        refuse_changed(apply, "it is of --returns", column=column)
    _check(frames=frames, attack_episodes=attack_episodes, episodes=episodes, seed=seed)
    if success is not None and not math.isfinite(success):
        raise InputError.of("success", success, expected="a finite number")
    if output is not None:
        check_output_folder(output)
    bounds: dict[str, Any] = {"estimator": estimator, "lowest": lowest, "highest": highest, "confidence": confidence}
    Certificate.from_returns([0.0], noise, confidence=confidence)  # refuse bad values before the work
    attacked: dict[float, float] = {}
    if returns is not None:
        found = Certificate.from_returns(_read(returns, column), noise, **bounds)
        about = f"{found.episodes:,} returns of {returns.name}"
    else:
        policy = as_policy(artifact)
        if attack_episodes:
            _check_attack(policy, noise, attack_episodes)
        name, arguments = worlds.asked_for(env, policy.task, field="artifact")
        world = {"name": name, "arguments": arguments}
        found = certify(policy, world, sigma=noise, episodes=episodes, seed=seed, frames=frames or None, **bounds)
        about = policy.about
        if attack_episodes:
            attacked = _attacked(policy, world, noise, points, attack_episodes, frames or None, seed)
    rows = _rows(found, points, success, attacked)
    tables = {CURVE: rows, DEMANDS: _demands(found, success)}
    notes = _notes(found, success, attacked, recorded=returns is not None)
    application = Application("policy-smoothing", _headline(found, rows, about), tables, notes)
    return application if output is None else _write(application, output, found)


def parse_sigma(text: str) -> float | tuple[float, ...]:
    """One number, or one a feature; raises `InputError`."""
    values = tuple(_number("sigma", part) for part in as_typed(text).split(","))
    if any(value <= 0.0 for value in values):
        cause = "without noise nothing is certified"
        raise InputError.of("sigma", text, expected="numbers > 0", cause=cause)
    return values[0] if len(values) == 1 else values


def parse_budgets(text: str) -> list[float]:
    """`first:last:step`, or numbers separated by commas, ascending and once each; raises `InputError`."""
    text = as_typed(text)
    parts = text.split(":")
    if len(parts) == 1:
        values = [_number("budgets", part) for part in text.split(",")]
    elif len(parts) == 3:
        first, last, step = (_number("budgets", part) for part in parts)
        if step <= 0.0 or last < first:
            raise InputError.of("budgets", text, expected="first:last:step with first <= last and step > 0")
        if (last - first) / step > MOST_BUDGETS:
            raise InputError.of("budgets", text, expected=f"at most {MOST_BUDGETS} budgets", cause="a larger step?")
        values = [first + step * index for index in range(math.floor((last - first) / step + 1e-9) + 1)]
    else:
        raise InputError.of("budgets", text, expected="first:last:step, or numbers separated by commas")
    if min(values) < 0.0:
        raise InputError.of("budgets", text, expected="numbers >= 0", cause="an l2 norm is meant")
    if len(values) > MOST_BUDGETS:
        raise InputError.of("budgets", f"{len(values)} of them", expected=f"at most {MOST_BUDGETS}")
    return sorted({round(value, 12) for value in values})


def _number(option: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError.of(option, text.strip() or "nothing", expected="a finite number")
    return value


def _with_per_step(points: list[float], size: float, horizon: int, noise: Any) -> list[float]:
    if size == 0.0 and horizon == 0:
        return points
    if size <= 0.0 or not math.isfinite(size) or horizon < 1:
        cause = "a change a step is a budget only together with the number of steps"
        raise InputError.of("per-step and horizon", f"{size:g} and {horizon}", expected="both, and > 0", cause=cause)
    if not isinstance(noise, float):
        raise InputError.of("per-step", size, expected="one sigma for all features")
    return sorted({*points, budget_from_per_step(size, horizon)})


def _check(*, frames: int, attack_episodes: int, episodes: int, seed: int) -> None:
    for name, number, least, most in (
        ("episodes", episodes, 1, MOST_EPISODES), ("frames", frames, 0, 1000), ("seed", seed, 0, 2**63 - 1),
        ("attack-episodes", attack_episodes, 0, MOST_EPISODES),
    ):  # fmt: skip
        if not least <= number <= most:
            raise InputError.of(name, number, expected=f"a whole number from {least} to {most:,}")


def _read(path: Path, column: str) -> np.ndarray:
    return np.asarray(read_table(path, option="--returns", required=[column], numbers=[column])[column])


def _check_attack(policy: AnyPolicy, noise: float | Sequence[float], episodes: int) -> None:
    """Refuse an attack that cannot be made, before any episode is played."""
    if not isinstance(noise, float):
        expected, cause = "0 with one sigma a feature", "its ball is round"
        raise InputError.of("attack-episodes", episodes, expected=expected, cause=cause)
    if policy.values is None:
        cause = f"the attack follows the gradients of action values, and {policy.about} has none"
        raise InputError.of("attack-episodes", episodes, expected="0 with this policy", cause=cause)


def _attacked(
    policy: AnyPolicy,
    world: Environment,
    noise: float | Sequence[float],
    points: Sequence[float],
    episodes: int,
    frames: int | None,
    seed: int,
) -> dict[float, float]:
    """Budget -> mean return under the gradient attack."""
    gaps = gaps_at(policy, world, sigma=noise, shares=GAP_SHARES, seed=derive(seed, "gaps"), frames=frames)
    return {
        budget: attack(
            policy, world, sigma=noise, budget=budget, gaps=gaps, episodes=episodes, search=Search(points=32),
            seed=seed, frames=frames,
        ).mean
        for budget in points
    }  # fmt: skip


def _rows(
    found: Certificate, points: Sequence[float], success: float | None, attacked: dict[float, float]
) -> list[Row]:
    rows: list[Row] = []
    reached = None if success is None else found.success(np.asarray(points), success)
    for index, row in enumerate(found.curve(points)):
        shown: dict[str, str | int | float | bool | None] = {name: _shown(value) for name, value in row.items()}
        if reached is not None:
            shown["success"] = _shown(float(reached[index]))
        if attacked:
            shown["attacked"] = _shown(attacked[points[index]])
        rows.append(shown)
    return rows


def _demands(found: Certificate, success: float | None) -> list[Row]:
    """The largest budget for which a share of episodes is still guaranteed to reach a return.

    Returns that nobody asked for are quantiles of what came out: they need the bound that holds for all of them.
    """
    chosen = success is None
    levels = [success] if success is not None else sorted(set(np.quantile(found.returns, QUANTILES, method="lower")))
    asked = [
        (float(level), share, found.max_budget(float(level), share, chosen=chosen))
        for level in levels for share in SHARES
    ]  # fmt: skip
    return [
        {"return at least": level, "in a share of": share, "up to budget": ALWAYS if math.isinf(most) else _shown(most)}
        for level, share, most in asked
    ]


def _headline(found: Certificate, rows: Sequence[Row], about: str) -> str:
    name = "mean" if found.lowest is not None else "median"
    plain = f"{about}: mean return {_shown(float(found.returns.mean())):g} in {found.episodes:,} noisy episodes"
    least = -math.inf
    if found.lowest is not None:
        top = float(found.returns[-1]) if found.highest is None else found.highest
        least = found.lowest + WORTH_NAMING * (top - found.lowest)
    kept = [row for row in rows if row[name] is not None and float(row[name] or 0.0) > least]
    if not kept:
        return f"{plain}; NOTHING is certified at these budgets"
    last = kept[-1]
    of = f" (a perfect policy: {last['ceiling']:g})" if "ceiling" in last else ""
    return (
        f"{plain}; with {100 * found.confidence:g} % confidence no adversary with budget {last['budget']:g} brings the "
        f"{name} below {last[name]:g}{of}"
    )


def _notes(
    found: Certificate, success: float | None, attacked: dict[float, float], *, recorded: bool
) -> tuple[str, ...]:
    unit = "the observation's units" if isinstance(found.sigma, float) else "standard deviations of the noise"
    how = (
        f"Clopper-Pearson at each of {len(found.levels) - 1} levels, alpha shared among them"
        if found.levels is not None
        else "the Dvoretzky-Kiefer-Wolfowitz band"
    )
    notes = [
        f"budgets are l2 norms of all changes of an episode together, in {unit}",
        "it holds for the policy with this noise on every observation, drawn after the adversary has moved",
        f"estimated by {how}",
    ]
    if found.lowest is None:
        notes.append("no mean is certified: it needs a value that no return can be below, --lowest")
    if found.episodes < FEW:
        notes.append(f"{found.episodes} episodes are few: see how low the ceiling of a perfect policy is")
    if recorded:
        notes.append(
            "the returns must be of independent episodes of one policy that were not used to train or choose it"
        )
    if success is None:
        notes.append("demands are of returns chosen by what came out: their bound holds for all returns together")
    else:
        notes.append("the success threshold must have been chosen before these returns were seen")
    if attacked:
        notes.append(
            "the attack is one adversary, and what it left is a mean of few episodes, the least of several searches: "
            "the worst of all adversaries lies between the certificate and what it would leave in the long run"
        )
    certified = attacked if found.lowest is not None else {}
    below = [f"{budget:g}" for budget, left in certified.items() if left < float(found.mean(budget))]
    if below:
        notes.append(
            f"at budget {', '.join(below)} these few episodes returned less than is certified for the long run; more "
            "--attack-episodes tell whether that was chance"
        )
    return tuple(notes)


def _write(application: Application, output: Path, found: Certificate) -> Application:
    rows, demands = application.tables[CURVE], application.tables[DEMANDS]
    unit = "in the observation's units" if isinstance(found.sigma, float) else "in standard deviations"
    drawn: list[dict[str, float | None]] = [
        {name: None if value is None else float(value) for name, value in row.items()} for row in rows
    ]
    title = f"sigma {found.sigma}, {found.episodes:,} episodes, {100 * found.confidence:g} % confidence"
    files = {
        "certificate.json": json.dumps(found.to_json()) + "\n",
        "curve.csv": to_csv(rows), "demands.csv": to_csv(demands),
        "returns.csv": to_csv([{"return": float(value)} for value in found.returns]),
        "certificate.svg": certificate_svg(drawn, title=title, unit=unit),
    }  # fmt: skip
    with new_folder(output) as folder:
        for name, content in files.items():
            write_atomic(folder / name, content)
    about = {
        "certificate.json": "the returns and settings, from which every budget can be answered again",
        "curve.csv": "the certified curve", "demands.csv": "budgets that demands allow",
        "returns.csv": "the returns, ascending", "certificate.svg": "the curve as a picture",
    }  # fmt: skip
    return Application("policy-smoothing", application.headline, application.tables, application.notes, about, output)


def _shown(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")
