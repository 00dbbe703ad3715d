"""Rules of the specification, checked with the SDK's client over HTTP and with messages that it never sends."""

from typing import Any

from fastapi import FastAPI, Response
from pydantic import BaseModel

from opportune.accounts import User
from opportune.contrib.tools import tool
from opportune.feature import Feature, Llm
from tests.opportune.contrib.mcp import library
from tests.opportune.contrib.mcp.reading_room import Book


class Found(BaseModel):
    result: str


def returning(name: str, type_: object, value: object) -> Any:
    async def function() -> Any:
        """Find something."""
        return value

    function.__name__, function.__module__ = name, "app.library.tools"
    function.__annotations__["return"] = type_
    return function


BOOK, DUNE = Book(title="Dune", pages=412), {"title": "Dune", "pages": 412}
RESULTS = {
    returning("find_book", Book, BOOK): DUNE,
    returning("find_books", list[Book], [BOOK]): {"result": [DUNE]},
    returning("count_books", dict[str, int], {"Dune": 2}): {"Dune": 2},
    returning("find_perhaps", Book | None, None): {"result": None},
    returning("find_result", Found, Found(result="Dune")): {"result": "Dune"},
    returning("find_anything", Any, "Dune"): {"result": "Dune"},
    returning("find_ratings", list[float], [0.5, float("nan")]): {"result": [0.5, None]},
}


async def read_shelf() -> str:
    """A shelf."""
    return ""


read_shelf.__module__ = "app.library.tools"

MANY = Feature(
    "library",
    llm=Llm(
        tools=[tool(read_shelf, name=f"shelf_{number}") for number in range(250)],
        resources={f"shelf://{number}": tool(read_shelf, name=f"shelf_{number}") for number in range(250)},
    ),
)


@library.BOTH_MODES
async def test_results_are_structured(app: FastAPI, ada: User, mode: str) -> None:
    site = library.create_site(app, Feature("library", llm=Llm(tools=[*RESULTS])))
    async with library.connect(site, ada, mode=mode) as client:
        tools = (await client.list_tools()).tools  # the client then checks results by their schema
        for function, content in RESULTS.items():
            assert (await client.call_tool(function.__name__)).structured_content == content
    schemas = {tool.name: tool.output_schema for tool in tools}
    assert schemas["count_books"] == {"type": "object", "additionalProperties": {"type": "integer"}}


async def test_files_are_contents(app: FastAPI, ada: User) -> None:
    files = {"image/png": "image", "audio/wav": "audio", "application/pdf": "resource", "text/csv": "text"}
    tools = [returning(f"read_{type_}", Response, Response(b"\x89", media_type=name)) for name, type_ in files.items()]
    async with library.connect(library.create_site(app, Feature("library", llm=Llm(tools=tools))), ada) as client:
        for type_ in files.values():
            assert [content.type for content in (await client.call_tool(f"read_{type_}")).content] == [type_]


async def test_long_lists_have_pages(app: FastAPI, ada: User) -> None:
    async with library.connect(library.create_site(app, MANY), ada) as client:
        names, cursor = list[str](), None
        for _ in range(3):
            page = await client.list_tools(cursor=cursor)
            names, cursor = [*names, *(row.name for row in page.tools)], page.next_cursor
        resources = await client.list_resources(cursor="200")
        assert (await library.error_of(client.list_tools(cursor="-100")))[0] == library.INVALID_PARAMS
    assert cursor is None
    assert names == [f"shelf_{number}" for number in range(250)]
    assert (len(resources.resources), resources.next_cursor) == (50, None)
