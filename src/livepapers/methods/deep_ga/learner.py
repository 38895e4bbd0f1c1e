"""The genetic algorithm of deep-ga, with novelty search and random search as its variants."""

from typing import Any

import torch
from torch import Tensor

from livepapers.core.artifact import Artifact
from livepapers.core.checkpoint import require_keys
from livepapers.core.errors import CorruptFileError
from livepapers.core.learner import JSON, Learner, State, load_or_keep
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.deep_ga.config import Config
from livepapers.methods.deep_ga.evaluation import Evaluated, Evaluator, World
from livepapers.methods.deep_ga.genomes import MOST_SEED, Decoder, Genome
from livepapers.methods.deep_ga.networks import EvolvedPolicy, Layout
from livepapers.methods.deep_ga.novelty import NoveltyArchive, novelty
from livepapers.methods.deep_ga.selection import elite_candidates, next_parents, ranking
from livepapers.methods.deep_ga.spreading import Crew
from livepapers.tasks.hard_maze import HardMaze

ROLE = "learner"
METRICS = ("best", "mean", "best_seen", "elite", "elite_generation", "novelty", "archive")
"""Best and mean fitness of the generation; best fitness of any individual so far, on the episodes that selected it;
validated mean return of the elite and its number of mutations; mean novelty and behaviours kept (0 without novelty)."""


class Evolution(Learner):
    """Mutation, truncation and one elite that is evaluated again; `config.algorithm` says what selects.

    Args:
        world: Where individuals are evaluated.
        layout: Their network.
        config: Settings.
        seed: Of genomes and episodes.
        cap: Steps after which an episode is cut; 0: only the world ends it.
    """

    def __init__(self, world: World, layout: Layout, *, config: Config, seed: int, cap: int = 0) -> None:
        self.layout, self.config, self.seed = layout, config, seed
        self.evaluator = Evaluator(world, layout, side_by_side=config.side_by_side, cap=cap, compiled=config.compile)
        self.crew: Crew | None = None
        """Evaluates the populations elsewhere; without one, this process does."""
        self.decoder = Decoder(layout.scale(), layout.signature, keep=config.parents + 1)
        self._choices = make_generator(seed, "deep-ga", "choices")
        self._entering = make_generator(seed, "deep-ga", "archive")
        kept = config.archive_size if config.algorithm == "ga-ns" else 0
        self.archive = NoveltyArchive(kept, self.evaluator.behaviour_size)
        self.parents: list[Genome] = []
        self.elite: Genome | None = None
        self.elite_score = float("-inf")
        self.history: list[float] = []
        """Best fitness of any individual so far, after each generation."""
        self._generation = self._evaluations = self._validations = self._steps = 0
        self.behaviour = torch.empty(0)
        """Of the latest population, `[P, d]`; not part of the state."""

    def update(self) -> dict[str, float]:
        """One generation."""
        genomes = self._offspring()
        found = self._evaluated(genomes, self.config.episodes, "fitness")
        self._evaluations += len(genomes) * self.config.episodes
        fitness, self.behaviour = found.returns.mean(1), found.behaviour
        best_first = ranking(fitness)
        scores = self._scores(fitness, found.behaviour)
        self._choose_elite([genomes[i] for i in best_first], fitness[best_first])
        if self.config.algorithm != "random":
            chosen = [genomes[i] for i in ranking(scores)]
            elite = self.elite if self.config.algorithm == "ga" else None  # under novelty it is for reports only
            self.parents = next_parents(chosen, elite, self.config.parents)
            self.decoder.remember(self.parents)
        self.history.append(max([*self.history[-1:], float(fitness[best_first[0]])]))
        self._generation += 1
        searching = self.config.algorithm == "ga-ns"
        return {
            "best": float(fitness[best_first[0]]), "mean": float(fitness.mean()), "best_seen": self.history[-1],
            "elite": self.elite_score, "elite_generation": float(self.elite.generation if self.elite else 0),
            "novelty": float(scores.mean()) if searching else 0.0, "archive": float(self.archive.count),
        }  # fmt: skip

    def _offspring(self) -> list[Genome]:
        """N individuals: fresh ones, or mutations of parents drawn with replacement."""
        count, signature = self.config.population, self.layout.signature
        seeds = torch.randint(MOST_SEED, (count,), generator=self._choices).tolist()
        if not self.parents:
            return [Genome((seed,), (), signature) for seed in seeds]
        chosen = torch.randint(len(self.parents), (count,), generator=self._choices).tolist()
        sigma = self.config.sigma
        return [self.parents[one].mutated(seed, sigma) for one, seed in zip(chosen, seeds, strict=True)]

    def _evaluated(self, genomes: list[Genome], episodes: int, name: str) -> Evaluated:
        seed = derive(self.seed, "deep-ga", name, self._generation)
        if self.crew is not None:
            found = self.crew(genomes, episodes=episodes, seed=seed)
        else:
            found = self.evaluator(lambda i: self.decoder(genomes[i]), len(genomes), episodes=episodes, seed=seed)
        self._steps += found.steps
        return found

    def _scores(self, fitness: Tensor, behaviour: Tensor) -> Tensor:
        """What selects; behaviours enter the archive after they were compared with it."""
        if self.config.algorithm != "ga-ns":
            return fitness
        scores = novelty(behaviour, self.archive.behaviours, self.config.neighbours)
        self.archive.add(behaviour, self.config.archive_probability, self._entering)
        return scores

    def _choose_elite(self, ranked: list[Genome], fitness: Tensor) -> None:
        """The best mean of extra episodes, so that one lucky episode makes nobody the elite (3.1, step 3)."""
        if not self.config.validation:
            if float(fitness[0]) > self.elite_score:
                self.elite, self.elite_score = ranked[0], float(fitness[0])
            return
        candidates = elite_candidates(ranked, self.elite, self.config.candidates)
        means = self._evaluated(candidates, self.config.validation, "validation").returns.mean(1)
        self._validations += len(candidates) * self.config.validation
        best = ranking(means)[0]
        self.elite, self.elite_score = candidates[best], float(means[best])

    def policy(self) -> EvolvedPolicy:
        """The elite, rebuilt from its list of seeds alone."""
        if self.elite is None:
            raise RuntimeError("there is no elite before the first update")
        theta = self.elite.decode(self.layout.scale())
        return EvolvedPolicy(**self.layout.arguments, theta=theta).eval()

    def artifact(self, *, task: dict[str, JSON], **made_by: JSON) -> Artifact:
        """The description of the elite as a policy; its weights are `policy().state_dict()`."""
        return described_policy(
            self.layout, self.elite, task=task, seed=self.seed, config=self.config.to_json(), **made_by
        )

    def state_dict(self) -> dict[str, Any]:
        """Genomes as lists of seeds: a few kB whatever the network's size; the archive, streams and counters."""
        return {
            "archive": self.archive.kept.clone(), "archived": self.archive.count,
            "parents": [parent.to_json() for parent in self.parents],
            "elite": None if self.elite is None else self.elite.to_json(),
            "elite_score": self.elite_score, "history": list(self.history),
            "choices": self._choices.get_state(), "entering": self._entering.get_state(),
            "counters": [self._generation, self._evaluations, self._validations, self._steps],
            "compiled": self.evaluator.compiler.on,
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        require_keys(state, self.state_dict(), what="deep-ga state")
        if not 0 <= int(state["archived"]) <= len(self.archive.kept) or len(state["counters"]) != 4:
            raise CorruptFileError("deep-ga state: more behaviours than the archive holds, or other counters")
        self.evaluator.compiler.check(bool(state["compiled"]))
        genomes = [Genome.from_json(one) for one in [*state["parents"], *([state["elite"]] if state["elite"] else [])]]
        if any(one.signature != self.layout.signature for one in genomes):
            raise CorruptFileError("deep-ga state: its genomes belong to another architecture")
        load_or_keep(self, self._take_over, state)

    def _take_over(self, state: State) -> None:
        self.archive.kept, self.archive.count = state["archive"].clone(), int(state["archived"])
        self.parents = [Genome.from_json(one) for one in state["parents"]]
        self.elite = None if state["elite"] is None else Genome.from_json(state["elite"])
        self.elite_score, self.history = float(state["elite_score"]), [float(one) for one in state["history"]]
        self._choices.set_state(state["choices"].clone())
        self._entering.set_state(state["entering"].clone())
        self._generation, self._evaluations, self._validations, self._steps = (int(n) for n in state["counters"])
        self.evaluator.compiler.follow(bool(state["compiled"]))
        self.decoder.remember(self.parents)

    def work(self) -> dict[str, int]:
        """Episodes that selected, episodes that validated, and steps of all of them."""
        return {
            "evaluations": self._evaluations, "validation_episodes": self._validations, "environment_steps": self._steps
        }  # fmt: skip


def described_policy(layout: Layout, genome: Genome | None, *, task: dict[str, JSON], **made_by: JSON) -> Artifact:
    """The description of one individual as a policy artifact."""
    return Artifact(
        kind="policy", slug="deep-ga", architecture="methods.deep_ga:EvolvedPolicy", arguments=layout.arguments,
        made_by={**made_by, "genome": None if genome is None else genome.to_json()}, spaces={"task": task},
    )  # fmt: skip


def maze_layout() -> Layout:
    """The published network for the maze's sensors: 11-16-16-2."""
    return Layout(HardMaze.observation_space, HardMaze.action_space)


def example(config: Config, seed: int) -> Evolution:
    """The smallest whole problem: 20 steps in the hard maze."""
    return Evolution(HardMaze(20), maze_layout(), config=config, seed=seed)
