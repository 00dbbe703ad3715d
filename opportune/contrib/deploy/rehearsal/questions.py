"""Find the endpoint of a site that streams answers to questions."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts


@dataclass(frozen=True)
class QuestionEndpoint:
    """Endpoint for questions as JSON."""

    path: str
    fields: tuple[str, ...]
    """Required text fields."""


def find_question_endpoint(app: FastAPI) -> QuestionEndpoint | None:
    """Return the first POST route without path parameters that responds with 202 and a `stream_url`."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = context.path or ""
        if not isinstance(route, APIRoute) or "{" in path or "POST" not in (context.methods or ()):
            continue
        fields: dict[str, Any] = getattr(route.response_model, "model_fields", {})
        if route.status_code == 202 and "stream_url" in fields:
            body = route.body_field.field_info.annotation if route.body_field else None
            body_fields: dict[str, Any] = getattr(body, "model_fields", {})
            return QuestionEndpoint(path, tuple(name for name, info in body_fields.items() if info.is_required()))
    return None
