"""Sessions as dependencies. A route takes one of them; `RWCtx` is for the one that needs a reader and a writer.

Their scope is the function: the commit is done before the response is sent, so no client learns of a write that a
failing commit then takes back. Streams and WebSockets take none and open short sessions.
"""

from collections.abc import AsyncIterator
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.db.database import Database
from opportune.db.sessions.context import Context, ReadonlyContext

C = TypeVar("C", bound=ReadonlyContext)


async def get_database(request: HTTPConnection) -> Database:
    database: Database = request.app.state.database
    return database


async def _get_database_to_read(request: HTTPConnection) -> Database:
    return await get_database(request)


DatabaseDependency = Annotated[Database, Depends(get_database)]
_DatabaseToRead = Annotated[Database, Depends(_get_database_to_read)]
"""For what cannot write: tools whose dependencies have the other are taken for writing."""


async def read_session(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    _refuse_websocket(request)
    async with request.app.state.database.reader() as session:
        yield session


async def write_session(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    _refuse_websocket(request)
    async with request.app.state.database.writer() as session:
        yield session


def _refuse_websocket(connection: HTTPConnection) -> None:
    if connection.scope["type"] == "websocket":
        raise TypeError(
            f"{connection.scope['path']} is a WebSocket and would hold its database session for as long as it is open: "
            "take a DatabaseDependency and open `async with database.reader()` or `.writer()` for each piece of work."
        )


ReadSession = Annotated[AsyncSession, Depends(read_session, scope="function")]
WriteSession = Annotated[AsyncSession, Depends(write_session, scope="function")]


def context_dependency(kind: type[C]) -> Any:
    """Depends on a context of this class, open while the route runs: `Annotated[Search, opened(Search)]`.

    The route takes the parameters of the class's `__call__` too, if it has one.
    """
    extras = _extras(kind)

    async def open_context(_database: Database, **given: Any) -> AsyncIterator[C]:
        context: Any = kind(_database)
        async with context(**given) if extras is not None else context:
            yield context

    needed = DatabaseDependency if issubclass(kind, Context) else _DatabaseToRead
    database = Parameter("_database", Parameter.KEYWORD_ONLY, annotation=needed)
    open_context.__signature__ = Signature([database, *(extras or ())])  # type: ignore[attr-defined]  # FastAPI reads it
    return Depends(open_context, scope="function")


def _extras(kind: type[ReadonlyContext]) -> list[Parameter] | None:
    """What `__call__` takes; None without one. (Classes themselves can always be called.)"""
    fill = next((vars(base)["__call__"] for base in kind.__mro__ if "__call__" in vars(base)), None)
    if fill is None:
        return None
    _self, *parameters = signature(fill, eval_str=True).parameters.values()
    return [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]


RWCtx = Annotated[Context, context_dependency(Context)]
ReadonlyCtx = Annotated[ReadonlyContext, context_dependency(ReadonlyContext)]
