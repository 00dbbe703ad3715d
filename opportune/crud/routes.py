"""A router whose routes can be replaced."""

from typing import Any

from fastapi import APIRouter


class ReplaceableRoutes(APIRouter):
    """Once it is complete, a route that is added comes before those that are there, and may take the place of one."""

    _added: int | None = None

    def complete(self) -> None:
        self._added = 0

    def add_api_route(self, *arguments: Any, **options: Any) -> None:
        super().add_api_route(*arguments, **options)
        if self._added is not None:
            self.routes.insert(self._added, self.routes.pop())
            self._added += 1
