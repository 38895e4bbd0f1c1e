"""The input that ours and the peers share: solubility's training molecules as plain numbers in the cache folder."""

import json
import os
from pathlib import Path
from typing import Any


def place() -> Path:
    """Where `ours.py` leaves the file; the peers' interpreters have no livepapers to ask."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "livepapers"
    return Path(os.environ.get("LIVEPAPERS_CACHE") or base).expanduser() / "bench" / "solubility.json"


def read() -> dict[str, Any]:
    """sizes, ends (numbers within each graph), nodes and edges (attributes), targets: one list a graph."""
    return json.loads(place().read_text())
