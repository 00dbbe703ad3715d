"""Tools run as the user with dependencies of routes, and errors become results."""

import asyncio
import sys
from itertools import repeat
from typing import Annotated, Any, Literal

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy import func, select

from opportune.accounts import CurrentUser, OptionalUser, User, may
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import Toolbox, ToolResult, tool, toolbox_of
from opportune.db import Database, DatabaseDependency, ReadonlyCtx, ReadSession, RWCtx, WriteSession
from opportune.errors import Busy, NotFound, OperatorError
from opportune.feature import Feature, Llm
from opportune.features import llm
from opportune.testing import add_permission
from tests.opportune.contrib.mcp.library import call
from tests.opportune.stored_rows import get_row


async def count_users(session: ReadSession, only: Literal["staff", "all"] = "all") -> int:
    """Count the user accounts."""
    return await session.scalar(select(func.count()).select_from(User)) or 0


async def rename(user: CurrentUser, session: WriteSession, name: Annotated[str, Field(max_length=10)]) -> str:
    """Change the name of the user."""
    session.add(user)
    user.display_name = name
    return f"You are {name}."


async def greet(user: OptionalUser) -> str:
    """Say hello."""
    return f"Hello {user.email if user else 'stranger'}"


async def export(user: Annotated[User, may("user", "export")]) -> str:
    """Export all users."""
    return "all"


async def test_tool_schema_has_types_and_docstring() -> None:
    schema = tool(count_users).schema
    assert (schema.name, schema.description) == ("count_users", "Count the user accounts.")
    only = {"type": "string", "enum": ["staff", "all"], "default": "all"}
    assert schema.parameters == {"type": "object", "additionalProperties": False, "properties": {"only": only}}


async def test_tool_has_dependencies_and_acts_as_user(app: FastAPI, ada: User) -> None:
    toolbox = Toolbox(app, [count_users, rename, greet])
    assert await toolbox.call(call("greet"), ada) == ToolResult("Hello ada@example.com")
    assert await toolbox.call(call("greet"), None) == ToolResult("Hello stranger")
    assert await toolbox.call(call("rename", name="Ada"), ada) == ToolResult("You are Ada.")
    assert await toolbox.call(call("count_users", only="staff"), ada) == ToolResult("1")
    assert (await get_row(app, User, ada.id)).get_short_name() == "Ada"


async def with_database(database: DatabaseDependency) -> str:
    """Claim that it only reads."""
    return str(database)


async def with_context(context: RWCtx) -> str:
    """Claim that it only reads."""
    return str(context)


async def with_reader(context: ReadonlyCtx, session: ReadSession) -> str:
    """Read the context."""
    return f"{context} {session}"


async def test_writing_tool_needs_the_write_scope(app: FastAPI) -> None:
    toolbox = Toolbox(app, [with_database, with_context, with_reader, tool(greet, asks=True), tool(rename, asks=False)])
    changing = {"with_database": True, "with_context": True, "with_reader": False, "greet": True, "rename": True}
    assert {name: toolbox.asks(name) for name in toolbox.tools} == changing | {"rename": False}
    assert {name: toolbox.changes(name) for name in toolbox.tools} == changing
    assert [*toolbox.allowed("read").tools] == ["with_reader"]
    assert [*toolbox.allowed("write").tools] == ["with_database", "with_context", "greet", "rename"]
    assert not Toolbox(app, [tool(with_database, asks=False)]).changes("with_database")
    assert [Toolbox(app, [count_users, rename]).asks(name) for name in ("count_users", "rename")] == [False, True]


async def test_limited_toolbox_calls_no_other_tools(app: FastAPI, ada: User) -> None:
    toolbox = Toolbox(app, [with_reader, greet, rename])
    limited = toolbox.without_approval
    assert [*limited.allowed("*").tools] == ["with_reader", "greet"]
    assert (await limited.call(call("rename", name="Ada"), ada)).text.startswith("There is no tool rename.")
    assert limited._app is toolbox._app
    assert not toolbox.allowed("books:read")


async def test_users_need_permission_and_an_active_account(app: FastAPI, database: Database, ada: User) -> None:
    toolbox = Toolbox(app, [rename, export])
    assert (await toolbox.call(call("rename", name="Eve"), None)).text == "The user has to sign in first."
    assert await toolbox.call(call("export"), ada) == ToolResult("The user is not allowed to do this.", is_error=True)
    await add_permission(database, ada, "user", "export")
    assert await toolbox.call(call("export"), ada) == ToolResult("all")
    async with database.writer() as session:
        session.add(ada)
        ada.is_active = False
    assert await Toolbox(app, [greet]).call(call("greet"), ada) == ToolResult("Hello stranger")


@pytest.mark.parametrize(
    ("tool_call", "message"),
    [
        (ToolCall("1", "drop_tables", "{}"), "There is no tool drop_tables. Available: rename."),
        (ToolCall("1", "rename", "{"), "Invalid JSON"),
        (ToolCall("1", "rename", ""), "name: Field required"),
        (call("rename", name="Ada", is_superuser=True), "is_superuser: Extra inputs are not permitted"),
        (call("rename", name="Ada", user={"id": 1}), "user: Extra inputs are not permitted"),
    ],
)
async def test_invalid_call_is_explained(app: FastAPI, tool_call: ToolCall, message: str) -> None:
    result = await Toolbox(app, [rename]).call(tool_call, None)
    assert (result.is_error, message in result.text) == (True, True)


class Entry(BaseModel):
    title: str


async def test_result_follows_the_return_type(app: FastAPI, ada: User) -> None:
    async def newest(user: CurrentUser) -> Entry:
        """Read the newest entry."""
        return Entry.model_construct(title="News", secret=user.hashed_password)

    assert await Toolbox(app, [newest]).call(call("newest"), ada) == ToolResult('{"title": "News"}')


async def crash() -> None:
    """Crash."""
    raise RuntimeError("the password is sesame")


async def leave() -> None:
    """Leave, as argparse does."""
    sys.exit("the password is sesame")


async def await_cancelled_task() -> None:
    """Await a task that was cancelled."""
    raise asyncio.CancelledError


async def not_found() -> None:
    """Find nothing."""
    raise NotFound


async def be_unavailable() -> None:
    """Be unavailable."""
    raise Busy("There is no index yet.")


async def never_end() -> None:
    """Never end."""
    await asyncio.Event().wait()


async def draw() -> Response:
    """Draw."""
    return Response(b"\x89PNG", media_type="image/png")


async def export_rows() -> Response:
    """Export rows."""
    return StreamingResponse(iter(["1\n", "2\n"]), media_type="text/csv")


async def export_everything() -> Response:
    """Export without end."""
    return StreamingResponse(repeat(b"x" * 1_000_000), media_type="text/csv")


async def return_long_text() -> str:
    """Return a long text."""
    return "x" * 100_000


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (crash, "The tool failed."),
        (leave, "The tool failed."),
        (await_cancelled_task, "The tool failed."),
        (not_found, "Nothing was found that the user may see."),
        (be_unavailable, "There is no index yet."),
        (tool(never_end, max_seconds=0.05), "took longer"),
        (draw, "A file: image/png, 4 bytes."),
        (return_long_text, "x" * 19_999 + "…"),
        (export_rows, "1\n2\n"),
        (export_everything, "The result is larger than 20,000,000 bytes."),
    ],
)
async def test_errors_of_a_tool_hide_details(app: FastAPI, ada: User, function: Any, text: str) -> None:
    toolbox = Toolbox(app, [function])
    (name,) = toolbox.tools
    result = await toolbox.call(call(name), ada)
    assert text in result.text
    assert "sesame" not in result.text
    assert result.is_error is (function not in (draw, return_long_text, export_rows))


def undocumented() -> None: ...


async def without_type(value) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Do something."""


async def with_request(request: Request, extra: Annotated[str, Depends(lambda: "x")] = "") -> str:
    """Tell the path."""
    return request.url.path + extra


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([undocumented], "undocumented: a tool must be an async function"),
        ([tool(greet), tool(export, name="greet")], "The tool greet is registered twice: in "),
        ([without_type], "without_type: value needs a type"),
    ],
)
def test_mistake_in_a_tool_is_reported_at_start(settings: Settings, declared: list[Any], message: str) -> None:
    development = settings.model_copy(update={"environment": "development"})
    with pytest.raises(OperatorError) as caught:
        create_app(development, [llm, Feature("library", llm=Llm(tools=declared))])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_toolbox_has_tools_of_all_features(app: FastAPI) -> None:
    site = create_app(app.state.settings, [llm, Feature("library", "Books.", llm=Llm(tools=[greet, with_request]))])
    site.state.database = app.state.database
    toolbox = toolbox_of(site)
    assert [*toolbox.tools] == ["greet", "with_request"]
    assert toolbox is toolbox_of(site)
    assert await toolbox.call(call("with_request"), None) == ToolResult("/with_requestx")
