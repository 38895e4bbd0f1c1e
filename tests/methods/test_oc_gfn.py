"""Outcome-conditioned GFlowNets: closed forms, conversion, adaptation, explorers, training (oc-gfn)."""

import hashlib
import itertools
import math
import time
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import oc_gfn
from livepapers.methods.oc_gfn import (
    Adaptation,
    AmortisedSampler,
    Config,
    FlowTable,
    Labels,
    MonteCarloSampler,
    Objects,
    OutcomeConditionedGFlowNet,
    OutcomePredictor,
)
from livepapers.methods.oc_gfn.drawing import least_distance
from livepapers.methods.oc_gfn.explorers import AugmentedFlowExplorer, DatasetExplorer, UniformExplorer
from livepapers.methods.oc_gfn.problem import Target
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Bags, Hypergrid, Strings, rna_strings
from livepapers.tasks.constructions.exact import StateGraph, enumerate_states, total_variation

TINY = Config.tiny()
TOY = Config(hidden=64, learning_rate=3e-3, updates=250, teleport=False)


def _graph(env: Construction) -> StateGraph:
    graph = enumerate_states(env)
    assert graph is not None
    return graph


def _hash(network: torch.nn.Module) -> str:
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in network.state_dict().values())).hexdigest()


def _model(env: Construction | None = None, **changes: object) -> OutcomeConditionedGFlowNet:
    return OutcomeConditionedGFlowNet(env or Hypergrid(2, 4), replace(TINY, **changes), seed=0)


# ---- the new terms ----


def test_log_r_stands_on_every_edge_of_a_failure_or_on_the_last_and_never_in_the_padding() -> None:
    reached, length = torch.tensor([True, False, False]), torch.tensor([3, 3, 2])
    always = oc_gfn.edge_log_reward(reached, length, steps=3, log_last=-9.0, log_inner=-9.0)
    assert always.T.tolist() == [[0, 0, 0], [-9, -9, -9], [-9, -9, 0]]
    never = oc_gfn.edge_log_reward(reached, length, steps=3, log_last=-9.0, log_inner=0.0)
    assert never.T.tolist() == [[0, 0, 0], [0, 0, -9], [0, -9, 0]]


@pytest.mark.parametrize("outcomes", [2, 8, 27])
@pytest.mark.parametrize("epsilon", [1e-1, 1e-4])
def test_failures_cost_their_share_of_success(outcomes: int, epsilon: float) -> None:
    others = epsilon * (outcomes - 1)
    assert oc_gfn.fixed_point_success(outcomes, epsilon) == pytest.approx(1 / (1 + others))


@given(st.integers(2, 5), st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_exact_flows_convert_to_any_reward_on_any_grid(side: int, seed: int) -> None:
    graph = _graph(Hypergrid(2, side))
    reward = 3 * torch.randn(side * side, generator=generator(seed, "reward"), dtype=torch.float64)
    found = FlowTable.exact(graph).sampler(reward).distribution(graph)[graph.may_end]
    assert total_variation(found, reward.softmax(dim=0)) < 1e-12


@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_exact_flows_convert_to_any_reward_on_any_strings(letters: int, length: int, seed: int) -> None:
    graph = _graph(Strings("ACGU"[:letters], length))
    reward = 3 * torch.randn(letters**length, generator=generator(seed, "reward"), dtype=torch.float64)
    sampler = FlowTable.exact(graph).sampler(reward)
    assert total_variation(sampler.distribution(graph)[graph.may_end], reward.softmax(dim=0)) < 1e-12
    ends = graph.states[graph.may_end]
    found = sampler.log_prob(ends, generator=generator(0, "walks"), walks=1)  # one path each: exact
    torch.testing.assert_close(found, reward.log_softmax(dim=0))


def test_the_toy_of_eight_strings_fits_on_one_page() -> None:
    """F(s|y) is 1 on the way to y and 0 elsewhere, so that the policy of a reward is that of its sums."""
    graph = _graph(Strings("AB", 3))
    table = FlowTable.exact(graph)
    assert len(table.state) == 8 * 4  # each outcome has four states on its way
    assert torch.equal(table.log_flow, torch.zeros(32, dtype=torch.float64))
    reward = torch.tensor([1.0, 1, 1, 1, 2, 2, 4, 4], dtype=torch.float64)
    policy = table.sampler(reward.log()).policy(torch.tensor([[-1, -1, -1], [1, -1, -1]]))
    torch.testing.assert_close(policy, torch.tensor([[4 / 16, 12 / 16], [4 / 12, 8 / 12]], dtype=torch.float64))


def test_a_flow_that_is_ten_per_cent_too_large_gives_its_outcome_ten_per_cent_more() -> None:
    graph = _graph(Hypergrid(2, 8))
    table = FlowTable.exact(graph)
    wrong = FlowTable(
        graph,
        table.outcomes,
        table.state,
        table.outcome,
        table.log_flow + 0.1 * (table.outcome == 30),
        table.log_forward,
    )
    masses = [t.sampler(torch.zeros(64)).distribution(graph)[graph.may_end][30] for t in (table, wrong)]
    assert float(masses[1] / masses[0]) == pytest.approx(math.exp(0.1), rel=0.01)
    # calibration takes out what is wrong at the root and everywhere after by the same factor
    mended = wrong.sampler(torch.zeros(64), calibrate=True).distribution(graph)[graph.may_end][30]
    assert float(mended) == pytest.approx(float(masses[0]), rel=1e-9)


def test_outcomes_of_several_objects_follow_rewards_of_objects_or_when_calibrated_of_outcomes() -> None:
    """f(x) = number of G's: 81, 108, 54, 12 and 1 strings of four letters."""
    env = Strings("ACGU", 4)
    graph, counts = _graph(env), torch.tensor([81.0, 108, 54, 12, 1], dtype=torch.float64)
    each = FlowTable.exact(graph)
    labels = (each.outcomes == 2).sum(dim=1)
    # the exact table of f: flows add up, policies are means weighted by them
    key = each.state * 5 + labels[each.outcome]
    pairs, place = torch.unique(key, return_inverse=True)
    flow = torch.zeros(len(pairs), dtype=torch.float64).index_add_(0, place, each.log_flow.exp())
    moved = torch.zeros(len(pairs), 4, dtype=torch.float64)
    moved.index_add_(0, place, (each.log_flow[:, None] + each.log_forward).exp())
    table = FlowTable(graph, torch.arange(5), pairs // 5, pairs % 5, flow.log(), (moved / flow[:, None]).log())
    torch.testing.assert_close(table.log_root_flow(), counts.log())
    reward = torch.tensor([1.0, 2, 3, 4, 50], dtype=torch.float64)
    for calibrate, expected in ((False, reward * counts), (True, reward)):
        found = table.sampler(reward.log(), calibrate=calibrate).distribution(graph)[graph.may_end]
        shares = torch.zeros(5, dtype=torch.float64).index_add_(0, labels, found)
        torch.testing.assert_close(shares, expected / expected.sum())


def test_monte_carlo_conversion_nears_the_exact_one_like_one_over_root_n() -> None:
    graph = _graph(Hypergrid(2, 6))
    table = FlowTable.exact(graph)
    reward = torch.randn(36, generator=generator(0, "reward"), dtype=torch.float64)
    errors = []
    for n in (64, 256, 1024):
        found = []
        for repeat in range(20):
            drawn = torch.randint(36, (n,), generator=generator(repeat, "outcomes", n))
            counts = torch.bincount(drawn, minlength=36).to(torch.float64)
            sampler = table.sampler(reward + counts.clamp(min=1e-12).log())
            found.append(total_variation(sampler.distribution(graph)[graph.may_end], reward.softmax(dim=0)))
        errors.append(sum(found) / len(found))
    # each fourfold n halves the error; 20 repeats leave about a tenth of it
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.3)
    assert errors[1] / errors[2] == pytest.approx(2.0, rel=0.3)


def test_monte_carlo_samples_are_legal_and_equal_under_a_seed() -> None:
    model = _model(Strings("ACGU", 4))
    made = []
    for _ in range(2):
        stream = generator(3, "samples")
        sampler = MonteCarloSampler(model, lambda y: y.sum(dim=1).double(), n_outcomes=16, generator=stream)
        made.append(sampler.sample(50, generator=stream))
        # the outcomes drawn at the start, and 16 for each of 50 objects
        assert sampler.reward_evaluations == 16 * 51
    assert torch.equal(made[0], made[1])
    assert bool((made[0] >= 0).all())


def test_no_outcome_is_drawn_twice_where_that_matters_and_all_are_weighed_where_they_fit() -> None:
    model = _model(Strings("AB", 4))

    def sampler(count: int) -> MonteCarloSampler:
        return MonteCarloSampler(
            model, lambda y: y.sum(dim=1).double(), n_outcomes=count, generator=generator(1), distinct=True
        )

    drawn, _ = sampler(12)._draw(500, generator(2))
    assert drawn.shape == (500, 12, 4)
    assert all(len(torch.unique(one, dim=0)) == 12 for one in drawn)
    _, times = torch.unique(drawn.flatten(0, 1), dim=0, return_counts=True)
    assert len(times) == 16
    assert 330 < int(times.min()) <= int(times.max()) < 420  # 375 each
    for count in (16, 300):
        every = sampler(count)
        assert (every.weighs_all, every.redraw, every.n_outcomes, every.reward_evaluations) == (True, False, 16, 16)
        assert len(every.sample(5, generator=generator(3))) == 5
        assert every.reward_evaluations == 16
    graph = _graph(Strings("AB", 4))
    probability = sampler(16).distribution(graph)[graph.may_end]
    by_table = FlowTable.of(model, graph).sampler(graph.states[graph.may_end].sum(dim=1).double())
    assert total_variation(probability, by_table.distribution(graph)[graph.may_end]) < 0.02


def test_outcomes_count_by_how_much_their_rewards_differ() -> None:
    model = _model(Strings("AB", 4))
    flat = MonteCarloSampler(model, lambda y: torch.zeros(len(y)), n_outcomes=8, generator=generator(1))
    flat.sample(20, generator=generator(2))
    assert flat.effective == pytest.approx(8.0)
    peak = MonteCarloSampler(
        model, lambda y: torch.where(y.sum(dim=1) == 4, 0.0, -30.0), n_outcomes=8, generator=generator(1), distinct=True
    )
    peak.sample(2000, generator=generator(2))
    assert peak.effective == pytest.approx(8 / 16, rel=0.1)  # one in sixteen has all of the reward


def test_a_distance_that_samples_show_is_never_more_than_there_is() -> None:
    target = Target(torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64), torch.tensor([0.2, 0.3, 0.5]).double())
    # 100 samples at the middle reward: 0.5 of the target is above it, 0.2 below
    middle = least_distance(torch.ones(100, dtype=torch.float64), target)
    assert middle == pytest.approx(0.5 - math.sqrt(math.log(40) / 200))
    assert least_distance(torch.ones(3, dtype=torch.float64), target) == 0.0
    over = 0
    for seed in range(200):
        drawn = torch.multinomial(target.share, 300, replacement=True, generator=generator(seed))
        over += least_distance(target.log_reward[drawn], target) > 0.0
    assert over <= 20  # 5 % of 200, and chance


# ---- Q ----


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_q_sums_to_one_over_the_outcomes_that_are_open(bases: list[int], seed: int) -> None:
    network = OutcomePredictor(2, bases, hidden=12, seed=seed)
    digits = torch.tensor(list(itertools.product(*map(range, bases))))
    allowed = torch.rand(len(bases), max(bases), generator=generator(seed, "open")) < 0.7
    allowed[:, 0] = True
    rows = allowed.expand(len(digits), *allowed.shape)
    log_q = network.log_probability(torch.ones(len(digits), 2), digits, rows).detach()
    inside = rows.gather(2, digits[:, :, None]).squeeze(2).all(dim=1)
    assert float(log_q[inside].exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert not inside.all() or not (log_q < -1e8).any()


def test_q_samples_as_often_as_it_says() -> None:
    network, n = OutcomePredictor(1, (2, 3), hidden=12, seed=1), 20_000
    possible = torch.ones(n, 2, 3, dtype=torch.bool)
    drawn = network.sample(torch.ones(n, 1), possible, generator=generator(0, "q"))
    digits = torch.tensor(list(itertools.product(range(2), range(3))))
    expected = network.log_probability(torch.ones(6, 1), digits, possible[:6]).exp()
    share = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=6) / n
    torch.testing.assert_close(share, expected.detach(), atol=0.016, rtol=0)  # four standard errors


def test_an_outcome_drawn_for_a_move_can_be_reached_from_its_child() -> None:
    for env in (Hypergrid(2, 5), rna_strings(3), rna_strings(7)):
        outcomes = Objects(env)
        state, stops = env.root(40), torch.zeros(40, dtype=torch.bool)
        state = env.step(state, torch.zeros(40, dtype=torch.int64))
        stops[:5] = env.has_stop
        network = OutcomePredictor(1, outcomes.bases, hidden=8)
        drawn = network.sample(torch.ones(40, 1), outcomes.open_digits(state, stops), generator=generator(0, "q"))
        made = outcomes.from_digits(drawn)
        reachable = outcomes.reachable(state, made)
        assert reachable is not None
        assert bool(reachable.all())
        assert torch.equal(outcomes.digits(made), drawn)
        assert torch.equal(made[stops], state[stops])


# ---- explorers and hindsight ----


@pytest.mark.parametrize("explorer", ["gafn", "uniform", "backward"])
@pytest.mark.parametrize("env", [Hypergrid(2, 4), Strings("ABC", 3)], ids=["grid", "strings"])
def test_a_relabelled_trajectory_always_reached_its_own_end(explorer: str, env: Construction) -> None:
    model = _model(env, explorer=explorer)
    for _ in range(3):
        model.update()
    batch = model.explorer.sample(20, generator=generator(0, "explore"))
    ends = model.outcomes.of(batch.last)
    _, log_flow = model.residual(batch, ends, torch.ones(20, dtype=torch.bool))
    assert torch.equal(log_flow[batch.length, torch.arange(20)], torch.zeros(20))
    if not env.has_stop:
        assert bool(env.is_terminal(batch.last).all())


def test_a_data_set_is_all_that_its_explorer_shows() -> None:
    env = Strings("AB", 3)
    kept = env.parse(["ABA", "BBB"])
    model = OutcomeConditionedGFlowNet(env, TINY, seed=0, dataset=kept)
    assert isinstance(model.explorer, DatasetExplorer)
    model.update()
    assert set(env.text(model.explorer.sample(50, generator=generator(0, "explore")).last)) == {"ABA", "BBB"}


def test_unfinished_or_missing_objects_are_refused() -> None:
    env = Strings("AB", 3)
    with pytest.raises(InputError, match=r"object 1.*finished"):
        DatasetExplorer(env, torch.tensor([[0, 1, 0], [0, 1, -1]]))
    with pytest.raises(InputError, match="empty"):
        DatasetExplorer(env, env.root(0))


def test_backward_walks_need_objects_that_can_be_drawn() -> None:
    with pytest.raises(InputError, match=r"explorer: got backward.*gafn"):
        _model(Bags([0.1, 0.2], 3), explorer="backward")
    assert isinstance(_model(Bags([0.1, 0.2], 3, threshold=2), explorer="uniform").explorer, UniformExplorer)


def test_the_novelty_of_what_is_seen_again_and_again_falls() -> None:
    env = Strings("AB", 3)
    explorer = AugmentedFlowExplorer(env, replace(TINY, explorer_rate=1e-2), seed=0)
    batch = explorer.sample(32, generator=generator(0, "explore"))

    def novelty() -> float:
        encoded = env.encode(batch.states.flatten(0, 1))
        return float((explorer.predictor(encoded) - explorer.fixed(encoded)).square().mean().detach())

    before = novelty()
    for _ in range(60):
        explorer.learn(batch)
    assert novelty() < 0.3 * before


def test_distinct_share_says_whether_an_explorer_stays_in_few_places() -> None:
    env = Strings("AB", 8)
    few = DatasetExplorer(env, env.parse(["ABABABAB", "BBBBBBBB"]))
    stream = generator(0, "explore")
    assert oc_gfn.distinct_share(env, few, samples=100, generator=stream) == pytest.approx(0.02)
    assert oc_gfn.distinct_share(env, UniformExplorer(env), samples=100, generator=stream) > 0.7


# ---- training ----


def test_too_large_an_epsilon_is_said_to_be_one() -> None:
    with pytest.warns(
        UserWarning, match=r"failure_reward: got 0.01, which over 1,024 outcomes leaves success of 9% at best"
    ):
        OutcomeConditionedGFlowNet(Strings("AB", 10), Config(failure_reward=0.01, teleport=False), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OutcomeConditionedGFlowNet(Strings("AB", 10), Config(failure_reward=1e-6, teleport=False), seed=0)


def test_own_attempts_make_outcomes_reachable_and_flows_right() -> None:
    """The key term: with relabelled successes alone probability leaks to moves that were never seen to fail."""
    env = Strings("AB", 4)
    held_out, found = _graph(env).states[-16:], {}
    for negatives in (True, False):
        model = OutcomeConditionedGFlowNet(env, replace(TOY, negatives=negatives), seed=0)
        for _ in range(TOY.updates):
            model.update()
        found[negatives] = model.success(held_out.repeat(20, 1), generator=generator(0, "attempts"))
    assert found[True] > 0.85
    assert found[False] < 0.4


def test_an_outcome_that_is_hardly_reached_is_warned_of() -> None:
    model = _model(Strings("ACGU", 5))
    with pytest.warns(UserWarning, match=r"is reached by \d+\.\d% of 50 trajectories"):
        made = model.paths_to(torch.tensor([0, 1, 2, 3, 0]), 50, generator=generator(0, "attempts"))
    assert made.success < 0.5


def test_the_model_stays_frozen_while_a_reward_is_learned() -> None:
    model = _model()
    model.update()
    before = _hash(model.network)
    adaptation = Adaptation(model, lambda y: y.sum(dim=1).double(), seed=0)
    for _ in range(5):
        adaptation.update()
    assert _hash(model.network) == before == _hash(adaptation.teacher)


def test_an_adaptation_learns_the_sum_over_outcomes_of_its_model() -> None:
    """Against the exact conversion of the same frozen model: the target of N, whatever the model is worth."""
    env = Strings("AB", 3)
    config = replace(TOY, adapt_rate=3e-3, adapt_batch=32)
    model = OutcomeConditionedGFlowNet(env, config, seed=0)
    for _ in range(150):
        model.update()
    graph = _graph(env)
    reward = torch.tensor([1.0, 1, 1, 1, 2, 2, 8, 16], dtype=torch.float64).log()
    exact = FlowTable.of(model, graph).sampler(reward).distribution(graph)
    adaptation = Adaptation(model, lambda y: reward[y @ torch.tensor([4, 2, 1])], seed=0)
    sampler = AmortisedSampler(env, adaptation.networks)
    before = total_variation(sampler.distribution(graph), exact)
    for _ in range(250):
        adaptation.update()
    assert before > 0.3
    assert total_variation(sampler.distribution(graph), exact) < 0.08


def test_labels_can_be_pre_trained_and_adapted_to() -> None:
    env = Strings("ACGU", 3)
    outcomes = Labels(env, lambda x: (x == 2).sum(dim=1), 4)
    model = OutcomeConditionedGFlowNet(env, replace(TINY, explorer="uniform"), seed=0, outcomes=outcomes)
    model.update()
    table = FlowTable.of(model, _graph(env))
    assert table.outcomes.tolist() == [0, 1, 2, 3]
    adaptation = Adaptation(model, lambda y: y.double(), seed=0)
    assert math.isfinite(adaptation.update()["loss"])
    with pytest.raises(InputError, match="mc"):
        MonteCarloSampler(model, lambda y: y.double(), n_outcomes=4, generator=generator(0, "x"))
    wrong = Labels(env, lambda x: x.sum(dim=1), 4)
    with pytest.raises(InputError, match=r"outcome of .*from 0 to 3"):
        wrong.of(torch.tensor([[3, 3, 3]]))


@pytest.mark.parametrize("explorer", ["gafn", "backward"])
def test_a_resumed_pre_training_is_bitwise_the_uninterrupted_one(explorer: str) -> None:
    whole, cut = _model(explorer=explorer), _model(explorer=explorer)
    for _ in range(4):
        whole.update()
    for _ in range(2):
        cut.update()
    resumed = _model(explorer=explorer)
    resumed.load_state_dict(cut.state_dict())
    for _ in range(2):
        resumed.update()
    assert _hash(resumed.network) == _hash(whole.network)
    assert resumed.work() == whole.work()


def test_a_resumed_adaptation_is_bitwise_the_uninterrupted_one() -> None:
    model = _model()
    whole, cut, resumed = (Adaptation(model, lambda y: y.sum(dim=1).double(), seed=1) for _ in range(3))
    for _ in range(4):
        whole.update()
    for _ in range(2):
        cut.update()
    resumed.load_state_dict(cut.state_dict())
    for _ in range(2):
        resumed.update()
    assert _hash(resumed.networks) == _hash(whole.networks)
    assert resumed.work() == whole.work()
    with pytest.raises(CorruptFileError, match="adaptation"):
        resumed.load_state_dict({**cut.state_dict(), "more": 1})


@pytest.mark.parametrize("bad", [-math.inf, math.nan, math.inf])
def test_rewards_without_a_logarithm_are_refused_by_name(bad: float) -> None:
    model = _model()
    graph = _graph(model.env)
    reward = torch.zeros(16, dtype=torch.float64)
    reward[3] = bad
    with pytest.raises(InputError, match=r"log reward of outcome \[.*\].*floor"):
        FlowTable.of(model, graph).sampler(reward)
    with pytest.raises(InputError, match=r"log reward of outcome \[.*\].*floor"):
        Adaptation(model, lambda y: torch.full((len(y),), bad), seed=0).update()


def test_a_thousand_objects_of_a_grid_take_less_than_five_seconds() -> None:
    env = Hypergrid(2, 16)
    model = OutcomeConditionedGFlowNet(env, Config(), seed=0)
    reward = torch.zeros(256)
    start = time.process_time()
    graph = _graph(env)
    objects = FlowTable.of(model, graph).sampler(reward).sample(1000, generator=generator(0, "samples"))
    assert time.process_time() - start < 5.0
    assert objects.shape == (1000, 2)


@pytest.mark.slow
def test_all_strings_of_four_letters_are_reached() -> None:
    """The documented budget: 1,000 updates of 32 + 32 trajectories with the defaults."""
    env = rna_strings(4)
    model = OutcomeConditionedGFlowNet(env, Config(updates=1000), seed=0)
    for _ in range(1000):
        model.update()
    assert model.success(_graph(env).states[-256:], generator=generator(0, "attempts")) >= 0.95
