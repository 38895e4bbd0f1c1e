"""`python -m livepapers.samples NAME` says where a sample lies, to be copied; without a name, what there is."""

import sys
from collections.abc import Sequence

from livepapers import samples
from livepapers.core.errors import InputError


def main(arguments: Sequence[str]) -> int:
    """Print the path of the sample that is named, or all names; returns the exit status."""
    if not arguments:
        print("\n".join(samples.names()))
        return 0
    try:
        print("\n".join(str(samples.path(name)) for name in arguments))
    except InputError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
