"""What only a fresh interpreter can show; run as `python -P probe.py <method module> <seed>`.

Prints one JSON object: heavy modules that importing the package and the catalogue pulled in, and the trace of the
method's smallest run.
"""

import json
import sys

HEAVY = ("torch", "matplotlib", "pandas", "sklearn", "gymnasium")


def main() -> None:
    """Look first at what the light imports cost, then import the method alone and run it."""
    from livepapers.papers import catalogue

    catalogue.load()
    heavy = [name for name in HEAVY if name in sys.modules]

    import importlib

    method = importlib.import_module(sys.argv[1])
    import torch

    from livepapers.battery.subject import trace

    torch.set_num_threads(1)
    print(json.dumps({"heavy": heavy, "trace": trace(method, int(sys.argv[2]))}))


if __name__ == "__main__":
    main()
