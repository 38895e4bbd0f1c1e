"""Forward-looking GFlowNets: equation (1), its relatives, rollouts, truncation, training, the sampler (fl-gfn)."""

import math
from collections.abc import Callable

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from livepapers.core.config import replace
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import fl_gfn
from livepapers.methods.fl_gfn import Config, ForwardLookingGFlowNet, Sampler, Trajectories
from livepapers.methods.fl_gfn.learner import masked_log_probability
from livepapers.methods.fl_gfn.objectives import sub_trajectory_weights
from livepapers.tasks.construction import Construction
from livepapers.tasks.constructions import Bags, BitStrings, Hypergrid, IndependentSets, Sets, Subsets
from livepapers.tasks.constructions.exact import enumerate_states

OBJECTIVES = ("fl-db", "fl-subtb", "db", "tb", "subtb")
SMALL: dict[str, Callable[[], Construction]] = {
    "sets": lambda: Sets([0.1, -0.5, 0.3, 0.9, 0.2], 3),
    "bags": lambda: Bags([0.1, -0.4], 4, threshold=2, bonus=0.5),
    "bit strings": lambda: BitStrings([0.1, 0.2, -0.4], [0.5, -0.6]),
    "hypergrid": lambda: Hypergrid(2, 4),
    "independent sets": lambda: IndependentSets(nx.cycle_graph(6)),
}
TINY = Config.tiny()


def _learner(name: str = "sets", **changes: object) -> ForwardLookingGFlowNet:
    return ForwardLookingGFlowNet(SMALL[name](), replace(TINY, **changes), seed=0)


# ---- rollouts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("batch", [1, 7])
def test_rollouts_are_legal_from_root_to_end(name: str, batch: int) -> None:
    env = SMALL[name]()
    made = fl_gfn.rollout(env, batch, generator=generator(0, name))
    assert torch.equal(made.states[0], env.root(batch))
    for row in range(batch):
        length = int(made.length[row])
        for t in range(length):
            state, action = made.states[t, row : row + 1], made.actions[t, row : row + 1]
            assert bool(env.forward_mask(state)[0, action])
            if int(action) < env.moves:
                assert torch.equal(env.step(state, action), made.states[t + 1, row : row + 1])
            else:
                assert t == length - 1
        last_action = int(made.actions[length - 1, row])
        assert last_action == env.moves if env.has_stop else bool(env.is_terminal(made.last[row : row + 1]))


def test_a_rollout_follows_the_mixture_of_policy_and_uniform() -> None:
    env = Sets([0.0, 0.0, 0.0, 0.0], 1)
    logits = torch.tensor([2.0, 0.0, -1.0, 0.5])

    def policy(encoded: Tensor) -> Tensor:
        return logits.expand(len(encoded), -1)

    made = fl_gfn.rollout(env, 40_000, generator=generator(0, "mix"), logits=policy, epsilon=0.3, temperature=2.0)
    share = torch.bincount(made.actions[0], minlength=4) / 40_000
    expected = 0.7 * (logits / 2.0).softmax(dim=0) + 0.3 / 4
    # a standard error is at most 0.0025: the bound is four of them
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0)


def test_forbidden_actions_are_never_drawn_however_likely() -> None:
    env = IndependentSets(nx.complete_graph(6))

    def policy(encoded: Tensor) -> Tensor:
        return torch.where(torch.arange(7) == 6, -50.0, 50.0 * (1 + encoded.sum(dim=1, keepdim=True)))

    made = fl_gfn.rollout(env, 500, generator=generator(0, "masks"), logits=policy)
    assert int(made.states.sum(dim=2).max()) == 1


def test_a_wrong_longest_is_reported() -> None:
    env = Sets([0.0, 0.0, 0.0], 3)
    env.longest = 2
    with pytest.raises(InputError, match="longest"):
        fl_gfn.rollout(env, 2, generator=generator(0, "longest"))


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_truncation_keeps_beginnings_and_loses_ends(probability: float, seed: int) -> None:
    made = fl_gfn.rollout(SMALL["independent sets"](), 40, generator=generator(seed, "walk"))
    cut = fl_gfn.truncate(made, probability, generator=generator(seed, "cut"))
    shorter = cut.length < made.length
    assert torch.equal(shorter, ~cut.ended)
    assert bool((cut.length >= 1).all())
    assert bool((cut.length[shorter] <= made.length[shorter] - 1).all())
    if probability == 0.0:
        assert bool(cut.ended.all())


def test_certain_truncation_spares_only_single_moves() -> None:
    made = fl_gfn.rollout(SMALL["independent sets"](), 300, generator=generator(0, "walk"))
    cut = fl_gfn.truncate(made, 1.0, generator=generator(0, "cut"))
    assert torch.equal(cut.ended, made.length == 1)
    with pytest.raises(InputError, match="probability"):
        fl_gfn.truncate(made, 1.5, generator=generator(0, "cut"))


@pytest.mark.parametrize("name", SMALL)
def test_backward_walks_are_forward_walks_to_the_same_objects(name: str) -> None:
    env = SMALL[name]()
    objects = fl_gfn.rollout(env, 12, generator=generator(0, name)).last
    walks = fl_gfn.walk_back(env, objects, generator=generator(1, name))
    assert torch.equal(walks.last, objects)
    assert torch.equal(walks.states[0], env.root(12))
    state = env.root(12)
    for t, action in enumerate(walks.actions):
        moving = (t < walks.length) & (action < env.moves)
        child = env.step(state, torch.where(moving, action, 0))
        state = torch.where(moving.reshape(12, *[1] * (state.ndim - 1)), child, state)
        assert torch.equal(state, walks.states[t + 1])
    if env.has_stop:
        assert bool((walks.actions[walks.length - 1, torch.arange(12)] == env.moves).all())


# ---- terms and losses: an independent second implementation ----


def _by_hand(learner: ForwardLookingGFlowNet, batch: Trajectories) -> float:
    """The loss written as loops over trajectories and pairs of states, from the equations."""
    env, config, network = learner.env, learner.config, learner.network.requires_grad_(False)
    ahead, total, weight = learner.forward_looking, 0.0, 0.0
    for b in range(len(batch.length)):
        flows, gains = [], []
        for t in range(int(batch.length[b]) + 1):
            state = batch.states[t, b : b + 1]
            flows.append(float(network(env.encode(state))[2]))
            if t == int(batch.length[b]):
                break
            action, child = batch.actions[t, b : b + 1], batch.states[t + 1, b : b + 1]
            forward = network(env.encode(state))[0].masked_fill(~env.forward_mask(state), -math.inf)
            gain = float(forward.log_softmax(1)[0, action])
            if int(action) < env.moves:
                backward = network(env.encode(child))[1].masked_fill(~env.backward_mask(child), -math.inf)
                gain -= float(backward.log_softmax(1)[0, action])
                gain += float(env.edge_energy(state, action, child)) if ahead else 0.0
            gains.append(gain)
        ended, log_reward = bool(batch.ended[b]), float(env.log_reward(batch.last[b : b + 1]))
        if ended:
            flows[-1] = 0.0 if ahead else log_reward
        if config.objective == "tb":
            total += (learner.log_z() + sum(gains) - log_reward) ** 2 if ended and gains else 0.0
            weight += 1.0 if ended and gains else 0.0
        elif config.objective in {"db", "fl-db"}:
            total += sum((flows[t] + gains[t] - flows[t + 1]) ** 2 for t in range(len(gains)))
            weight += len(gains)
        elif gains:
            pairs = [(i, j) for i in range(len(flows)) for j in range(i + 1, len(flows))]
            lam = config.sub_trajectory_decay
            share = sum(lam ** (j - i) for i, j in pairs)
            squares = sum(lam ** (j - i) * (flows[i] + sum(gains[i:j]) - flows[j]) ** 2 for i, j in pairs)
            total, weight = total + squares / share, weight + 1.0
    return total / max(weight, 1.0)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("truncate", [0.0, 0.6])
def test_losses_equal_the_equations_written_as_loops(objective: str, name: str, truncate: float) -> None:
    learner = _learner(name, objective=objective, truncate_probability=truncate)
    with torch.no_grad():
        learner.log_z_parameter.fill_(0.7)
    batch = learner.collect()
    terms, log_z = learner.terms(batch), learner.log_z_parameter
    loss = fl_gfn.objective_loss(learner.config.objective, terms, log_z=log_z, decay=0.9)
    assert float(loss.detach()) == pytest.approx(_by_hand(learner, batch), rel=1e-4, abs=1e-5)


def test_dropping_incomplete_trajectories_leaves_only_whole_ones() -> None:
    learner = _learner(objective="db", truncate_probability=0.5, interior=False, batch=64)
    batch = learner.collect()
    assert torch.equal(batch.length > 0, batch.ended)
    loss = fl_gfn.objective_loss("db", learner.terms(batch)).detach()
    assert float(loss) == pytest.approx(_by_hand(learner, batch), rel=1e-4)


def test_forward_looking_flow_is_one_at_finished_objects() -> None:
    learner = _learner(truncate_probability=0.5, batch=64)
    batch = learner.collect()
    last = learner.terms(batch).log_flow[batch.length, torch.arange(64)]
    assert bool((last[batch.ended] == 0).all())
    assert bool((last[~batch.ended] != 0).all())


def test_without_the_anchor_the_networks_own_flow_stands_at_the_end() -> None:
    learner = _learner(anchor_terminal=False)
    terms = learner.terms(learner.collect())
    assert bool((terms.log_flow[-1] != 0).all())


def test_forward_looking_objectives_never_ask_for_rewards_and_the_others_never_for_energies() -> None:
    class Watched(Sets):
        asked: set[str]

        def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
            self.asked.add("energy")
            return super().edge_energy(state, action, child)

        def log_reward(self, state: Tensor) -> Tensor:
            self.asked.add("reward")
            return super().log_reward(state)

    for objective in OBJECTIVES:
        env = Watched([0.1, 0.2, 0.3], 2)
        env.asked = set()
        ForwardLookingGFlowNet(env, replace(TINY, objective=objective), seed=0).update()
        assert env.asked == ({"energy"} if objective.startswith("fl-") else {"reward"})


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.floats(0.01, 1.0))
@settings(max_examples=30, deadline=None)
def test_sub_trajectory_weights_sum_to_one(lengths: list[int], decay: float) -> None:
    weights = sub_trajectory_weights(torch.tensor(lengths), steps=6, decay=decay)
    sums = weights.sum(dim=(0, 1))
    torch.testing.assert_close(sums, (torch.tensor(lengths) > 0).to(torch.float64))
    assert bool((weights >= 0).all())


def test_log_probabilities_are_normalised_over_allowed_actions_only() -> None:
    logits, allowed = torch.randn(5, 4, generator=generator(0, "logits")), torch.tensor([True, False, True, True])
    found = [masked_log_probability(logits, allowed.expand(5, -1), torch.full((5,), a)) for a in (0, 2, 3)]
    torch.testing.assert_close(torch.stack(found).exp().sum(dim=0), torch.ones(5))


def test_tb_without_its_parameter_is_refused() -> None:
    learner = _learner(objective="tb")
    with pytest.raises(ValueError, match="log_z"):
        fl_gfn.objective_loss("tb", learner.terms(learner.collect()))


# ---- training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_reaches_the_target(objective: str) -> None:
    """After 300 short updates the exact total variation is well below the uniform policy's."""
    learner = fl_gfn.example(Config(objective=objective, hidden=64, learning_rate=3e-3), 0)  # type: ignore[arg-type]
    for _ in range(300):
        learner.update()
    graph = enumerate_states(learner.env)
    assert graph is not None
    assert Sampler(learner).total_variation(graph) < 0.05
    assert learner.log_z() == pytest.approx(graph.log_z(), abs=0.15)


@pytest.mark.parametrize("name", ["bags", "bit strings", "hypergrid", "independent sets"])
def test_forward_looking_training_works_on_every_kind_of_construction(name: str) -> None:
    learner = ForwardLookingGFlowNet(SMALL[name](), Config(hidden=64, learning_rate=3e-3), seed=0)
    for _ in range(400):
        learner.update()
    graph = enumerate_states(learner.env)
    assert graph is not None
    assert Sampler(learner).total_variation(graph) < 0.05


def test_with_one_possible_object_the_elbo_becomes_its_log_reward() -> None:
    learner = ForwardLookingGFlowNet(Sets([0.3, -0.7, 0.4], 3), Config(hidden=32, learning_rate=5e-3), seed=0)
    for _ in range(300):
        learner.update()
    evaluation = Sampler(learner).evaluate(64, generator=generator(0, "one"))
    torch.testing.assert_close(evaluation.log_reward, torch.zeros(64, dtype=torch.float64))
    assert evaluation.elbo == pytest.approx(0.0, abs=0.02)


def test_a_fixed_backward_policy_is_obeyed() -> None:
    """P_B that always takes the first possible letter out: log P_B is 0 there and very low elsewhere."""

    def first(states: Tensor) -> Tensor:
        return -100.0 * torch.arange(states.shape[1], dtype=torch.float32).expand(len(states), -1)

    learner = ForwardLookingGFlowNet(SMALL["sets"](), TINY, seed=0, backward_policy=first)
    batch = learner.collect()
    log_backward = learner.terms(batch).log_backward
    first_member = batch.states[1:].to(torch.int8).argmax(dim=2)
    assert bool((log_backward[batch.actions == first_member] > -1e-3).all())
    assert bool((log_backward[batch.actions != first_member] < -50).all())


def test_uniform_backward_policy_is_one_over_the_number_of_parents() -> None:
    learner = _learner("independent sets", backward="uniform")
    batch = learner.collect()
    terms, sizes = learner.terms(batch), batch.states[1:].sum(dim=2)
    moving = batch.live & (batch.actions < learner.env.moves)
    torch.testing.assert_close(terms.log_backward[moving], -sizes[moving].float().log())
    assert bool((terms.log_backward[~moving] == 0).all())


def test_exploration_and_temperature_follow_their_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float]] = []
    real = fl_gfn.rollout

    def watched(*args: object, epsilon: float, temperature: float, **rest: object) -> Trajectories:
        seen.append((epsilon, temperature))
        return real(*args, epsilon=epsilon, temperature=temperature, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("livepapers.methods.fl_gfn.learner.rollout", watched)
    learner = _learner(epsilon=1.0, epsilon_end=0.0, temperature=3.0, temperature_end=1.0, schedule=2)
    for _ in range(4):
        learner.update()
    assert seen == [(1.0, 3.0), (0.5, 2.0), (0.0, 1.0), (0.0, 1.0)]


def test_if_every_trajectory_is_cut_a_warning_says_that_flows_are_not_anchored() -> None:
    with pytest.warns(UserWarning, match="not anchored"):
        learner = _learner(truncate_probability=1.0)
    assert learner.update()["share_ended"] == 0.0


def test_tb_learns_nothing_from_cut_trajectories_and_says_loss_zero() -> None:
    with pytest.warns(UserWarning, match="not anchored"):
        learner = _learner(objective="tb", truncate_probability=1.0)
    before = {name: tensor.clone() for name, tensor in learner.network.state_dict().items()}
    assert learner.update()["loss"] == 0.0
    assert all(torch.equal(before[name], tensor) for name, tensor in learner.network.state_dict().items())


def test_an_energy_that_is_not_a_number_is_reported_with_its_state() -> None:
    class Faulty(Sets):
        def edge_energy(self, state: Tensor, action: Tensor, child: Tensor) -> Tensor:
            return torch.where(child[:, 0], torch.nan, super().edge_energy(state, action, child))

    learner = ForwardLookingGFlowNet(Faulty([0.1, 0.2], 2), TINY, seed=0)
    with pytest.raises(InputError, match=r"energy of the move to state \[True, (True|False)\]"):
        learner.update()


def test_forward_looking_needs_energies_of_partial_objects() -> None:
    env = Subsets(4, lambda state: state.sum(dim=1).to(torch.float64), size=3, partial=False)
    with pytest.raises(InputError, match="db, tb or subtb"):
        ForwardLookingGFlowNet(env, TINY, seed=0).update()
    assert ForwardLookingGFlowNet(env, replace(TINY, objective="tb"), seed=0).update()["loss"] > 0


def test_permuting_items_permutes_the_learned_marginals() -> None:
    """Different seeds of initial weights, same energies in another order: marginals agree item by item."""
    order = torch.tensor([3, 0, 4, 1, 2])
    energies = torch.tensor([0.4, -0.9, 0.3, 0.9, 0.2], dtype=torch.float64)
    found = []
    for chosen in (energies, energies[order]):
        config = Config(hidden=64, learning_rate=3e-3)
        learner = ForwardLookingGFlowNet(Sets(chosen, 3), config, seed=0)
        for _ in range(300):
            learner.update()
        graph = enumerate_states(learner.env)
        assert graph is not None
        found.append(graph.distribution(Sampler(learner).log_forward) @ graph.states.to(torch.float64))
    torch.testing.assert_close(found[1], found[0][order], atol=0.03, rtol=0)


def test_work_counts_transitions_and_energies() -> None:
    learner = _learner("sets", batch=8)
    learner.update()
    assert learner.work() == {"transitions": 24, "trajectories": 8, "energy_evaluations": 24}
    rewards = _learner("sets", batch=8, objective="tb")
    rewards.update()
    assert rewards.work() == {"transitions": 24, "trajectories": 8, "energy_evaluations": 8}


def test_the_state_of_another_architecture_is_refused() -> None:
    learner, other = _learner(), _learner(hidden=16)
    other.update()
    with pytest.raises(CorruptFileError, match=r"optimizer|network"):
        learner.load_state_dict(other.state_dict())


# ---- the sampler ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_log_probabilities_by_backward_walks_agree_with_the_exact_distribution(name: str) -> None:
    learner = ForwardLookingGFlowNet(SMALL[name](), Config(hidden=32), seed=0)
    for _ in range(60):
        learner.update()
    sampler, graph = Sampler(learner), enumerate_states(learner.env)
    assert graph is not None
    ends = graph.may_end.nonzero().squeeze(1)
    exact = graph.distribution(sampler.log_forward)[ends]
    found = sampler.log_prob(graph.states[ends], generator=generator(0, name), walks=400).exp()
    assert float(exact.sum()) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(found, exact, atol=0.01, rtol=0.15)


def test_samples_come_from_the_distribution_that_is_computed_exactly() -> None:
    learner = _learner("hypergrid")
    sampler, graph = Sampler(learner), enumerate_states(learner.env)
    assert graph is not None
    objects = sampler.sample(20_000, generator=generator(0, "samples"))
    cell = objects[:, 0] * 4 + objects[:, 1]
    listed = graph.states[:, 0] * 4 + graph.states[:, 1]
    exact = torch.zeros(16, dtype=torch.float64).index_add_(0, listed, graph.distribution(sampler.log_forward))
    share = torch.bincount(cell, minlength=16).double() / 20_000
    # a standard error is at most 0.0035: the bound is four of them
    torch.testing.assert_close(share, exact, atol=0.014, rtol=0)


def test_weighted_samples_estimate_log_z_even_from_an_untrained_sampler() -> None:
    sampler = Sampler(_learner("sets"))
    exact = sampler.env.exact_log_z()  # type: ignore[attr-defined]  # the construction is Sets
    evaluation = sampler.evaluate(4000, generator=generator(0, "weights"))
    assert evaluation.log_z == pytest.approx(exact, abs=0.1)
    assert sampler.log_z(4000, generator=generator(0, "weights")) == evaluation.log_z
    assert evaluation.elbo < exact
    assert evaluation.spread > 0


def test_evaluation_in_chunks_changes_nothing_but_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(_learner("sets"))
    monkeypatch.setattr("livepapers.methods.fl_gfn.sampler.CHUNK", 10)
    assert len(sampler.evaluate(25, generator=generator(0, "chunks")).objects) == 25
