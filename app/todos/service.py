"""Data layer of to-dos. It knows no HTTP, and the caller commits the session."""

from collections.abc import Sequence
from datetime import date
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, select
from sqlmodel import col

from app.todos.models import Todo
from app.todos.schemas import State, TodoCreate, TodoFilter, TodoRead, TodoStatistics, TodoUpdate
from opportune.crud import Crud, filter_by
from opportune.db import utc_now


class Todos(Crud[Todo]):
    """To-dos. Rows of other owners are not found."""

    owner_column = "owner_id"
    search = ("title", "notes")
    filters = ("due_on",)
    sort = ("due_on", "title", "created_at")
    create_schema = TodoCreate
    update_schema = TodoUpdate
    read_schema = TodoRead
    filter_schema = TodoFilter

    @cached_property
    def today(self) -> date:
        return utc_now().date()

    def default_order(self) -> Sequence[SQLColumnExpression[Any]]:
        """Sort open to-dos first, by due date."""
        return col(Todo.done_at).is_not(None), col(Todo.due_on).is_(None), col(Todo.due_on), col(Todo.id)

    async def assign(self, row: Todo, values: dict[str, Any]) -> None:
        """Assign values; `done` sets or clears the time of completion."""
        if "done" in values:
            row.done_at = (row.done_at or utc_now()) if values.pop("done") else None
        await super().assign(row, values)

    async def statistics(self) -> TodoStatistics:
        count = func.count
        query = select(count(), count(col(Todo.done_at)), count().filter(self._is_overdue())).where(self.readable())
        total, done, overdue = (await self.session.execute(query)).one()
        return TodoStatistics(total=total, open=total - done, done=done, overdue=overdue)

    @filter_by
    def state(self, state: State) -> ColumnElement[bool]:
        done_at = col(Todo.done_at)
        return {"open": done_at.is_(None), "done": done_at.is_not(None), "overdue": self._is_overdue()}[state]

    def _is_overdue(self) -> ColumnElement[bool]:
        return and_(col(Todo.done_at).is_(None), col(Todo.due_on) < self.today)
