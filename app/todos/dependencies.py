"""Dependencies that give routes the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends

from app.todos.service import Todos
from opportune.accounts import CurrentUser
from opportune.db import ReadSession, WriteSession


async def get_todos(session: ReadSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


async def get_writable_todos(session: WriteSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


ReadTodos = Annotated[Todos, Depends(get_todos)]
WriteTodos = Annotated[Todos, Depends(get_writable_todos)]
