"""How a cell of the oc-gfn study is measured."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from livepapers.baselines.goal_conditioned import GoalConditioned, reached
from livepapers.baselines.metropolis import metropolis
from livepapers.blocks import q_learning
from livepapers.blocks.networks import MLP
from livepapers.blocks.trajectories import Trajectories, rollout, walk_back
from livepapers.core.checkpoint import require_keys
from livepapers.core.config import replace
from livepapers.core.learner import Learner, State
from livepapers.lab.study import Run, Setting
from livepapers.methods import fl_gfn, oc_gfn
from livepapers.methods.oc_gfn import Adaptation, AmortisedSampler, Config, FlowTable, OutcomeConditionedGFlowNet
from livepapers.studies.oc_gfn.instances import (
    REWARDS,
    SIDES,
    Task,
    config_of,
    graph_of,
    grid_rewards,
    identity_errors,
    load_model,
    make_task,
    random_rewards,
    rate_of,
    rna_task,
    world,
)
from livepapers.tasks.building import Building
from livepapers.tasks.construction import draw_objects
from livepapers.tasks.constructions.exact import StateGraph
from livepapers.tasks.vector import SimulatorTask

HELD_OUT, SAMPLES, TOP = 512, 2048, 100
POINTS = 8
"""Evaluations along a training."""
OUTCOMES = 256
PATHS = 64
"""Trajectories to one outcome when its paths are counted."""
GOOD = 0.1
"""Total variation at which a sampler counts as good in the amortisation curve."""
CHANGES: Mapping[str, dict[str, Any]] = {
    "teleport": {},
    "last-edge": {},
    "positives": {"negatives": False},
    "negatives": {"positives": False},
    "mild": {"failure_reward": 0.1},
    "gafn": {"explorer": "gafn"},
}
"""What the arms of pre-training change in the settings of `config_of`."""
TELEPORT: Mapping[str, bool] = {"teleport": True, "last-edge": False, "mild": True}
"""Arms that fix where log R stands; the others take the variant that the world's adaptations start from."""


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    if setting.part == "identities":
        return identity_errors(setting.parameters["world"])
    if setting.part == "pre-training":
        return _pretraining(arm, setting.parameters["world"], preset, run)
    if setting.part == "many rewards":
        return _many_rewards(arm, setting, seed, preset, run)
    return _Adapting(arm, setting, seed, preset, run).measure()


class Tracked(Learner):
    """A learner together with what was seen of it along its training.

    Args:
        learner: What is trained.
        assess: Looks at it; called every `every` updates and after the last.
        every: See there.
    """

    def __init__(self, learner: Learner, assess: Callable[[], dict[str, float]], *, every: int) -> None:
        self.learner, self._assess, self.every = learner, assess, max(every, 1)
        self.seen: dict[str, list[float]] = {}

    def update(self) -> dict[str, float]:
        """See `Learner`."""
        return self.learner.update()

    def look(self, step: int) -> dict[str, float] | None:
        """What `run.drive` evaluates."""
        if step % self.every:
            return None
        point = self._assess()
        for name, value in {"step": float(step), **point}.items():
            self.seen.setdefault(name, []).append(value)
        return point

    def at(self, step: int) -> dict[str, float]:
        """What was seen at a step, or at the last one before it."""
        places = [i for i, seen in enumerate(self.seen.get("step", [])) if seen <= step] or [0]
        return {name: values[places[-1]] for name, values in self.seen.items() if name != "step"}

    def state_dict(self) -> State:
        """See `Learner`."""
        return {"learner": self.learner.state_dict(), "seen": {name: list(v) for name, v in self.seen.items()}}

    def load_state_dict(self, state: State) -> None:
        """See `Learner`."""
        require_keys(state, {"learner": 0, "seen": 0}, what="tracked learner")
        self.learner.load_state_dict(state["learner"])
        self.seen = {name: list(values) for name, values in state["seen"].items()}

    def work(self) -> dict[str, int]:
        """The learner's work; looking costs nothing that training would know."""
        return self.learner.work()


# ---- pre-training ----


def _pretraining(arm: str, name: str, preset: str, run: Run) -> dict[str, float]:
    env, config = world(name), config_of(name, preset, teleport=TELEPORT.get(arm))
    held_out = draw_objects(env, HELD_OUT, generator=run.generator("held out"))
    stream = run.generator("attempts")
    if arm == "uniform":
        return {"success": reached(rollout(env, HELD_OUT, generator=stream), held_out)}
    seed = int(torch.randint(2**31, (), generator=run.generator("weights and exploration")))
    every = max(config.updates // POINTS, 1)
    if arm == "goal-conditioned":
        rival = _goal_conditioned(name, config, seed)
        tracked = Tracked(
            rival, lambda: {"success": reached(rival.attempt(held_out, generator=stream), held_out)}, every=every
        )
        run.drive(tracked, config.updates, evaluate=tracked.look)
        return _success(tracked)
    model = OutcomeConditionedGFlowNet(env, replace(config, **CHANGES[arm]), seed=seed)

    def assess() -> dict[str, float]:
        root = model.log_root_flow(held_out)
        return {
            "success": model.success(held_out, generator=stream),
            "log_f0_error": float(root.abs().mean()), "log_f0_std": float(root.std(correction=0)),
        }  # fmt: skip

    tracked = Tracked(model, assess, every=every)
    run.drive(tracked, config.updates, evaluate=tracked.look)
    found = {**_success(tracked), **{k: tracked.seen[k][-1] for k in ("log_f0_error", "log_f0_std")}}
    if name in SIDES:
        found.update(_conversions(model, name))
        found["path_share"] = path_share(model, held_out[:8], stream)
    return found


def _success(tracked: Tracked) -> dict[str, float]:
    values = tracked.seen["success"]
    return {"success": values[-1], "success_mean": sum(values) / len(values)}


def _goal_conditioned(name: str, config: Config, seed: int) -> GoalConditioned:
    return GoalConditioned(
        world(name), batch=config.batch, hidden=config.hidden, learning_rate=rate_of("goal-conditioned", name),
        epsilon=config.epsilon, seed=seed,
    )  # fmt: skip


def _conversions(model: OutcomeConditionedGFlowNet, name: str) -> dict[str, float]:
    """Distances of three conversions to the linear reward: as they are, calibrated, without known reachability."""
    reward = grid_rewards(SIDES[name], "linear")
    task = make_task("linear", name, reward)
    known, unknown = (FlowTable.of(model, task.graph, known_reachability=k) for k in (True, False))
    samplers = {
        "tv": known.sampler(reward), "tv_calibrated": known.sampler(reward, calibrate=True),
        "tv_unmasked": unknown.sampler(reward),
    }  # fmt: skip
    return {name: task.distance(sampler.distribution(task.graph)) for name, sampler in samplers.items()}


def path_share(model: OutcomeConditionedGFlowNet, outcomes: Tensor, generator: torch.Generator) -> float:
    """Different paths among the successful ones to an outcome, over those among as many uniform walks back; mean."""
    shares = []
    for outcome in outcomes:
        wanted = outcome[None].expand(PATHS, -1).contiguous()
        made = model.reach(wanted, generator=generator)
        back = walk_back(model.env, wanted, generator=generator)
        hits = int(made.hit.sum())
        ours = _different(made.trajectories, made.hit)
        theirs = _different(back, torch.arange(PATHS) < hits)
        shares.append(ours / theirs if hits else 0.0)
    return sum(shares) / len(shares)


def _different(batch: Trajectories, rows: Tensor) -> int:
    actions = torch.where(batch.live, batch.actions, -1).T[rows]
    return len(torch.unique(actions, dim=0))


# ---- adaptation ----


class _Adapting:
    """One cell of an adaptation setting."""

    def __init__(self, arm: str, setting: Setting, seed: int, preset: str, run: Run) -> None:
        self.arm, self.seed, self.preset, self.run = arm, seed, preset, run
        self.name = setting.parameters["world"]
        self.updates: int = setting.parameters["updates"][preset]
        self.config = replace(config_of(self.name, preset), adapt_updates=self.updates)
        self.task, self.other = self._tasks(setting.name)
        # a pre-training update makes two batches of trajectories, an adaptation update one
        self.total = 2 * self.config.updates + self.updates
        self.weights = int(torch.randint(2**31, (), generator=run.generator("weights and exploration")))

    def measure(self) -> dict[str, float]:
        """Metrics after the adaptation's trajectories, and with the suffix _total after those of pre-training too."""
        known: dict[str, Callable[[], dict[str, float]]] = {
            "convert-exact": self._convert, "convert-calibrated": self._convert, "convert-mc": self._monte_carlo,
            "amortised": self._amortised, "goal-conditioned": self._goals, "metropolis": self._metropolis,
            "dqn": self._dqn, "fine-tuned": self._fine_tuned, "exact-sampler": self._draws, "uniform": self._uniform,
        }  # fmt: skip
        return known.get(self.arm, self._scratch)()

    def _tasks(self, name: str) -> tuple[Task, Task]:
        """(the task, another one on the same world)."""
        if name.startswith("rna"):
            folder = self.run.prepared("energies")
            other = f"rna-{int(name[-1]) % 4 + 1}"
            return rna_task(folder, name), rna_task(folder, other)
        side = SIDES[self.name]
        first, second = (make_task(kind, self.name, grid_rewards(side, kind)) for kind in ("hypergrid", "linear"))
        return first, second

    def _model(self) -> OutcomeConditionedGFlowNet:
        folder = self.run.prepared(f"{self.name} seed {self.seed}")
        return load_model(folder, self.preset, name=self.name, seed=self.seed)

    def _convert(self) -> dict[str, float]:
        flows = FlowTable.of(self._model(), self.task.graph)
        sampler = flows.sampler(self.task.log_reward, calibrate=self.arm.endswith("calibrated"))
        distance = self.task.distance(sampler.distribution(self.task.graph))
        objects = sampler.sample(SAMPLES, generator=self.run.generator("final"))
        return _both({"tv": distance, **found_modes(self.task, objects)})

    def _monte_carlo(self) -> dict[str, float]:
        """Outcomes drawn anew for each string; on grids once for all, where the distribution is then exact."""
        stream, on_grid = self.run.generator("final"), self.name in SIDES
        sampler = oc_gfn.MonteCarloSampler(
            self._model(), self.task.env.log_reward, n_outcomes=min(OUTCOMES, len(self.task.log_reward)),
            generator=self.run.private_generator("outcomes"),
        )  # fmt: skip
        found: dict[str, float] = {}
        if on_grid:
            ends = sampler.distribution(self.task.graph)
            found, objects = {"tv": self.task.distance(ends)}, self._drawn(ends[self.task.graph.may_end])
        else:
            objects = sampler.sample(SAMPLES if self.preset != "smoke" else 64, generator=stream)
        self.run.spend(reward_evaluations=sampler.reward_evaluations)
        return _both({**found, **found_modes(self.task, objects)})

    def _amortised(self) -> dict[str, float]:
        model = self._model()
        adaptation = Adaptation(model, self.task.env.log_reward, seed=self.weights, config=self.config)
        sampler = AmortisedSampler(world(self.name), adaptation.networks)
        return _both(self._drive(adaptation, sampler.distribution, self.updates)[1])

    def _scratch(self) -> dict[str, float]:
        learner = self._gflownet(self.task, self.arm.removeprefix("scratch-"), self.total)
        adapted, total = self._drive(learner, _ends(learner), self.total)
        return {**adapted, **{f"{name}_total": value for name, value in total.items()}}

    def _fine_tuned(self) -> dict[str, float]:
        first = self._gflownet(self.other, "db", 2 * self.config.updates)
        self.run.drive(first, 2 * self.config.updates, name="other task")
        learner = self._gflownet(self.task, "db", self.updates)
        learner.network.load_state_dict(first.network.state_dict())
        return _both(self._drive(learner, _ends(learner), self.updates)[1])

    def _gflownet(self, task: Task, objective: str, updates: int) -> fl_gfn.ForwardLookingGFlowNet:
        config = fl_gfn.Config(
            objective=objective, backward="uniform", updates=updates, batch=self.config.adapt_batch,  # type: ignore[arg-type]
            hidden=self.config.hidden, layers=self.config.layers,
            learning_rate=rate_of(f"scratch-{objective}", self.name),
            epsilon=self.config.adapt_epsilon, epsilon_end=self.config.adapt_epsilon,
        )  # fmt: skip
        return fl_gfn.ForwardLookingGFlowNet(task.env, config, seed=self.weights)

    def _drive(
        self, learner: Learner, distribution: Callable[[StateGraph], Tensor], updates: int
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Train, looking at the exact distribution on the way: (after the adaptation's updates, after all)."""

        def assess() -> dict[str, float]:
            ends = distribution(self.task.graph)
            objects = self._drawn(ends[self.task.graph.may_end])
            return {"tv": self.task.distance(ends), **found_modes(self.task, objects)}

        tracked = Tracked(learner, assess, every=max(self.updates // 2, 1) if updates == self.updates else self.updates)
        # the last look falls on the last update even where that is no multiple
        self.run.drive(tracked, updates, evaluate=lambda step: tracked.look(step) if step < updates else None)
        total = assess()
        return (tracked.at(self.updates) if tracked.seen else total), total

    def _drawn(self, probabilities: Tensor) -> Tensor:
        """`SAMPLES` objects by an exact distribution: the same numbers for all arms."""
        cumulative = probabilities.clamp(min=0).cumsum(0)
        draws = torch.rand(SAMPLES, generator=self.run.generator("final"), dtype=torch.float64) * cumulative[-1]
        chosen = torch.searchsorted(cumulative, draws, right=True).clamp(max=len(cumulative) - 1)
        return self.task.graph.states[self.task.graph.may_end][chosen]

    def _goals(self) -> dict[str, float]:
        """Hindsight for the trajectories of a pre-training, then goals drawn by the reward."""
        rival = _goal_conditioned(self.name, self.config, self.weights)
        self.run.drive(rival, self.config.updates)
        ends = self.task.graph.states[self.task.graph.may_end]
        objects = rival.sample(SAMPLES, self.task.log_reward, ends, generator=self.run.generator("final"))
        return _both(found_modes(self.task, objects))

    def _metropolis(self) -> dict[str, float]:
        chains, length = self.config.adapt_batch, world(self.name).longest
        found: dict[str, float] = {}
        for suffix, updates in (("", self.updates), ("_total", self.total)):
            steps = max(updates * length, 2)
            stream = self.run.private_generator("chains" + suffix)
            env: Any = self.task.env  # its digits are those of the world that it wraps
            objects, _ = metropolis(env, steps, chains=chains, generator=stream, keep=SAMPLES)
            found.update({name + suffix: value for name, value in found_modes(self.task, objects).items()})
        self.run.spend(energy_evaluations=(self.total + self.updates) * length * chains)
        return found

    def _dqn(self) -> dict[str, float]:
        env, lanes = world(self.name), self.config.adapt_batch
        task = SimulatorTask(Building(self.task.env, scale=float(self.task.log_reward.max().exp())), lanes)
        stream = self.run.private_generator("weights")
        hidden = [self.config.hidden] * self.config.layers
        network = MLP(env.features, hidden, outputs=env.moves + env.has_stop, activation="relu", generator=stream)
        config = q_learning.Config(
            steps=env.longest, updates_per_step=2.0 / (lanes * env.longest), discount=1.0, batch=256,
            learning_rate=rate_of("dqn", self.name), explore_over=self.updates * lanes * env.longest, warm_up=lanes,
        )  # fmt: skip
        learner = q_learning.QLearning(task, network, config=config, seed=self.weights)

        def logits(encoded: Tensor) -> Tensor:
            return learner.network(encoded) * 1e6  # greedy

        def assess() -> dict[str, float]:
            stream = self.run.generator("final")
            batch = rollout(env, SAMPLES, generator=stream, logits=logits, epsilon=config.explore_last)
            return found_modes(self.task, batch.last)

        tracked = Tracked(learner, assess, every=self.updates)
        self.run.drive(tracked, self.total, evaluate=lambda step: tracked.look(step) if step < self.total else None)
        total = assess()
        return {**(tracked.at(self.updates) if tracked.seen else total), **{f"{k}_total": v for k, v in total.items()}}

    def _draws(self) -> dict[str, float]:
        return _both(found_modes(self.task, self._drawn(self.task.target)))

    def _uniform(self) -> dict[str, float]:
        graph = self.task.graph
        allowed = graph.env.forward_mask(graph.states).to(torch.float64)
        table = (allowed / allowed.sum(dim=1, keepdim=True).clamp(min=1)).log()
        ends = graph.distribution(lambda _: table)
        objects = self._drawn(ends[graph.may_end])
        return _both({"tv": self.task.distance(ends), **found_modes(self.task, objects)})


def _ends(learner: fl_gfn.ForwardLookingGFlowNet) -> Callable[[StateGraph], Tensor]:
    """The exact distribution of a learner's sampler over the states of an enumerated world."""
    sampler = fl_gfn.Sampler(learner)
    return lambda graph: graph.distribution(sampler.log_forward)


def _both(found: dict[str, float]) -> dict[str, float]:
    """The arms that spend the pre-training's trajectories before the adaptation's stand at one point of both axes."""
    return {**found, **{f"{name}_total": value for name, value in found.items()}}


def found_modes(task: Task, objects: Tensor) -> dict[str, float]:
    """Modes among objects, and the reward of the best hundred of them over that of the true best hundred."""
    places = torch.unique(task.place(objects))
    top = min(TOP, len(task.log_reward))
    best = task.log_reward[places].sort(descending=True).values[:top]
    true = task.log_reward.sort(descending=True).values[:top]
    share = math.exp(float(torch.logsumexp(best, 0) - torch.logsumexp(true, 0)))
    return {"modes": float(torch.isin(task.modes, places).sum()), "top100": share}


# ---- many rewards ----


def _many_rewards(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Trajectories until each of 20 rewards is sampled well, one after the other, and how well they are in the end."""
    name, cap = setting.parameters["world"], int(setting.parameters["updates"][preset])
    config, graph = config_of(name, preset), graph_of(name)
    rewards = random_rewards(SIDES[name], REWARDS, seed=seed)
    distances, spent = [], 0
    flows: FlowTable | None = None
    if arm == "convert-exact":
        flows = FlowTable.of(load_model(run.prepared(f"{name} seed {seed}"), preset, name=name, seed=seed), graph)
        spent = 2 * config.updates * config.batch
    for index, reward in enumerate(rewards):
        task = make_task(f"random {index}", name, reward)
        if flows is not None:
            distances.append(task.distance(flows.sampler(reward).distribution(graph)))
        else:
            updates, distance = _until_good(task, config, cap, run, index)
            spent += updates * config.adapt_batch
            distances.append(distance)
        run.log(index + 1, trajectories=float(spent), tv=distances[-1])
    return {"tv": sum(distances) / len(distances), "tv_worst": max(distances), "trajectories": float(spent)}


def _until_good(task: Task, config: Config, cap: int, run: Run, index: int) -> tuple[int, float]:
    """(updates of detailed balance from scratch until the distance is at most `GOOD`, the cap if never; distance)."""
    given = fl_gfn.Config(
        objective="db", backward="uniform", updates=cap, batch=config.adapt_batch, hidden=config.hidden,
        learning_rate=rate_of("many-rewards", "grid-8"), epsilon=config.adapt_epsilon,
        epsilon_end=config.adapt_epsilon,
    )  # fmt: skip
    seed = int(torch.randint(2**31, (), generator=run.generator(f"weights {index}")))
    learner = fl_gfn.ForwardLookingGFlowNet(task.env, given, seed=seed)
    sampler, every = fl_gfn.Sampler(learner), max(cap // 20, 1)

    def assess() -> dict[str, float]:
        return {"tv": task.distance(task.graph.distribution(sampler.log_forward))}

    tracked = Tracked(learner, assess, every=every)
    run.drive(tracked, cap, name=f"reward {index}", evaluate=lambda step: (tracked.look(step), None)[1])
    steps, values = tracked.seen["step"], tracked.seen["tv"]
    good = next((i for i, value in enumerate(values) if value <= GOOD), len(values) - 1)
    return int(steps[good]), values[good]
