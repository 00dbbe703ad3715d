"""How routes get the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends

from app.accounts.current import CurrentUser
from app.core.db.session import ReadSession, WriteSession
from app.features.todos.service import Todos


async def reading(session: ReadSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


async def writing(session: WriteSession, user: CurrentUser) -> Todos:
    return Todos(session, user.id)


ReadTodos = Annotated[Todos, Depends(reading)]
WriteTodos = Annotated[Todos, Depends(writing)]
