"""What a check is handed: one paper's card, method, study and oracles, and the ways to run its smallest example."""

import functools
import hashlib
import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch

from livepapers.core.errors import InputError
from livepapers.core.learner import Learner, State
from livepapers.lab.study import Study, load_study
from livepapers.papers import catalogue

Role = Literal["learner", "function"]
STEPS = 3
"""Updates in the short runs that are compared bit for bit."""


@dataclass(frozen=True)
class Subject:
    """One paper under test."""

    slug: str
    card: catalogue.Card
    method: ModuleType
    oracles: ModuleType

    @classmethod
    @functools.cache
    def of(cls, slug: str) -> "Subject":
        """Import what belongs to `slug`; raises `InputError` for a paper without a method."""
        card = catalogue.card(slug)
        name = catalogue.method_module(slug)
        if name is None:
            raise InputError.of("slug", slug, expected="a paper with a method", cause="this one is only listed so far")
        oracles = importlib.import_module(f"livepapers.battery.oracles.{catalogue.module_name(slug)}")
        return cls(slug, card, importlib.import_module(name), oracles)

    @property
    def role(self) -> Role:
        """Whether the method improves step by step or is a plain function."""
        return self.method.ROLE

    @property
    def config(self) -> Any:
        """The method's `Config` class."""
        return self.method.Config

    @functools.cached_property
    def study(self) -> Study:
        """The paper's study."""
        return load_study(self.slug)

    @property
    def sources(self) -> list[Path]:
        """The method's files."""
        path = Path(str(self.method.__file__))
        return sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]

    def learner(self, seed: int = 0) -> Learner:
        """The smallest example, not yet updated."""
        return self.method.example(self.config.tiny(), seed)

    def trace(self, seed: int = 0) -> str:
        """A digest of metrics and state along the smallest run: equal digests mean equal bits."""
        return trace(self.method, seed)

    def oracle(self, kind: str) -> Mapping[str, Callable[..., Any]]:
        """The oracles of a kind ("REFERENCES", "LOSSES" ...) by name."""
        return getattr(self.oracles, kind, {})


def trace(method: ModuleType, seed: int) -> str:
    """See `Subject.trace`; also called in a fresh interpreter, which has no subject."""
    digest = hashlib.sha256()
    made = method.example(method.Config.tiny(), seed)
    if isinstance(made, Learner):
        for _ in range(STEPS):
            absorb(digest, made.update())
            absorb(digest, made.state_dict())
    else:
        absorb(digest, made)
    return digest.hexdigest()


def state_digest(state: State) -> str:
    """A digest of a nested state; equal digests mean equal bits."""
    digest = hashlib.sha256()
    absorb(digest, state)
    return digest.hexdigest()


def absorb(digest: Any, value: Any) -> None:
    """Feed a nested value of tensors and JSON into a hash, bit for bit."""
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{list(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    elif isinstance(value, Mapping):
        for key in sorted(value):  # files keep no order
            digest.update(str(key).encode())
            absorb(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            absorb(digest, item)
    elif isinstance(value, float):
        digest.update(("nan" if math.isnan(value) else value.hex()).encode())
    else:
        digest.update(json.dumps(value).encode())
