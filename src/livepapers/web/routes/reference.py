"""The JSON API as a page for people: what the OpenAPI document says, one endpoint after the other."""

from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from livepapers.web.rendering import page

router = APIRouter(include_in_schema=False)

Schema = dict[str, Any]
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
LIMITS = {"minimum": "from {}", "maximum": "to {}", "maxLength": "at most {} letters"}


class Value(NamedTuple):
    """What is given or answered under a name."""

    name: str
    kind: str
    about: str


class Endpoint(NamedTuple):
    """One address with what it takes and answers."""

    method: str
    path: str
    about: list[str]
    given: list[Value]
    answer: str  # name of a shape
    statuses: list[tuple[str, str]]


@router.get("/api")
def reference(request: Request) -> Response:
    """The endpoints, and the shapes that they take and answer."""
    document = request.app.openapi()
    schemas: dict[str, Schema] = document["components"]["schemas"]
    endpoints = [
        _endpoint(method.upper(), path, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    shapes = {name: (schema.get("description", ""), _values(schema)) for name, schema in schemas.items()}
    return page(request, "reference.html.j2", endpoints=endpoints, shapes=shapes)


def _endpoint(method: str, path: str, operation: Schema, schemas: dict[str, Schema]) -> Endpoint:
    given = [
        Value(p["name"], _kind(p["schema"]), _told(_in(p), p.get("description", ""), _limits(p["schema"])))
        for p in operation.get("parameters", [])
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = _reference(content["schema"])
        given += [value._replace(about=_told("in the body", value.about)) for value in _values(schemas[name])]
    statuses = [(code, told["description"]) for code, told in operation["responses"].items() if int(code) >= 300]
    good = next(told for code, told in operation["responses"].items() if int(code) < 300)
    answer = next((_reference(content["schema"]) for content in good.get("content", {}).values()), "")
    return Endpoint(method, path, operation["description"].split("\n\n"), given, answer, sorted(statuses))


def _told(*parts: str) -> str:
    return "; ".join(filter(None, parts))


def _in(parameter: Schema) -> str:
    if parameter["in"] == "path":
        return "in the address"
    return "must be given" if parameter["required"] else ""


def _limits(schema: Schema) -> str:
    told = [text.format(schema[key]) for key, text in LIMITS.items() if key in schema]
    if schema.get("default") not in (None, ""):
        told.append(f"{schema['default']} where it is left out")
    return ", ".join(told)


def _values(schema: Schema) -> list[Value]:
    return [
        Value(name, _kind(part), _told(part.get("description", ""), _limits(part)))
        for name, part in schema.get("properties", {}).items()
    ]


def _reference(schema: Schema) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return _reference(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    kind: str = schema.get("type", "anything")
    return f"list of {_kind(schema['items'])}" if kind == "array" else KINDS.get(kind, kind)
