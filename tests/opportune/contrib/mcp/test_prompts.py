import pytest
from fastapi import FastAPI

from opportune.accounts import User
from opportune.db import Database
from tests.opportune.contrib.mcp.reading_room import LEGACY, MODERN, connect

INVALID_PARAMS = -32602


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
async def test_prompts_are_listed_with_arguments(room: FastAPI, database: Database, ada: User, mode: str) -> None:
    async with connect(room, database, ada, mode=mode) as client:
        prompt = (await client.list_prompts()).prompts[0]
    assert (prompt.name, prompt.title) == ("review_book", "Write a review of a book")
    assert [(row.name, row.description, row.required) for row in prompt.arguments or ()] == [
        ("title", "Title of the book.", True),
        ("tone", None, False),
        ("length", None, False),
    ]


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
async def test_prompt_is_written_for_the_user(room: FastAPI, database: Database, ada: User, mode: str) -> None:
    from mcp.types import TextContent  # as in `open_mcp_client`

    async with connect(room, database, ada, mode=mode) as client:
        (message,) = (await client.get_prompt("review_book", {"title": "Dune", "tone": "formal"})).messages
    assert isinstance(message.content, TextContent)
    assert (message.role, message.content.text) == ("user", "Write a short, formal review of Dune for ada@example.com.")


async def test_prompt_can_have_several_messages(room: FastAPI, database: Database, ada: User) -> None:
    async with connect(room, database, ada) as client:
        messages = (await client.get_prompt("discuss_book", {"title": "Dune"})).messages
    assert [message.role for message in messages] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "There is no prompt nothing."),
        ("review_book", {}, "title: Field required"),
        ("review_book", {"title": "Dune", "tone": "rude"}, "tone: Input should be 'friendly' or 'formal'"),
    ],
)
async def test_wrong_prompt_is_an_error(
    room: FastAPI, database: Database, ada: User, name: str, arguments: dict[str, str], message: str
) -> None:
    from mcp import MCPError  # as in `open_mcp_client`

    async with connect(room, database, ada) as client:
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(name, arguments)
    assert (caught.value.code, caught.value.message[: len(message)]) == (INVALID_PARAMS, message)


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
async def test_arguments_are_completed(room: FastAPI, database: Database, ada: User, mode: str) -> None:
    from mcp.types import PromptReference  # as in `open_mcp_client`

    ref = PromptReference(name="review_book")
    async with connect(room, database, ada, mode=mode) as client:
        tones = (await client.complete(ref, {"name": "tone", "value": "f"})).completion
        lengths = (await client.complete(ref, {"name": "length", "value": "l"})).completion
        titles = (await client.complete(ref, {"name": "title", "value": "Du"}, {"tone": "formal"})).completion
    assert tones.values == ["friendly", "formal"]
    assert lengths.values == ["long"]
    assert (titles.values[0], len(titles.values), titles.total, titles.has_more) == ("Duformal0", 100, 120, True)


async def test_template_has_no_completion_without_function(room: FastAPI, database: Database, ada: User) -> None:
    from mcp import MCPError  # as in `open_mcp_client`
    from mcp.types import ResourceTemplateReference  # as in `open_mcp_client`

    ref = ResourceTemplateReference(uri="books://{book_id}")
    async with connect(room, database, ada) as client:
        assert (await client.complete(ref, {"name": "book_id", "value": ""})).completion.values == []
        with pytest.raises(MCPError, match="There is no such resource, prompt or argument"):
            await client.complete(ref, {"name": "isbn", "value": ""})
