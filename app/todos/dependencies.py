"""How routes get the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends

from app.todos.service import Todos
from opportune.accounts.current import CurrentUser
from opportune.db.sessions.dependencies import ReadSession, WriteSession


async def reading(session: ReadSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


async def writing(session: WriteSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


ReadTodos = Annotated[Todos, Depends(reading)]
WriteTodos = Annotated[Todos, Depends(writing)]
