"""FastAPI dependencies for sessions. A route takes one of them, or `RWCtx` for a reader and a writer.

They have function scope: the commit happens before the response is sent, so a failed commit cannot follow a success
response. Streams and WebSockets open short sessions instead.
"""

from collections.abc import AsyncIterator
from copy import copy
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.db.database import Context, Database, ReadonlyContext, Role

Connection = TypeVar("Connection", bound=HTTPConnection)
C = TypeVar("C", bound=ReadonlyContext)
SITE = "opportune.site"
"""Key of ASGI scopes with the site, also in requests to routes of other applications around or within it."""
ROUTE_APP = "opportune.route_app"
"""Key of ASGI scopes with the application of the route, if `app` is the site instead."""


async def get_database(request: HTTPConnection) -> Database:
    database: Database = on_site(request).app.state.database
    return database


async def _get_database_to_read(request: HTTPConnection) -> Database:
    return await get_database(request)


DatabaseDependency = Annotated[Database, Depends(get_database)]
_DatabaseToRead = Annotated[Database, Depends(_get_database_to_read)]
"""For read-only dependencies. An LLM tool that depends on `DatabaseDependency` counts as a tool that writes."""


async def read_session(request: HTTPConnection) -> AsyncSession:
    """Open a reader until the route returns. Further calls for the same route return the same reader."""
    return await _open_once(request, "reader")


async def write_session(request: HTTPConnection) -> AsyncSession:
    """Open a writer, which commits when the route returns. Further calls return the same one, as with a reader."""
    return await _open_once(request, "writer")


async def _open_once(request: HTTPConnection, role: Role) -> AsyncSession:
    """Open a session until the route returns. A dependency with `yield` would do the same in twice the time."""
    scope = request.scope
    if scope["type"] == "websocket":
        raise TypeError(
            f"{scope['path']} is a WebSocket, which would hold its database session while it is open. "
            "Take a DatabaseDependency and open short sessions: `async with database.reader()` or `.writer()`."
        )
    key = f"opportune.{role}"
    stack = scope["fastapi_function_astack"]
    session: AsyncSession
    closing_stack, session = scope.get(key, (None, None))
    if closing_stack is not stack:  # it belongs to another route
        database: Database = on_site(request).app.state.database
        session = await stack.enter_async_context(database.writer() if role == "writer" else database.reader())
        scope[key] = (stack, session)
    return session


ReadSession = Annotated[AsyncSession, Depends(read_session, scope="function")]
WriteSession = Annotated[AsyncSession, Depends(write_session, scope="function")]


def context_dependency(context_class: type[C]) -> Any:
    """Return a dependency that opens a context for the route: `Annotated[Search, context_dependency(Search)]`.

    Parameters of the class's `__call__` become parameters of the route.
    """
    call_parameters = _call_parameters(context_class)

    async def open_context(_database: Database, **arguments: Any) -> AsyncIterator[C]:
        context: Any = context_class(_database)
        opened = context if call_parameters is None else context(**arguments)
        async with opened:
            yield context

    annotation = DatabaseDependency if issubclass(context_class, Context) else _DatabaseToRead
    database = Parameter("_database", Parameter.KEYWORD_ONLY, annotation=annotation)
    open_context.__signature__ = Signature([database, *(call_parameters or ())])  # type: ignore[attr-defined]  # FastAPI reads it
    return Depends(open_context, scope="function")


def _call_parameters(context_class: type[ReadonlyContext]) -> list[Parameter] | None:
    """Return the parameters of `__call__`, or None if the class does not define it."""
    call = next((vars(base)["__call__"] for base in context_class.__mro__ if "__call__" in vars(base)), None)
    if call is None:
        return None
    _self, *parameters = signature(call, eval_str=True).parameters.values()
    return [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]


RWCtx = Annotated[Context, context_dependency(Context)]
ReadonlyCtx = Annotated[ReadonlyContext, context_dependency(ReadonlyContext)]


def on_site(connection: Connection) -> Connection:
    """Return the connection with the site as its `app`, for dependencies in routes of other applications."""
    site: Any = connection.scope.get(SITE)
    if site is None or connection.scope["app"] is site:
        return connection
    connection.scope.setdefault("state", {})  # before the scope is copied: both share the state
    copied = copy(connection)
    copied.scope = {**connection.scope, "app": site, ROUTE_APP: connection.scope["app"]}
    return copied


def is_foreign_route(connection: HTTPConnection) -> bool:
    """Return whether the request is for a route of an existing application, or of a FastAPI application in a mount."""
    app = connection.scope["app"]
    return connection.scope.get(ROUTE_APP, app) is not connection.scope.get(SITE, app)
