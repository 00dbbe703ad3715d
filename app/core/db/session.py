"""Sessions as dependencies. A route takes one of the two.

Their scope is the function: the commit is done before the response is sent, so nobody is told of a write that a failing
commit then takes back. A stream takes neither: it opens short sessions of its own.
"""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db.database import Database


def get_database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


DatabaseDependency = Annotated[Database, Depends(get_database)]


async def read_session(database: DatabaseDependency) -> AsyncIterator[AsyncSession]:
    async with database.reader() as session:
        yield session


async def write_session(database: DatabaseDependency) -> AsyncIterator[AsyncSession]:
    async with database.writer() as session:
        yield session


ReadSession = Annotated[AsyncSession, Depends(read_session, scope="function")]
WriteSession = Annotated[AsyncSession, Depends(write_session, scope="function")]
