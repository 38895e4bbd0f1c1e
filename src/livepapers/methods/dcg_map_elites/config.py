"""Settings of dcg-map-elites, and the searches that they stand for."""

from collections.abc import Mapping
from typing import Any

from livepapers.core.config import Presets, config_dataclass, replace, setting
from livepapers.core.errors import InputError


@config_dataclass
class Config(Presets):
    """Settings of the search; the defaults are the laptop preset, for the point robot."""

    cells: int = setting(256, "C, centroids of the archive; paper: 1,024", ge=2)
    cell_samples: int = setting(50_000, "uniform points that the centroids are the k-means of; paper: 50,000", ge=2)
    mutated: int = setting(32, "offspring an iteration by iso+line mutation; paper: 128", ge=0)
    gradients: int = setting(32, "offspring an iteration by the critic's gradient; paper: 128", ge=0)
    injected: int = setting(0, "offspring an iteration that are the actor itself, folded; PGA-MAP-Elites: 1", ge=0)
    rollouts: int = setting(16, "episodes of the actor an iteration; paper: 256 (code: 64)", ge=0)
    conditioned_critic: bool = setting(True, "whether the critic is told the descriptor; PGA-MAP-Elites: False")
    conditioned_actor: bool = setting(True, "whether the actor is told it; ablation 3: False")
    random_negatives: float = setting(0.0, "share of a minibatch asked for a random descriptor; ablation 2", ge=0, le=1)
    keep_intention: bool = setting(False, "whether gradient and injected offspring store what was intended (DCRL)")
    length: float = setting(0.03, "l of the similarity, half-widths of the box; paper: 0.008 (code: 0.1)", gt=0, le=100)
    descriptor_noise: float = setting(0.004, "sigma_d of a roll-out's request, half-widths; paper: 0.0004", ge=0, le=10)
    hidden: tuple[int, ...] = setting((64, 64), "widths of a policy's hidden layers; paper: 128-128")
    actor_hidden: tuple[int, ...] = setting((64, 64), "of the actor's; paper: 256-256 (code: 128-128)")
    critic_hidden: tuple[int, ...] = setting((128, 128), "of each critic's; paper: 256-256")
    batch: int = setting(100, "N, remembered steps a minibatch; the paper's", ge=1)
    critic_steps: int = setting(200, "n, gradient steps of the critics an iteration; paper: 3,000", ge=0)
    gradient_steps: int = setting(40, "m, gradient steps of each such offspring; paper: 150", ge=1)
    discount: float = setting(0.99, "gamma, the paper's", ge=0, le=1)
    learning_rate: float = setting(3e-4, "Adam, actor and critics; the paper's", gt=0, le=10)
    policy_rate: float = setting(5e-3, "Adam, gradient offspring; the paper's", gt=0, le=10)
    target_rate: float = setting(0.005, "tau of the Polyak averages; the paper's", gt=0, le=1)
    target_noise: float = setting(0.2, "smoothing of target actions, half-widths; the paper's", ge=0)
    target_noise_clip: float = setting(0.5, "bound of that noise; the paper's", ge=0)
    policy_delay: int = setting(2, "critic steps for each of the actor; the paper's", ge=1)
    capacity: int = setting(1_000_000, "steps remembered; the paper's", ge=1)
    isotropic: float = setting(0.005, "sigma_1 of the mutation; the paper's", ge=0)
    line: float = setting(0.05, "sigma_2 of the mutation; the paper's", ge=0)
    reward_offset: float = setting(0.0, "added to each reward so that none is negative; Ant in the paper: 3.03")
    iterations: int = setting(90, "after the initial policies; paper: until 1e6 evaluations are spent", ge=1)

    def __post_init__(self) -> None:
        """Check what no single field shows."""
        if self.offspring < 1:
            raise InputError.of("mutated", self.mutated, expected="at least one offspring an iteration of any kind")
        if self.cell_samples < self.cells:
            raise InputError.of("cell_samples", self.cell_samples, expected=f"at least the {self.cells} cells")
        if self.injected and self.actor_hidden != self.hidden:
            cause = "an actor can be folded into a policy only where their hidden layers are alike"
            raise InputError.of("actor_hidden", self.actor_hidden, expected=f"{self.hidden}", cause=cause)
        if not self.learns and (self.gradients or self.injected or self.rollouts):
            raise InputError.of("critic_steps", self.critic_steps, expected="at least 1 where critic or actor are used")
        if self.conditioned_actor and not self.conditioned_critic:
            cause = "a critic that ignores the descriptor cannot teach an actor to heed it"
            raise InputError.of("conditioned_actor", True, expected="conditioned_critic too", cause=cause)
        for name in ("hidden", "actor_hidden", "critic_hidden"):
            if not all(1 <= width <= 65_536 for width in getattr(self, name)):
                raise InputError.of(name, getattr(self, name), expected="whole widths from 1 to 65,536")

    @property
    def offspring(self) -> int:
        """Policies evaluated an iteration, b; and as many initial ones."""
        return self.mutated + self.gradients + self.injected

    @property
    def evaluations(self) -> int:
        """Episodes an iteration, those of the actor included."""
        return self.offspring + self.rollouts

    @property
    def learns(self) -> bool:
        """Whether there are critics at all."""
        return self.critic_steps > 0

    @classmethod
    def tiny(cls) -> "Config":
        """At most 0.3 s a short run; for the battery."""
        return cls(
            cells=12, cell_samples=200, mutated=4, gradients=4, rollouts=2, hidden=(8,), actor_hidden=(8,),
            critic_hidden=(16,), batch=16, critic_steps=6, gradient_steps=3, capacity=40, iterations=3,
        )  # fmt: skip

    @classmethod
    def smoke(cls) -> "Config":
        """A few seconds."""
        return cls(cells=64, cell_samples=2000, mutated=16, gradients=16, rollouts=4, critic_steps=20, iterations=4)

    @classmethod
    def laptop(cls) -> "Config":
        """The study's default: 7,264 evaluations."""
        return cls()

    @classmethod
    def paper(cls) -> "Config":
        """The published settings, with the code's width of the actor, length and roll-outs; 1e6 evaluations."""
        return cls(
            cells=1024, mutated=128, gradients=128, rollouts=64, hidden=(128, 128), actor_hidden=(128, 128),
            critic_hidden=(256, 256), length=0.1, critic_steps=3000, gradient_steps=150, descriptor_noise=0.0,
            iterations=3124,
        )  # fmt: skip


def variant(config: Config, name: str) -> Config:
    """The settings of another search with the same offspring an iteration; `VARIANTS` lists them."""
    if name not in VARIANTS:
        raise InputError.of("algorithm", name, expected=f"one of {', '.join(VARIANTS)}")
    half, whole = config.offspring // 2, config.offspring
    plain: dict[str, Any] = {"conditioned_critic": False, "conditioned_actor": False, "rollouts": 0}
    changes: Mapping[str, dict[str, Any]] = {
        "dcg": {},
        "pga": {**plain, "mutated": whole - half, "gradients": half - 1, "injected": 1, "actor_hidden": config.hidden},
        "map-elites": {**plain, "mutated": whole, "gradients": 0, "injected": 0, "critic_steps": 0},
        "no-rollouts": {"rollouts": 0},
        "random-negatives": {"rollouts": 0, "random_negatives": config.rollouts / config.evaluations},
        "unconditioned-actor": {"conditioned_actor": False},
        "dcrl": {
            "rollouts": 0, "keep_intention": True, "mutated": whole - half, "gradients": half - half // 2,
            "injected": half // 2, "actor_hidden": config.hidden,
        },
    }  # fmt: skip
    return replace(config, **changes[name])


VARIANTS = ("dcg", "pga", "map-elites", "no-rollouts", "random-negatives", "unconditioned-actor", "dcrl")
"""The method; PGA-MAP-Elites; MAP-Elites; the paper's ablations 1 to 3; the successor of arXiv 2401.08632."""
