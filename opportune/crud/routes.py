"""Routes of a model's rows: a router whose routes can be replaced, and how a path names a row."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from opportune.crud.crud import Crud
from opportune.db.models.model import MAX_ID, RowKey


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


def key_name(kind: type[Crud[Any]]) -> str:
    """What a path calls what names a row: `book_id`, or `slug`."""
    return f"{kind.identity().replace('-', '_')}_id" if kind.lookup == "id" else kind.lookup


def key_type(kind: type[Crud[Any]]) -> Any:
    """The type of a route's parameter `key`."""
    if kind.lookup == "id":
        return Annotated[RowKey, Path(ge=1, le=MAX_ID, alias=key_name(kind))]
    return Annotated[str, Path(alias=key_name(kind))]


def as_route_of(kind: type[Crud[Any]], route: Any, **types: Any) -> Any:
    """A route with the types that FastAPI is to read, which only the moment knows, as if the project had written it."""
    route.__annotations__ |= types
    route.__module__ = kind.__module__
    return route
