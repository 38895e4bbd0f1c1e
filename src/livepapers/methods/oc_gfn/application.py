"""`livepapers apply oc-gfn`: pre-train once, then samplers for rewards without training again (oc-gfn)."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from livepapers.core import artifact
from livepapers.core.application import (
    Application,
    Row,
    check_numbers,
    options_checked,
    refuse_changed,
    rounded,
    to_csv,
)
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.learner import JSON
from livepapers.core.rng import Seed, generator
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.drawing import SLUG, Drawing, Made, Mode, draw_all, driven, listed_graph, weighable
from livepapers.methods.oc_gfn.explorers import distinct_share
from livepapers.methods.oc_gfn.keeping import MODEL, read_model
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.problem import DEFAULT_WORD, Kind, Problem, Reward, read_problem, read_rewards

HELD_OUT, ROOT_FLOWS = 512, 4096
WELL = 0.9
"""Success above which (CONV) may be used; below, flows are still biased."""
FAR = 0.1
"""Total variation from which samples are said to be off their target, where it or the least it can be is known."""
ENOUGH = 1.0 / FAR
"""Outcomes that count, below which samples by Monte Carlo may be so far off; see `MonteCarloSampler.effective`."""


@options_checked
def apply(
    *,
    environment: Kind | None = None,
    size: int | None = None,
    word: int = DEFAULT_WORD,
    alphabet: str = "",
    pretrained: Path | None = None,
    rewards: Path | None = None,
    target: str = "",
    reward_from: str = "",
    mode: Mode = "exact",
    outcomes: int = 256,
    samples: int = 1000,
    updates: int = 2000,
    adapt_updates: int = 1000,
    floor: float = 1e-3,
    explorer: Literal["backward", "gafn", "uniform"] = "backward",
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Pre-train a sampler that reaches any object, then sample for rewards without training again.

    First without a reward: --environment and --size, with --output. Then, as often as rewards change, --pretrained and
    rewards. Both at once works too. An interrupted command goes on where it stopped when it is given again.

    Args:
        environment: grid (cells, moves right and up, stop anywhere), bits, rna (A, C, G, U) or strings.
        size: Cells a side, bits, or letters.
        word: Bits appended by one move; for bits.
        alphabet: The letters; for strings.
        pretrained: Folder that an earlier command wrote; instead of environment, size, word and alphabet.
        rewards: CSV with the columns x, y (grid) or string, and one more column for each reward (>= 0).
        target: RNA to bind to, 5' to 3', or several with commas; the reward grows with ViennaRNA's duplex energy.
        reward_from: module:function of your own (from Python, the function, too); gets a list of texts ("3 5", "ACGU"),
            gives one reward >= 0 for each, the same for the same text.
        mode: exact (all outcomes weighed), mc (some outcomes drawn for each sample) or amortised (short training).
        outcomes: How many outcomes are drawn for each sample, all of them where there are no more; for mc.
        samples: How many objects to draw for each reward.
        updates: Training steps of the pre-training, 64 trajectories each.
        adapt_updates: Training steps for each reward; for amortised.
        floor: Least reward, as a share of the largest one, which of a function is that of all objects, or of 4,096
            drawn ones; also that of objects not listed.
        explorer: Where pre-training finds successes: backward from drawn objects, gafn or uniform moves.
        seed: Of initial weights, exploration and samples.
        output: Folder for the pre-trained model, samples.csv and application.json; must be new or empty.

    Returns:
        How surely outcomes are reached, then for each reward the best objects and the distance to the target.

    Raises:
        InputError: One line for any unusable option or file; nothing is written then.
        Interrupted: The command was stopped; the same command goes on.

    Examples:
        livepapers apply oc-gfn --environment grid --size 8 --output model
        livepapers apply oc-gfn --pretrained model --rewards rewards.csv --output samples
        livepapers apply oc-gfn --environment rna --size 6 --target GGGAAACUCGAUUCGC --json
    """
    _check_kinds(alphabet, target, seed)
    check_numbers({"--samples": (samples, 1, 1_000_000), "--outcomes": (outcomes, 1, 65_536)})
    if output is not None:
        check_output_folder(output)
    _refuse_ignored(
        given={
            "environment": environment, "size": size, "word": word, "alphabet": alphabet, "updates": updates,
            "explorer": explorer, "mode": mode, "outcomes": outcomes, "samples": samples,
            "adapt_updates": adapt_updates, "floor": floor,
        },
        pretrained=pretrained is not None, listed=rewards is not None or bool(reward_from), bound=bool(target),
    )  # fmt: skip
    if pretrained is None:
        problem = read_problem(environment, size=size, word=word, alphabet=alphabet)
        config = _config(problem, updates=updates, adapt_updates=adapt_updates, explorer=explorer)
        model, explored = OutcomeConditionedGFlowNet(problem.construction(), config, seed=seed), None
    else:
        problem, model, explored = read_model(pretrained)
        model.config = replace(model.config, adapt_updates=adapt_updates)
    wanted = read_rewards(problem, rewards, target=target, function=reward_from, floor=floor)
    if not wanted and (pretrained is not None or output is None):
        expected = "--rewards, --target or --reward-from" + ("" if pretrained else ", or --output to keep the model")
        raise InputError.of("rewards", "none", expected=expected)
    graph = listed_graph(problem, mode=mode if wanted else "mc")
    drawing = Drawing(mode=mode, outcomes=outcomes, samples=samples, seed=seed)
    with unfinished(output) as partial:
        if pretrained is None:
            made_of = f"{problem} {model.config} {seed}"
            driven(model, model.config.updates, made_of, partial=partial, name="pre-training")
            stream = generator(seed, SLUG, "explored")
            explored = distinct_share(model.env, model.explorer, samples=HELD_OUT, generator=stream)
        made = draw_all(model, wanted, graph, drawing, partial=partial)
        report = _report(problem, model, made, drawing, explored=explored, exact=weighable(problem, graph))
        return report if output is None else _write(report, problem, model, made, explored=explored, output=output)


def _check_kinds(alphabet: Any, target: Any, seed: int) -> None:
    """Refuse what no later check would see."""
    for option, text in (("--alphabet", alphabet), ("--target", target)):
        if not isinstance(text, str):
            raise InputError.of(option, text, expected="text")
    if seed < 0:
        raise InputError.of("--seed", seed, expected="a whole number from 0")


def _config(problem: Problem, *, updates: int, adapt_updates: int, explorer: str) -> Config:
    """Strings: the defaults. Grids: R on the last edge, so small that all failures weigh a hundredth of a success."""
    given: dict[str, Any] = {"updates": updates, "adapt_updates": adapt_updates, "explorer": explorer}
    if problem.kind != "grid":
        return Config(**given)
    failure = min(Config().failure_reward, 0.01 / math.prod(problem.construction().bases))
    return Config(**given, failure_reward=failure, teleport=False)


def _refuse_ignored(*, given: dict[str, Any], pretrained: bool, listed: bool, bound: bool) -> None:
    """Refuse options that nothing reads beside the others.

    Args:
        given: All options that may be ignored.
        pretrained: Whether there is a model already.
        listed: Whether rewards come from a table or a function, which have a floor.
        bound: Whether rewards come from targets.
    """

    def ignored(because: str, *names: str) -> None:
        refuse_changed(apply, because, **{name: given[name] for name in names})

    if pretrained:
        own = ("environment", "size", "word", "alphabet", "updates", "explorer")
        ignored("beside --pretrained: the model has its own", *own)
    if not (listed or bound):
        ignored("nothing is drawn without a reward", "mode", "outcomes", "samples", "adapt_updates", "floor")
    if not listed:
        ignored("it goes with --rewards or --reward-from", "floor")
    if given["mode"] != "mc":
        ignored("it goes with --mode mc", "outcomes")
    if given["mode"] != "amortised":
        ignored("it goes with --mode amortised", "adapt_updates")


def _report(
    problem: Problem,
    model: OutcomeConditionedGFlowNet,
    made: Sequence[Made],
    drawing: Drawing,
    *,
    explored: float | None,
    exact: bool,
) -> Application:
    stream = generator(drawing.seed, SLUG, "held out")
    held_out = model.outcomes.draw(HELD_OUT, generator=stream)
    success = model.success(held_out, generator=stream)
    root = model.log_root_flow(model.outcomes.draw(ROOT_FLOWS, generator=stream)).to(torch.float64)
    training: list[Row] = [
        {"what": f"drawn objects that are reached ({HELD_OUT} trials)", "ours": success, "perfect": 1.0},
        {"what": "mean |log F(s0|y)|, nats", "ours": float(root.abs().mean()), "perfect": 0.0},
        {"what": "standard deviation of log F(s0|y), nats", "ours": float(root.std(correction=0)), "perfect": 0.0},
    ]
    if explored is not None:
        what = f"different objects among {HELD_OUT} of the explorer's"
        training.append({"what": what, "ours": explored, "perfect": None})
    fit: list[Row] = [
        {
            "reward": one.reward.name, "mean reward": float(one.log_reward.exp().mean()), "target's": one.exact_mean,
            "total variation": one.tv, "at least": one.tv_least,
            "different objects": len(torch.unique(one.objects, dim=0)),
        }
        for one in made
    ]  # fmt: skip
    best = [row for one in made for row in _best(problem, one)]
    better = "exact or amortised" if exact else "amortised"
    bad, notes = _warnings(success, made, drawing, better)
    headline = f"{bad}{success:.1%} of drawn {_plural(problem)} are reached"
    if made:
        headline += (
            f"; {len(made)} reward{'s' if len(made) > 1 else ''}, {len(made[0].objects)} samples each ({drawing.mode})"
        )
        notes += _about_floors(made)
        notes += ("Rewards are relative: the target gives an object the probability reward / sum of rewards.",)
    if any(one.effective is not None for one in made):
        notes += (
            f"mc only comes near the target: each sample weighs {drawing.outcomes:,} outcomes drawn at random and sees "
            f"no other reward. More --outcomes, or --mode {better}, come nearer.",
        )
    tables = {"Pre-training": training, **({"Rewards": fit, "Best objects": best} if made else {})}
    return Application(SLUG, headline, tables, notes)


def _warnings(success: float, made: Sequence[Made], drawing: Drawing, better: str) -> tuple[str, tuple[str, ...]]:
    """(What the headline begins with, notes), both empty where nothing is known to be wrong; `better`: modes."""
    bad, notes = [], []
    if success < WELL:
        bad.append("NOT well pre-trained yet")
        notes.append("Objects that are missed, and biased flows, distort every reward: pre-train longer (--updates).")
    more = {
        "exact": "", "amortised": "adapt longer (--adapt-updates), or ",
        "mc": f"give more --outcomes, or --mode {better}, or ",
    }[drawing.mode]  # fmt: skip
    known = [(one, one.tv_least if one.tv is None else one.tv) for one in made]
    far = sorted(((tv, one) for one, tv in known if tv is not None and tv > FAR), key=lambda pair: -pair[0])
    if far:
        (distance, one), count = far[0], len(far) - 1
        named, others = one.reward.name, f" and {count} more" if count else ""
        said = "at least " if one.tv is None else ""
        bad.append(f"FAR from the target (total variation {said}{distance:.2f} for {named}{others})")
        sure = "is exact" if one.tv is not None else "is at least that, 95 % sure, by the rewards of the samples"
        notes.append(
            f"The total variation {sure}: 0 draws as the rewards ask, 1 draws nothing that they ask for. "
            f"Above {FAR} the frequencies of samples mislead: {more}pre-train longer (--updates)."
        )
    elif few := [one for one in made if one.effective is not None and one.effective < ENOUGH]:
        one = min(few, key=lambda one: one.effective or 0.0)
        counted = f"{one.effective:.2g} of {drawing.outcomes:,} outcomes for {one.reward.name}"
        bad.append(f"PERHAPS FAR from the target (a sample heeds about {counted})")
        notes.append(
            f"The rewards of the drawn outcomes differ so much that fewer than {ENOUGH:g} decide: what has the largest "
            f"rewards is drawn too rarely. {more.removesuffix(', or ').capitalize()}."
        )
    return f"{', '.join(bad)}: " if bad else "", tuple(notes)


def _plural(problem: Problem) -> str:
    return "cells" if problem.kind == "grid" else "strings"


def _best(problem: Problem, made: Made) -> list[Row]:
    distinct, place, drawn = torch.unique(made.objects, dim=0, return_inverse=True, return_counts=True)
    logs = torch.empty(len(distinct), dtype=torch.float64)
    logs[place] = made.log_reward
    best = torch.argsort(logs, descending=True, stable=True)[:5]
    texts = problem.texts(distinct[best])
    return [
        {
            "reward": made.reward.name, "object": text, "value": _value(float(logs[i])), "drawn": int(drawn[i]),
            "floor": why,
        }
        for text, i, why in zip(texts, best.tolist(), _floored(made.reward, distinct[best]), strict=True)
    ]  # fmt: skip


def _value(log_reward: float) -> float:
    """The reward as it was given: the way to its logarithm and back costs the last digits."""
    return rounded(math.exp(log_reward), digits=12)


def _floored(reward: Reward, objects: Tensor) -> list[str]:
    """Why each object has the floor instead of a value of its own; "" where it has one."""
    return [""] * len(objects) if reward.floored is None else reward.floored(objects)


def _about_floors(made: Sequence[Made]) -> tuple[str, ...]:
    """For each reward with samples at its floor, or with a share of its target there, how many and how much."""
    notes = []
    for one in made:
        count, share = sum(map(bool, _floored(one.reward, one.objects))), one.reward.floor_share
        if count or share:
            of_target = f"; the target gives such objects {share:.2g}" if share is not None else ""
            notes.append(
                f"{one.reward.name}: {count} of {len(one.objects)} samples are objects at the floor{of_target}."
            )
    return tuple(notes)


def _write(
    report: Application,
    problem: Problem,
    model: OutcomeConditionedGFlowNet,
    made: Sequence[Made],
    *,
    explored: float | None,
    output: Path,
) -> Application:
    files = {
        "artifact.json": "what the model is and how it was made",
        "weights.safetensors": "its network; give this folder to --pretrained",
        "environment.json": "what it builds",
        "application.json": "this report",
    }
    if made:
        files["samples.csv"] = "one object a line: its reward's name and value, and why that is the floor, if it is"
    adapted = {f"adapted-{i + 1}": one for i, one in enumerate(made) if one.adaptation is not None}
    files.update({name: f"the amortised sampler of {one.reward.name}" for name, one in adapted.items()})
    complete = Application(report.slug, report.headline, report.tables, report.notes, files, output)
    made_by: dict[str, JSON] = {"config": model.config.to_json(), "seed": model.seed, "work": {**model.work()}}
    if explored is not None:
        made_by["explored"] = explored
    described = artifact.Artifact(
        kind="sampler", slug=SLUG, architecture=MODEL, arguments={**model.network.arguments}, made_by=made_by,
        spaces={"object": problem.kind, "size": problem.size},
    )  # fmt: skip
    texts = {
        "environment.json": json.dumps(asdict(problem), indent=1) + "\n",
        "application.json": json.dumps(complete.to_json(), indent=2) + "\n",
    }
    if made:
        texts["samples.csv"] = to_csv([row for one in made for row in _rows(problem, one)])
    with new_folder(output) as folder:
        artifact.save(folder, described, weights=model.network.state_dict(), files=texts)
        for name, one in adapted.items():
            _save_adapted(folder / name, one, made_by)
    return complete


def _rows(problem: Problem, made: Made) -> list[Row]:
    columns = (problem.texts(made.objects), made.log_reward.tolist(), _floored(made.reward, made.objects))
    return [
        {"reward": made.reward.name, "object": text, "value": _value(log), "floor": why}
        for text, log, why in zip(*columns, strict=True)
    ]


def _save_adapted(folder: Path, made: Made, made_by: dict[str, JSON]) -> None:
    if made.adaptation is None:
        raise ValueError("adaptation: got None, expected the one that made the sampler")
    networks = made.adaptation.networks
    folder.mkdir()
    described = artifact.Artifact(
        kind="sampler", slug=SLUG, architecture="methods.oc_gfn:AmortisedNetworks", arguments={**networks.arguments},
        made_by={**made_by, "reward": made.reward.about}, spaces={},
    )  # fmt: skip
    artifact.save(folder, described, weights=networks.state_dict())
