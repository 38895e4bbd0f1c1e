"""What was wrong with a request, in one line, whoever found it: the page, FastAPI, pydantic or Starlette."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from livepapers.core.errors import InputError, StoreError

UNPROCESSABLE = 422
"""The status of every value that is not what it should be."""
AWAY = "this page cannot use its store at the moment; try again shortly (its log says why)"
"""What a reader is told of what only the server's people can mend: why may name files and hosts."""
_PLAIN = {"Not Found": "there is no page at this address", "Method Not Allowed": "nothing can be sent to this address"}
_EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "bool_parsing": lambda _: "true or false",
    "bool_type": lambda _: "true or false",
    "extra_forbidden": lambda _: "no such name",
    "greater_than_equal": lambda limits: f"at least {limits['ge']:,}",
    "int_parsing": lambda _: "a whole number",
    "less_than_equal": lambda limits: f"at most {limits['le']:,}",
    "literal_error": lambda limits: f"one of {limits['expected']}",
    "model_attributes_type": lambda _: "a JSON object",
    "string_too_long": lambda limits: f"at most {limits['max_length']:,} characters",
    "string_too_short": lambda _: "some text",
    "string_type": lambda _: "text",
    "value_error": lambda limits: str(limits["error"]),
}
"""What a value should have been, by pydantic's name of the error."""


def told(error: Exception) -> tuple[int, str, Mapping[str, str] | None]:
    """Status, line and headers of the answer to an error."""
    if isinstance(error, RequestValidationError):
        return UNPROCESSABLE, _said(error.errors()[0]), None
    if isinstance(error, (StoreError, OSError)):
        logging.getLogger(__name__).error("%s", error)
        return 503, AWAY, {"Retry-After": "30"}
    if not isinstance(error, HTTPException):
        return UNPROCESSABLE, " ".join(str(error).split()), None
    if error.status_code == 400:  # only what parses bodies says so, in words for programmers
        return UNPROCESSABLE, "the form did not arrive whole, or was not sent as browsers send one", error.headers
    return error.status_code, _PLAIN.get(error.detail, error.detail), error.headers


def _said(found: Mapping[str, Any]) -> str:
    name = next((part for part in reversed(found["loc"]) if isinstance(part, str)), "body")
    if found["type"] == "missing":
        return f"{name}: got nothing, expected a value"
    if found["type"] == "json_invalid":
        return "body: got something else, expected JSON"
    expected = _EXPECTED.get(found["type"])
    if expected is None:
        return f"{name}: {found['msg']}"
    given = "nothing" if found["input"] == "" else found["input"]
    if isinstance(given, bytes):  # a body that was not said to be JSON is not read as such
        return "body: got something else, expected JSON, said to be so by Content-Type: application/json"
    return " ".join(str(InputError.of(name, given, expected=expected(found.get("ctx", {})))).split())
