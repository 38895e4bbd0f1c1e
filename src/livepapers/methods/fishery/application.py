"""fishery on a user's own ecosystem: tuned rules, a learned one, its curves, and what safety costs."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from livepapers.baselines.harvest_rules import HarvestRule, Kind, Tuned, textbook, tune
from livepapers.blocks.policies import GreedyPolicy
from livepapers.core import artifact, loop
from livepapers.core.application import Application, Row, options_checked, rounded, to_csv
from livepapers.core.config import replace
from livepapers.core.errors import InputError
from livepapers.core.files import check_output_folder, new_folder, sha256, unfinished
from livepapers.core.rng import Seed
from livepapers.core.rng import generator as make_generator
from livepapers.methods.fishery import control_rules, smoothing
from livepapers.methods.fishery.comparing import best_of, compare, headline, row
from livepapers.methods.fishery.learner import Config, HarvestLearner
from livepapers.methods.fishery.plot import Panel, control_rule_svg
from livepapers.methods.fishery.smoothing import SmoothedRule
from livepapers.tasks.ecosystem import EcosystemSimulator, Episodes
from livepapers.tasks.ecosystem_model import Ecosystem

TUNING_EPISODES = 60
GENERATIONS = 40  # of the search for linear rules
GRID = {1: 101, 2: 26}  # points a fishery; more fisheries are searched by evolution
SHARES = (0.7, 0.8, 0.9, 0.95, 1.0)
LARGEST_TABLE = 2500  # rows of the look-up table
COMPARISON, TRADE_OFF, TUNED, MOVES = (
    "Fresh episodes, the same for all rules", "What safety costs", "Tuned rules", "What moves the thresholds"
)  # fmt: skip
FILES = {COMPARISON: "comparison.csv", TRADE_OFF: "trade_off.csv", TUNED: "tuned_rules.csv", MOVES: "thresholds.csv"}


@dataclass(frozen=True)
class _Learned:
    """What was learned, and where it leads."""

    rule: GreedyPolicy
    smoothed: SmoothedRule
    visited: Tensor  # [n, S] populations under the rule


@options_checked
def apply(
    model: Path, *, updates: int = 146, episodes: int = 500, seed: Seed = 0, output: Path | None = None
) -> Application:
    """Tune and learn harvest rules for your own ecosystem, and compare them on fresh episodes.

    One-number rules (constant mortality, constant escapement) and an escapement that looks at the other species are
    tuned on the simulator; a rule that sees all populations is learned on it, and smoothed into a table that can be
    read. All are then judged on the same fresh episodes: reward, share of episodes without a species near extinction,
    which species goes first.

    The file has species and fisheries, and may have competition, predation, drift, horizon (steps), threshold (near
    extinction), penalty and scale. Each of the species: name, start, growth (logistic, decline, cycle or forced), rate,
    capacity, period, noise, spread, counts. Of the fisheries: species, price, cost. Of competition: first, second,
    rate, limits (growth or capacity). Of predation: predator, prey, rate, half_saturation, exponent (1 or 2), gain. Of
    drift: parameter (such as X.rate), slope, lowest, highest. A sample to begin with:

    cp $(python -m livepapers.samples three_species.yml) ecosystem.yml

    Args:
        model: The ecosystem: a YAML or JSON file with species, fisheries, competition, predation, drift, horizon,
            threshold and penalty.
        updates: Learning updates of 8,192 simulated steps.
        episodes: Fresh episodes that the rules are compared on, and as many others that choose the best.
        seed: Of episodes, initial weights and exploration.
        output: Folder for the rules, tables and curves; nothing is written when left out. A run that is interrupted
            while it learns leaves a folder of that name with .partial behind and goes on from there; the rules, which
            are tuned first, begin anew.

    Returns:
        The comparison, what a lower constant mortality would cost and save, and what moves the learned thresholds.

    Raises:
        InputError: One line that names file, field, value and likely cause; nothing was written.

    Examples:
        livepapers apply fishery --model ecosystem.yml --output rules
        livepapers apply fishery --model ecosystem.yml --updates 40 --episodes 2000 --json
    """
    _check_numbers(updates, episodes, seed)
    if output is not None:
        check_output_folder(output)
    ecosystem = Ecosystem.from_file(model, option="--model")
    simulator = EcosystemSimulator(ecosystem)
    unfished = _unfished(simulator, episodes, seed)
    with unfinished(output) as partial:
        tuned = _tune(simulator, seed)
        made_by = {"updates": updates, "seed": seed, "model": sha256(model)}
        fingerprint = hashlib.sha256(json.dumps(["fishery", 1, made_by], sort_keys=True).encode()).hexdigest()
        learner = HarvestLearner(simulator, config=replace(Config(), updates=updates), seed=seed)
        loop.drive(learner, updates, folder=partial, fingerprint=fingerprint)
        learned = _smoothed(simulator, learner, seed)
        rules: dict[str, nn.Module] = {
            "learned": learned.rule, "learned, smoothed": learned.smoothed,
            **{f"tuned {kind}": found.rule for kind, found in tuned.items()},
            "textbook mortality": textbook(ecosystem),
        }  # fmt: skip
        picking = compare(simulator, rules, episodes=episodes, seed=seed, name="choosing")
        mine, rival = best_of(picking, [*rules])
        everything = {**rules, **_shares(tuned["mortality"].rule)}
        results = compare(simulator, everything, episodes=episodes, seed=seed, name="fresh")
        tables = _tables(ecosystem, learned, tuned, results, seed)
        notes = _notes(ecosystem, unfished, tuned, results)
        application = Application("fishery", headline(results, mine, rival), tables, notes)
        return application if output is None else _write(application, output, ecosystem, learned, rules, made_by)


def _check_numbers(updates: int, episodes: int, seed: int) -> None:
    if not 1 <= updates <= 1_000_000:
        raise InputError.of("updates", updates, expected="a whole number from 1 to 1,000,000")
    if not 2 <= episodes <= 100_000:
        raise InputError.of("episodes", episodes, expected="a whole number from 2 to 100,000")
    if not 0 <= seed < 2**63:
        raise InputError.of("seed", seed, expected="a whole number >= 0")


def _unfished(simulator: EcosystemSimulator, episodes: int, seed: int) -> Episodes:
    """Without any harvest; a model that is not finite is refused here, before work is spent."""
    fisheries = len(simulator.model.fisheries)
    start, noise = simulator.noise(min(episodes, 500), make_generator(seed, "fishery", "unfished"))
    none = HarvestRule("mortality", simulator.model.harvested, simulator.model.scale, [0.0] * fisheries)
    return simulator.run(none, start=start, noise=noise)


def _tune(simulator: EcosystemSimulator, seed: int) -> dict[Kind, Tuned]:
    points = GRID.get(len(simulator.model.fisheries), 2)
    kinds: tuple[Kind, ...] = ("mortality", "escapement", "linear")
    if len(simulator.model.species) == 1:
        kinds = kinds[:2]  # there is nobody else to look at
    stream = (make_generator(seed, "fishery", "tuning") for _ in kinds)  # the same episodes for each kind
    return {
        kind: tune(simulator, kind, points=points, episodes=TUNING_EPISODES, generator=source, generations=GENERATIONS)
        for kind, source in zip(kinds, stream, strict=True)
    }


def _smoothed(simulator: EcosystemSimulator, learner: HarvestLearner, seed: int) -> _Learned:
    rule, config, model = learner.best_rule(), learner.config, simulator.model
    start, noise = simulator.noise(config.dev_episodes, make_generator(seed, "fishery", "visits"))
    seen = simulator.run(rule, start=start, noise=noise, visited=True).visited
    assert seen is not None  # asked for
    visited = seen.flatten(0, 1)
    visited = visited[~visited.isnan().any(1)]
    stream = make_generator(seed, "fishery", "smoothing")
    states = smoothing.smoothing_states(
        model, visited, popular=config.popular, curve_points=config.curve_points, other_points=config.other_points,
        generator=stream,
    )  # fmt: skip
    return _Learned(
        rule, smoothing.smooth(rule, model, states, fit_points=config.fit_points, generator=stream), visited
    )


def _shares(rule: HarvestRule) -> dict[str, nn.Module]:
    return {f"{share:g} x tuned mortality": rule.times(share) for share in SHARES}


def _tables(
    model: Ecosystem,
    learned: _Learned,
    tuned: Mapping[Kind, Tuned],
    results: Mapping[str, Episodes],
    seed: int,
) -> dict[str, list[Row]]:
    comparison: list[Row] = [row(model, name, done) for name, done in results.items() if " x " not in name]
    full = results["1 x tuned mortality"].reward.mean().item()
    named = [f"{share:g} x tuned mortality" for share in SHARES]
    trade_off: list[Row] = [
        {
            "rule": name,
            "reward": rounded(results[name].reward.mean().item()),
            "survival, %": round(100.0 * results[name].survived.double().mean().item(), 1),
            "reward lost, %": round(100.0 * (1.0 - results[name].reward.mean().item() / full), 1) if full > 0 else None,
        }
        for name in [*named, "learned", "learned, smoothed"]
    ]
    rows: dict[str, list[Row]] = {COMPARISON: comparison, TRADE_OFF: trade_off, TUNED: _tuned_rows(model, tuned)}
    moves = _moves(model, learned, seed)
    return {**rows, MOVES: moves} if moves else rows


def _tuned_rows(model: Ecosystem, tuned: Mapping[Kind, Tuned]) -> list[Row]:
    rows: list[Row] = []
    for kind, found in tuned.items():
        values = found.rule.values.view(len(model.fisheries), -1).tolist()
        for fishery, numbers in zip(model.fisheries, values, strict=True):
            named = {"constant": numbers[0]}
            if kind == "linear":
                own = model.names.index(fishery.species)
                named = {"constant": numbers[own]}
                named |= {f"per {name}": numbers[i] for i, name in enumerate(model.names) if i != own}
            shown = ", ".join(f"{name} {value:.3g}" for name, value in named.items())
            rows.append(
                {"rule": f"tuned {kind}", "species": fishery.species, "parameters": shown, "tried": found.tried}
            )
    return rows


def _moves(model: Ecosystem, learned: _Learned, seed: int) -> list[Row]:
    """The slope of each learned escapement in each other species."""
    if len(model.species) == 1:
        return []
    count = min(200, len(learned.visited))
    states = control_rules.some_visited(
        learned.visited[None], count, generator=make_generator(seed, "fishery", "states")
    )
    rows: list[Row] = []
    for index, fishery in enumerate(model.fisheries):
        fitted, found = control_rules.threshold_slopes(learned.rule, model, fishery=index, states=states)
        for other, slope in found.items():
            rows.append({
                "escapement of": fishery.species, "mean": rounded(fitted.mean().item()), "moved by": other,
                "change a unit": rounded(slope.slope), "explains %": round(100.0 * slope.explains, 1),
            })  # fmt: skip
    return rows


def _notes(
    model: Ecosystem,
    unfished: Episodes,
    tuned: Mapping[Kind, Tuned],
    results: Mapping[str, Episodes],
) -> tuple[str, ...]:
    alone = 100.0 * unfished.survived.double().mean().item()
    notes = [
        f"without any fishing {alone:.0f} % of the episodes keep all species above {model.threshold:g}",
        f"an episode has {model.horizon} steps; reward = price x catch - cost, minus {model.penalty:g} / (step + 1) "
        "when a species is near extinction",
    ]
    if alone < 50.0:
        notes.append("most episodes end without fishing: no rule can save this model's species")
    flattered = tuned["mortality"].score - results["tuned mortality"].reward.mean().item()
    compared = f"{abs(flattered):.3g} {'more' if flattered >= 0 else 'less'}"
    notes.append(f"on the episodes that chose it the tuned mortality scored {compared} than on fresh ones")
    if model.drift:
        notes.append("parameters drift with time, which no rule sees")
    return tuple(notes)


def _write(
    application: Application,
    output: Path,
    model: Ecosystem,
    learned: _Learned,
    rules: Mapping[str, nn.Module],
    made_by: Mapping[str, Any],
) -> Application:
    """Save the learned rule with tables and curves, whole or not at all."""
    task = {"name": "ecosystem", "arguments": {"model": model.to_json()}}
    spaces = {"task": task, "input": f"populations of {', '.join(model.names)} divided by {model.scale:g}",
              "output": f"share caught of {', '.join(one.species for one in model.fisheries)}"}  # fmt: skip
    folders = {"smoothed": learned.smoothed, "tuned": rules["tuned mortality"]}
    with new_folder(output) as folder:
        files = {FILES[title]: to_csv(rows) for title, rows in application.tables.items()}
        moves = application.tables.get(MOVES, ())
        files |= {"smoothed_rule.csv": _look_up(model, learned), "control_rule.svg": _curves(model, learned, moves)}
        described = artifact.Artifact(
            kind="policy", slug="fishery", architecture="blocks.policies:GreedyPolicy",
            arguments=learned.rule.arguments, made_by=dict(made_by), spaces=spaces,
        )  # fmt: skip
        artifact.save(folder, described, weights=learned.rule.state_dict(), files=files)
        for name, rule in folders.items():
            (folder / name).mkdir()
            kind = "methods.fishery:SmoothedRule" if name == "smoothed" else "baselines.harvest_rules:HarvestRule"
            one = artifact.Artifact(
                kind="policy", slug="fishery", architecture=kind, arguments=rule.arguments,  # type: ignore[arg-type]
                made_by=dict(made_by), spaces=spaces,
            )  # fmt: skip
            artifact.save(folder / name, one, weights=rule.state_dict())
    holds = {
        "artifact.json": "what the learned rule is and what made it", artifact.WEIGHTS: "its weights",
        "smoothed_rule.csv": "the smoothed rule as a look-up table",
        "control_rule.svg": "the learned rule and the smoothed one, against the stock",
        **{FILES[title]: title[0].lower() + title[1:] for title in application.tables},
        "smoothed": "the smoothed rule as an artifact", "tuned": "the tuned mortality as an artifact",
    }  # fmt: skip
    return Application("fishery", application.headline, application.tables, application.notes, holds, output)


def _look_up(model: Ecosystem, learned: _Learned) -> str:
    """The smoothed rule on an even grid of all populations that are visited."""
    count = len(model.species)
    points = max(2, min(51, int(LARGEST_TABLE ** (1.0 / count))))
    reach = [max(size, float(learned.visited[:, i].max())) for i, size in enumerate(model.sizes)]
    if 2**count > LARGEST_TABLE:  # no grid fits: states that are visited
        states = learned.visited[torch.linspace(0, len(learned.visited) - 1, LARGEST_TABLE).long()]
    else:
        axes = [torch.linspace(0.0, top, points).tolist() for top in reach]
        states = torch.tensor(list(itertools.product(*axes)))
    with torch.no_grad():
        mortality = learned.smoothed(states / model.scale)
    header = [*model.names, *(f"catch share of {one.species}" for one in model.fisheries)]
    lines = ([f"{value:.4g}" for value in row] for row in torch.cat([states, mortality], 1).tolist())
    return "".join(",".join(line) + "\n" for line in itertools.chain([header], lines))


def _curves(model: Ecosystem, learned: _Learned, moves: Sequence[Row]) -> str:
    """A panel for each fishery and rule; a curve for few, usual and many of the other species that moves it most."""
    usual = learned.visited.quantile(0.5, dim=0)
    panels = []
    for index, fishery in enumerate(model.fisheries):
        along = model.harvested[index]
        stock = torch.linspace(0.0, max(model.sizes[along], float(learned.visited[:, along].max())), 101)
        mine = [one for one in moves if one["escapement of"] == fishery.species]
        shares = {str(one["moved by"]): float(one["explains %"] or 0.0) for one in mine}
        others, labels = [usual], [""]
        if shares:  # there are other species
            other = model.names.index(max(shares, key=lambda name: shares[name]))
            levels = learned.visited[:, other].quantile(torch.tensor([0.1, 0.5, 0.9]))
            others = [torch.where(torch.arange(len(usual)) == other, level, usual) for level in levels]
            words = zip(("few", "usual", "many"), levels.tolist(), strict=True)
            labels = [f"{word} {model.names[other]} ({level:.2g})" for word, level in words]
        for name, rule in (("learned", learned.rule), ("smoothed", learned.smoothed)):
            found = control_rules.curve(rule, model, along=along, stock=stock, others=torch.stack(others))[..., index]
            curves = list(zip(labels, found.tolist(), strict=True))
            label = f"{fishery.species} before the harvest"
            panels.append(Panel(f"{fishery.species}, {name}", label, stock.tolist(), curves))
    return control_rule_svg(panels)
