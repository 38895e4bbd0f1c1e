"""How a cell of the fl-gfn study is measured."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from livepapers.baselines.metropolis import metropolis
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import Learner, State
from livepapers.lab.study import Run, Setting
from livepapers.methods import fl_gfn
from livepapers.methods.fl_gfn import Config, Evaluation, ForwardLookingGFlowNet, Sampler
from livepapers.studies.fl_gfn.instances import TOP, Reference, largest_residuals, reference
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import ShuffledEnergy

CURVE_SAMPLES = 256
"""On-policy objects behind each point of a curve."""
SHUFFLE_SCALE = 1.0


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    """Measure one cell; see `ARMS` and `SETTINGS`."""
    del seed  # the run's generators carry it
    if setting.part == "identities":
        return largest_residuals(setting.parameters["instance"], run.generator("trajectories"))
    known = reference(setting.parameters["instance"])
    budget: Mapping[str, int] = setting.parameters["budget"][preset]
    if arm == "uniform":
        evaluation = uniform_evaluation(known.env, budget["samples"], run.generator("final"))
        run.spend(energy_evaluations=budget["samples"])
        return {**quality(evaluation, known), **top_share(best_of(known.env, evaluation.objects), known)}
    if arm == "metropolis":
        return _metropolis(known, budget, run)
    tracked = Tracked(_learner(arm, setting, budget, known, run), known)
    stream, every = run.generator("evaluation"), budget["every"]
    samples = min(CURVE_SAMPLES, budget["samples"])
    run.drive(
        tracked,
        budget["updates"],
        evaluate=lambda step: tracked.assess(step, samples, stream) if step % every == 0 else None,
    )
    return tracked.summary(budget, threshold=setting.parameters["threshold"], generator=run.generator("final"))


def _learner(
    arm: str, setting: Setting, budget: Mapping[str, int], known: Reference, run: Run
) -> ForwardLookingGFlowNet:
    """The learner of a trained arm; arms of one cell's seed start from equal weights."""
    objective = arm.removesuffix("-complete").removesuffix("-unanchored").removesuffix("-shuffled")
    epsilon = setting.parameters["epsilon"][objective]
    config = Config(
        objective=objective,  # type: ignore[arg-type]  # arms are named after objectives; Config checks
        updates=budget["updates"],
        epsilon=epsilon,
        epsilon_end=epsilon,
        truncate_probability=setting.parameters.get("truncate", 0.0),
        interior=not arm.endswith("-complete"),
        anchor_terminal=not arm.endswith("-unanchored"),
    )
    env: Construction = known.env
    if arm.endswith("-shuffled"):
        draw = int(torch.randint(2**31, (), generator=run.generator("shuffled energies")))
        env = ShuffledEnergy(env, SHUFFLE_SCALE, seed=draw)
    seed = int(torch.randint(2**31, (), generator=run.generator("weights and exploration")))
    return ForwardLookingGFlowNet(env, config, seed=seed)


class Tracked(Learner):
    """A learner together with what its on-policy samples have shown so far: curves and the best distinct objects.

    Args:
        learner: What is trained.
        known: The exact solution it is compared with.
    """

    def __init__(self, learner: ForwardLookingGFlowNet, known: Reference) -> None:
        self.learner, self.known = learner, known
        self.best = known.env.root(0)
        self.history: list[list[float]] = []  # [step, ELBO gap, top-100 share] at each evaluation

    def assess(self, step: int, samples: int, generator: torch.Generator) -> dict[str, float]:
        """Sample on-policy, note the curve point, and return it."""
        evaluation = Sampler(self.learner).evaluate(samples, generator=generator)
        self.best = best_of(self.known.env, torch.cat([self.best, evaluation.objects]))
        point = {**quality(evaluation, self.known), **top_share(self.best, self.known)}
        self.history.append([step, point["elbo_gap"], point.get("top100_share", math.nan)])
        return point

    def summary(self, budget: Mapping[str, int], *, threshold: float, generator: torch.Generator) -> dict[str, float]:
        """The cell's measurements: a large last sample, and the curves' means and crossing."""
        sampler = Sampler(self.learner)
        evaluation = sampler.evaluate(budget["samples"], generator=generator)
        self.best = best_of(self.known.env, torch.cat([self.best, evaluation.objects]))
        found = {**quality(evaluation, self.known), **top_share(self.best, self.known)}
        if self.known.graph is not None:
            found["tv"] = sampler.total_variation(self.known.graph)
        history = np.array(self.history).reshape(-1, 3)
        if len(history):
            found["gap_mean"] = float(history[:, 1].mean())
            if self.known.top is not None:
                found["top100_mean"] = float(history[:, 2].mean())
        crossing = first_crossing(history[:, 0], history[:, 1], threshold)
        found["updates_to_threshold"] = float(budget["updates"]) if crossing is None else crossing
        found["threshold_missed"] = float(crossing is None)
        return found | {"flow_log_z_error": abs(self.learner.log_z() - self.known.log_z)}

    def update(self) -> dict[str, float]:
        """One update of the learner."""
        return self.learner.update()

    def state_dict(self) -> State:
        """The learner's state and the track so far."""
        return {"learner": self.learner.state_dict(), "best": self.best, "history": [list(p) for p in self.history]}

    def load_state_dict(self, state: State) -> None:
        """See `Learner`."""
        if set(state) != {"learner", "best", "history"}:
            raise CorruptFileError(f"tracked learner: parts {sorted(state)}, expected learner, best and history")
        self.learner.load_state_dict(state["learner"])
        self.best, self.history = state["best"].clone(), [list(point) for point in state["history"]]

    def work(self) -> dict[str, int]:
        """The learner's work; looking at it costs no energy that training would not know."""
        return self.learner.work()


def quality(evaluation: Evaluation, known: Reference) -> dict[str, float]:
    """How far on-policy samples are from the target: gap and spread in nats, mean absolute error of inclusion."""
    return {
        "elbo_gap": known.log_z - evaluation.elbo,
        "std_log_weight": evaluation.spread,
        "log_z_error": abs(evaluation.log_z - known.log_z),
        **inclusion_error(evaluation.objects, known),
    }


def inclusion_error(objects: Tensor, known: Reference) -> dict[str, float]:
    """Mean over items of |share of objects that hold the item - exact probability|."""
    return {"inclusion_error": float((objects.to(torch.float64).mean(dim=0) - known.inclusion).abs().mean())}


def best_of(env: Construction, objects: Tensor) -> Tensor:
    """The best `TOP` distinct objects, `[<= TOP, item]`; a tie goes to the smaller bit pattern."""
    distinct = torch.unique(objects, dim=0)
    order = torch.argsort(env.log_reward(distinct), descending=True, stable=True)
    return distinct[order[:TOP]]


def top_share(best: Tensor, known: Reference) -> dict[str, float]:
    """Mean reward of the best hundred as a share of the true best hundred's; missing objects count 0."""
    if known.top is None:
        return {}
    found = float(torch.logsumexp(known.env.log_reward(best), dim=0)) - math.log(TOP)
    return {"top100_share": math.exp(found - known.top)}


def first_crossing(steps: np.ndarray, gaps: np.ndarray, threshold: float) -> float | None:
    """The first evaluation at which the gap is at most `threshold`, and at the next one too (if there is a next)."""
    below = gaps <= threshold
    for i in range(len(below)):
        if below[i] and (i + 1 == len(below) or below[i + 1]):
            return float(steps[i])
    return None


def uniform_evaluation(env: Construction, samples: int, generator: torch.Generator) -> Evaluation:
    """The policy that chooses among the allowed actions uniformly, with uniform P_B."""
    batch = fl_gfn.rollout(env, samples, generator=generator)
    log_weight = torch.zeros(samples, dtype=torch.float64)
    for t, action in enumerate(batch.actions):
        live = t < batch.length
        choices = env.forward_mask(batch.states[t]).sum(dim=1).clamp(min=1).to(torch.float64).log()
        undo = env.backward_mask(batch.states[t + 1]).sum(dim=1).clamp(min=1).to(torch.float64).log()
        log_weight += torch.where(live, choices - torch.where(action < env.moves, undo, 0.0), 0.0)
    log_reward = env.log_reward(batch.last)
    return Evaluation(batch.last, log_reward, log_reward + log_weight)


def _metropolis(known: Reference, budget: Mapping[str, int], run: Run) -> dict[str, float]:
    """Chains that spend as many energy evaluations as the forward-looking arms."""
    chains = Config().batch
    steps = budget["updates"] * min(known.env.longest, known.env.moves)
    keep = min(budget["samples"], chains * (steps // 2))
    objects, _ = metropolis(known.env, steps, chains=chains, generator=run.private_generator("chains"), keep=keep)
    run.spend(energy_evaluations=steps * chains)
    return {**inclusion_error(objects, known), **top_share(best_of(known.env, objects), known)}
