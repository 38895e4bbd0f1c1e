"""Parameters that several addresses take. Where a form sends one empty, it is as if it was left out."""

import datetime as dt
import re
from typing import Annotated

from fastapi import HTTPException, Query
from pydantic import AfterValidator, BeforeValidator

from livepapers.papers import catalogue
from livepapers.web.store import PAGE, STATUSES, Sort

_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", re.ASCII)


def _else(default: object) -> BeforeValidator:
    return BeforeValidator(lambda given: default if given == "" else given)


def _date(text: str) -> str:
    """A date of which the day, or month and day, may be left out; or nothing."""
    if text:
        try:
            dt.date.fromisoformat(text + "-01-01"[len(text) - 4 :] if _DATE.fullmatch(text) else "")
        except ValueError:
            raise ValueError("a date: YYYY, YYYY-MM or YYYY-MM-DD") from None
    return text


def pages_of(number: int, total: int, size: int) -> int:
    """How many pages a list has; 404 where the one that is asked for is after the last."""
    pages = -(-total // size)
    if number > max(1, pages):
        raise HTTPException(404, f"there is no page {number}, the last one is {max(1, pages)}")
    return pages


Number = Annotated[int, Query(ge=1, le=100_000, alias="page"), _else(1)]
Size = Annotated[int, Query(ge=1, le=100, description="things on a page"), _else(PAGE)]
Order = Annotated[Sort, _else("trending")]
Since = Annotated[str, AfterValidator(_date), Query(max_length=10, description="YYYY, YYYY-MM or YYYY-MM-DD")]
Field = Annotated[str, Query(description=f"one of {', '.join(catalogue.FIELDS)}")]
Status = Annotated[str, Query(description=f"one of {', '.join(STATUSES)}")]
