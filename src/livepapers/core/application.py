"""What applying a method to the user's own data gives back."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from livepapers.core.learner import JSON

Row = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Application:
    """The outcome of `apply`: one sentence, tables, notes, and the files that were written."""

    slug: str
    headline: str  # the first thing a person wants to know, with its figure; bad news included
    tables: Mapping[str, Sequence[Row]]  # title -> rows with equal keys
    notes: tuple[str, ...] = ()  # what the reader should know before using the figures
    files: Mapping[str, str] = field(default_factory=dict)  # file in the output folder -> what it holds
    output: Path | None = None

    def to_json(self) -> dict[str, JSON]:
        """JSON-ready values; what `livepapers apply --json` prints."""
        return {
            "slug": self.slug,
            "headline": self.headline,
            "tables": {title: [dict(row) for row in rows] for title, rows in self.tables.items()},
            "notes": list(self.notes),
            "files": dict(self.files),
            "output": None if self.output is None else str(self.output),
        }


def to_csv(rows: Sequence[Row]) -> str:
    """Rows with equal keys as CSV with a header; None is an empty cell.

    Texts are quoted, so that any name (commas, quotes, line breaks) is read back as it was.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
