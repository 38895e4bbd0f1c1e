"""EvoTorch: its genetic algorithm on Gymnasium's CartPole, and the bytes of an individual as it stores it.

`GymNE` is EvoTorch's way to evolve a policy for a Gymnasium environment: one individual after the other, or spread
over Ray actors; here on one core, as all contestants. An individual is stored as the row of weights that it is.
"""

import json
import platform
import statistics
import time
from importlib import metadata

import torch
from evotorch.algorithms import GeneticAlgorithm
from evotorch.neuroevolution import GymNE
from evotorch.operators import GaussianMutation

POPULATION, GENERATIONS, STEPS = 500, 10, 200
LARGE = 4_052_658


def main() -> None:
    torch.set_num_threads(1)
    versions = {name: metadata.version(name) for name in ("evotorch", "torch", "gymnasium")}
    for line in (evaluations_a_second(), bytes_an_individual()):
        print(json.dumps({**line, "who": "EvoTorch", "versions": {**versions, "python": platform.python_version()}}))


def evaluations_a_second() -> dict[str, object]:
    rates, first = [], 0.0
    for seed in range(4):
        problem = GymNE(
            "CartPole-v1", "Linear(obs_length, 16) >> Tanh() >> Linear(16, act_length)", episode_length=STEPS,
            initial_bounds=(-0.5, 0.5),
        )  # fmt: skip
        problem.manual_seed(seed)
        searcher = GeneticAlgorithm(
            problem, popsize=POPULATION, operators=[GaussianMutation(problem, stdev=0.05)], re_evaluate=False
        )
        start = time.perf_counter()
        for generation in range(GENERATIONS):
            searcher.step()
            if generation == 0:
                first = float(searcher.status["mean_eval"])
        spent = int(problem.status["total_episode_count"])
        rates.append(spent / (time.perf_counter() - start))
    return {
        "figure": "evaluations of CartPole, 500 individuals, 10 generations, after compiling",
        "value": statistics.median(rates[1:]),
        "unit": "evaluations/s", "better": "higher", "check": {"mean return of initial weights": round(first)},
    }  # fmt: skip


def bytes_an_individual() -> dict[str, object]:
    row = torch.zeros(LARGE)
    return {
        "figure": "bytes a checkpoint keeps of an individual, 4 million weights, 100 generations",
        "value": row.numel() * row.element_size(), "unit": "bytes", "better": "lower", "check": {"weights": LARGE},
    }  # fmt: skip


if __name__ == "__main__":
    main()
