"""Applies the rules of a data layer to rows and fields of views that set `crud`."""

from typing import Any, ClassVar, cast

from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.current_request import current_request
from opportune.admin.sqladmin_adapter import AdapterView
from opportune.crud import Crud
from opportune.crud.field_rules import NO_FIELDS


class RowRulesMixin(AdapterView):
    crud: ClassVar[type[Crud[Any]] | None] = None
    """The data layer whose rules also apply in the admin, except for superusers.

    Rows that are not `readable` are not found. Rows that are not `writable` can only be read. `hidden_fields` and
    `readonly_fields` apply to forms, lists and details."""

    def list_query(self, request: Request) -> Select[Any]:
        rows = super().list_query(request)
        return rows.where(crud.readable()) if (crud := self._crud_for(request)) else rows

    def writable(self, request: Request) -> list[ColumnElement[bool]]:
        """Return the conditions for rows that the user may change or delete."""
        return [crud.writable()] if (crud := self._crud_for(request)) else []

    # Fields

    def hides(self, path: str) -> bool:
        """Return whether a column, a relationship or a path such as `author.name` is hidden from the current user."""
        view, mapper = self._view_with_rules(self.mapper), self.mapper
        for name in path.split("."):
            if view and name in view.hidden_names:
                return True
            if name not in mapper.relationships:
                return False
            mapper = mapper.relationships[name].mapper
            view = self._view_with_rules(mapper)
        return False

    def _view_with_rules(self, mapper: Mapper[Any]) -> "RowRulesMixin | None":
        if mapper is self.mapper:
            return self
        other = self.site.view_for_model(mapper.class_)
        return other if isinstance(other, RowRulesMixin) else None

    def visible_names(self, names: list[str]) -> list[str]:
        """Return the names without those that are hidden from the current user."""
        if current_request.get() is None or not self.site.has_field_rules:
            return names
        return [name for name in names if not self.hides(name)]

    @property
    def hidden_names(self) -> frozenset[str]:
        crud = self._field_rules()
        return crud.hidden_names if crud else NO_FIELDS

    @property
    def locked_names(self) -> frozenset[str]:
        """Columns and relationships that the current user may not write. Hidden fields are included."""
        crud = self._field_rules()
        return crud.locked_names if crud else NO_FIELDS

    def _field_rules(self) -> Crud[Any] | None:
        request = current_request.get()
        if request is None or self.crud is None or not self.crud.definition.field_rules.locks:
            return None
        if not hasattr(request.state, "field_rules"):
            request.state.field_rules = {}
        cached: dict[str, Crud[Any] | None] = request.state.field_rules
        if self.identity not in cached:
            cached[self.identity] = self._crud_for(request)
        return cached[self.identity]

    @property
    def list_names(self) -> list[str]:
        return self.visible_names(super().list_names)

    @property
    def details_names(self) -> list[str]:
        return self.visible_names(super().details_names)

    @property
    def form_names(self) -> list[str]:
        return self.visible_names(super().form_names)

    @property
    def export_names(self) -> list[str]:
        return self.visible_names(super().export_names)

    @property
    def search_names(self) -> list[str]:
        return self.visible_names(self._all_search_names)

    @search_names.setter
    def search_names(self, names: list[str]) -> None:
        self._all_search_names = names

    @property
    def sort_names(self) -> list[str]:
        return self.visible_names(self._all_sort_names)

    @sort_names.setter
    def sort_names(self, names: list[str]) -> None:
        self._all_sort_names = names

    def _crud_for(self, request: Request) -> Crud[Any] | None:
        user: User = request.state.user
        if self.crud is None or user.is_superuser:
            return None
        # The rules of a data layer need no session.
        return self.crud(cast("AsyncSession", None), user, request.state.grants)
