"""What only a fresh interpreter can show, of one method after another; run as `python -P probe.py`.

It prints one JSON object a line. The first says which heavy modules importing the package and the catalogue pulled in.
Then, for each line of its input, the name of a method's module, a fork of it imports that method alone and prints the
trace of its smallest run, or what went wrong. Libraries are loaded before, once: they take most of the time, and what
is asked is whether the method needs anything of livepapers that it does not import.
"""

import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path

HEAVY = ("torch", "matplotlib", "pandas", "sklearn", "gymnasium")
SHARED = ("torch", "scipy.optimize", "scipy.special", "scipy.stats", "pandas", "gymnasium", "pydantic", "sklearn.base")
SEED = 0


def main() -> None:
    """Answer until the input ends."""
    from livepapers.papers import catalogue

    catalogue.load()
    say({"heavy": [name for name in HEAVY if name in sys.modules]})
    for name in SHARED:
        importlib.import_module(name)
    for line in sys.stdin:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: a library's, none computes
            child = os.fork()
        if not child:
            say(told(line.strip()))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            say({"error": f"the process ended with {os.waitstatus_to_exitcode(status)}"})


def told(module: str) -> dict[str, str]:
    """The trace of a method's smallest run, or the error."""
    try:
        method = importlib.import_module(module)
        import torch

        from livepapers.battery.subject import trace

        torch.set_num_threads(1)
        return {"trace": trace(method, SEED)}
    except BaseException as error:  # noqa: BLE001 - whatever it is, the check tells it
        place = traceback.extract_tb(error.__traceback__)[-1]
        return {"error": f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"}


def say(answer: Mapping[str, object]) -> None:
    """One line."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
