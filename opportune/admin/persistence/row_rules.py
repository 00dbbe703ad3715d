"""Rules on rows: those of a data layer of the project hold in the admin too, where a view names it."""

from typing import Any, ClassVar, cast

from sqlalchemy import ColumnElement, Select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin.sqladmin_adapter import AdapterView
from opportune.crud import Crud


class RowRulesMixin(AdapterView):
    crud: ClassVar[type[Crud[Any]] | None] = None
    """The data layer whose rules hold here too, but for superusers: rows that are not `readable` are not there, and
    those that are not `writable` are shown alone."""

    def list_query(self, request: Request) -> Select[Any]:
        rows = super().list_query(request)
        return rows.where(crud.readable()) if (crud := self._obeyed(request)) else rows

    def writable(self, request: Request) -> list[ColumnElement[bool]]:
        """What is asked of rows that are to be changed or deleted."""
        return [crud.writable()] if (crud := self._obeyed(request)) else []

    def _obeyed(self, request: Request) -> Crud[Any] | None:
        user: User = request.state.user
        if self.crud is None or user.is_superuser:
            return None
        return self.crud(cast("AsyncSession", None), user, request.state.grants)  # whose rules ask no database
