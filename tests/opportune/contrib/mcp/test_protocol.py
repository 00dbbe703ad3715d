"""Rules of the specification, checked with the SDK's client over HTTP and with messages that it never sends."""

from typing import Any

import pytest
from fastapi import FastAPI, Response
from httpx2 import AsyncClient
from pydantic import BaseModel

from opportune.accounts import User
from opportune.contrib.llm import Message, Picture
from opportune.contrib.tools import tool
from opportune.feature import Feature, Llm
from tests.opportune.contrib.mcp import library
from tests.opportune.contrib.mcp.reading_room import COVER, Book


class Found(BaseModel):
    result: str


def returning(name: str, type_: object, value: object) -> Any:
    """Return a tool with this name and result."""

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


@library.BOTH_MODES
async def test_files_are_contents(app: FastAPI, ada: User, mode: str) -> None:
    files = {"image/png": "image", "audio/wav": "audio", "application/pdf": "resource", "text/csv": "text"}
    tools = [returning(f"read_{type_}", Response, Response(b"\x89", media_type=name)) for name, type_ in files.items()]
    async with library.connect(
        library.create_site(app, Feature("library", llm=Llm(tools=tools))), ada, mode=mode
    ) as client:
        for type_ in files.values():
            assert [content.type for content in (await client.call_tool(f"read_{type_}")).content] == [type_]


@library.BOTH_MODES
async def test_messages_and_pictures_are_contents(app: FastAPI, ada: User, mode: str) -> None:
    picture = Picture(COVER, "image/png")
    tools = [
        returning("find_pages", list[Message], [Message("user", "One", pictures=(picture,)), Message("user", "Two")]),
        returning("find_cover", Picture, picture),
    ]
    async with library.connect(
        library.create_site(app, Feature("library", llm=Llm(tools=tools))), ada, mode=mode
    ) as client:
        assert [tool.output_schema for tool in (await client.list_tools()).tools] == [None, None]
        pages, cover = await client.call_tool("find_pages"), await client.call_tool("find_cover")
    assert [content.type for content in pages.content] == ["text", "image", "text"]
    assert [content.type for content in cover.content] == ["image"]
    assert pages.structured_content is None


async def test_prompt_can_be_a_file(app: FastAPI, ada: User) -> None:
    prompt = returning("read_scan", Response, Response(b"\x89", media_type="application/pdf"))
    async with library.connect(library.create_site(app, Feature("library", llm=Llm(prompts=[prompt]))), ada) as client:
        (message,) = (await client.get_prompt("read_scan")).messages
    assert message.content.type == "resource"


async def compare(titles: list[str]) -> str:
    """Compare books."""
    return " or ".join(titles)


compare.__module__ = "app.library.tools"


@pytest.mark.parametrize("titles", ['["Dune", "Emma"]', "Dune"])
async def test_lists_in_prompts_are_json(app: FastAPI, ada: User, titles: str) -> None:
    async with library.connect(library.create_site(app, Feature("library", llm=Llm(prompts=[compare]))), ada) as client:
        request = client.get_prompt("compare", {"titles": titles})
        if titles == "Dune":
            assert await library.error_of(request) == (library.INVALID_PARAMS, "titles: Input should be a valid array.")
        else:
            assert "Dune or Emma" in (await request).model_dump_json()


async def test_server_describes_itself(room: FastAPI, open_room: library.Connect) -> None:
    async with open_room(mode=library.LEGACY) as client:
        capabilities = client.server_capabilities
        assert client.server_info
        assert client.server_info.name == room.state.settings.site_name
    assert all((capabilities.tools, capabilities.resources, capabilities.prompts, capabilities.completions))


async def test_each_protocol_version_is_spoken(old_program: AsyncClient) -> None:
    from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS as VERSIONS  # as in `open_mcp_client`

    client = {"capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    for version, spoken in [*zip(VERSIONS, VERSIONS, strict=True), ("1999-01-01", VERSIONS[-1])]:
        message = library.INITIALIZE | {"params": {"protocolVersion": version, **client}}
        assert (await old_program.post("/mcp", json=message)).json()["result"]["protocolVersion"] == spoken


@library.BOTH_MODES
async def test_long_lists_have_pages(app: FastAPI, ada: User, mode: str) -> None:
    async with library.connect(library.create_site(app, MANY), ada, mode=mode) as client:
        names, cursor = list[str](), None
        for _ in range(3):
            page = await client.list_tools(cursor=cursor)
            names, cursor = [*names, *(row.name for row in page.tools)], page.next_cursor
        resources = await client.list_resources(cursor="200")
    assert cursor is None
    assert names == [f"shelf_{number}" for number in range(250)]
    assert (len(resources.resources), resources.next_cursor) == (50, None)


async def test_unknown_cursor_is_an_error(app: FastAPI, ada: User) -> None:
    async with library.connect(library.create_site(app, MANY), ada) as client:
        for cursor in ("", "7", "-100", "100000", "x"):
            code, message = await library.error_of(client.list_tools(cursor=cursor))
            assert (code, message[:24]) == (library.INVALID_PARAMS, "This cursor is not valid"), cursor


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "shelves/list"}, library.METHOD_NOT_FOUND),
        ({"method": "resources/read", "params": {}}, library.INVALID_PARAMS),
        ({"method": "prompts/get", "params": {"name": 7}}, library.INVALID_PARAMS),
        ({"method": "completion/complete", "params": {"ref": {"type": "ref/shelf"}}}, library.INVALID_PARAMS),
    ],
)
async def test_wrong_request_is_an_error(old_program: AsyncClient, message: dict[str, Any], code: int) -> None:
    response = await old_program.post("/mcp", json={"jsonrpc": "2.0", "id": 1, **message})
    assert response.json()["error"]["code"] == code
