from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.todos.schemas import TodoFilter
from app.todos.service import Todos
from opportune.accounts import User
from opportune.feature import Link


async def search_todos(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    if user is None:
        return []
    todos = Todos(session, user)
    page = await todos.list(TodoFilter(q=query, size=limit))
    return [Link(todo.title, f"/todos/{todo.id}", "checkbox") for todo in page.items]
