"""What was published about each paper, read once: results do not change while the page runs."""

import functools
from collections.abc import Mapping
from typing import Any

from livepapers.lab.report.summary import of_paper
from livepapers.papers import catalogue


@functools.cache
def published(slug: str) -> Mapping[str, Any] | None:
    """The committed results of a paper (`results/<slug>.json`), None if it has none or is not in the catalogue."""
    return catalogue.results(slug) if slug in catalogue.load() else None


@functools.cache
def strip(slug: str) -> tuple[str, ...]:
    """The verdicts on the paper's own claims, in their order."""
    found = published(slug)
    return () if found is None else tuple(verdict["verdict"] for verdict in of_paper(found["current"]["verdicts"]))
