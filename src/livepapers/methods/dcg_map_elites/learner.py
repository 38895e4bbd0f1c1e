"""The loop: train critic and actor, vary, evaluate, remember, add, and let the actor play for noisy requests."""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor, nn

from livepapers.blocks import deterministic_policy_gradient
from livepapers.blocks.deterministic_policy_gradient import ActorCritic
from livepapers.blocks.policies import ActionValue, BoxPolicy, flat_width
from livepapers.blocks.replay import Replay
from livepapers.core.artifact import Artifact
from livepapers.core.checkpoint import require_keys
from livepapers.core.learner import JSON, Learner, State, load_or_keep
from livepapers.core.rng import derive
from livepapers.core.rng import generator as make_generator
from livepapers.methods.dcg_map_elites.archive import Archive, voronoi_centroids
from livepapers.methods.dcg_map_elites.conditioning import conditioned_batch, plain_batch, with_random_requests
from livepapers.methods.dcg_map_elites.config import Config
from livepapers.methods.dcg_map_elites.episodes import Act, Episodes, Player, World
from livepapers.methods.dcg_map_elites.policies import (
    ConditionedPolicy,
    Genotypes,
    Unconditioned,
    conditioned_policy,
    folded,
)
from livepapers.methods.dcg_map_elites.variation import iso_line, policy_gradient

ROLE = "learner"
METRICS = (
    "qd_score", "coverage", "best", "accepted_mutated", "accepted_gradient", "accepted_injected", "drift",
    "critic_loss", "actor_loss", "outside",
)  # fmt: skip
"""Of the archive: sum of fitness, share of occupied cells, highest fitness. Shares of an iteration's offspring that got
in, by operator; mean distance of gradient offspring from their parents' descriptor, half-widths of the box; mean losses
(each 0 where there is none); offspring whose descriptor left the box."""
MINIBATCHES_AT_ONCE = 100
"""Drawn together: fewer calls, and no more memory than a few minibatches at any n."""


class Offspring(NamedTuple):
    """An iteration's policies: mutated ones first, then those of the gradient, then the injected."""

    genomes: Tensor  # [b, n]
    intended: Tensor  # [b, D] normalised: of the parent or the request, for those of gradient and injection


class Judged(NamedTuple):
    """An archive or its actor, evaluated again."""

    qd_score: float
    coverage: float
    error: float  # mean distance of achieved from stored descriptors, half-widths of the box


class GradientRecord(NamedTuple):
    """All gradient offspring so far."""

    total: int
    accepted: float  # share that got into the archive
    drift: float  # mean distance from their parents' descriptor, half-widths of the box


class DescriptorConditionedSearch(Learner):
    """DCG-MAP-Elites, and by its settings MAP-Elites, PGA-MAP-Elites, DCRL and the paper's ablations.

    Args:
        world: Where policies are evaluated, and what describes them.
        config: Settings.
        seed: Of centroids, policies, networks, minibatches and episodes.
        centroids: Of the archive's cells, `[C, D]` from -1 to 1; a CVT of the box when left out.
    """

    def __init__(self, world: World, *, config: Config, seed: int, centroids: Tensor | None = None) -> None:
        self.world, self.config, self.seed = world, config, seed
        self.player = Player(world, config.reward_offset)
        self.genotypes = Genotypes(self.player.observation_space, self.player.action_space, hidden=config.hidden)
        if centroids is None:
            centroids = voronoi_centroids(config.cells, world.descriptor.size, samples=config.cell_samples, seed=seed)
        self.archive = Archive(centroids, self.genotypes.parameters)
        self.replay = Replay(config.capacity)
        self._told = world.descriptor.size if config.conditioned_critic else 0
        self._varying, self._minibatches = (make_generator(seed, "dcg", name) for name in ("variation", "minibatches"))
        self._requests, self._smoothing = (make_generator(seed, "dcg", name) for name in ("requests", "smoothing"))
        self.taught = self._networks()
        self._iteration = self._evaluations = self._rollouts = self._steps = 0
        self.gradient_record = GradientRecord(0, 0.0, 0.0)

    def _networks(self) -> ActorCritic:
        """Actor and twin critics, which see descriptors behind observations where they are conditioned."""
        config, stream = self.config, make_generator(self.seed, "dcg", "networks")
        space, width = self.player.action_space, flat_width(self.player.observation_space)
        assert isinstance(space, Box)  # checked by the genotypes
        told = Box(-np.inf, np.inf, (width + self._told,), np.float32)
        actor: nn.Module
        if config.conditioned_actor:
            actor = conditioned_policy(self.genotypes, self.world.descriptor, config.actor_hidden, stream).actor
        else:
            plain = Box(-np.inf, np.inf, (width,), np.float32)
            actor = BoxPolicy(plain, space, hidden=config.actor_hidden, generator=stream)
            actor = Unconditioned(actor, width) if self._told else actor
        critics = [ActionValue(told, space, hidden=config.critic_hidden, generator=stream) for _ in range(2)]
        rules = deterministic_policy_gradient.Config(
            discount=config.discount, actor_rate=config.learning_rate, critic_rate=config.learning_rate,
            actor_target_rate=config.target_rate, critic_target_rate=config.target_rate,
            target_noise=config.target_noise, target_noise_clip=config.target_noise_clip,
            policy_delay=config.policy_delay, critic_targets_wait=False,
        )  # fmt: skip
        return ActorCritic(actor, critics, space=space, config=rules, noise=self._smoothing)

    def update(self) -> dict[str, float]:
        """One iteration; the first one evaluates random policies and nothing else."""
        losses = (0.0, 0.0)
        if not self._iteration:
            fresh = self.genotypes.stack.initial(self.config.offspring, self._varying)
            made = Offspring(fresh, torch.zeros(len(fresh), self.world.descriptor.size))
        else:
            losses = self._train()
            made = self._vary()
        played = self._played(made.genomes, "offspring")
        self._evaluations += len(made.genomes)
        self._remember(played, self._asked(made, played.descriptor))
        accepted = self.archive.add(made.genomes, played.fitness, descriptors=played.descriptor)
        self._play_actor()
        shares, drift = self._recorded(made, played, accepted)
        self._iteration += 1
        return {
            "qd_score": self.archive.qd_score, "coverage": self.archive.coverage, "best": self.archive.best,
            **shares, "drift": drift,
            "critic_loss": losses[0], "actor_loss": losses[1], "outside": float(played.outside),
        }  # fmt: skip

    def _train(self) -> tuple[float, float]:
        """N gradient steps of the critics, and those of the actor that are due (3.2, 3.3); mean losses."""
        config, critic_loss, actor_loss = self.config, 0.0, 0.0
        for first in range(0, config.critic_steps, MINIBATCHES_AT_ONCE):
            count = min(MINIBATCHES_AT_ONCE, config.critic_steps - first)
            rows = self.replay.sample(count * config.batch, self._minibatches)
            if config.random_negatives:
                rows = with_random_requests(rows, config.random_negatives, self._minibatches)
            batch = conditioned_batch(rows, config.length) if config.conditioned_critic else plain_batch(rows)
            parts = {name: column.split(config.batch) for name, column in batch.items()}
            for index in range(count):
                found = self.taught.learn({name: part[index] for name, part in parts.items()})
                critic_loss += found[0] / config.critic_steps
                actor_loss += found[1] * config.policy_delay / config.critic_steps
        return critic_loss, actor_loss

    def _vary(self) -> Offspring:
        """GA, policy-gradient and injected offspring of uniformly chosen cells (3.5, 3.8)."""
        config, archive = self.config, self.archive
        first, second = (archive.sample(config.mutated, self._varying) for _ in range(2))
        mutants = iso_line(
            archive.genomes[first], archive.genomes[second], isotropic=config.isotropic, line=config.line,
            generator=self._varying,
        )  # fmt: skip
        parents, requests = (archive.sample(count, self._varying) for count in (config.gradients, config.injected))
        improved = archive.genomes[parents]
        if config.gradients:
            rows = self.replay.sample(config.gradient_steps * config.batch, self._minibatches)
            improved = policy_gradient(
                improved, archive.descriptors[parents][:, : self._told], genotypes=self.genotypes,
                critic=self.taught.critics[0], rate=config.policy_rate,
                states=rows["observation"].unflatten(0, (config.gradient_steps, config.batch)),
            )  # fmt: skip
        wanted = archive.descriptors[requests]
        injected = self._actor_genomes(wanted) if config.injected else improved[:0]
        intended = torch.cat([archive.descriptors[first], archive.descriptors[parents], wanted])
        return Offspring(torch.cat([mutants, improved, injected]), intended)

    def _actor_genomes(self, descriptors: Tensor) -> Tensor:
        """The actor as genomes, one for each normalised descriptor, `[B, D] -> [B, n]`."""
        actor = self.taught.actor
        if isinstance(actor, Unconditioned):
            actor = actor.actor
        assert isinstance(actor, BoxPolicy)
        return folded(actor, descriptors if self.config.conditioned_actor else descriptors[:, :0])

    def _asked(self, made: Offspring, achieved: Tensor) -> Tensor:
        """D' of the offspring: what they achieved, or what was intended where the settings keep that."""
        if not self.config.keep_intention or not self._iteration:
            return achieved
        meant = torch.arange(len(achieved)) >= self.config.mutated
        return torch.where(meant[:, None], made.intended, achieved)

    def _play_actor(self) -> None:
        """Roll-outs of the actor for noisy descriptors of the archive: they are remembered and offered to nobody."""
        config = self.config
        if not config.rollouts or not self._iteration:
            return
        wanted = self.archive.descriptors[self.archive.sample(config.rollouts, self._requests)]
        wanted = wanted + config.descriptor_noise * torch.randn(wanted.shape, generator=self._requests)
        seed = derive(self.seed, "dcg", "roll-outs", self._iteration)

        def policies(rows: slice) -> Act:
            return lambda seen: self.act(seen, wanted[rows])

        played = self.player.in_parts(policies, config.rollouts, seed=seed)
        self._rollouts += config.rollouts
        self._steps += len(played.owner)
        self._remember(played, wanted)

    @torch.no_grad()
    def act(self, observation: Tensor, descriptors: Tensor) -> Tensor:
        """The actor for normalised descriptors, `[B, F], [B, D] -> [B, ...]`."""
        return self.taught.actor(torch.cat([observation, descriptors[:, : self._told]], 1))

    def _played(self, genomes: Tensor, name: str) -> Episodes:
        def policies(rows: slice) -> Act:
            return lambda seen: self.genotypes.forward(genomes[rows], seen[:, None])[:, 0]

        seed = derive(self.seed, "dcg", name, self._iteration)
        played = self.player.in_parts(policies, len(genomes), seed=seed)
        self._steps += len(played.owner)
        return played

    def _remember(self, played: Episodes, asked: Tensor) -> None:
        """Each step with what its whole episode achieved and what it was asked for."""
        if self.config.learns:
            owner = played.owner
            self.replay.add(**played.steps, achieved=played.descriptor[owner], asked=asked[owner])

    def _recorded(self, made: Offspring, played: Episodes, accepted: Tensor) -> tuple[dict[str, float], float]:
        """Shares of accepted offspring by operator, and the drift of those of the gradient, which are counted."""
        config, names = self.config, ("accepted_mutated", "accepted_gradient", "accepted_injected")
        if not self._iteration:  # initial policies come from no operator
            return dict.fromkeys(names, 0.0), 0.0
        parts = accepted.double().split([config.mutated, config.gradients, config.injected])
        shares = {name: float(part.mean()) if len(part) else 0.0 for name, part in zip(names, parts, strict=True)}
        if not config.gradients:
            return shares, 0.0
        rows = slice(config.mutated, config.mutated + config.gradients)
        drift = float(torch.linalg.vector_norm(played.descriptor[rows] - made.intended[rows], dim=1).mean())
        count, kept, moved = self.gradient_record
        total = count + config.gradients
        self.gradient_record = GradientRecord(
            total, (count * kept + config.gradients * shares["accepted_gradient"]) / total,
            (count * moved + config.gradients * drift) / total,
        )  # fmt: skip
        return shares, drift

    def corrected(self, seed: int) -> Judged:
        """All policies of the archive once more, put into an empty archive: what chance had given them is gone."""
        genomes = self.archive.genomes[self.archive.occupied]
        return self._judged(lambda rows, seen: self.genotypes.forward(genomes[rows], seen[:, None])[:, 0], seed)

    def distilled(self, seed: int) -> Judged:
        """The actor asked for the descriptor of each policy of the archive."""
        wanted = self.archive.descriptors[self.archive.occupied]
        return self._judged(lambda rows, seen: self.act(seen, wanted[rows]), seed)

    def _judged(self, act: Any, seed: int) -> Judged:
        cells, again, errors = self.archive.occupied, self.archive.emptied(), []
        for rows in torch.arange(len(cells)).split(self.world.most):
            played = self.player(lambda seen, rows=rows: act(rows, seen), len(rows), seed=derive(seed, int(rows[0])))
            wanted = self.archive.descriptors[cells[rows]]
            errors.append(torch.linalg.vector_norm(played.descriptor - wanted, dim=1))
            again.add(self.archive.genomes[cells[rows]], played.fitness, descriptors=played.descriptor)
        return Judged(again.qd_score, again.coverage, float(torch.cat(errors).mean()))

    def policy(self) -> ConditionedPolicy:
        """The distilled policy, which acts for the descriptor of the best cell until it is told another.

        Raises:
            RuntimeError: The actor is not conditioned.
        """
        if not self.config.conditioned_actor or not self.config.learns:
            raise RuntimeError("only a conditioned actor that learned stands for the archive")
        made = conditioned_policy(self.genotypes, self.world.descriptor, self.config.actor_hidden)
        made.actor.load_state_dict(self.taught.actor.state_dict())
        if len(self.archive.occupied):
            best = self.archive.descriptors[int(self.archive.fitness.argmax())]
            made.wanted.copy_(self.world.descriptor.restored(best))
        return made.eval()

    def artifact(self, **made_by: JSON) -> Artifact:
        """The description of the distilled policy; its weights are `policy().state_dict()`."""
        return Artifact(
            kind="policy", slug="dcg-map-elites", architecture="methods.dcg_map_elites:ConditionedPolicy",
            arguments=self.policy().arguments,
            made_by={"seed": self.seed, "config": self.config.to_json(), **made_by},
            spaces={"task": {"name": self.world.name, "arguments": self.world.arguments}},
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """Archive, replay, networks, streams and counters."""
        streams = {"varying": self._varying, "minibatches": self._minibatches, "requests": self._requests}
        return {
            "archive": self.archive.state_dict(), "replay": self.replay.state_dict(), "networks": self.taught.learned(),
            "streams": {name: one.get_state() for name, one in {**streams, "smoothing": self._smoothing}.items()},
            "counters": [self._iteration, self._evaluations, self._rollouts, self._steps],
            "gradient_record": list(self.gradient_record),
        }  # fmt: skip

    def load_state_dict(self, state: State) -> None:
        """Take over a state; raises `CorruptFileError` and changes nothing if it does not fit."""
        own = self.state_dict()
        require_keys(state, own, what="dcg-map-elites state")
        for part in ("networks", "streams"):
            require_keys(state[part], own[part], what=part)
        self.taught.check_learned(state["networks"])
        load_or_keep(self, self._take_over, state)

    def _take_over(self, state: State) -> None:
        self.archive.load_state_dict(state["archive"])
        self.replay.load_state_dict(state["replay"])
        self.taught.load_learned(state["networks"])
        for name, kept in state["streams"].items():
            getattr(self, f"_{name}").set_state(kept.clone())
        self._iteration, self._evaluations, self._rollouts, self._steps = (int(n) for n in state["counters"])
        count, accepted, drift = state["gradient_record"]
        self.gradient_record = GradientRecord(int(count), float(accepted), float(drift))

    def work(self) -> dict[str, int]:
        """Episodes of offspring and of the actor, and steps of both."""
        return {
            "evaluations": self._evaluations + self._rollouts, "actor_rollouts": self._rollouts,
            "environment_steps": self._steps,
        }  # fmt: skip


def example(config: Config, seed: int) -> DescriptorConditionedSearch:
    """The smallest whole problem: five steps of the point robot."""
    return DescriptorConditionedSearch(World.of("point-omni", horizon=5), config=config, seed=seed)
