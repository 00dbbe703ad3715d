"""Panels on other pages."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.todos.service import Todos
from opportune.accounts import User
from opportune.feature import Panel


async def statistics(session: AsyncSession, user: User) -> Mapping[str, Any]:
    todos = Todos(session, user)
    return {"statistics": await todos.statistics()}


profile_panel = Panel("todos/profile_panel.html", statistics)
