"""The same training in torchgfn: its SetAddition environment, DBGFlowNet(forward_looking=True), its own sampler.

Set up as its tutorials do: one trunk shared by the three heads, Adam, and `to_training_samples`. Its rewards come from
`reward_fn`, from which it takes the energy of a move as a difference of log rewards. The stop action that it adds to
each trajectory is not counted as a transition.
"""

import json
import platform
import time
from importlib import metadata

import torch
from gfn.estimators import DiscretePolicyEstimator, ScalarEstimator
from gfn.gflownet import DBGFlowNet
from gfn.gym.set_addition import SetAddition
from gfn.preprocessors import IdentityPreprocessor
from gfn.utils.modules import MLP

SETS = {
    "large": (100, 80, (
        -0.8596854107736154, -0.5938789622812419, -0.5596177369051512, -0.4589997720511263, -0.15382957507887518,
        0.13832182722858843, 0.3925029176153736, 0.7231982581431591, 0.7326989860019331, 0.9244538380742333,
    )),
    "small": (30, 20, (
        -0.4381397850674522, -0.40046449111789073, -0.2745059751263419, 0.013149744911117978, 0.4110535720923896,
        0.6261749162235306, 0.6961474461702144, 0.7442282139370466, 0.8206350287761408, 0.883494921538938,
    )),
}  # fmt: skip
CASES = (("large", 16, 20), ("large", 256, 3), ("small", 16, 60))


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    versions = {"python": platform.python_version(), **{p: metadata.version(p) for p in ("torch", "torchgfn")}}
    for instance, batch, updates in CASES:
        line = transitions_a_second(instance, batch=batch, updates=updates)
        print(json.dumps({**line, "who": "torchgfn", "versions": versions}))


def transitions_a_second(instance: str, *, batch: int, updates: int) -> dict[str, object]:
    items, size, distinct = SETS[instance]
    energies = torch.tensor(distinct).repeat_interleave(items // len(distinct))
    env = SetAddition(items, size, lambda state: torch.exp(-(state @ energies)), fixed_length=True)
    trunk = MLP(items, env.n_actions, hidden_dim=256, n_hidden_layers=2, activation_fn="leaky_relu")
    shared, look = trunk.trunk, IdentityPreprocessor(output_dim=items)
    backward = MLP(items, env.n_actions - 1, trunk=shared)
    flow = MLP(items, 1, trunk=shared)
    gflownet = DBGFlowNet(
        pf=DiscretePolicyEstimator(trunk, n_actions=env.n_actions, preprocessor=look),
        pb=DiscretePolicyEstimator(backward, n_actions=env.n_actions, preprocessor=look, is_backward=True),
        logF=ScalarEstimator(flow, preprocessor=look),
        forward_looking=True,
    )
    optimizer = torch.optim.Adam(gflownet.parameters(), lr=1e-3)

    def update() -> float:
        trajectories = gflownet.sample_trajectories(
            env, n=batch, save_logprobs=False, save_estimator_outputs=False, epsilon=0.5
        )
        optimizer.zero_grad()
        loss = gflownet.loss(env, gflownet.to_training_samples(trajectories), recalculate_all_logprobs=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    first, *_ = [update() for _ in range(3)]
    start = time.process_time()
    for _ in range(updates):
        last = update()
    seconds = time.process_time() - start
    return {
        "figure": f"transitions trained, {size} of {items} items, batch {batch}",
        "value": updates * batch * size / seconds,
        "unit": "a second of processor time",
        "better": "higher",
        "check": {"loss at the start": round(first, 3), "loss at the end": round(last, 3)},
    }


if __name__ == "__main__":
    main()
