"""The lab's door, without the lab: what a study's `measure` is handed in tests."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from livepapers.core.artifact import Artifact, resolve
from livepapers.core.learner import Learner
from livepapers.core.rng import generator


class FakeRun:
    """A run in memory. What is kept as an artifact must rebuild from what it names.

    Args:
        folder: What every prepared part is; without one, the study must prepare nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.points: list[tuple[int, dict[str, float]]] = []
        self.kept: dict[str, np.ndarray] = {}
        self.work: dict[str, int] = {}
        self.artifacts: dict[str, Artifact] = {}

    def log(self, step: int, **metrics: float) -> None:
        self.points.append((step, metrics))

    def samples(self, name: str, values: np.ndarray) -> None:
        self.kept[name] = values

    def artifact(self, name: str, artifact: Artifact, *, weights: Mapping[str, torch.Tensor] | None = None) -> None:
        assert weights is not None
        resolve(artifact.architecture)(**artifact.arguments).load_state_dict(weights)
        self.artifacts[name] = artifact

    def generator(self, name: str) -> torch.Generator:
        return generator(0, "test", name)

    def private_generator(self, name: str) -> torch.Generator:
        return generator(0, "test", "private", name)

    def prepared(self, name: str) -> Path:
        assert self.folder is not None, f"the study prepares no {name}"
        return self.folder

    def drive(
        self,
        learner: Learner,
        updates: int,
        *,
        name: str = "learner",
        evaluate: Callable[[int], dict[str, float] | None] | None = None,
    ) -> None:
        for step in range(1, updates + 1):
            learner.update()
            found = evaluate(step) if evaluate else None
            if found is not None:
                self.log(step, **found)
        self.spend(**learner.work())

    def spend(self, **work: int) -> None:
        self.work.update(work)

    @property
    def map(self) -> Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]:
        return map


class PreparedRun(FakeRun):
    """A run whose parts are prepared in a folder when they are first asked for.

    Args:
        root: The folder; runs that share it share the parts.
        prepare: The study's `PREPARE`.
        preset: At which they are prepared.
    """

    def __init__(self, root: Path, prepare: Mapping[str, Callable[[Path, str], None]], preset: str) -> None:
        super().__init__(root)
        self.root, self.asked, self._prepare, self._preset = root, [], prepare, preset

    def prepared(self, name: str) -> Path:
        self.asked.append(name)
        folder = self.root / name.replace(" ", "-")
        if not folder.exists():
            folder.mkdir(parents=True)
            self._prepare[name](folder, self._preset)
        return folder
