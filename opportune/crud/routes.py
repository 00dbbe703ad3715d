"""Routers whose routes a project can replace, and the path parameter of a row."""

import re
from typing import Annotated, Any

from fastapi import Path

from opportune.crud.crud import Crud
from opportune.db.models.model import MAX_ID, RowKey
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


def path_parameter_name(crud_class: type[Crud[Any]]) -> str:
    """Return the name of the path parameter: `book_id`, or the `lookup` column such as `slug`."""
    return f"{crud_class.identity().replace('-', '_')}_id" if crud_class.lookup == "id" else crud_class.lookup


def path_parameter_type(crud_class: type[Crud[Any]]) -> Any:
    """Return the annotation of the path parameter `key` of a route."""
    if crud_class.lookup == "id":
        return Annotated[RowKey, Path(ge=1, le=MAX_ID, alias=path_parameter_name(crud_class))]
    return Annotated[str, Path(alias=path_parameter_name(crud_class))]


def set_route_types(crud_class: type[Crud[Any]], route: Any, **types: Any) -> Any:
    """Set a route's parameter types, which are derived at run time, and the module that `oppman.py routes` shows."""
    route.__annotations__ |= types
    route.__module__ = crud_class.__module__
    return route
