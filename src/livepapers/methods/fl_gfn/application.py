"""`livepapers apply fl-gfn`: sample a user's sets or independent sets in proportion to exp(-energy) (fl-gfn)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import networkx as nx
import torch

from livepapers.core import artifact
from livepapers.core.application import Application, Row, options_checked, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.core.files import check_output_folder, new_folder, unfinished
from livepapers.core.learner import JSON
from livepapers.core.loop import drive
from livepapers.core.rng import Seed, generator
from livepapers.methods.fl_gfn.learner import Config, ForwardLookingGFlowNet
from livepapers.methods.fl_gfn.objectives import Objective
from livepapers.methods.fl_gfn.sampler import Evaluation, Sampler
from livepapers.tasks.constructions import IndependentSets, Sets
from livepapers.tasks.constructions.exact import enumerate_states
from livepapers.tasks.tables import read_table, read_text

SLUG = "fl-gfn"
MOST_ITEMS = 2000
"""Items or vertices at most: beyond that one update takes seconds and the network would need another form."""
LARGEST_ENERGY = 100.0
"""Nats. A reward factor of exp(100) leaves one item to decide everything; other units are the likely cause."""
EXACT_ITEMS = 300
"""Items up to which exact inclusion probabilities are computed: n recursions of cost n * size."""
LISTED_STATES = 50_000
SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """A user's construction, with what is needed to build it again."""

    kind: str  # "sets" or "independent sets"
    names: tuple[str, ...]
    energies: tuple[float, ...]
    size: int | None = None
    edges: tuple[tuple[str, str], ...] = ()

    def construction(self) -> Sets | IndependentSets:
        """The construction itself."""
        if self.kind == "sets":
            if self.size is None:
                raise ValueError("size: got None, expected the number of items in a set")
            return Sets(self.energies, self.size)
        graph = nx.Graph()
        graph.add_nodes_from(self.names)
        graph.add_edges_from(self.edges)
        return IndependentSets(graph, self.energies)


@options_checked
def apply(
    *,
    items: Path | None = None,
    graph: Path | None = None,
    size: int | None = None,
    samples: int = 1000,
    objective: Objective = "fl-db",
    updates: int = 1500,
    epsilon: float = 0.5,
    seed: Seed = 0,
    output: Path | None = None,
) -> Application:
    """Learn to sample sets with probability proportional to exp(-energy), and say how well that went.

    Give items (sets of a fixed size), or a graph (its independent sets), or both (independent sets whose vertices have
    the items' energies). An interrupted command goes on where it stopped when it is given again.

    Args:
        items: CSV with the columns `item` (a name) and `energy` (nats; low is good; a reward factor r is -log r).
        graph: Edge list: two vertex names a line, separated by blanks or a comma; lines that start with # are skipped.
        size: How many items a set has; for items without a graph.
        samples: How many sets to draw.
        objective: fl-db, fl-subtb, db, tb or subtb.
        updates: Training steps of 16 trajectories each.
        epsilon: Share of uniformly random moves in training, 0 to 1.
        seed: Of the initial weights, exploration and samples.
        output: Folder for the sampler, samples.csv, inclusion.csv and application.json; must be new or empty.

    Returns:
        Log Z with its exact value where that can be had, inclusion probabilities, the best sets, diagnostics.

    Raises:
        InputError: One line for any unusable option or file; nothing is written then.
        Interrupted: The command was stopped; the same command goes on.

    Examples:
        livepapers apply fl-gfn --items items.csv --size 5
        livepapers apply fl-gfn --graph edges.txt --objective tb --output sampler
    """
    config = _config(objective, updates=updates, epsilon=epsilon)
    if not 1 <= samples <= 1_000_000:
        raise InputError.of("--samples", samples, expected="a whole number from 1 to 1,000,000")
    if output is not None:
        check_output_folder(output)
    problem = read_problem(items, graph, size=size)
    env = problem.construction()
    learner = ForwardLookingGFlowNet(env, config, seed=seed)
    with unfinished(output) as partial:
        _train(learner, problem, folder=partial)
        evaluation = Sampler(learner).evaluate(samples, generator=generator(seed, SLUG, "samples"))
        made = _report(problem, env, learner, evaluation)
        return made if output is None else _write(made, problem, learner, evaluation, output=output)


def read_problem(items: Path | None, graph: Path | None, *, size: int | None) -> Problem:
    """Read and check the user's files; raises `InputError` naming file, line and likely cause."""
    if items is None and graph is None:
        raise InputError.of("--items, --graph", "neither", expected="a CSV of items, an edge list, or both")
    energies = {} if items is None else _read_items(items)
    if graph is None:
        if size is None:
            raise InputError.of("--size", "nothing", expected=f"1 to {len(energies)}, the items in a set")
        if not 1 <= size <= len(energies):
            expected = f"1 to {len(energies)}, the number of items in {items}"
            raise InputError.of("--size", size, expected=expected)
        return Problem("sets", tuple(energies), tuple(energies.values()), size)
    if size is not None:
        raise InputError.of("--size", size, expected="no size", cause="independent sets of a graph have any size")
    edges = _read_edges(graph)
    vertices = list(dict.fromkeys(name for edge in edges for name in edge))
    if items is None:
        energies = dict.fromkeys(vertices, -1.0)
    unknown = [name for name in vertices if name not in energies]
    if unknown:
        expected = f"a vertex that is an item of {items}"
        raise InputError.of(f"--graph {graph.name}: vertex", unknown[0], expected=expected)
    if len(energies) > MOST_ITEMS:
        raise InputError.of(f"--graph {graph.name}", f"{len(energies)} vertices", expected=f"at most {MOST_ITEMS}")
    return Problem("independent sets", tuple(energies), tuple(energies.values()), None, tuple(edges))


def load_sampler(folder: Path) -> Sampler:
    """The sampler that `apply` wrote to `folder`; raises `CorruptFileError` if it does not verify."""
    described = artifact.load(folder)
    try:
        values = json.loads((folder / "problem.json").read_text(encoding="utf-8"))
        edges = tuple((str(a), str(b)) for a, b in values.pop("edges"))
        problem = Problem(
            **{**values, "names": tuple(values["names"]), "energies": tuple(values["energies"])}, edges=edges
        )
        config = Config.from_json(described.made_by["config"])  # type: ignore[arg-type]  # checked by from_json
        learner = ForwardLookingGFlowNet(problem.construction(), config, seed=0)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptFileError(f"{folder}: not a sampler of {SLUG} ({plainly(error)})") from None
    learner.network.load_state_dict(artifact.load_network(folder).state_dict())
    return Sampler(learner)


def _config(objective: str, *, updates: int, epsilon: float) -> Config:
    config = Config(objective=objective, updates=updates, epsilon=epsilon)  # type: ignore[arg-type]
    return replace(config, epsilon_end=epsilon)  # by itself: a wrong --epsilon is one problem and not two


def _read_items(path: Path) -> dict[str, float]:
    table = read_table(path, option="--items", required=["item", "energy"], numbers=["energy"])
    names, energies = [str(name) for name in table["item"]], [float(value) for value in table["energy"]]
    where = f"--items {path.name}"
    if len(names) > MOST_ITEMS:
        raise InputError.of(where, f"{len(names)} items", expected=f"at most {MOST_ITEMS}")
    seen: dict[str, int] = {}
    for row, (name, energy) in enumerate(zip(names, energies, strict=True)):
        if name in seen:
            cause = f"line {seen[name] + 2} has it too"
            raise InputError.of(f"{where} line {row + 2}: item", name, expected="each item once", cause=cause)
        _check_name(name, where=f"{where} line {row + 2}: item")
        if abs(energy) > LARGEST_ENERGY:
            expected = f"an energy from -{LARGEST_ENERGY:g} to {LARGEST_ENERGY:g} nats"
            raise InputError.of(f"{where} line {row + 2}: energy", energy, expected=expected, cause="another unit?")
        seen[name] = row
    return dict(zip(names, energies, strict=True))


def _read_edges(path: Path) -> list[tuple[str, str]]:
    edges: dict[frozenset[str], tuple[str, str]] = {}
    for number, line in enumerate(read_text(path, option="--graph").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        names = [part for part in line.replace(",", " ").split() if part]
        where = f"--graph {path.name} line {number}"
        if len(names) != 2:
            cause = "weights and labels are not read" if len(names) > 2 else "a vertex without an edge goes to --items"
            raise InputError.of(where, line.strip(), expected="two vertex names", cause=cause)
        if names[0] == names[1]:
            cause = "a vertex that excludes itself is in no independent set; remove the line"
            raise InputError.of(where, line.strip(), expected="no self-loop", cause=cause)
        for name in names:
            _check_name(name, where=f"{where}: vertex")
        edges.setdefault(frozenset(names), (names[0], names[1]))
    if not edges:
        raise InputError.of(f"--graph {path.name}", "no edge", expected="at least one line with two vertex names")
    return list(edges.values())


def _check_name(name: str, *, where: str) -> None:
    if ";" in name:
        raise InputError.of(where, name, expected="a name without ;", cause="in the output it separates names")


def _train(learner: ForwardLookingGFlowNet, problem: Problem, *, folder: Path | None) -> None:
    described = json.dumps([asdict(problem), learner.config.to_json(), learner.seed], sort_keys=True)
    fingerprint = hashlib.sha256(f"{SLUG} {described}".encode()).hexdigest()
    drive(learner, learner.config.updates, folder=folder, fingerprint=fingerprint)


def _report(
    problem: Problem, env: Sets | IndependentSets, learner: ForwardLookingGFlowNet, evaluation: Evaluation
) -> Application:
    log_z = env.exact_log_z()
    graph = enumerate_states(env, largest=LISTED_STATES)
    tv = None if graph is None else Sampler(learner).total_variation(graph)
    share = evaluation.objects.to(torch.float64).mean(dim=0)
    exact = env.exact_inclusion() if env.moves <= EXACT_ITEMS else None
    error = None if exact is None else float((share - exact).abs().mean())
    effective = _effective_share(evaluation)
    # a perfect sampler's shares scatter too: mean absolute deviation of a binomial share is 0.8 standard deviations
    noise = None if exact is None else float(0.8 * (exact * (1 - exact) / len(evaluation.objects)).sqrt().mean())
    fit: list[Row] = [
        {"what": "log Z, weighted samples", "ours": evaluation.log_z, "perfect": log_z},
        {"what": "log Z, learned flow", "ours": learner.log_z(), "perfect": log_z},
        {"what": "ELBO (mean log weight)", "ours": evaluation.elbo, "perfect": log_z},
        {"what": "standard deviation of the log weight, nats", "ours": evaluation.spread, "perfect": 0.0},
        {"what": "effective share of the samples", "ours": effective, "perfect": 1.0},
        {"what": "mean error of inclusion", "ours": error, "perfect": noise},
        {"what": "total variation to the target", "ours": tv, "perfect": 0.0},
    ]
    gap = "" if log_z is None else f", ELBO gap {log_z - evaluation.elbo:.3f} nats"
    known = "no exact value within reach" if log_z is None else f"exact {log_z:.4f}"
    bad = "NOT well trained yet: " if effective < 0.2 else ""
    headline = f"{bad}{len(evaluation.objects)} {problem.kind}; log Z {evaluation.log_z:.4f} ({known}){gap}"
    notes = ["Energies are in nats: a set has probability exp(-sum of energies) / Z.",
             "samples.csv has log weights: means weighted by exp(log_weight) estimate Z times an expectation without "
             "bias; divided by the mean weight, the expectation consistently."]  # fmt: skip
    if bad:
        notes.insert(0, "Few samples carry most of the weight: give more --updates, or another --objective.")
    tables = {
        "Fit": fit,
        "Inclusion": _inclusion(problem, share.tolist(), None if exact is None else exact.tolist())[:SHOWN],
        "Best sets": _best(problem, evaluation),
    }
    return Application(SLUG, headline, tables, tuple(notes))


def _effective_share(evaluation: Evaluation) -> float:
    """(sum w)^2 / (n sum w^2), 1 for a perfect sampler."""
    weights = torch.softmax(evaluation.log_weight, dim=0)
    return float(1.0 / (len(weights) * weights.square().sum()))


def _inclusion(problem: Problem, share: Sequence[float], exact: Sequence[float] | None) -> list[Row]:
    """Items, most often included first."""
    rows: list[Row] = [
        {"item": name, "energy": energy, "sampled": share[i], "exact": None if exact is None else exact[i]}
        for i, (name, energy) in enumerate(zip(problem.names, problem.energies, strict=True))
    ]
    return sorted(rows, key=lambda row: (-float(row["sampled"] or 0.0), str(row["item"])))


def _best(problem: Problem, evaluation: Evaluation) -> list[Row]:
    """The five sampled sets of highest reward."""
    distinct, place, drawn = torch.unique(evaluation.objects, dim=0, return_inverse=True, return_counts=True)
    reward = torch.empty(len(distinct), dtype=torch.float64)
    reward[place] = evaluation.log_reward
    best = torch.argsort(reward, descending=True, stable=True)[:5].tolist()
    return [
        {"set": _set_name(problem, distinct[i].tolist()), "log reward": float(reward[i]), "drawn": int(drawn[i])}
        for i in best
    ]


def _set_name(problem: Problem, inside: Sequence[bool]) -> str:
    return "; ".join(name for name, member in zip(problem.names, inside, strict=True) if member)


def _write(
    made: Application, problem: Problem, learner: ForwardLookingGFlowNet, evaluation: Evaluation, *, output: Path
) -> Application:
    files = {
        "artifact.json": "what the sampler is and how it was made",
        "weights.safetensors": "its network",
        "problem.json": "items, energies and edges, to build it again",
        "samples.csv": "one set a line with log reward and log weight",
        "inclusion.csv": "sampled and exact inclusion probability of each item",
        "application.json": "this report",
    }
    complete = Application(made.slug, made.headline, made.tables, made.notes, files, output)
    share = evaluation.objects.to(torch.float64).mean(dim=0).tolist()
    env = learner.env
    exact = env.exact_inclusion() if isinstance(env, (Sets, IndependentSets)) and env.moves <= EXACT_ITEMS else None
    inclusion = _inclusion(problem, share, None if exact is None else exact.tolist())
    arguments: dict[str, JSON] = {**learner.network.arguments}
    described = artifact.Artifact(
        kind="sampler",
        slug=SLUG,
        architecture="methods.fl_gfn:FlowNetwork",
        arguments=arguments,
        made_by={"config": learner.config.to_json(), "seed": learner.seed, "work": {**learner.work()}},
        spaces={"object": problem.kind, "items": len(problem.names), "size": problem.size},
    )
    with new_folder(output) as folder:
        texts = {
            "problem.json": json.dumps(asdict(problem), indent=1) + "\n",
            "samples.csv": _samples_csv(problem, evaluation),
            "inclusion.csv": to_csv(inclusion),
            "application.json": json.dumps(complete.to_json(), indent=2) + "\n",
        }
        artifact.save(folder, described, weights=learner.network.state_dict(), files=texts)
    return complete


def _samples_csv(problem: Problem, evaluation: Evaluation) -> str:
    rows: list[Row] = [
        {"set": _set_name(problem, inside), "log_reward": reward, "log_weight": weight}
        for inside, reward, weight in zip(
            evaluation.objects.tolist(), evaluation.log_reward.tolist(), evaluation.log_weight.tolist(), strict=True
        )
    ]
    return to_csv(rows)
