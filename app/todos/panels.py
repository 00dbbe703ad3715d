"""Panels and search results on other pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.todos.schemas import TodoFilter
from app.todos.service import Todos
from opportune.accounts import User
from opportune.feature import Link, Panel

MAX_SHOWN_TODOS = 4
"""To-dos on the start page."""


async def statistics(session: AsyncSession, user: User) -> Mapping[str, Any]:
    todos = Todos(session, user)
    return {"statistics": await todos.statistics()}


async def read_open_todos(session: AsyncSession, user: User | None) -> Mapping[str, Any]:
    if user is None:
        return {"page": None}
    todos = Todos(session, user)
    return {"page": await todos.list(TodoFilter(state="open", size=MAX_SHOWN_TODOS)), "today": todos.today}


home_card = Panel("todos/home_card.html", read_open_todos)
profile_panel = Panel("todos/profile_panel.html", statistics)


async def search_todos(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    if user is None:
        return []
    todos = Todos(session, user)
    page = await todos.list(TodoFilter(q=query, size=limit))
    return [Link(todo.title, f"/todos/{todo.id}", "checkbox") for todo in page.items]
