"""Problem details (RFC 9457) in the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from opportune.web.errors.status_texts import STATUS_MESSAGES

_TEXT = {"type": "string"}
PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
        "request_id": _TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "array", "items": _TEXT}, "message": _TEXT},
            },
        },
    },
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
FASTAPI_ERROR = {"$ref": "#/components/schemas/HTTPValidationError"}
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error responses of a route: `@router.get("", responses=error_responses(404, 409))`."""
    content = {"application/problem+json": {"schema": PROBLEM}}
    return {status: {"description": STATUS_MESSAGES[status], "content": content} for status in statuses}


def operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations of an OpenAPI document."""
    for path in schema.get("paths", {}).values():
        yield from (operation for method, operation in path.items() if method in METHODS)


def _all_operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the operations, and those of webhooks and callbacks, of which several may have the same id."""
    for operation in (*operations(schema), *operations({"paths": schema.get("webhooks", {})})):
        yield operation
        for callback in operation.get("callbacks", {}).values():
            yield from _all_operations({"paths": callback})


def complete_responses(schema: dict[str, Any]) -> None:
    """Add the schema `Problem`, use it in place of FastAPI's `HTTPValidationError`, and type event streams."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    for operation in _all_operations(schema):
        content = operation["responses"].get("422", {}).get("content", {})
        if content.get("application/json", {}).get("schema") == FASTAPI_ERROR:
            operation["responses"]["422"] = error_responses(422)[422]
        content = operation["responses"].get("200", {}).get("content", {})
        event_schema = content.get("text/event-stream", {}).get("schema", {})
        if "$ref" in event_schema:
            event_schema.pop("type", None)  # which FastAPI writes next to the model of an event stream
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
