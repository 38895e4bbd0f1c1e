"""A study whose learners take milliseconds, for the lab's own tests; shaped as every study module is."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

from livepapers.core.artifact import Artifact
from livepapers.core.learner import Learner
from livepapers.lab.study import Arm, Run, Setting

VERSION = 1

ARMS = (
    Arm("walk", "method", "a random walk with momentum, driven step by step"),
    Arm("drift", "baseline", "a random walk without momentum"),
    Arm("rest", "method", "where the walk ends, moved on: the same training", trains_as="walk"),
    Arm("zero", "optimum", "what no seed changes", seeded=False),
)


def _setting(name: str, arms: tuple[str, ...], *, seeds: int = 2, **parameters: float) -> Setting:
    return Setting(name, f"the {name} setting", arms, {"smoke": seeds, "laptop": seeds}, parameters)


SETTINGS = (
    _setting("short", ("walk", "drift", "zero"), updates=40, pause=0.0),
    _setting("shared", ("walk", "rest"), updates=30, pause=0.0),
    _setting("long/way", ("walk", "drift"), updates=60, pause=0.01),
    Setting("slow", "long enough to be stopped", ("walk",), {"paper": 1}, {"updates": 100, "pause": 0.025}),
    Setting("broken", "fails in every way", ("walk",), {"paper": 1}, {"updates": 5, "pause": 0.0}),
    Setting("deadly", "its worker dies", ("walk",), {"paper": 1}, {"updates": 5, "pause": 0.0}),
)

CLAIMS = ()


def _prepare_base(folder: Path, preset: str) -> None:
    with (folder.parent.parent / "prepared.log").open("a") as file:  # one line for each time it is really made
        file.write(f"{preset}\n")
    time.sleep(0.1)
    (folder / "base.txt").write_text("0.25")


PREPARE = {"base": _prepare_base}


class Walk(Learner):
    """Adds noise to a vector; the order of every draw matters."""

    def __init__(self, generator: torch.Generator, *, momentum: float, pause: float) -> None:
        self.generator, self.momentum, self.pause = generator, momentum, pause
        self.place, self.speed, self.steps = torch.zeros(3), torch.zeros(3), 0

    def update(self) -> dict[str, float]:
        time.sleep(self.pause)
        self.speed = self.momentum * self.speed + torch.randn(3, generator=self.generator)
        self.place = self.place + 0.1 * self.speed
        self.steps += 1
        return {"distance": float(self.place.norm())}

    def state_dict(self) -> dict[str, object]:
        return {"place": self.place, "speed": self.speed, "steps": self.steps, "generator": self.generator.get_state()}

    def load_state_dict(self, state) -> None:
        self.place, self.speed, self.steps = state["place"], state["speed"], int(state["steps"])
        self.generator.set_state(state["generator"])

    def work(self) -> dict[str, int]:
        return {"steps": self.steps}


def measure(arm: str, setting: Setting, seed: int, preset: str, run: Run) -> dict[str, float]:
    if setting.name == "broken":
        return _break(seed, run)
    if setting.name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if arm == "zero":
        return {"distance": 0.0}
    base = float((run.prepared("base") / "base.txt").read_text())
    updates, pause = int(setting.parameters["updates"]), setting.parameters["pause"]
    world = run.generator("world")
    offset = torch.rand(1, generator=world).item()
    first = Walk(run.private_generator("first"), momentum=0.0 if arm == "drift" else 0.9, pause=pause)
    second = Walk(run.private_generator("second"), momentum=0.5, pause=pause)

    def evaluate(step: int) -> dict[str, float] | None:
        run.spend(evaluations=1)
        if step % 10 == 0:
            run.samples(f"at {step}", np.arange(step, dtype=np.float32) + offset)
        # the stream lives on from step to step: a resume must find it where it was
        return {"noisy": float(first.place.norm() + torch.rand(1, generator=world)), "undefined": float("nan")}

    run.log(0, noisy=offset)
    run.drive(first, updates, name="first", evaluate=evaluate)
    between = torch.rand(1, generator=world).item()
    run.drive(second, updates, name="second", evaluate=lambda step: {"second": float(second.place.sum()) + between})
    run.artifact("end", Artifact("network", "hdpo", "", {}, {"seed": seed}), weights={"place": first.place})
    run.samples("final", (first.place + second.place).numpy())
    moved = 1.0 if arm == "rest" else 0.0
    return {"distance": float((first.place + second.place).norm()) + base + moved, "between": between, "world": offset}


def _break(seed: int, run: Run) -> dict[str, float]:
    run.log(1, before=1.0)
    return {"distance": float("nan"), "fine": 1.0} if seed == 0 else {}
