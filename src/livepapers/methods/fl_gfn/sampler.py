"""What training leaves behind: a sampler with log probabilities, log Z and exact diagnostics (fl-gfn)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from livepapers.blocks.trajectories import Trajectories, rollout, walk_back
from livepapers.methods.fl_gfn.learner import ForwardLookingGFlowNet
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions.exact import StateGraph, total_variation

CHUNK = 256
"""Trajectories scored at a time: bounds memory at long horizons."""


@dataclass(frozen=True)
class Evaluation:
    """On-policy objects (epsilon = 0, temperature 1) and their importance weights w = R P_B / P_F."""

    objects: Tensor  # [n, ...]
    log_reward: Tensor  # [n] float64
    log_weight: Tensor  # [n] float64

    @property
    def elbo(self) -> float:
        """Mean log weight: at most log Z, and equal to it only for a perfect sampler."""
        return float(self.log_weight.mean())

    @property
    def log_z(self) -> float:
        """Log of the mean weight, a consistent estimate of log Z."""
        return float(torch.logsumexp(self.log_weight, dim=0) - math.log(len(self.log_weight)))

    @property
    def spread(self) -> float:
        """Standard deviation of the log weight, nats; 0 for a perfect sampler."""
        return float(self.log_weight.std(correction=0))


class Sampler:
    """The trained policy of a learner.

    Args:
        learner: A trained `ForwardLookingGFlowNet`; the sampler sees its further training.
    """

    def __init__(self, learner: ForwardLookingGFlowNet) -> None:
        self._learner = learner
        self.env: Construction = learner.env

    def sample(self, n: int, *, generator: torch.Generator) -> Tensor:
        """`n` finished objects, `[n, ...]`."""
        return self._rollout(n, generator).last

    def evaluate(self, n: int, *, generator: torch.Generator) -> Evaluation:
        """Sample `n` objects and weigh them."""
        objects, weights = [], []
        for start in range(0, n, CHUNK):
            batch = self._rollout(min(CHUNK, n - start), generator)
            log_forward, log_backward = self._path(batch)
            objects.append(batch.last)
            weights.append(log_backward - log_forward)
        joined = torch.cat(objects)
        log_reward = self.env.log_reward(joined)
        return Evaluation(joined, log_reward, log_reward + torch.cat(weights))

    def log_prob(self, objects: Tensor, *, generator: torch.Generator, walks: int = 64) -> Tensor:
        """Log P_T(x) by importance sampling over `walks` backward walks from each object, `[n]` float64."""
        learner = self._learner
        logits = None
        if learner.backward_policy is None and learner.config.backward == "learned":
            logits = learner.network.backward_logits
        found = []
        for _ in range(walks):
            parts = []
            for chunk in objects.split(CHUNK):
                log_forward, log_backward = self._path(walk_back(self.env, chunk, generator=generator, logits=logits))
                parts.append(log_forward - log_backward)
            found.append(torch.cat(parts))
        return torch.logsumexp(torch.stack(found), dim=0) - math.log(walks)

    def log_z(self, n: int = 4096, *, generator: torch.Generator) -> float:
        """Estimate of log Z from `n` weighted objects."""
        return self.evaluate(n, generator=generator).log_z

    def log_forward(self, states: Tensor) -> Tensor:
        """Log P_F of every allowed action, `[n, moves + has_stop]` float64; -inf where not allowed."""
        with torch.no_grad():
            parts, policy = [], self._learner.network.policy()
            for chunk in states.split(4096):
                logits = policy(self.env.encode(chunk)).to(torch.float64)
                parts.append(logits.masked_fill(~self.env.forward_mask(chunk), -math.inf).log_softmax(dim=1))
        # a finished object has no action at all: softmax over nothing is not a number
        return torch.cat(parts).nan_to_num(nan=-math.inf, neginf=-math.inf)

    def total_variation(self, graph: StateGraph) -> float:
        """Exact distance of the sampler to R / Z on an enumerated construction."""
        return total_variation(graph.distribution(self.log_forward), graph.target())

    def _rollout(self, n: int, generator: torch.Generator) -> Trajectories:
        return rollout(self.env, n, generator=generator, logits=self._learner.network.policy())

    def _path(self, batch: Trajectories) -> tuple[Tensor, Tensor]:
        """(sum of log P_F, sum of log P_B) of whole trajectories, `[B]` float64 each."""
        return self._learner.log_path(batch)
