"""Deep neuroevolution by a plain genetic algorithm (deep-ga), with novelty search, random search and ES beside it.

Paper       Such, Madhavan, Conti, Lehman, Stanley, Clune, "Deep Neuroevolution: Genetic Algorithms Are a Competitive
            Alternative for Training Deep Neural Networks for Reinforcement Learning", arXiv 1712.06567 (v3, 2018);
            the released code where the paper is silent.
Idea        Mutate all weights by Gaussian noise, keep the best T of N, and one elite that earned it on extra episodes.
            An individual is the list of the seeds of its mutations, so a network of millions of weights is a few bytes
            and any process rebuilds it. Where reward misleads, the novelty of behaviour selects instead.
Equations   Section 3 of the paper:  theta_0 = phi(s_0), theta_i = theta_(i-1) + sigma eps(s_i), eps ~ N(0, I):
            `Genome.decode`, `mutation`.  Parents: top T, the elite first: `next_parents`, `elite_candidates`.
            Novelty: mean of the k smallest squared distances to population and archive: `novelty`.
            ES: (1 / (n sigma)) sum_i u_i eps_i, mirrored, centred ranks: `strategy_gradient`.
Shapes      weights [P, n] float32, observation [P, L, ...] -> outputs [P, L, actions]; behaviour [P, d] -> novelty [P]
Deviations  1. Released code: noise is a slice of one shared array of 2.5e8 numbers (1 GB). Ours: Philox with the seed
               as its key, each 16 bits one of 65,536 quantiles of the normal law (largest 4.32): equal bits anywhere.
            2. Released distributed code: the elite is not evaluated again. Ours: as the paper, the mean of 30 episodes;
               none where nothing is random (`validation` 0), for all arms alike.
            3. Released code tracks the best so far by the mean of the validated population. Ours: by the elite's own.
            4. k of the novelty is not in the paper. Ours: 15.
            5. Novelty search: the paper's elite is for reports. Ours too: it is not put among the parents.
            6. The archive of the paper is without limit. Ours: 2,000 behaviours, then a random one goes.
            7. Real actions: the paper's maze takes outputs as they are. Ours: in widths of the action box from its
               centre, cut at its edge, which is the same there and fits boxes of any unit.
            8. Humanoid's observation normalisation and ES's virtual batch normalisation are left out.
"""

from livepapers.methods.deep_ga.application import apply
from livepapers.methods.deep_ga.config import ALGORITHMS, Algorithm, Config
from livepapers.methods.deep_ga.evaluation import Evaluated, Evaluator, world_of
from livepapers.methods.deep_ga.genomes import Decoder, Genome, initial_weights, mutation, noise, normal_table
from livepapers.methods.deep_ga.learner import METRICS, ROLE, Evolution, described_policy, example, maze_layout
from livepapers.methods.deep_ga.networks import EvolvedPolicy, Layout
from livepapers.methods.deep_ga.novelty import NoveltyArchive, novelty
from livepapers.methods.deep_ga.selection import elite_candidates, next_parents, ranking
from livepapers.methods.deep_ga.spreading import Crew
from livepapers.methods.deep_ga.strategy import EvolutionStrategy, StrategyConfig, centred_ranks, strategy_gradient

ARCHITECTURES: dict[str, type[EvolvedPolicy]] = {"EvolvedPolicy": EvolvedPolicy}
"""What an artifact may name."""

__all__ = [
    "ALGORITHMS", "ARCHITECTURES", "METRICS", "ROLE", "Algorithm", "Config", "Crew", "Decoder", "Evaluated",
    "Evaluator", "Evolution", "EvolutionStrategy", "EvolvedPolicy", "Genome", "Layout", "NoveltyArchive",
    "StrategyConfig", "apply", "centred_ranks", "described_policy", "elite_candidates", "example",
    "initial_weights", "maze_layout", "mutation", "next_parents", "noise", "normal_table", "novelty", "ranking",
    "strategy_gradient", "world_of",
]  # fmt: skip
