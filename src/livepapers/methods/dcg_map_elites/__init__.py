"""Quality-diversity with a descriptor-conditioned critic, its archive distilled into one policy (dcg-map-elites).

Paper       Faldor, Chalumeau, Flageat, Cully, "MAP-Elites with Descriptor-Conditioned Gradients and Archive
            Distillation into a Single Policy", GECCO 2023, arXiv 2303.03832; the released code where both differ.
Idea        MAP-Elites keeps the best policy of each cell of behaviour space. Here half the offspring come from the
            gradient of a critic that is told the wanted descriptor, so they improve and stay in their place. The actor
            that the critic teaches is told it too, and ends as one network that stands for the archive.
Equations   S(d, d') = exp(-|d - d'| / l): `similarity`.  Q(s, a | d') is the value of rewards S(d, d') r:
            `conditioned_batch`.  y = S r + gamma (1 - done) min_i Q'_i(s', pi'(s' | d') + eps | d'), truncated steps
            masked: `blocks.deterministic_policy_gradient`.  m Adam steps on -mean Q_1(s, pi(s) | d_psi):
            `policy_gradient`.  psi_1 + sigma_1 xi + sigma_2 zeta (psi_2 - psi_1): `iso_line`.
            Folding: W = [W_s W_d] becomes W_s, b becomes b + W_d d: `folded`.
Shapes      genomes [P, n], observation [P, L, F] -> action [P, L, ...]; achieved, asked [B, D] -> similarity [B]
Deviations  1. Paper's table: l 0.008 and sigma_d 0.0004 at descriptors over the half-width; its code has l 0.1. Ours:
               l 0.03, the best of 0.03, 0.1 and 0.3 in a search with a seed outside the study, and sigma_d 0.004.
            2. Paper's table: actor 256-256. Ours: as the policies, as in its code, so that it can be folded into one.
            3. Paper: 256 roll-outs of the actor an iteration. Ours: a quarter of the offspring, as in its code.
            4. Paper: sum of both critics' errors. Ours: their mean, the same step under Adam.
            5. Each offspring's own minibatches. Ours: the m minibatches of an iteration are shared by all parents.
            6. Centroids: k-means of 50,000 points until it settles. Ours: 30 rounds of it.
            7. A descriptor outside the box: not said. Ours: put at the edge, and counted.
            8. MAP-Elites-ES and QD-PG are left out; the successor's variant (DCRL) is here, by settings.
"""

from livepapers.methods.dcg_map_elites.application import apply
from livepapers.methods.dcg_map_elites.archive import Archive, voronoi_centroids
from livepapers.methods.dcg_map_elites.conditioning import (
    conditioned_batch,
    plain_batch,
    similarity,
    with_random_requests,
)
from livepapers.methods.dcg_map_elites.config import VARIANTS, Config, variant
from livepapers.methods.dcg_map_elites.episodes import Episodes, Player, World
from livepapers.methods.dcg_map_elites.learner import METRICS, ROLE, DescriptorConditionedSearch, Judged, example
from livepapers.methods.dcg_map_elites.policies import ConditionedPolicy, Genotypes, Unconditioned, folded
from livepapers.methods.dcg_map_elites.variation import iso_line, policy_gradient

ARCHITECTURES: dict[str, type[ConditionedPolicy]] = {"ConditionedPolicy": ConditionedPolicy}
"""What an artifact may name."""

__all__ = [
    "ARCHITECTURES", "METRICS", "ROLE", "VARIANTS", "Archive", "ConditionedPolicy", "Config",
    "DescriptorConditionedSearch", "Episodes", "Genotypes", "Judged", "Player", "Unconditioned", "World", "apply",
    "conditioned_batch", "example", "folded", "iso_line", "plain_batch", "policy_gradient", "similarity", "variant",
    "voronoi_centroids", "with_random_requests",
]  # fmt: skip
