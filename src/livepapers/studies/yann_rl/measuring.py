"""How a cell of the yann-rl study is measured."""

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from livepapers.baselines.plain_controllers import PlainActor
from livepapers.baselines.point_location import first_region_move
from livepapers.core.artifact import Artifact
from livepapers.core.rng import derive
from livepapers.lab.study import Run, Setting
from livepapers.methods import yann_rl
from livepapers.methods.yann_rl import Design, PiecewiseAffineLaw, YannActor, YannDDPG, YannNetwork
from livepapers.methods.yann_rl.explicit_mpc import FACET_TOLERANCE
from livepapers.methods.yann_rl.verification import verify
from livepapers.studies.yann_rl.instances import fixed_controller, learner, play
from livepapers.studies.yann_rl.tuning import chosen
from livepapers.tasks.plants import Episodes

DESIGNS: dict[str, Callable[[], Design]] = {
    "pendulum": yann_rl.pendulum_design,
    "reactor": yann_rl.reactor_design,
    "published reactor": yann_rl.published_reactor_design,
    "double integrator": yann_rl.double_integrator_design,
}
WORLD_NAMES = {"pendulum": "clipped-pendulum", "reactor": "reactor"}  # by which a kept controller finds its plant
FIXED = ("linear-mpc", "clipped-lqr", "no-control")
CURVE_POINTS = 10
LITERAL_UP_TO = 500  # regions; beyond, a dense network of mostly zeros is no way to deploy a law
TIMED_STATES, TIMED_ROUNDS = 200, 15


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    given = setting.parameters
    if setting.part == "exactness":
        return _exactness(given, preset, run)
    if setting.part == "timing":
        return _timing(given, run)
    name = str(given["plant"])
    if arm in FIXED:
        played = play(name, fixed_controller(arm, name))
        run.samples("cost_after", played.cost.numpy())
        return _after(played, name)
    trials = chosen(run, arm, name, preset, seed)
    made = learner(
        arm, name, rates=trials["chosen"], preset=preset, updates=given["updates"].get(preset),
        seed=derive(seed, "yann-rl", setting.name),
    )  # fmt: skip
    return {**trials["chosen"], **_trained(made, arm, name, run)}


def _trained(made: YannDDPG, arm: str, name: str, run: Run) -> dict[str, float]:
    before = play(name, made.actor)
    every = max(made.config.updates // CURVE_POINTS, 1)

    def evaluate(step: int) -> dict[str, float] | None:
        if step % every:
            return None
        return {"test_cost": float(play(name, made.actor).cost.mean()), "violations": float(made.violations)}

    run.log(0, test_cost=float(before.cost.mean()), violations=0.0)
    run.drive(made, made.config.updates, evaluate=evaluate)
    after = play(name, made.actor)
    run.samples("cost_before", before.cost.numpy())
    run.samples("cost_after", after.cost.numpy())
    _keep(made.actor, arm, name, run)
    change = 100.0 * (after.cost - before.cost) / before.cost.clamp(min=1e-9)
    return {
        **_after(after, name),
        "cost_before": float(before.cost.mean()),
        "violations_before": float(before.violated.sum()),
        "change_percent": 100.0 * float(after.cost.mean() / before.cost.mean() - 1.0),
        "worst_change_percent": float(change.max()),
        "best_change_percent": float(change.min()),
        "worst_change": float((after.cost - before.cost).max()),
        "violations_training": float(made.violations),
        "parameters": float(sum(p.numel() for p in made.actor.parameters())),
    }


def _keep(actor: nn.Module, arm: str, name: str, run: Run) -> None:
    """Keep a trained controller as an artifact of the run, with the plant it is for."""
    kind = "baselines.plain_controllers:PlainActor" if isinstance(actor, PlainActor) else "methods.yann_rl:YannActor"
    described = Artifact(
        kind="policy", slug="yann-rl", architecture=kind, arguments=actor.arguments,  # type: ignore[arg-type]
        made_by={"arm": arm}, spaces={"task": {"name": WORLD_NAMES[name], "arguments": {}}},
    )  # fmt: skip
    run.artifact("controller", described, weights=actor.state_dict())


def _after(played: Episodes, name: str) -> dict[str, float]:
    found = {"cost_after": float(played.cost.mean()), "violations_after": float(played.violated.sum())}
    if name == "pendulum":  # the paper leaves the weight of the rate open: 0.1 is what is trained on, 1 is logged
        found["cost_after_recoverable"] = float(played.cost[:8].mean())
        found["cost_after_rate_1"] = float((played.cost + 0.9 * (played.states[:, :-1, 1] ** 2).sum(1)).mean())
    return found


def _exactness(given: Any, preset: str, run: Run) -> dict[str, float]:
    """The literal network against the quadratic program, and the sizes of networks."""
    design = DESIGNS[given["design"]]()
    points = int(given["points"][preset])
    stream = np.random.default_rng(int(torch.randint(2**62, (), generator=run.generator("states"))))
    network = YannNetwork.of(design.law)
    found = verify(design.problem, design.law, network, points=points, facets=points // 10, generator=stream)
    run.spend(quadratic_programs=found.points + found.facets)
    problem, nodes = design.problem, int(given["nodes"])
    trainable, frozen = yann_rl.parameter_counts(
        problem.states, problem.inputs, rows=len(design.law.limits), regions=design.law.regions, nodes=nodes
    )
    plain = PlainActor(
        [1.0] * problem.states, low=[-1.0] * problem.inputs, high=[1.0] * problem.inputs,
        angles=(0,) if given["design"] == "pendulum" else (), generator=run.generator("plain"),
    )  # fmt: skip
    size = sum(parameter.numel() for parameter in plain.parameters())
    return {
        "worst": found.worst, "disagreements": float(found.disagreements), "residual": found.residual,
        "feasible": found.feasible, "facet_states": float(found.facets), "regions": float(design.law.regions),
        "distinct_laws": float(design.law.distinct_laws()), "trainable": float(trainable),
        "parameters": float(trainable + frozen), "plain_parameters": float(size),
    }  # fmt: skip


@torch.no_grad()
def _timing(given: Any, run: Run) -> dict[str, float]:
    """One state at a time, network and sequential point location in turns: load on the machine slows both."""
    if given["design"] == "two masses":
        text = (run.prepared("masses") / "law.json").read_text(encoding="utf-8")
        law = PiecewiseAffineLaw.from_json(json.loads(text))
    else:
        law = DESIGNS[given["design"]]().law
    stream = np.random.default_rng(int(torch.randint(2**62, (), generator=run.generator("states"))))
    states = law.state_low + stream.random((40 * TIMED_STATES, len(law.state_low))) * (law.state_high - law.state_low)
    states = states[law.locate(states) >= 0][:TIMED_STATES]
    network: nn.Module = YannNetwork.of(law) if law.regions <= LITERAL_UP_TO else YannActor(law, nodes=0)
    inputs = [torch.as_tensor(state)[None] for state in states]
    regions = [(law.normals[a:b], law.limits[a:b]) for a, b in zip(law.starts[:-1], law.starts[1:], strict=True)]

    def locate(state: np.ndarray) -> Any:
        return first_region_move(state, regions, law.gains, law.offsets, tolerance=FACET_TOLERANCE)

    seconds = {"network": np.inf, "location": np.inf}
    for _ in range(TIMED_ROUNDS):
        seconds["network"] = min(seconds["network"], _clock(network, inputs))
        seconds["location"] = min(seconds["location"], _clock(locate, list(states)))
    batch = torch.as_tensor(states).repeat(20, 1)
    together = min(_clock(network, [batch]) for _ in range(3)) / len(batch)
    alone = {name: value / len(inputs) for name, value in seconds.items()}
    return {
        "regions": float(law.regions),
        "network_microseconds": 1e6 * alone["network"],
        "location_microseconds": 1e6 * alone["location"],
        "batch_microseconds": 1e6 * together,
        "speedup": alone["location"] / alone["network"],
    }


def _clock(call: Callable[[Any], Any], inputs: list[Any] | list[Tensor]) -> float:
    start = time.perf_counter()
    for one in inputs:
        call(one)
    return time.perf_counter() - start
