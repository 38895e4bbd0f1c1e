"""The pre-trained model in a folder that `apply oc-gfn` wrote: read again, with what its training took (oc-gfn)."""

import json
import warnings
from pathlib import Path
from typing import Any

from livepapers.core import artifact
from livepapers.core.errors import CorruptFileError, InputError, plainly
from livepapers.methods.oc_gfn.config import Config
from livepapers.methods.oc_gfn.drawing import SLUG
from livepapers.methods.oc_gfn.learner import OutcomeConditionedGFlowNet
from livepapers.methods.oc_gfn.problem import Problem

MODEL = "methods.oc_gfn:ConditionalFlowNetwork"


def load_model(folder: Path | str) -> tuple[Problem, OutcomeConditionedGFlowNet]:
    """The pre-trained model that `apply` wrote to `folder`.

    Raises:
        InputError: There is none, but perhaps something else.
        CorruptFileError: It does not verify.
    """
    problem, model, _ = read_model(Path(folder))
    return problem, model


def read_model(folder: Path) -> tuple[Problem, OutcomeConditionedGFlowNet, float | None]:
    """See `load_model`; beside it, the share of different objects that its explorer went to, where that was told.

    The explorer itself is not kept: it cannot be asked again.
    """
    described = _described(folder)
    try:
        values = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        problem = Problem(**values)
        config = Config.from_json(described.made_by["config"])  # type: ignore[arg-type]  # checked by from_json
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warned of when it was trained
            model = OutcomeConditionedGFlowNet(problem.construction(), config, seed=int(described.made_by["seed"]))  # type: ignore[arg-type]
        work: Any = described.made_by["work"]
        model.environment_steps, model.trajectories = int(work["environment_steps"]), int(work["trajectories"])
        told: Any = described.made_by.get("explored")
        explored = None if told is None else float(told)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CorruptFileError(f"{folder}: not a model of {SLUG} ({plainly(error)})") from None
    model.network.load_state_dict(artifact.load_network(folder).state_dict())
    return problem, model, explored


def _described(folder: Path) -> artifact.Artifact:
    """The description of a pre-trained model, and of nothing else."""
    expected = "a folder with a model that apply oc-gfn wrote"
    if not (folder / "artifact.json").is_file():
        cause = "it holds no artifact.json" if folder.is_dir() else "no such folder"
        raise InputError.of("--pretrained", folder, expected=expected, cause=cause)
    described = artifact.load(folder)
    if described.architecture != MODEL:
        cause = f"it holds {described.named_kind} of {described.slug}"
        if described.slug == SLUG:
            cause = "it holds the sampler of one reward; the model is in the folder above"
        raise InputError.of("--pretrained", folder, expected=expected, cause=cause)
    return described
