"""Error responses in the OpenAPI document."""

from typing import Any

from opportune.web.errors.handlers import STATUS_MESSAGES

_TEXT = {"type": "string"}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
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


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe error responses of a route: `@router.get("", responses=refusals(401, 404))`."""
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {status: {"description": STATUS_MESSAGES[status], "content": content} for status in statuses}
