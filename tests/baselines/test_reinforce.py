import pytest
import torch

from livepapers.baselines import reinforce
from livepapers.baselines.inventory_settings import few_traces_problem, make_problem
from livepapers.core.errors import CorruptFileError, InputError
from livepapers.core.rng import generator
from livepapers.methods import hdpo
from livepapers.tasks.scenarios import draw, fresh, mean_cost

VARIANTS = ("fixed", "learned", "clipped", "paired", "critic")


def learner(variant: str, *, updates: int = 100, rate: float = 1e-2, batch: int = 32) -> reinforce.Reinforce:
    simulator = make_problem("S2-L2-p39").simulator
    policy = hdpo.VanillaPolicy(simulator.network, [5.0], lead=2, hidden=(8,), generator=generator(0, "weights"))
    config = reinforce.Config(
        variant=variant, learning_rate=rate, batch=batch, dev_ignore=5, updates=updates  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    dev = draw(simulator, 64, periods=30, generator=generator(0, "dev"))
    return reinforce.Reinforce(
        simulator, policy, config=config, train=fresh(simulator, periods=20), dev=dev, generator=generator(0, "train")
    )


def test_returns_to_go_are_sums_of_what_is_still_to_come():
    costs = torch.tensor([[1.0, 2.0, 3.0], [3.0, 0.0, 1.0]])
    got = reinforce.advantages(costs, paired=False, normalise=False)
    returns = torch.tensor([[6.0, 5.0, 3.0], [4.0, 1.0, 1.0]])
    assert torch.equal(got, returns - returns.mean(0))


def test_paired_rows_are_each_others_baseline():
    costs = torch.rand(6, 4, generator=generator(0, "costs"))
    got = reinforce.advantages(costs, paired=True, normalise=False)
    assert torch.allclose(got[:3], -got[3:])


def test_normalised_advantages_have_unit_spread():
    costs = torch.rand(50, 4, generator=generator(0, "costs"))
    got = reinforce.advantages(costs, paired=False, normalise=True)
    assert torch.allclose(got.std(0), torch.ones(4), atol=1e-4)


def test_the_score_gradient_is_the_pathwise_gradient_of_a_linear_cost():
    """E[c(mean + sigma eps)] for c(a) = 3 a has gradient 3 in the mean; the score estimate finds it."""
    mean = torch.tensor(2.0, requires_grad=True)
    order = (mean + 0.5 * torch.randn(200_000, 1, generator=generator(0, "noise"))).detach()
    log_prob = -0.5 * ((order - mean) / 0.5) ** 2
    loss = reinforce.score_loss(log_prob, 3.0 * order - (3.0 * order).mean())
    (gradient,) = torch.autograd.grad(loss, mean)
    assert gradient.item() == pytest.approx(3.0, rel=0.02)


def test_the_clipped_loss_starts_with_the_score_gradient():
    log_prob = torch.zeros(5, 3, requires_grad=True)
    advantage = torch.randn(5, 3, generator=generator(0, "advantage"))
    clipped = reinforce.clipped_loss(log_prob, advantage, before=torch.zeros(5, 3), clip=0.2)
    plain = reinforce.score_loss(log_prob, advantage)
    ours, theirs = (torch.autograd.grad(loss, log_prob)[0] for loss in (clipped, plain))
    assert torch.allclose(ours, theirs)


def test_ratios_beyond_the_clip_get_no_gradient_where_they_would_gain():
    log_prob = torch.tensor([[0.5, -0.5]], requires_grad=True)
    advantage = torch.tensor([[-1.0, 1.0]])  # costs: a likelier cheap order, a rarer dear one: both went far enough
    loss = reinforce.clipped_loss(log_prob, advantage, before=torch.zeros(1, 2), clip=0.2)
    assert torch.autograd.grad(loss, log_prob)[0].abs().sum() == 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns(variant: str):
    one = learner(variant, batch=64)
    test = draw(one.simulator, 256, periods=30, generator=generator(0, "test"))
    before = mean_cost(one.simulator, one.policy, scenarios=test, ignore=5)
    for _ in range(100):
        one.update()
    assert mean_cost(one.simulator, one.best_policy(), scenarios=test, ignore=5) < 0.5 * before


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_resumes_bit_for_bit(variant: str):
    one, other = learner(variant), learner(variant)
    one.update()
    other.load_state_dict(one.state_dict())
    assert one.update() == other.update()
    assert one.work() == other.work()


def test_all_variants_simulate_the_same_number_of_periods():
    spent = set()
    for variant in VARIANTS:
        one = learner(variant)
        one.update()
        spent.add(one.work()["simulated_periods"])
    assert spent == {32 * 20}


def test_only_the_learned_variant_moves_sigma():
    sigmas = {variant: [one.update()["sigma"] for _ in range(3)] for variant in VARIANTS for one in [learner(variant)]}
    for variant, values in sigmas.items():
        assert (len(set(values)) > 1) == (variant == "learned")


def test_the_learned_baseline_explains_what_the_state_decides():
    """Advantages that are a function of the stock shrink to noise; the first forecast is a small constant."""
    simulator = make_problem("S2-L2-p39").simulator
    baseline = reinforce.LearnedBaseline(simulator, reinforce.Config(variant="critic"))
    stream = generator(0, "states")
    first = last = 1.0
    for step in range(300):
        state = simulator.initial(64 * 5, stream)
        stock = state.pipeline[:, 0, 0].view(5, 64).T / 5.0
        advantage = stock - stock.mean()
        left = baseline.subtract(state, advantage).square().mean() / advantage.square().mean()
        first, last = (left.item() if step == 0 else first), left.item()
    assert first == pytest.approx(1.0, abs=0.05)
    assert last < 0.05


def test_networks_with_warehouses_are_refused():
    simulator = few_traces_problem()
    policy = hdpo.GraphPolicy(simulator.network, [5.0] * 10, lead=3, hidden=(4,))
    dev = draw(simulator, 2, periods=10, generator=generator(0, "dev"))
    with pytest.raises(InputError, match="warehouses"):
        reinforce.Reinforce(
            simulator, policy, config=reinforce.Config.tiny(), train=fresh(simulator, periods=5), dev=dev,
            generator=generator(0, "train"),
        )  # fmt: skip


def test_a_state_of_another_network_is_refused():
    one = learner("fixed")
    state = dict(one.state_dict())
    state["policy"] = {name: torch.zeros(3) for name in state["policy"]}
    with pytest.raises(CorruptFileError, match="policy"):
        one.load_state_dict(state)
