"""`livepapers apply oc-gfn`: pre-train once, then samplers for rewards without training again (oc-gfn)."""

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from livepapers.core import artifact
from livepapers.core.application import Application, Row, check_numbers, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError, Interrupted, plainly
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.learner import JSON, Learner
from livepapers.core.loop import drive
from livepapers.core.rng import Seed, generator
from livepapers.methods.oc_gfn.adaptation import Adaptation, AmortisedSampler
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.conversion import FlowTable, MonteCarloSampler
from livepapers.methods.oc_gfn.explorers import distinct_share
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.problem import DEFAULT_WORD, Kind, Problem, Reward, read_problem, read_rewards
from livepapers.methods.oc_gfn.sampling import PolicySampler
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation

SLUG = "oc-gfn"
LISTED_STATES = 200_000
MOST_EXACT_PAIRS = 5_000_000
"""States times outcomes that can be reached from them, about a minute of work: beyond that by Monte Carlo."""
HELD_OUT, ROOT_FLOWS = 512, 4096
WELL = 0.9
"""Success above which (CONV) may be used; below, flows are still biased."""
Mode = Literal["exact", "mc", "amortised"]


@dataclass(frozen=True)
class Drawing:
    """How objects are drawn."""

    mode: Mode
    outcomes: int
    samples: int
    seed: int


@dataclass(frozen=True)
class Made:
    """One reward, its sampler's objects, and how far they are from the target where that is known."""

    reward: Reward
    objects: Tensor
    log_reward: Tensor
    tv: float | None
    exact_mean: float | None
    adaptation: Adaptation | None


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
        reward_from: module:function of your own; gets a list of texts ("3 5", "ACGU"), gives one reward >= 0 for each.
        mode: exact (all outcomes weighed), mc (some outcomes drawn for each sample) or amortised (short training).
        outcomes: How many outcomes are drawn for each sample; for mc.
        samples: How many objects to draw for each reward.
        updates: Training steps of the pre-training, 64 trajectories each.
        adapt_updates: Training steps for each reward; for amortised.
        floor: Least reward, as a share of a column's largest (of 1 for a function); also that of objects not listed.
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
    check_numbers({"--samples": (samples, 1, 1_000_000), "--outcomes": (outcomes, 1, 65_536)})
    if output is not None:
        check_output_folder(output)
    if pretrained is None:
        problem = read_problem(environment, size=size, word=word, alphabet=alphabet)
        config = _config(problem, updates=updates, adapt_updates=adapt_updates, explorer=explorer)
        model = OutcomeConditionedGFlowNet(problem.construction(), config, seed=seed)
    else:
        given = {"--environment": environment, "--size": size, "--alphabet": alphabet or None}
        _refuse_beside_pretrained({**given, "--word": None if word == DEFAULT_WORD else word})
        problem, model = load_model(pretrained)
        model.config = replace(model.config, adapt_updates=adapt_updates)
    wanted = read_rewards(problem, rewards, target=target, function=reward_from, floor=floor)
    if not wanted and (pretrained is not None or output is None):
        expected = "--rewards, --target or --reward-from" + ("" if pretrained else ", or --output to keep the model")
        raise InputError.of("rewards", "none", expected=expected)
    graph = _graph(problem, mode=mode if wanted else "mc")
    drawing = Drawing(mode=mode, outcomes=outcomes, samples=samples, seed=seed)
    with unfinished(output) as partial:
        if pretrained is None:
            made_of = f"{problem} {model.config} {seed}"
            _drive(model, model.config.updates, made_of, partial=partial, name="pre-training")
        made = _sampled(model, wanted, graph, drawing, partial=partial)
        report = _report(problem, model, made, mode=mode, seed=seed)
        return report if output is None else _write(report, problem, model, made, output=output)


def load_model(folder: Path) -> tuple[Problem, OutcomeConditionedGFlowNet]:
    """The pre-trained model that `apply` wrote to `folder`; raises `CorruptFileError` if it does not verify."""
    if not folder.is_dir():
        raise InputError.of("--pretrained", folder, expected="a folder that apply oc-gfn wrote")
    described = artifact.load(folder)
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


def _config(problem: Problem, *, updates: int, adapt_updates: int, explorer: str) -> Config:
    """Strings: the defaults. Grids: R on the last edge, so small that all failures weigh a hundredth of a success."""
    given: dict[str, Any] = {"updates": updates, "adapt_updates": adapt_updates, "explorer": explorer}
    if problem.kind != "grid":
        return Config(**given)
    failure = min(Config().failure_reward, 0.01 / math.prod(problem.construction().bases))
    return Config(**given, failure_reward=failure, teleport=False)


def _refuse_beside_pretrained(given: dict[str, object]) -> None:
    for option, value in given.items():
        if value is not None:
            raise InputError.of(option, value, expected="nothing beside --pretrained", cause="the model has its own")


def _graph(problem: Problem, *, mode: Mode) -> StateGraph | None:
    """All states, where they are few enough for the exact conversion or for exact distances."""
    env = problem.construction()
    objects = math.prod(env.bases)
    graph = enumerate_states(env, largest=LISTED_STATES) if objects <= LISTED_STATES else None
    pairs = objects**2 // 4 if env.has_stop else objects * env.longest
    if mode == "exact" and (graph is None or pairs > MOST_EXACT_PAIRS):
        cause = f"{float(objects):.2g} objects are too many to weigh each"
        raise InputError.of("--mode", mode, expected="mc or amortised", cause=cause)
    return graph


def _drive(learner: Learner, updates: int, made_of: str, *, partial: Path | None, name: str) -> None:
    folder = None if partial is None else partial / name.replace(" ", "-")
    fingerprint = hashlib.sha256(f"{SLUG} {name} {made_of}".encode()).hexdigest()
    try:
        drive(learner, updates, name=name, folder=folder, fingerprint=fingerprint)
    except Interrupted as error:
        more = "; the same command goes on from there" if folder else "; with --output the work would have been kept"
        raise Interrupted(f"{error}{more}") from None


def _sampled(
    model: OutcomeConditionedGFlowNet,
    wanted: Sequence[Reward],
    graph: StateGraph | None,
    drawing: Drawing,
    *,
    partial: Path | None,
) -> list[Made]:
    """Objects for each reward; the table of flows, where it is wanted, is made once for all."""
    flows = FlowTable.of(model, graph) if graph is not None and wanted and drawing.mode == "exact" else None
    return [_sample(model, one, flows, graph, drawing, partial=partial) for one in wanted]


def _sample(
    model: OutcomeConditionedGFlowNet,
    reward: Reward,
    flows: FlowTable | None,
    graph: StateGraph | None,
    drawing: Drawing,
    *,
    partial: Path | None,
) -> Made:
    seed = drawing.seed
    adaptation: Adaptation | None = None
    sampler: PolicySampler
    if flows is not None:
        sampler = flows.sampler(reward.log_reward(flows.outcomes))
    elif drawing.mode == "amortised":
        adaptation = Adaptation(model, reward.log_reward, seed=seed)
        weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.network.parameters())).hexdigest()
        made_of = f"{reward.about} {model.config} {weights} {seed}"
        folder_name = f"adaptation {hashlib.sha256(reward.name.encode()).hexdigest()[:12]}"
        _drive(adaptation, model.config.adapt_updates, made_of, partial=partial, name=folder_name)
        sampler = AmortisedSampler(model.env, adaptation.networks)
    else:
        stream = generator(seed, SLUG, "outcomes", reward.name)
        sampler = MonteCarloSampler(model, reward.log_reward, n_outcomes=drawing.outcomes, generator=stream)
    objects = sampler.sample(drawing.samples, generator=generator(seed, SLUG, "samples", reward.name))
    tv = exact_mean = None
    if graph is not None:
        ends = graph.states[graph.may_end]
        logs = reward.log_reward(ends).to(torch.float64)
        exact_mean = float((torch.softmax(logs, dim=0) * logs.exp()).sum())
        if not isinstance(sampler, MonteCarloSampler):
            tv = total_variation(sampler.distribution(graph)[graph.may_end], torch.softmax(logs, dim=0))
    return Made(reward, objects, reward.log_reward(objects).to(torch.float64), tv, exact_mean, adaptation)


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
    bad = "" if success >= WELL else "NOT well pre-trained yet: "
    headline = f"{bad}{success:.1%} of drawn {_plural(problem)} are reached"
    if made:
        headline += f"; {len(made)} reward{'s' if len(made) > 1 else ''}, {len(made[0].objects)} samples each ({mode})"
    notes = ["Rewards are relative: an object is drawn with probability reward / sum of rewards."] if made else []
    if bad:
        notes.insert(
            0, "Objects that are missed, and flows that are still biased, distort every reward: give more --updates."
        )
    tables = {"Pre-training": training, **({"Rewards": fit, "Best objects": best} if made else {})}
    return Application(SLUG, headline, tables, tuple(notes))


def _plural(problem: Problem) -> str:
    return "cells" if problem.kind == "grid" else "strings"


def _best(problem: Problem, made: Made) -> list[Row]:
    distinct, place, drawn = torch.unique(made.objects, dim=0, return_inverse=True, return_counts=True)
    logs = torch.empty(len(distinct), dtype=torch.float64)
    logs[place] = made.log_reward
    best = torch.argsort(logs, descending=True, stable=True)[:5]
    texts = problem.texts(distinct[best])
    return [
        {"reward": made.reward.name, "object": text, "value": math.exp(float(logs[i])), "drawn": int(drawn[i])}
        for text, i in zip(texts, best.tolist(), strict=True)
    ]


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
        files["samples.csv"] = "one object a line, with its reward's name and value"
    adapted = {f"adapted-{i + 1}": one for i, one in enumerate(made) if one.adaptation is not None}
    files.update({name: f"the amortised sampler of {one.reward.name}" for name, one in adapted.items()})
    complete = Application(report.slug, report.headline, report.tables, report.notes, files, output)
    made_by: dict[str, JSON] = {"config": model.config.to_json(), "seed": model.seed, "work": {**model.work()}}
    described = artifact.Artifact(
        kind="sampler", slug=SLUG, architecture="methods.oc_gfn:ConditionalFlowNetwork",
        arguments={**model.network.arguments}, made_by=made_by, spaces={"object": problem.kind, "size": problem.size},
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
    texts, values = problem.texts(made.objects), made.log_reward.exp().tolist()
    return [{"reward": made.reward.name, "object": t, "value": v} for t, v in zip(texts, values, strict=True)]


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
