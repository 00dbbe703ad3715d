"""Rules of a view's data layer for the user of a request. They do not apply to superusers."""

from typing import Any, cast

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.current_request import current_request, values_of_request
from opportune.crud import Crud
from opportune.crud.field_rules import NO_FIELDS


class CrudRules:
    """Row rules of a request, and field rules of the current request. Without a data layer there are none."""

    def __init__(self, crud_class: type[Crud[Any]] | None, identity: str) -> None:
        self.crud_class, self.identity = crud_class, identity

    def readable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may see."""
        return [crud.readable()] if (crud := self._layer(request)) else []

    def writable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may change or delete."""
        return [crud.writable()] if (crud := self._layer(request)) else []

    @property
    def hidden(self) -> frozenset[str]:
        """Columns and relationships that the current user may not see."""
        crud = self._layer_with_field_rules()
        return crud.hidden_names if crud else NO_FIELDS

    @property
    def locked(self) -> frozenset[str]:
        """Columns and relationships that the current user may not write. Hidden fields are included."""
        crud = self._layer_with_field_rules()
        return crud.locked_names if crud else NO_FIELDS

    def _layer(self, request: Request) -> Crud[Any] | None:
        user: User = request.state.user
        if self.crud_class is None or user.is_superuser:
            return None
        # The rules of a data layer need no session.
        return self.crud_class(cast("AsyncSession", None), user, request.state.permissions)

    def _layer_with_field_rules(self) -> Crud[Any] | None:
        request = current_request.get()
        if request is None or self.crud_class is None or not self.crud_class.definition.field_rules.locks:
            return None
        layers: dict[str, Crud[Any] | None] = values_of_request(request, "field_rules")
        if self.identity not in layers:
            layers[self.identity] = self._layer(request)
        return layers[self.identity]
