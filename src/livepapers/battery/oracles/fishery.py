"""Oracles of fishery: closed forms and second implementations of the rules, invariances of the world, and learning."""

import numpy as np
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from torch import Tensor

from livepapers.baselines.harvest_rules import HarvestRule, textbook
from livepapers.core.config import replace
from livepapers.core.rng import generator as make_generator
from livepapers.methods import fishery
from livepapers.tasks.ecosystem import EcosystemSimulator, HarvestPolicy
from livepapers.tasks.ecosystem_model import Ecosystem, Fishery, Species, may1, three_species

Comparison = tuple[Tensor | float, Tensor | float, float]


def an_exact_escapement_rule_is_read_back() -> Comparison:
    """The threshold of M = max(1 - S / N, 0) is S / (1 - level), and S is the escapement that fits it."""
    model = three_species()
    levels = torch.tensor([0.22, 0.4, 0.63])
    stock = torch.linspace(0.0, 1.0, 401)[1:]
    rules = [HarvestRule("escapement", model.harvested, model.scale, [float(s), 0.1]) for s in levels]
    state = torch.tensor([[0.0, 0.3, 0.4]])
    curves = torch.cat([fishery.curve(rule, model, along=0, stock=stock, others=state)[..., 0] for rule in rules])
    read = torch.stack([fishery.threshold(stock, curves), fishery.fitted_escapement(stock, curves)])
    return read, torch.stack([levels / (1.0 - 0.02), levels]), 2e-3


def a_popular_window_is_the_narrowest_by_enumeration() -> Comparison:
    """Trying every size and position with a plain loop finds the same window."""
    values = torch.randn(300, generator=make_generator(0, "oracle", "visits"), dtype=torch.float64).square()
    low, high = float(values.min()), float(values.max())
    for step in range(1, 21):
        size = (high - low) * step / 20
        starts = np.linspace(low, high - size, 100)
        counts = [sum(1 for v in values.tolist() if start <= v <= start + size) for start in starts]
        if max(counts) >= 0.7 * len(values):
            begin = float(starts[int(np.argmax(counts))])
            return torch.tensor(fishery.popular_window(values)), torch.tensor([begin, begin + size]), 1e-9
    raise RuntimeError("the whole range holds all values")


def the_smoothed_rule_is_scikit_learns_mean() -> Comparison:
    """The saved form of the Gaussian process predicts what scikit-learn predicts with that kernel."""
    model = three_species()
    rule = HarvestRule("linear", model.harvested, model.scale, [0.5, 0.1, -0.4, 0.1, 0.4, -0.3])
    stream = make_generator(0, "oracle", "smoothing")
    states = torch.rand(200, 3, generator=stream)
    smoothed = fishery.smooth(rule, model, states, fit_points=60, generator=stream)
    amplitude, length, noise = smoothed.kernel.tolist()
    kernel = ConstantKernel(amplitude) * RBF(length) + WhiteKernel(noise)
    sizes = np.array(model.sizes)
    second = GaussianProcessRegressor(kernel, optimizer=None)  # type: ignore[arg-type]  # None: as it is
    second.fit(states.double().numpy() / sizes, rule(states / model.scale).double().numpy())
    fresh = torch.rand(50, 3, generator=stream)
    expected = torch.as_tensor(second.predict(fresh.double().numpy() / sizes)).clamp(0.0, 1.0)
    with torch.no_grad():
        return smoothed(fresh / model.scale), expected, 1e-5


def a_smoothed_smooth_rule_is_itself() -> Comparison:
    """Smoothing a rule that is smooth already changes it by less than a hundredth."""
    model = three_species()

    def rule(observation: Tensor) -> Tensor:
        population = model.scale * observation
        return torch.sigmoid(torch.stack([population.sum(1) - 2.0, 1.0 - 2.0 * population[:, 2]], 1))

    stream = make_generator(0, "oracle", "smooth")
    smoothed = fishery.smooth(rule, model, torch.rand(400, 3, generator=stream), fit_points=100, generator=stream)
    fresh = (0.1 + 0.8 * torch.rand(100, 3, generator=stream)) / model.scale
    with torch.no_grad():
        return smoothed(fresh), rule(fresh), 1e-2


def growth_is_the_paper_s_equations() -> Comparison:
    """One step of model 4 by the simulator is one by the equations, written out (a second implementation)."""
    simulator = EcosystemSimulator(three_species(drift="growth"), dtype=torch.float64)
    stream = make_generator(0, "oracle", "growth")
    state, noise = simulator.initial(64, stream), simulator.draw(64, 0, stream)
    time = torch.randint(0, 200, (64,), generator=stream)
    action = torch.rand(64, 2, generator=stream, dtype=torch.float64)
    post, _ = simulator.decide(state._replace(time=time), action)
    after, _, _ = simulator.resolve(post, noise)
    x, y, z = (state.population * torch.cat([1.0 - action, torch.ones(64, 1)], 1)).T
    r = (1.0 - time.double() / 200.0).clamp(min=0.5)
    eaten_x, eaten_y = (0.3 * z * n**2 / (0.3**2 + n**2) for n in (x, y))
    expected = [
        x + r * x * (1.0 - x) - eaten_x - 0.1 * x * y + 0.1 * x * noise[:, 0],
        y + y * (1.0 - y) - 1.1 * eaten_y - 0.1 * x * y + 0.1 * y * noise[:, 1],
        z + z * (0.1 * (x + 1.1 * y) - 0.1) + 0.1 * z * noise[:, 2],
    ]
    return after.population, torch.stack(expected, 1).clamp(min=0.0), 1e-12


def species_may_be_listed_in_any_order() -> Comparison:
    """Listing the species of model 3 in another order changes no reward."""
    order = (2, 0, 1)
    plain = three_species()
    moved = Ecosystem(
        species=tuple(plain.species[i] for i in order), fisheries=plain.fisheries, competition=plain.competition,
        predation=plain.predation,
    )  # fmt: skip
    rewards = []
    for model in (plain, moved):
        simulator = EcosystemSimulator(model, dtype=torch.float64)
        start, noise = EcosystemSimulator(plain, dtype=torch.float64).noise(32, make_generator(0, "oracle", "order"))
        if model is moved:
            start, noise = start._replace(population=start.population[:, list(order)]), noise[..., list(order)]
        rule = HarvestRule("mortality", model.harvested, model.scale, [0.25, 0.3])
        rewards.append(simulator.run(rule, start=start, noise=noise).reward)
    return rewards[1], rewards[0], 1e-6


def episodes_may_stand_in_any_order() -> Comparison:
    """Permuting the episodes permutes their rewards."""
    simulator = EcosystemSimulator(three_species(), dtype=torch.float64)
    start, noise = simulator.noise(40, make_generator(0, "oracle", "episodes"))
    rows = torch.randperm(40, generator=make_generator(0, "oracle", "rows"))
    rule = textbook(simulator.model)
    whole = simulator.run(rule, start=start, noise=noise)
    moved = start._replace(population=start.population[rows], time=start.time[rows])
    return simulator.run(rule, start=moved, noise=noise[:, rows]).reward, whole.reward[rows], 1e-6


def flat_linear_escapement_is_constant() -> Comparison:
    """A linear escapement that looks at nobody is the constant one."""
    model = three_species()
    linear = HarvestRule("linear", model.harvested, model.scale, [0.4, 0.0, 0.0, 0.0, 0.3, 0.0])
    constant = HarvestRule("escapement", model.harvested, model.scale, [0.4, 0.3])
    observation = torch.rand(50, 3, generator=make_generator(0, "oracle", "flat")) / model.scale
    return linear(observation), constant(observation), 1e-6


def a_stock_alone_rests_at_the_textbook_yield() -> Comparison:
    """Without noise and neighbours, M = r / (r + 2) keeps a logistic stock at K / 2 after harvest: r K / 4 a year."""
    model = Ecosystem(
        species=(Species("X", 0.75, rate=0.8, capacity=1.2, noise=0.0),), fisheries=(Fishery("X"),), horizon=400
    )
    simulator = EcosystemSimulator(model, dtype=torch.float64)
    start, noise = simulator.noise(1, make_generator(0, "oracle", "alone"))
    yearly = simulator.run(textbook(model), start=start, noise=noise, yearly=True).yearly
    assert yearly is not None
    return yearly[0, -1].double(), torch.tensor(0.8 * 1.2 / 4.0, dtype=torch.float64), 1e-6


def _reward(model: Ecosystem, rule: HarvestPolicy, seed: int) -> float:
    simulator = EcosystemSimulator(model)
    start, noise = simulator.noise(200, make_generator(seed, "oracle", "test"))
    return simulator.run(rule, start=start, noise=noise).reward.mean().item()


def _learned(seed: int, *, model: Ecosystem, updates: int, penalty: float = 100.0) -> float:
    """Minus the reward of a rule that was trained shortly, with the model's penalty or another one."""
    config = fishery.Config(
        hidden=(16,), learning_rate=3e-3, updates=updates, lanes=32, steps=32, epochs=4, minibatches=4, dev_episodes=16,
        dev_every=5,
    )  # fmt: skip
    simulator = EcosystemSimulator(replace(model, penalty=penalty))
    learner = fishery.HarvestLearner(simulator, config=config, seed=seed)
    for _ in range(config.updates):
        learner.update()
    return -_reward(model, learner.best_rule(), seed)


def _floor(seed: int) -> float:
    """Minus the reward in model 3, where it beats a ban on fishing: in model 1 it fishes the stock to extinction."""
    return -_reward(three_species(), textbook(three_species()), seed)


REFERENCES = {
    "an exact escapement rule is read back": an_exact_escapement_rule_is_read_back,
    "a popular window is the narrowest by enumeration": a_popular_window_is_the_narrowest_by_enumeration,
    "the smoothed rule is scikit-learn's mean": the_smoothed_rule_is_scikit_learns_mean,
    "a smoothed smooth rule is itself": a_smoothed_smooth_rule_is_itself,
    "growth is the paper's equations": growth_is_the_paper_s_equations,
}
INVARIANCES = {
    "order of species": species_may_be_listed_in_any_order,
    "order of episodes": episodes_may_stand_in_any_order,
}
REDUCTIONS = {
    "flat linear escapement is constant": flat_linear_escapement_is_constant,
    "a stock alone rests at the textbook yield": a_stock_alone_rests_at_the_textbook_yield,
}
FLOORS = {"the textbook mortality": lambda seed: (_learned(seed, model=three_species(), updates=20), _floor(seed))}
ABLATIONS = {
    "the near-extinction penalty, left out in training": lambda seed: (
        _learned(seed, model=may1(), updates=10),
        _learned(seed, model=may1(), updates=10, penalty=0.0),
    )
}
