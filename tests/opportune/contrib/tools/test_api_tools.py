"""Routes of the JSON API as tools of models and of MCP."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Form, HTTPException, Query
from pydantic import BaseModel

from opportune.accounts import CurrentUser, User, needs_scope
from opportune.contrib.llm.providers.provider import ToolCall
from opportune.contrib.tools import Toolbox, api_tools, toolbox_of
from opportune.crud import CrudApi
from opportune.db import RowId, WriteSession
from opportune.errors import OperatorError
from opportune.feature import Feature, Llm
from tests.opportune.contrib.mcp.library import call, connect, create_site, read_text
from tests.opportune.crud.library import Topics

router = APIRouter(prefix="/books")


class Author(BaseModel):
    name: str


class BookCreate(BaseModel):
    title: str
    author: Author


@router.get("")
async def list_books(user: CurrentUser, words: Annotated[list[str], Query()] = [], only_mine: bool = False) -> str:  # noqa: B006 - FastAPI's way
    """List books with these words."""
    return f"{user.email}: {words} {only_mine}"


@router.get("/{book_id}", name="read_book")
async def read(book_id: RowId) -> str:
    if book_id > 10:
        raise HTTPException(404)
    return f"Book {book_id}"


@router.get("/export")
async def export_books(user: Annotated[User, needs_scope("library:export")]) -> str:
    return "Everything"


@router.post("/{book_id}/copies", status_code=201)
async def add_copy(book_id: RowId, book: BookCreate, user: CurrentUser, session: WriteSession) -> BookCreate:
    """Add a copy."""
    return book


@router.post("/upload")
async def upload(title: Annotated[str, Form()]) -> None: ...


for route_function in (list_books, read, export_books, add_copy, upload):
    route_function.__module__ = "app.library.api"


def library(*functions: Any) -> Feature:
    return Feature("library", "Books.", api=router, llm=Llm(tools=api_tools(router, *functions)))


@pytest.fixture
async def site(app: FastAPI) -> FastAPI:
    return create_site(app, library(*(list_books, read, export_books, add_copy)))


async def test_route_is_described_by_openapi(site: FastAPI) -> None:
    toolbox = toolbox_of(site)
    toolbox.require_valid_tools()
    schemas = {schema.name: schema for schema in toolbox.offered(0)}
    assert [*schemas] == ["list_books", "read_book", "export_books", "add_copy"]
    assert schemas["list_books"].description == "List books with these words."
    assert schemas["read_book"].description == "Read book (GET /books/{book_id})"
    assert schemas["list_books"].parameters["required"] == []
    parameters: Any = schemas["add_copy"].parameters
    assert parameters["required"] == ["book_id", "body"]
    assert parameters["properties"]["body"] == {"$ref": "#/$defs/BookCreate"}
    assert parameters["$defs"].keys() == {"BookCreate", "Author"}
    assert [toolbox.asks(name) for name in schemas] == [False, False, False, True]
    scopes = [scope for name in schemas for scope in toolbox.needed_scopes(name)]
    assert scopes == ["library:read", "library:read", "library:export", "library:write"]
    assert [tool.name for tool in api_tools(CrudApi(Topics, "/topics").router)][:2] == ["topics_list", "topics_create"]


CALLS: Sequence[tuple[ToolCall, str, bool]] = [
    (call("list_books", words=["sea", "a&b"], only_mine=True), "ada@example.com: ['sea', 'a&b'] True", True),
    (call("read_book", book_id=7), "Book 7", True),
    (call("add_copy", book_id=7, body={"title": "Sea", "author": {"name": "Ada"}}), '"name": "Ada"', True),
    (call("read_book", book_id=11), "Nothing was found", False),
    (call("read_book", book_id="export"), "Nothing was found", False),
    (call("read_book", book_id="../export"), "Nothing was found", False),
    (call("read_book"), "book_id: Field required", False),
    (call("list_books", word="sea"), "word: Extra inputs are not permitted", False),
]


async def test_route_runs_as_user_and_reports_errors(site: FastAPI, ada: User) -> None:
    toolbox = toolbox_of(site)
    for tool_call, words, succeeds in CALLS:
        result = await toolbox.call(tool_call, ada)
        assert words in result.text, result
        assert result.is_error is not succeeds, result
    assert (await toolbox.call(call("list_books"), None)).text == "The user has to sign in first."


async def test_mcp_call_needs_scopes_of_the_route(site: FastAPI, ada: User) -> None:
    async with connect(site, ada, "library:read") as client:
        assert [schema.name for schema in (await client.list_tools()).tools] == ["list_books", "read_book"]
        assert read_text(await client.call_tool("read_book", {"book_id": 3})) == "Book 3"
        assert "lacks the scope library:export" in read_text(await client.call_tool("export_books"))


async def test_uncallable_route_is_reported_at_start(app: FastAPI) -> None:
    with pytest.raises(OperatorError, match="takes a form or a file"):
        Toolbox(app, api_tools(router)).require_valid_tools()
    with pytest.raises(OperatorError, match="is not a route of this router"):
        api_tools(router, call)
