"""The data layer: knows the database and no HTTP. Whoever opened the session commits it."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.models import Todo
from app.todos.schemas import TodoCreate, TodoFilter, TodoStatistics, TodoUpdate
from opportune.db import utc_now
from opportune.errors import NotFound
from opportune.pagination import Page, order, paginate


class Todos:
    """One person's to-dos. For this class nobody else has any."""

    def __init__(self, session: AsyncSession, owner_id: int, today: date | None = None) -> None:
        self.session = session
        self.owner_id = owner_id
        self.today = today or utc_now().date()

    async def find(self, wanted: TodoFilter) -> Page[Todo]:
        """List to-dos: open ones first, the most urgent at the top, if nothing else is wanted."""
        query = self._own().where(*self._conditions(wanted))
        urgency = col(Todo.done_at).is_not(None), col(Todo.due_on).is_(None), col(Todo.due_on), col(Todo.id)
        columns = {"due_on": col(Todo.due_on), "title": func.lower(col(Todo.title)), "created_at": col(Todo.created_at)}
        return await paginate(self.session, query.order_by(*order(wanted.sort, columns, *urgency)), wanted)

    async def get(self, todo_id: int) -> Todo:
        """Get a to-do. Raises NotFound."""
        todo = await self.session.scalar(self._own().where(col(Todo.id) == todo_id))
        if todo is None:
            raise NotFound
        return todo

    async def add(self, new: TodoCreate) -> Todo:
        todo = Todo(owner_id=self.owner_id, **new.model_dump())
        self.session.add(todo)
        await self.session.flush()
        return todo

    async def update(self, todo_id: int, changes: TodoUpdate) -> Todo:
        """Change what is given, and leave the rest. Raises NotFound."""
        todo = await self.get(todo_id)
        values = changes.model_dump(exclude_unset=True)
        if "done" in values:
            todo.done_at = (todo.done_at or utc_now()) if values.pop("done") else None
        return todo.sqlmodel_update(values)

    async def delete(self, todo_id: int) -> None:
        """Delete a to-do. Raises NotFound."""
        await self.session.delete(await self.get(todo_id))

    async def statistics(self) -> TodoStatistics:
        count = func.count
        query = select(count(), count(col(Todo.done_at)), count().filter(self._overdue())).where(self._is_own())
        total, done, overdue = (await self.session.execute(query)).one()
        return TodoStatistics(total=total, open=total - done, done=done, overdue=overdue)

    def _own(self) -> Select[tuple[Todo]]:
        return select(Todo).where(self._is_own())

    def _is_own(self) -> ColumnElement[bool]:
        return col(Todo.owner_id) == self.owner_id

    def _overdue(self) -> ColumnElement[bool]:
        return and_(col(Todo.done_at).is_(None), col(Todo.due_on) < self.today)

    def _conditions(self, wanted: TodoFilter) -> Iterator[ColumnElement[bool]]:
        done_at = col(Todo.done_at)
        states = {"open": done_at.is_(None), "done": done_at.is_not(None), "overdue": self._overdue()}
        if wanted.state:
            yield states[wanted.state]
        if wanted.q:
            yield or_(*(column.icontains(wanted.q, autoescape=True) for column in (col(Todo.title), col(Todo.notes))))
        if wanted.due_from:
            yield col(Todo.due_on) >= wanted.due_from
        if wanted.due_to:
            yield col(Todo.due_on) <= wanted.due_to
