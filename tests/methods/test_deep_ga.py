"""The terms of deep-ga: genomes that rebuild anywhere, selection, novelty, networks of populations; the learners."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import deep_ga
from livepapers.methods.deep_ga import Config, Genome, Layout
from livepapers.tasks.cart_pole import CartPole
from livepapers.tasks.hard_maze import HardMaze
from livepapers.tasks.vector import GymnasiumTask

IMAGES = Box(0, 255, (4, 84, 84), np.uint8)
MAZE = deep_ga.maze_layout()
seeds = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30)


def genome(values: list[int], sigma: float = 0.05) -> Genome:
    return Genome(tuple(values), (float(np.float32(sigma)),) * (len(values) - 1), MAZE.signature)


def test_parameter_counts_are_the_published_networks():
    assert Layout(IMAGES, Discrete(18), hidden="large").parameters == 4_052_658
    assert Layout(IMAGES, Discrete(18), hidden="small").parameters == 1_008_450
    assert MAZE.parameters == 11 * 16 + 16 + 16 * 16 + 16 + 16 * 2 + 2 == 498


def test_initial_weights_have_the_scale_of_their_layer_and_no_bias():
    layout = Layout(IMAGES, Discrete(18), hidden="small")
    theta = deep_ga.initial_weights(3, layout.scale())
    first, last = theta[: 16 * 4 * 64], theta[-18 * 256 - 18 : -18]
    assert first.std() * np.sqrt(4 * 64) == pytest.approx(1.0, abs=0.05)
    assert last.std() * np.sqrt(256) == pytest.approx(0.1, abs=0.005)
    assert not theta[-18:].any()


@given(seeds, seeds)
@settings(max_examples=40, deadline=None)
def test_genomes_survive_bytes_and_json(first: list[int], more: list[int]):
    made = genome(first)
    for seed in more:
        made = made.mutated(seed, 0.002)
    assert Genome.from_bytes(made.to_bytes()) == made == Genome.from_json(json.loads(json.dumps(made.to_json())))
    assert len({made, Genome.from_bytes(made.to_bytes())}) == 1
    assert made.lineage()[-1] == made
    assert made.parent == made.lineage()[-2]
    assert made.generation == len(first) + len(more) - 1


def test_a_child_is_its_parent_plus_scaled_noise_exactly():
    parent = genome([4, 9])
    child = parent.mutated(77, 0.002)
    expected = parent.decode(MAZE.scale()) + np.float32(0.002) * deep_ga.noise(77, 498)
    assert child.decode(MAZE.scale()).tobytes() == expected.tobytes()


def test_size_grows_by_four_bytes_a_generation_whatever_the_network():
    sizes = [len(genome(list(range(g + 1)), 0.002).to_bytes()) for g in (10, 11, 400)]
    assert sizes[1] - sizes[0] == 4
    assert sizes[2] == 24 + 4 * 401 + 8
    assert 4 * Layout(IMAGES, Discrete(18), hidden="large").parameters / sizes[2] > 9_900


def test_a_fresh_process_rebuilds_the_same_bits():
    made = genome([2**32 - 1, 5, 123_456, 0])
    program = (
        "import sys, hashlib; from livepapers.methods import deep_ga;"
        "g = deep_ga.Genome.from_bytes(bytes.fromhex(sys.argv[1]));"
        "print(hashlib.sha256(g.decode(deep_ga.maze_layout().scale()).tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "99", "OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "default"}
    command = [sys.executable, "-c", program, made.to_bytes().hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == hashlib.sha256(made.decode(MAZE.scale()).tobytes()).hexdigest()


def test_the_noise_of_a_seed_never_changes():
    """Genomes that somebody saved must stay the networks that they were."""
    values = deep_ga.noise(1, 9)
    assert values.dtype == np.float32
    assert (
        hashlib.sha256(values.tobytes()).hexdigest()
        == "e1e49c06835140b20807d0ece66ee6cb96a11aee6ee710c5db7759ccc59e3011"
    )
    assert deep_ga.noise(1, 5).tobytes() == values[:5].tobytes()
    assert deep_ga.normal_table().std() == pytest.approx(1.0, abs=1e-6)


def test_noise_is_of_its_seed_alone_whatever_was_drawn_before_and_in_whichever_thread():
    def plain(seed: int, size: int) -> bytes:
        raw = np.random.Philox(key=seed).random_raw(-(-size // 4)).astype("<u8")
        return deep_ga.normal_table()[raw.view("<u2")[:size]].tobytes()

    asked = [(seed, 1 + seed % 7) for seed in (*range(200), 2**32 - 1)]
    expected = [plain(*one) for one in asked]
    assert [deep_ga.noise(*one).tobytes() for one in asked] == expected
    with ThreadPoolExecutor(4) as threads:
        assert [one.tobytes() for one in threads.map(lambda one: deep_ga.noise(*one), 20 * asked)] == 20 * expected


def test_the_cache_of_parents_changes_no_bit_and_is_keyed_by_all_seeds():
    decoder = deep_ga.Decoder(MAZE.scale(), MAZE.signature, keep=2)
    one, other = genome([1, 2]), genome([3, 2])
    decoder.remember([one, other])
    for parent in (one, other):
        child = parent.mutated(9, 0.05)
        assert decoder(child).tobytes() == child.decode(MAZE.scale()).tobytes()
    assert decoder(one).tobytes() != decoder(other).tobytes()
    with pytest.raises(InputError, match="another architecture"):
        decoder(Genome((1,), (), "00" * 8))


def test_genomes_that_cannot_be_are_refused():
    lists = [((), ()), ((-1,), ()), ((2**32,), ()), ((1.5,), ()), ((True,), ()), ((1, 2), ())]
    bad_sigmas = [((1, 2), (sigma,)) for sigma in (0.0, -1.0, np.inf, np.nan)]
    for values, sigmas in (*lists, *bad_sigmas):
        with pytest.raises(InputError):
            Genome(values, sigmas, MAZE.signature)
    data = genome([1, 2, 3]).to_bytes()
    for bad in (b"", data[:-1], b"X" + data[1:], data + b"0", data[:20] + b"\xff" * 4 + data[24:]):
        with pytest.raises(CorruptFileError, match="genome"):
            Genome.from_bytes(bad)
    for broken in ({}, {"seeds": 3, "sigmas": [], "signature": ""}, {"seeds": ["a"], "sigmas": [], "signature": "0"}):
        with pytest.raises(CorruptFileError, match="genome"):
            Genome.from_json(broken)


def test_signatures_tell_architectures_apart():
    box, more = Box(0, 1, (11,)), Box(0, 2, (11,))
    layouts = [
        MAZE, Layout(box, Discrete(2)), Layout(box, Discrete(3)), Layout(more, Discrete(2)),
        Layout(box, Discrete(2), hidden=(16,)), Layout(box, Discrete(2), activation="tanh"),
    ]  # fmt: skip
    assert len({layout.signature for layout in layouts}) == len(layouts)
    assert Layout(box, Discrete(2)).signature == layouts[1].signature


def test_image_networks_are_tensorflows_same_padded_convolutions():
    layout = Layout(IMAGES, Discrete(6), hidden="small")
    theta = torch.stack([torch.from_numpy(deep_ga.initial_weights(s, layout.scale())) for s in (1, 2)])
    theta = theta + 0.01 * torch.randn(theta.shape, generator=generator(0, "biases"))
    seen = torch.randint(0, 256, (2, 3, 4, 84, 84), generator=generator(0, "images"), dtype=torch.uint8)
    for weights, x, found in zip(theta, seen.float() / 255, layout.forward(theta, seen), strict=True):
        one, two = nn.Conv2d(4, 16, 8, 4), nn.Conv2d(16, 32, 4, 2)
        three, four = nn.Linear(32 * 11 * 11, 256), nn.Linear(256, 6)
        nn.utils.vector_to_parameters(weights, [p for m in (one, two, three, four) for p in m.parameters()])
        hidden = torch.relu(one(functional.pad(x, (2, 2, 2, 2))))  # 84 -> 21: 4 in all
        hidden = torch.relu(two(functional.pad(hidden, (1, 2, 1, 2))))  # 21 -> 11: 3 in all, the odd one last
        expected = four(torch.relu(three(hidden.flatten(1))))
        assert torch.allclose(found, expected, atol=1e-4)


def test_actions_of_each_kind_of_space():
    box = Box(-1, 1, (3,))
    theta = torch.from_numpy(deep_ga.noise(1, Layout(box, MultiDiscrete([3, 2], start=[5, 1])).parameters))[None]
    many = Layout(box, MultiDiscrete([3, 2], start=[5, 1])).act(theta, torch.rand(1, 50, 3, generator=generator(0)))[0]
    assert (many[:, 0] >= 5).all()
    assert (many[:, 1] <= 2).all()
    wide = Layout(box, Box(np.array([0, -1], np.float32), np.array([10, 1], np.float32)))
    chosen = wide.chosen(torch.tensor([[0.0, 0.0], [0.2, 9.0], [-9.0, -0.25]]))
    assert torch.allclose(chosen, torch.tensor([[5.0, 0.0], [7.0, 1.0], [0.0, -0.5]]))
    assert MAZE.chosen(torch.tensor([[0.3, -7.0]])).tolist()[0] == pytest.approx([0.3, -0.5])
    free = Layout(box, Box(-np.inf, np.inf, (1,)))
    assert float(free.chosen(torch.tensor([[41.0]]))) == 41.0
    for space in (gymnasium.spaces.MultiBinary(3), gymnasium.spaces.Dict({})):
        with pytest.raises(InputError, match="action space"):
            Layout(box, space)
    with pytest.raises(InputError, match="images"):
        Layout(box, Discrete(2), hidden="large")


def test_a_box_is_left_at_none_of_its_sides_whichever_it_has():
    low, high = (
        np.array([0, 5, -np.inf, -np.inf, -2], np.float32),
        np.array([1, np.inf, -3, np.inf, np.inf], np.float32),
    )
    layout = Layout(Box(-1, 1, (3,)), Box(low, high))
    chosen = layout.chosen(torch.tensor([[0.0] * 5, [0.25, 2.0, -2.0, 41.0, 2.0], [-9.0, -9.0, 9.0, -41.0, -9.0]]))
    assert chosen.tolist() == [[0.5, 5, -3, 0, 0], [0.75, 7, -5, 41, 2], [0, 5, -3, -41, -2]]


@pytest.mark.parametrize(
    ("seen", "acts", "hidden", "said"),
    [
        (Box(-1, 1, (3,)), Box(0, 5, (2,), np.int64), (8,), "action space.*real numbers.*MultiDiscrete"),
        (Box(-1, 1, (3,)), Box(0, 5, (0,)), (8,), "action space.*at least one number"),
        (Box(-1, 1, (0,)), Discrete(2), (8,), "observation space.*at least one number"),
        (Box(0, 255, (36, 40, 3), np.uint8), Discrete(2), "small", "36 x 40 x 3.*channels come last"),
        (Box(0, 255, (10, 10, 6), np.uint8), Discrete(2), "large", "channels x height x width"),
    ],
)
def test_spaces_that_no_network_fits_are_told_in_one_line(seen: Box, acts: Any, hidden: Any, said: str):
    with pytest.raises(InputError, match=said) as caught:
        Layout(seen, acts, hidden=hidden)
    assert "\n" not in str(caught.value)


def test_genomes_of_bounded_and_of_free_boxes_mean_what_they_did():
    for name, signature in (("cart-pole", "88364fbdace8f925"), ("clipped-pendulum", "5388cf2468b54e4d")):
        assert Layout(*deep_ga.world_of(name)[1:]).signature == signature
    assert MAZE.signature == "724f5c93ef9845ec"
    low, high = torch.tensor([0.1, -0.3]), torch.tensor([0.7, 0.4])
    outputs = torch.randn(100, 2, generator=generator(0))
    expected = torch.clamp((low + high) / 2.0 + (high - low) * outputs, low, high)
    assert torch.equal(Layout(Box(-1, 1, (3,)), Box(low.numpy(), high.numpy())).chosen(outputs), expected)


def test_ties_keep_their_order_and_scores_that_are_no_numbers_are_refused():
    assert deep_ga.ranking(torch.tensor([1.0, 3.0, 3.0, 0.0])) == [1, 2, 0, 3]
    for bad in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="individual 1"):
            deep_ga.ranking(torch.tensor([0.0, bad]))


@given(st.permutations(range(12)), st.integers(0, 20), st.integers(1, 12))
def test_the_elite_is_always_a_parent_and_a_candidate(ranked: list[int], elite: int, count: int):
    parents = deep_ga.next_parents(ranked, elite, count)
    assert parents[0] == elite
    assert len(parents) == len(set(parents)) == count
    if elite in ranked[:count]:
        assert set(parents) == set(ranked[:count])
    else:
        assert parents[1:] == ranked[: count - 1]
    candidates = deep_ga.elite_candidates(ranked, elite, 10)
    assert candidates[0] == elite
    assert len(set(candidates)) == 10
    assert deep_ga.elite_candidates(ranked, None, 10) == ranked[:10]


def test_novelty_on_points_by_hand():
    points = torch.tensor([[0.0, 0.0], [0.0, 2.0], [5.0, 0.0]])
    assert deep_ga.novelty(points, torch.empty(0, 2), 2).tolist() == [14.5, 16.5, 27.0]
    assert deep_ga.novelty(points, torch.tensor([[0.0, 0.0]]), 1).tolist() == [0.0, 4.0, 25.0]
    assert deep_ga.novelty(points, torch.empty(0, 2), 99).tolist() == [14.5, 16.5, 27.0]
    with pytest.raises(InputError, match="individual 1"):
        deep_ga.novelty(torch.tensor([[0.0], [float("nan")]]), torch.empty(0, 1), 1)
    with pytest.raises(InputError, match="two behaviours"):
        deep_ga.novelty(torch.zeros(1, 1), torch.empty(0, 1), 1)


def test_the_archive_takes_its_share_and_stays_within_its_size():
    archive, stream = deep_ga.NoveltyArchive(400, 1), generator(0, "archive")
    archive.add(torch.arange(20_000.0)[:, None], 0.01, stream)
    assert archive.count == pytest.approx(200, abs=50)
    before = archive.count
    archive.add(torch.full((1000, 1), -1.0), 1.0, stream)
    assert archive.count == 400
    assert int((archive.behaviours == -1.0).sum()) > 400 - before
    archive.add(torch.zeros(9, 1), 0.0, stream)
    assert int((archive.behaviours == -1.0).sum()) > 0


def test_centred_ranks_and_the_gradient_of_a_quadratic():
    assert deep_ga.centred_ranks(torch.tensor([3.0, -1.0, 9.0])).tolist() == [0.0, -0.5, 0.5]
    theta, target = torch.zeros(3), torch.tensor([1.0, -2.0, 0.5])
    epsilon = torch.randn(2000, 3, generator=generator(0, "quadratic"))

    def fitness(at: torch.Tensor) -> torch.Tensor:
        return -(at - target).square().sum(1)

    scores = torch.cat([fitness(theta + 0.1 * epsilon), fitness(theta - 0.1 * epsilon)])
    found = deep_ga.strategy_gradient(scores, epsilon, 0.1)
    assert float(functional.cosine_similarity(found, target, dim=0)) > 0.99


def test_all_algorithms_count_their_evaluations_alike():
    spent = {}
    for algorithm in deep_ga.ALGORITHMS:
        learner = deep_ga.example(replace(Config.tiny(), algorithm=algorithm, validation=0), 0)
        for _ in range(3):
            learner.update()
        spent[algorithm] = learner.work()
    rules = deep_ga.StrategyConfig(pairs=6)
    strategy = deep_ga.EvolutionStrategy(HardMaze(20), MAZE, config=rules, seed=0)
    for _ in range(3):
        strategy.update()
    assert {work["evaluations"] for work in spent.values()} == {36} == {strategy.work()["evaluations"]}
    assert {work["environment_steps"] for work in spent.values()} == {720} == {strategy.work()["environment_steps"]}


def test_one_lucky_episode_does_not_make_an_elite():
    """On the cart-pole, the validated mean of the elite is what it earns on fresh episodes; its best one is not."""
    world = CartPole(200)
    layout = Layout(world.observation_space, world.action_space)
    config = Config(population=60, parents=6, sigma=0.1, validation=30)
    learner = deep_ga.Evolution(world, layout, config=config, seed=1)
    metrics = learner.update()
    theta = learner.policy().theta.detach().numpy()
    fresh = float(learner.evaluator(lambda _: theta, 1, episodes=400, seed=9).returns.mean())
    assert abs(metrics["elite"] - fresh) < abs(metrics["best_seen"] - fresh) + 1e-6
    assert metrics["elite"] == pytest.approx(fresh, rel=0.25)
    assert learner.work()["validation_episodes"] == 300


def test_the_elite_stays_and_its_policy_is_rebuilt_from_seeds():
    learner = deep_ga.example(replace(Config.tiny(), algorithm="ga", validation=0), 3)
    scores = [learner.update()["elite"] for _ in range(6)]
    assert scores == sorted(scores)
    assert learner.elite is not None
    assert learner.elite == learner.parents[0]
    again = learner.evaluator(lambda _: learner.policy().theta.detach().numpy(), 1, episodes=1, seed=0)
    assert float(again.returns) == pytest.approx(scores[-1], abs=1e-4)


def test_equal_seeds_and_groups_of_any_size_find_the_same_individuals():
    found = []
    for side_by_side in (500, 5):
        config = replace(Config.tiny(), validation=0, side_by_side=side_by_side)
        learner = deep_ga.example(config, 0)
        learner.update()
        found.append(learner.behaviour)
    assert torch.allclose(*found, atol=1e-4)


def test_episodes_that_ended_stay_where_they_ended():
    world = CartPole(200)
    layout = Layout(world.observation_space, world.action_space)
    run = deep_ga.Evaluator(world, layout, side_by_side=64)
    rows = [deep_ga.initial_weights(seed, layout.scale()) for seed in range(8)]
    found = run(rows.__getitem__, 8, episodes=3, seed=0)
    assert found.steps == int(found.returns.sum())  # a reward of 1 a step
    capped = deep_ga.Evaluator(world, layout, side_by_side=64, cap=5)(rows.__getitem__, 8, episodes=3, seed=0)
    assert float(capped.returns.max()) == 5.0


def test_a_strategy_goes_on_from_its_state_and_refuses_others():
    def made() -> deep_ga.EvolutionStrategy:
        return deep_ga.EvolutionStrategy(HardMaze(10), MAZE, config=deep_ga.StrategyConfig(pairs=3), seed=0)

    whole, first, resumed = made(), made(), made()
    for _ in range(2):
        whole.update()
    first.update()
    resumed.load_state_dict(first.state_dict())
    resumed.update()
    assert torch.equal(whole.theta, resumed.theta)
    assert resumed.work() == whole.work()
    with pytest.raises(CorruptFileError):
        made().load_state_dict({**first.state_dict(), "theta": torch.zeros(3)})


def test_a_state_of_another_architecture_is_refused():
    learner = deep_ga.example(Config.tiny(), 0)
    learner.update()
    state = learner.state_dict()
    spoiled = {**state, "parents": [{**state["parents"][0], "signature": "00" * 8}]}
    with pytest.raises(CorruptFileError, match="another architecture"):
        deep_ga.example(Config.tiny(), 0).load_state_dict(spoiled)


def test_more_parents_than_individuals_are_refused():
    with pytest.raises(InputError, match="parents"):
        Config(population=5, parents=6)


class Doors(gymnasium.Env):
    """Two doors, one of them locked at a time; trying the locked one is an error, as the mask says."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Discrete(2, start=3)

    def __init__(self, *, broken: bool = False) -> None:
        self.broken, self.locked, self.time = broken, 0, 0

    def _seen(self) -> tuple[np.ndarray, dict[str, Any]]:
        seen = np.array([np.nan if self.broken and self.time == 3 else 0.5, 0.1 * self.time], np.float32)
        return seen, {"action_mask": np.arange(2) != self.locked}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.locked, self.time = int(self.np_random.integers(2)), 0
        return self._seen()

    def step(self, action: Any):
        assert action - 3 != self.locked, "locked"
        self.locked, self.time = 1 - self.locked, self.time + 1
        seen, info = self._seen()
        return seen, 1.0, False, self.time == 5, info


def doors(**changed: Any):
    def make(lanes: int) -> GymnasiumTask:
        mode = gymnasium.vector.AutoresetMode.SAME_STEP
        return GymnasiumTask(gymnasium.vector.SyncVectorEnv([lambda: Doors(**changed)] * lanes, autoreset_mode=mode))

    return make


def test_nobody_tries_what_a_mask_forbids():
    layout = Layout(Doors.observation_space, Doors.action_space, hidden=(4,))
    search = deep_ga.Evolution(doors(), layout, config=replace(Config.tiny(), population=8, parents=4), seed=0)
    for _ in range(2):
        assert search.update()["mean"] == 5.0
    policy, mask = search.policy(), torch.tensor([[True, False], [False, True]])
    seen = torch.zeros(2, 2)
    assert policy(seen, mask).tolist() == [3, 4]
    assert policy(seen).unique().numel() == 1


def test_a_simulators_masks_are_heeded_too():
    class Locked(CartPole):
        def mask(self, state: Any) -> torch.Tensor:  # type: ignore[override]
            return torch.tensor([[False, True]]).expand(len(state[0]), 2)

    world = CartPole(30)
    layout = Layout(world.observation_space, world.action_space, hidden=(4,))
    rows = np.stack([Genome((seed,), (), layout.signature).decode(layout.scale()) for seed in range(6)])
    found = deep_ga.Evaluator(Locked(30), layout, side_by_side=64)(rows.__getitem__, 6, episodes=2, seed=0).returns
    free = deep_ga.Evaluator(world, layout, side_by_side=64)(rows.__getitem__, 6, episodes=2, seed=0).returns
    assert bool((found[0] <= 12.0).all())  # pushed to one side only, whoever it is
    assert not torch.equal(found, free)


def test_observations_that_are_no_numbers_are_the_worlds_fault():
    layout = Layout(Doors.observation_space, Doors.action_space, hidden=(4,))
    search = deep_ga.Evolution(doors(broken=True), layout, config=Config.tiny(), seed=0)
    with pytest.raises(InputError, match="the environment's observations: got nan, expected finite numbers"):
        search.update()


def test_every_game_of_minatar_is_played_on_by_lanes_that_have_ended():
    for name in ("minatar-breakout", "minatar-freeway", "minatar-space-invaders"):
        world, seen, acts = deep_ga.world_of(name, {"horizon": 80})
        layout = Layout(seen, acts, hidden=(4,))
        rows = np.stack([Genome((seed,), (), layout.signature).decode(layout.scale()) for seed in range(6)])
        found = deep_ga.Evaluator(world, layout, side_by_side=64)(rows.__getitem__, 6, episodes=4, seed=0)
        assert found.steps > 24
