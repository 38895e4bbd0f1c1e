"""`livepapers apply oc-gfn`: pre-train once, then samplers for rewards without training again (oc-gfn)."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from livepapers.core import artifact
from livepapers.core.application import Application, Place, Row, as_path, check_numbers, refuse_changed, rounded, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.learner import JSON
from livepapers.core.rng import Seed, generator
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.drawing import SLUG, Drawing, Made, Mode, draw_all, driven, listed_graph
from livepapers.methods.oc_gfn.explorers import distinct_share
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.problem import DEFAULT_WORD, Kind, Problem, Reward, read_problem, read_rewards

MODEL = "methods.oc_gfn:ConditionalFlowNetwork"
HELD_OUT, ROOT_FLOWS = 512, 4096
WELL = 0.9
"""Success above which (CONV) may be used; below, flows are still biased."""
FAR = 0.1
"""Total variation from which samples are said to be off their target, where it is known exactly."""


def apply(
    *,
    environment: Kind | None = None,
    size: int | None = None,
    word: int = DEFAULT_WORD,
    alphabet: str = "",
    pretrained: Place | None = None,
    rewards: Place | None = None,
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
    output: Place | None = None,
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
        reward_from: module:function of your own; gets a list of texts ("3 5", "ACGU"), gives one reward >= 0 for each,
            the same for the same text.
        mode: exact (all outcomes weighed), mc (some outcomes drawn for each sample) or amortised (short training).
        outcomes: How many outcomes are drawn for each sample; for mc.
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
    model_in, table, output = as_path(pretrained), as_path(rewards), as_path(output)
    check_numbers({"--samples": (samples, 1, 1_000_000), "--outcomes": (outcomes, 1, 65_536)})
    if output is not None:
        check_output_folder(output)
    _refuse_ignored(
        given={
            "environment": environment, "size": size, "word": word, "alphabet": alphabet, "updates": updates,
            "explorer": explorer, "mode": mode, "outcomes": outcomes, "samples": samples,
            "adapt_updates": adapt_updates, "floor": floor,
        },
        pretrained=model_in is not None, listed=table is not None or bool(reward_from), bound=bool(target),
    )  # fmt: skip
    if model_in is None:
        problem = read_problem(environment, size=size, word=word, alphabet=alphabet)
        config = _config(problem, updates=updates, adapt_updates=adapt_updates, explorer=explorer)
        model = OutcomeConditionedGFlowNet(problem.construction(), config, seed=seed)
    else:
        problem, model = load_model(model_in)
        model.config = replace(model.config, adapt_updates=adapt_updates)
    wanted = read_rewards(problem, table, target=target, function=reward_from, floor=floor)
    if not wanted and (model_in is not None or output is None):
        expected = "--rewards, --target or --reward-from" + ("" if model_in else ", or --output to keep the model")
        raise InputError.of("rewards", "none", expected=expected)
    graph = listed_graph(problem, mode=mode if wanted else "mc")
    drawing = Drawing(mode=mode, outcomes=outcomes, samples=samples, seed=seed)
    with unfinished(output) as partial:
        if model_in is None:
            made_of = f"{problem} {model.config} {seed}"
            driven(model, model.config.updates, made_of, partial=partial, name="pre-training")
        made = draw_all(model, wanted, graph, drawing, partial=partial)
        report = _report(problem, model, made, mode=mode, seed=seed)
        return report if output is None else _write(report, problem, model, made, output=output)


def load_model(folder: Place) -> tuple[Problem, OutcomeConditionedGFlowNet]:
    """The pre-trained model that `apply` wrote to `folder`.

    Raises:
        InputError: There is none, but perhaps something else.
        CorruptFileError: It does not verify.
    """
    folder = Path(folder)
    described = _described(folder)
    try:
        values = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        problem = Problem(**values)
        config = Config.from_json(described.made_by["config"])  # type: ignore[arg-type]  # checked by from_json
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warned of when it was trained
            model = OutcomeConditionedGFlowNet(problem.construction(), config, seed=int(described.made_by["seed"]))  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptFileError(f"{folder}: not a model of {SLUG} ({plainly(error)})") from None
    model.network.load_state_dict(artifact.load_network(folder).state_dict())
    return problem, model


def _described(folder: Path) -> artifact.Artifact:
    """The description of a pre-trained model, and of nothing else."""
    expected = "a folder with a model that apply oc-gfn wrote"
    if not (folder / "artifact.json").is_file():
        cause = "it holds no artifact.json" if folder.is_dir() else "no such folder"
        raise InputError.of("--pretrained", folder, expected=expected, cause=cause)
    described = artifact.load(folder)
    if described.architecture != MODEL:
        cause = f"it holds {described.named_kind} of {described.slug}"
        if described.slug == SLUG:
            cause = "it holds the sampler of one reward; the model is in the folder above"
        raise InputError.of("--pretrained", folder, expected=expected, cause=cause)
    return described


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
    problem: Problem, model: OutcomeConditionedGFlowNet, made: Sequence[Made], *, mode: Mode, seed: int
) -> Application:
    stream = generator(seed, SLUG, "held out")
    held_out = model.outcomes.draw(HELD_OUT, generator=stream)
    success = model.success(held_out, generator=stream)
    root = model.log_root_flow(model.outcomes.draw(ROOT_FLOWS, generator=stream)).to(torch.float64)
    spread = distinct_share(model.env, model.explorer, samples=HELD_OUT, generator=stream)
    training: list[Row] = [
        {"what": f"drawn objects that are reached ({HELD_OUT} trials)", "ours": success, "perfect": 1.0},
        {"what": "mean |log F(s0|y)|, nats", "ours": float(root.abs().mean()), "perfect": 0.0},
        {"what": "standard deviation of log F(s0|y), nats", "ours": float(root.std(correction=0)), "perfect": 0.0},
        {"what": "different objects among 512 of the explorer's", "ours": spread, "perfect": None},
    ]
    fit: list[Row] = [
        {
            "reward": one.reward.name, "mean reward": float(one.log_reward.exp().mean()), "target's": one.exact_mean,
            "total variation": one.tv, "different objects": len(torch.unique(one.objects, dim=0)),
        }
        for one in made
    ]  # fmt: skip
    best = [row for one in made for row in _best(problem, one)]
    bad, notes = _warnings(success, made, mode=mode)
    headline = f"{bad}{success:.1%} of drawn {_plural(problem)} are reached"
    if made:
        headline += f"; {len(made)} reward{'s' if len(made) > 1 else ''}, {len(made[0].objects)} samples each ({mode})"
        notes += _about_floors(made)
        notes += ("Rewards are relative: an object is drawn with probability reward / sum of rewards.",)
    tables = {"Pre-training": training, **({"Rewards": fit, "Best objects": best} if made else {})}
    return Application(SLUG, headline, tables, notes)


def _warnings(success: float, made: Sequence[Made], *, mode: Mode) -> tuple[str, tuple[str, ...]]:
    """(What the headline begins with, notes), both empty where nothing is known to be wrong."""
    bad, notes = [], []
    if success < WELL:
        bad.append("NOT well pre-trained yet")
        notes.append("Objects that are missed, and biased flows, distort every reward: pre-train longer (--updates).")
    distances = {one.reward.name: one.tv for one in made if one.tv is not None and one.tv > FAR}
    if distances:
        worst = max(distances, key=lambda name: distances[name])
        others = f" and {len(distances) - 1} more" if len(distances) > 1 else ""
        bad.append(f"FAR from the target (total variation {distances[worst]:.2f} for {worst}{others})")
        longer = "adapt longer (--adapt-updates), or pre-train" if mode == "amortised" else "pre-train"
        notes.append(
            "The total variation is exact: 0 draws as the rewards ask, 1 draws nothing that they ask for. "
            f"Above {FAR} the frequencies of samples mislead: {longer} longer (--updates)."
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
    report: Application, problem: Problem, model: OutcomeConditionedGFlowNet, made: Sequence[Made], *, output: Path
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
