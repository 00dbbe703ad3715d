"""Routers of pages and APIs whose routes a project can replace."""

import re
from typing import Any

from opportune.errors import OperatorError
from opportune.web.routing.api_router import APIRouter


class ReplaceableRoutes(APIRouter):
    """Router that moves routes added after `complete()` to the front, so that they can replace existing ones."""

    _added_count: int | None = None
    """Number of routes added after `complete()`; None before that call."""

    def __init__(self, *, prefix: str, **options: Any) -> None:
        if not re.fullmatch(r"(/[^/\s?#{}]+)+", prefix):
            raise OperatorError(f"{prefix!r} is no path of pages or an API. Write /books, without / at its end.")
        super().__init__(prefix=prefix, **options)

    def complete(self) -> None:
        self._added_count = 0

    def add_api_route(self, *args: Any, **options: Any) -> None:
        super().add_api_route(*args, **options)
        if self._added_count is not None:
            added = self.routes.pop()
            self.routes[:] = [route for route in self.routes if _request_of(route) != _request_of(added)]
            self.routes.insert(self._added_count, added)
            self._added_count += 1


def _request_of(route: Any) -> tuple[str, set[str]]:
    """Return the path without the names of its parameters, and the methods."""
    return re.sub(r"\{[^}]*\}", "{}", route.path), route.methods
