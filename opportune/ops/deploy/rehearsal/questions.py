"""Which address of a site takes a question and answers it in a stream."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts


@dataclass(frozen=True)
class Asking:
    """Where a question goes, as JSON."""

    path: str
    fields: tuple[str, ...]
    """What it must have, each a text."""


def find_asking(app: FastAPI) -> Asking | None:
    """The first address without parameters that answers 202 with a `stream_url`; None where a site has none."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = context.path or ""
        if not isinstance(route, APIRoute) or "{" in path or "POST" not in (context.methods or ()):
            continue
        fields: dict[str, Any] = getattr(route.response_model, "model_fields", {})
        if route.status_code == 202 and "stream_url" in fields:
            return Asking(path, _required(route))
    return None


def _required(route: APIRoute) -> tuple[str, ...]:
    body = route.body_field.field_info.annotation if route.body_field else None
    wanted: dict[str, Any] = getattr(body, "model_fields", {})
    return tuple(name for name, each in wanted.items() if each.is_required())
