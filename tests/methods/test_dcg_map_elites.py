"""dcg-map-elites: archive, operators, replay, conditioning, folding; the searches that its settings stand for."""

import copy
import functools
import gc
import math
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.vq import kmeans2
from torch import nn

from livepapers.blocks.populations import DenseStack
from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.loop import Progress, watching
from livepapers.core.rng import generator, numpy_generator
from livepapers.methods import dcg_map_elites as dcg
from livepapers.methods.dcg_map_elites import Archive, Config, DescriptorConditionedSearch, Genotypes, World
from livepapers.tasks.descriptors import Descriptor

TINY = Config.tiny()


@pytest.fixture(scope="module")
def searched() -> DescriptorConditionedSearch:
    learner = dcg.example(TINY, 0)
    for _ in range(3):
        learner.update()
    return learner


def _archive() -> Archive:
    return Archive(torch.tensor([[-0.5, 0.0], [0.5, 0.0]]), 1)


def test_parameter_counts_are_the_published_policies():
    for observation, action, count in ((29, 8, 21_384), (48, 18, 25_106), (19, 6, 19_846)):
        space = Box(-np.inf, np.inf, (observation,), np.float32)
        assert Genotypes(space, Box(-1, 1, (action,), np.float32), hidden=(128, 128)).parameters == count


def test_initial_weights_are_lecun_uniform_and_biases_zero():
    stack = DenseStack([300, 50, 2], torch.relu)
    (weight, bias), (last, _) = stack.layers(stack.initial(4, generator(0)))
    assert float(weight.std() * math.sqrt(300)) == pytest.approx(1.0, abs=0.02)
    assert float(weight.abs().max()) <= math.sqrt(3 / 300)
    assert float(last.std() * math.sqrt(50)) == pytest.approx(1.0, abs=0.1)
    assert not bias.any()


def test_the_best_of_a_cell_gets_in_and_ties_do_not_replace():
    archive = _archive()
    places = torch.tensor([[-0.4, 0.1], [-0.6, 0.0], [-0.5, 0.3], [0.9, 0.9]])
    genomes = torch.arange(4.0)[:, None]
    assert archive.add(genomes, torch.tensor([1.0, 5.0, 5.0, 0.0]), descriptors=places).tolist() == [
        False, True, False, True,
    ]  # fmt: skip
    assert archive.genomes.flatten().tolist() == [1.0, 3.0]
    again = archive.add(genomes + 10, torch.tensor([5.0, 4.0, 5.0, 0.0]), descriptors=places)
    assert not again.any(), "ties with the incumbent do not replace it"
    assert archive.add(genomes[:1] + 20, torch.tensor([5.5]), descriptors=places[:1]).all()
    assert (archive.qd_score, archive.coverage, archive.best) == (5.5, 1.0, 5.5)
    assert archive.descriptors[0].tolist() == pytest.approx([-0.4, 0.1])


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 5)), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_adding_never_lowers_a_cell_and_adding_twice_changes_nothing(rows: list[tuple[float, float, int]]):
    archive = Archive(dcg.voronoi_centroids(5, 2, samples=50, seed=1), 1)
    places = torch.tensor([row[:2] for row in rows], dtype=torch.float32)
    fitness = torch.tensor([float(row[2]) for row in rows])
    half = len(rows) // 2 + 1
    archive.add(torch.zeros(half, 1), fitness[:half], descriptors=places[:half])
    before = archive.fitness.clone()
    archive.add(torch.zeros(len(rows), 1), fitness, descriptors=places)
    assert bool((archive.fitness >= before).all())
    assert not archive.add(torch.zeros(len(rows), 1), fitness, descriptors=places).any()
    assert torch.equal(archive.cells(archive.descriptors[archive.occupied]), archive.occupied)


def test_only_occupied_cells_are_drawn_and_what_is_not_finite_is_refused():
    archive = Archive(dcg.voronoi_centroids(20, 2, samples=400, seed=0), 1)
    with pytest.raises(InputError, match="archive"):
        archive.sample(1, generator(0))
    archive.add(torch.zeros(3, 1), torch.ones(3), descriptors=torch.tensor([[0.9, 0.9], [-0.9, 0.0], [0.0, -0.9]]))
    assert set(archive.sample(100, generator(0)).tolist()) == set(archive.occupied.tolist())
    assert archive.nearest(torch.tensor([-1.0, 0.1])) == int(archive.cells(torch.tensor([[-0.9, 0.0]])))
    for fitness, place in ((math.nan, 0.0), (math.inf, 0.0), (1.0, math.nan)):
        with pytest.raises(InputError, match="policy 0"):
            archive.add(torch.zeros(1, 1), torch.tensor([fitness]), descriptors=torch.full((1, 2), place))
    with pytest.raises(InputError, match="cell_samples"):
        dcg.voronoi_centroids(20, 2, samples=10, seed=0)


def test_centroids_are_even_and_repeat():
    found = dcg.voronoi_centroids(64, 2, samples=5000, seed=3)
    assert torch.equal(found, dcg.voronoi_centroids(64, 2, samples=5000, seed=3))
    owners = (2 * torch.rand(20_000, 2, generator=generator(9)) - 1)[:, None] - found
    counts = torch.bincount(owners.square().sum(-1).argmin(1), minlength=64)
    assert counts.min() > 0.5 * 20_000 / 64


def test_many_cells_or_few_samples_a_cell_have_centroids_too_and_are_told_of():
    told: list[Progress] = []
    with watching(told.append):
        many = dcg.voronoi_centroids(3000, 2, samples=7500, seed=3)
    assert [one.step for one in told] == list(range(1, 11))
    assert {(one.name, one.updates) for one in told} == {("cells of the archive", 10)}
    assert torch.equal(many, dcg.voronoi_centroids(3000, 2, samples=7500, seed=3))
    for cells, samples in ((3000, 7500), (300, 320)):  # k-means from random starts leaves cells of both empty
        found = dcg.voronoi_centroids(cells, 2, samples=samples, seed=3)
        assert found.shape == (cells, 2)
        assert len(torch.unique(found, dim=0)) == cells
        assert float(found.abs().max()) < 1.0
    even = dcg.voronoi_centroids(2000, 2, samples=40_000, seed=3)
    owners = Archive(even, 1).cells(2 * torch.rand(40_000, 2, generator=generator(9)) - 1)
    assert torch.bincount(owners, minlength=2000).min() > 5


def test_cells_of_the_paper_and_fewer_are_plain_k_means():
    points = (2 * torch.rand(2000, 2, generator=generator(3, "archive", "samples")) - 1).double().numpy()
    start = points[numpy_generator(3, "archive", "k-means").choice(2000, 64, replace=False)]
    found, _ = kmeans2(points, start, iter=30, minit="matrix")
    assert torch.equal(dcg.voronoi_centroids(64, 2, samples=2000, seed=3), torch.from_numpy(found).float())


def test_populations_are_their_policies_one_by_one():
    genotypes = Genotypes(
        Box(-1, 1, (3,)), Box(np.array([0, -2], np.float32), np.array([4, 2], np.float32)), hidden=(7, 5)
    )
    theta, seen = genotypes.stack.initial(4, generator(0)), torch.randn(4, 6, 3, generator=generator(1))
    found = genotypes.forward(theta, seen)
    for genome, x, actions in zip(theta, seen, found, strict=True):
        assert torch.allclose(genotypes.policy(genome)(x), actions, atol=1e-5)
        assert torch.equal(nn.utils.parameters_to_vector(genotypes.policy(genome).parameters()), genome)
    for wrong in (Discrete(2), Box(-np.inf, np.inf, (1,))):
        with pytest.raises(InputError, match="action space"):
            Genotypes(Box(-1, 1, (3,)), wrong, hidden=(4,))


def test_steps_that_the_horizon_cut_have_no_error(searched: DescriptorConditionedSearch):
    learner = dcg.example(TINY, 0)
    learner.update()
    rows = learner.replay.sample(16, generator(0))
    cut = {**rows, "truncated": torch.ones(16, dtype=torch.bool)}
    before = [value.clone() for value in learner.taught.critics.parameters()]
    loss, _, _ = learner.taught.learn(dcg.conditioned_batch(cut, 0.1))
    assert loss == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, learner.taught.critics.parameters(), strict=True))


def test_critic_targets_move_at_every_step_and_the_actors_at_its_own():
    learner = dcg.example(TINY, 0)
    learner.update()
    batch = dcg.conditioned_batch(learner.replay.sample(16, generator(0)), 0.1)
    actor, critic = (next(learner.taught.targets[name].parameters()).clone() for name in ("actor", "critics"))
    learner.taught.learn(batch)
    assert torch.equal(next(learner.taught.targets["actor"].parameters()), actor)
    assert not torch.equal(next(learner.taught.targets["critics"].parameters()), critic)
    learner.taught.learn(batch)
    assert not torch.equal(next(learner.taught.targets["actor"].parameters()), actor)


def test_the_replay_knows_what_was_achieved_and_what_was_asked():
    learner = dcg.example(replace(TINY, capacity=10_000), 0)
    learner.update()
    rows = learner.replay.state_dict()["columns"]
    assert torch.equal(rows["asked"], rows["achieved"]), "offspring are asked for what they achieved"
    ends = rows["following"][rows["truncated"], :2]
    assert torch.allclose(rows["achieved"][rows["truncated"]], ends, atol=1e-6), "where the episode ended"
    assert len(rows["reward"]) == 8 * 5
    learner.update()
    rows = learner.replay.state_dict()["columns"]
    assert len(rows["reward"]) == 2 * 8 * 5 + 2 * 5
    played = slice(2 * 8 * 5, None)
    assert not torch.allclose(rows["asked"][played], rows["achieved"][played])
    nearest = torch.cdist(rows["asked"][played], learner.archive.descriptors[learner.archive.occupied]).amin(1)
    assert float(nearest.max()) < 6 * learner.config.descriptor_noise


def test_the_successor_asks_for_what_was_intended():
    config = dcg.variant(replace(TINY, capacity=10_000), "dcrl")
    assert (config.mutated, config.gradients, config.injected, config.rollouts) == (4, 2, 2, 0)
    learner = dcg.example(config, 0)
    learner.update()
    parents = learner.archive.descriptors.clone()
    learner.update()
    rows = learner.replay.state_dict()["columns"]
    same = (rows["asked"] == rows["achieved"]).all(1)
    assert bool(same[: 12 * 5 // 5].all())
    meant = rows["asked"][~same]
    assert len(meant) == 4 * 5
    assert float(torch.cdist(meant, parents).amin(1).max()) < 1e-6


def test_evaluations_count_the_actors_episodes():
    for name, each in (("dcg", 10), ("pga", 8), ("map-elites", 8), ("no-rollouts", 8), ("unconditioned-actor", 10)):
        learner = dcg.example(dcg.variant(TINY, name), 0)
        metrics = [learner.update() for _ in range(3)][-1]
        assert learner.work()["evaluations"] == 8 + 2 * each, name
        assert learner.work()["environment_steps"] == 5 * learner.work()["evaluations"], name
        assert set(metrics) == set(dcg.METRICS)


def test_pgas_last_offspring_is_its_greedy_actor():
    learner = dcg.example(dcg.variant(TINY, "pga"), 0)
    learner.update()
    learner.update()
    made = learner._vary()
    seen = torch.randn(9, 4, generator=generator(0))
    found = learner.genotypes.policy(made.genomes[-1])(seen)
    assert torch.allclose(found, learner.act(seen, torch.zeros(9, 2)), atol=1e-6)
    assert made.genomes.shape[0] == 8


def test_gradient_offspring_are_valued_higher_in_their_own_place(searched: DescriptorConditionedSearch):
    cells = searched.archive.occupied[:4]
    parents, asked = searched.archive.genomes[cells], searched.archive.descriptors[cells]
    rows = searched.replay.sample(40, generator(0))["observation"]
    critic = searched.taught.critics[0]
    before = copy.deepcopy(critic.state_dict())
    kept = parents.clone()
    made = dcg.policy_gradient(
        parents, asked, genotypes=searched.genotypes, critic=critic, states=rows.unflatten(0, (10, 4)), rate=5e-3
    )
    assert torch.equal(parents, kept)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), critic.state_dict().values(), strict=True))
    fresh = torch.randn(50, 4, generator=generator(1)) * rows.std(0)

    def value(genomes: torch.Tensor) -> torch.Tensor:
        seen = fresh.expand(len(genomes), 50, 4)
        told = torch.cat([seen, asked[:, None].expand(len(genomes), 50, 2)], -1).flatten(0, 1)
        actions = searched.genotypes.forward(genomes, seen).flatten(0, 1)
        return critic(told, actions).unflatten(0, (len(genomes), 50)).mean(1)

    assert bool((value(made) > value(parents)).all())


def test_random_requests_replace_their_share():
    rows = {"asked": torch.full((20_000, 2), 5.0), "reward": torch.ones(20_000)}
    found = dcg.with_random_requests(rows, 0.2, generator(0))
    changed = (found["asked"] != 5.0).all(1)
    assert float(changed.double().mean()) == pytest.approx(0.2, abs=0.01)
    assert float(found["asked"][changed].abs().max()) <= 1.0
    assert bool((rows["asked"] == 5.0).all())


def test_a_folded_actor_is_a_genome_that_acts_alike(searched: DescriptorConditionedSearch):
    wanted = torch.tensor([[0.3, -0.8], [0.0, 0.1]])
    genomes, seen = searched._actor_genomes(wanted), torch.randn(2, 6, 4, generator=generator(0))
    found = searched.genotypes.forward(genomes, seen)
    for place, x, actions in zip(wanted, seen, found, strict=True):
        assert torch.allclose(searched.act(x, place.expand(6, 2)), actions, atol=1e-5)
    policy = searched.policy()
    best = searched.archive.descriptors[int(searched.archive.fitness.argmax())]
    assert torch.allclose(policy(seen[0]), searched.act(seen[0], best.expand(6, 2)), atol=1e-5)
    assert torch.equal(policy.wanted, searched.world.descriptor.restored(best))
    with pytest.raises(RuntimeError, match="conditioned"):
        dcg.example(dcg.variant(TINY, "pga"), 0).policy()


def test_policies_evaluated_again_in_the_same_world_are_what_they_were():
    """Without a random start nothing is chance: stored and corrected scores agree."""
    learner = dcg.example(TINY, 0)
    learner.update()
    stored = learner.archive.qd_score
    again = learner.corrected(5)
    assert again.qd_score <= stored + 1e-3
    assert 0.0 <= again.error < 0.2
    assert again.coverage <= learner.archive.coverage + 1e-9


def test_stored_scores_only_rise(searched: DescriptorConditionedSearch):
    learner = dcg.example(TINY, 4)
    scores = [learner.update()["qd_score"] for _ in range(4)]
    assert scores == sorted(scores)


def test_what_describes_an_episode():
    def ends(seen: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> tuple[float, float]:
        assert (len(seen), len(actions), len(rewards)) == (6, 5, 5)
        return 10 * seen[-1, 0], 10 * seen[-1, 1]

    def act(seen: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[1.0, -0.5]]).expand(len(seen), 2)

    box = functools.partial(Descriptor, ("x", "y"), (-10.0, -10.0), (10.0, 10.0))
    own = World.of("point-omni?horizon=5")
    assert own == World.of("point-omni", own.descriptor, horizon=5)
    found = dcg.Player(own, 0.0)(act, 3, seed=1)
    by_function = dcg.Player(World.of("point-omni", box(function=ends), horizon=5), 0.0)
    assert torch.allclose(found.descriptor, by_function(act, 3, seed=1).descriptor, atol=1e-5)
    mean = box(columns=(0, 1), unit=10.0, statistic="mean")
    averaged = dcg.Player(World.of("point-omni", mean, horizon=5), 0.0)(act, 3, seed=1).descriptor
    rows = found.steps["following"][:, :2].reshape(5, 3, 2).mean(0)
    assert torch.allclose(averaged, rows, atol=1e-6)
    near = Descriptor(("x", "y"), (-0.01, -0.01), (0.01, 0.01), columns=(0, 1), unit=10.0)
    assert dcg.Player(World.of("point-omni", near, horizon=5), 0.0)(act, 3, seed=1).outside == 3
    wrong = box(function=lambda *_: [1.0])
    player = dcg.Player(World.of("point-omni", wrong, horizon=5), 0.0)
    with pytest.raises(InputError, match="expected 2 numbers, one a descriptor"):
        player(act, 3, seed=1)


def test_a_function_that_works_in_place_leaves_the_replay_as_it_was():
    def plain(seen: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        return seen[-1, :1]

    def spoiling(seen: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        said = plain(seen, actions, rewards).copy()
        for given_to_it in (seen, actions, rewards):
            given_to_it.fill(0)
        return said

    found = []
    for function in (plain, spoiling):
        player = dcg.Player(World.of("point-omni", Descriptor(("x",), (-9.0,), (9.0,), function=function)), 0.0)
        found.append(player(lambda seen: torch.full((len(seen), 2), 0.5), 3, seed=0))
    assert torch.equal(found[0].descriptor, found[1].descriptor)
    for name, column in found[0].steps.items():
        assert torch.equal(column, found[1].steps[name]), name


def test_spaces_without_a_number_are_refused():
    some, none = Box(-1, 1, (2,)), Box(-1, 1, (0,))
    for seen, acts in ((none, some), (some, none)):
        with pytest.raises(InputError, match="at least one number"):
            Genotypes(seen, acts, hidden=(4,))


def test_negative_rewards_and_impossible_descriptors_are_refused():
    box = Descriptor(("x",), (-1.0,), (1.0,), columns=(0,))
    pendulum = dcg.Player(World.of("Pendulum-v1", box), 0.0)
    with pytest.raises(InputError, match=r"reward.*offset"):
        pendulum(lambda seen: torch.zeros(len(seen), 1), 2, seed=0)
    line = functools.partial(Descriptor, ("x",), (-1.0,), (1.0,))
    for spoiled in (line(columns=(9,)), line(keys=("x",))):
        with pytest.raises(InputError, match="descriptor"):
            dcg.Player(World.of("point-omni", spoiled), 0.0)
    with pytest.raises(InputError, match="descriptor: got nothing"):
        World.of("Pendulum-v1")
    with pytest.raises(InputError, match=r"^env: got nosuch-env"):
        World.of("nosuch-env")


class Counted(gymnasium.Env):
    """Gives what its arguments say, for as long as its seed says; how many copies of it there are is counted."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    action_space = Box(-1.0, 1.0, (1,), np.float32)
    copies: ClassVar[weakref.WeakSet["Counted"]] = weakref.WeakSet()
    most = 0

    def __init__(self, reward: float = 1.0, seen: float = 0.0, steps: int = 4) -> None:
        self.reward, self.seen, self.steps, self.left = reward, seen, steps, 0
        Counted.copies.add(self)
        Counted.most = max(Counted.most, len(Counted.copies))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(1, self.steps + 1))
        return np.array([self.left], np.float32), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        return np.array([self.left + self.seen + float(action[0])], np.float32), self.reward, self.left <= 0, False, {}


gymnasium.register(id="DcgCounted-v0", entry_point=f"{__name__}:Counted", disable_env_checker=True)
COUNTED = Descriptor(("left",), (-2.0,), (5.0,), columns=(0,))


def _counted(**arguments: float) -> dcg.Player:
    return dcg.Player(World.of("DcgCounted-v0", COUNTED, **arguments), 0.0)


@pytest.mark.parametrize("spoilt", ["reward", "seen"])
def test_numbers_that_are_not_finite_are_the_environments(spoilt: str):
    what = {"reward": "rewards", "seen": "observations"}[spoilt]
    player = _counted(**{spoilt: math.nan})
    with pytest.raises(InputError, match=f"^the environment's {what}: got nan, expected finite numbers"):
        player(lambda seen: torch.zeros(len(seen), 1), 3, seed=0)


def test_the_offset_that_would_do_is_named_with_the_environments_own_reward():
    world = World.of("DcgCounted-v0", COUNTED, reward=-112.8)
    with pytest.raises(
        InputError, match=r"^reward: got -112\.8 of the environment and an offset of 100, .* least 113\)"
    ):
        dcg.Player(world, 100.0)(lambda seen: torch.zeros(len(seen), 1), 3, seed=0)
    found = dcg.Player(world, 113.0)(lambda seen: torch.zeros(len(seen), 1), 3, seed=0)
    assert float(found.fitness.min()) > 0.0


def test_large_batches_need_no_more_copies_than_an_environment_may_have(monkeypatch: pytest.MonkeyPatch):
    actions = torch.linspace(-1, 1, 150)[:, None]

    def policies(rows: slice) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda _: actions[rows]

    Counted.most = len(Counted.copies)
    before, player = Counted.most, _counted()
    parts = player.in_parts(policies, 150, seed=7 << 32)
    few = player.in_parts(policies, 20, seed=7 << 32)
    gc.collect()
    assert Counted.most - before <= 65  # one to look at, and 64
    assert len(Counted.copies) - before <= 64
    monkeypatch.setattr("livepapers.methods.dcg_map_elites.episodes.ENVIRONMENTS", 200)
    whole = _counted().in_parts(policies, 150, seed=7 << 32)
    assert torch.equal(parts.fitness, whole.fitness)
    assert torch.equal(parts.descriptor, whole.descriptor)
    assert torch.equal(few.descriptor, whole.descriptor[:20])
    assert parts.owner.bincount().tolist() == whole.owner.bincount().tolist() == whole.fitness.int().tolist()
    order = torch.argsort(whole.owner, stable=True)
    back = torch.argsort(parts.owner, stable=True)
    for name, column in whole.steps.items():
        assert torch.equal(parts.steps[name][back], column[order]), name


def test_simulators_play_any_number_side_by_side(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("livepapers.methods.dcg_map_elites.episodes.SIMULATED", 2)
    player, seen = dcg.Player(World.of("point-omni", horizon=3), 0.0), []

    def policies(rows: slice) -> Callable[[torch.Tensor], torch.Tensor]:
        seen.append(rows)
        return lambda flat: torch.zeros(len(flat), 2)

    assert len(player.in_parts(policies, 5, seed=0).fitness) == 5
    assert seen == [slice(0, 5)]


def test_episodes_that_do_not_end_are_told_of_and_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("livepapers.methods.dcg_map_elites.episodes.LONGEST", 40)
    monkeypatch.setattr("livepapers.methods.dcg_map_elites.episodes.TOLD_EVERY", 10)
    told: list[Progress] = []
    with watching(told.append), pytest.raises(InputError, match=r"over 40 steps, .*max_episode_steps"):
        _counted(steps=10**6)(lambda seen: torch.zeros(len(seen), 1), 2, seed=0)
    assert [(one.step, one.updates) for one in told] == [(10, 40), (20, 40), (30, 40), (40, 40)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mutated": 0, "gradients": 0}, "mutated"),
        ({"cells": 300, "cell_samples": 200}, "cell_samples"),
        ({"injected": 2, "actor_hidden": (9,)}, "actor_hidden"),
        ({"critic_steps": 0}, "critic_steps"),
        ({"conditioned_critic": False}, "conditioned_actor"),
        ({"hidden": (0,)}, "hidden"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes: dict, named: str):
    with pytest.raises(InputError, match=named):
        replace(TINY, **changes)
    with pytest.raises(InputError, match="algorithm"):
        dcg.variant(TINY, "nslc")


def test_a_spoiled_state_is_refused_and_changes_nothing(searched: DescriptorConditionedSearch):
    state = searched.state_dict()
    score = searched.archive.qd_score
    for part, key in (("networks", "actor"), ("streams", "varying"), ("archive", "fitness")):
        spoiled = {**state, part: {name: value for name, value in state[part].items() if name != key}}
        with pytest.raises(CorruptFileError):
            searched.load_state_dict(spoiled)
    assert searched.archive.qd_score == score
    with pytest.raises(CorruptFileError, match="archive"):
        Archive.of_state({"centroids": torch.zeros(3, 2)})
