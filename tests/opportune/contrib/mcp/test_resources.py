"""Resources and prompts for clients of the protocol."""

import base64
import json

import pytest
from fastapi import FastAPI

from opportune.accounts import User
from opportune.contrib.mcp.server.contents import message_contents
from opportune.contrib.mcp.server.offers import offers_of
from opportune.db import WriteSession
from opportune.errors import OperatorError
from opportune.feature import Feature, Llm
from tests.opportune.contrib.mcp import library
from tests.opportune.contrib.mcp.reading_room import COVER, ROOM, read_book


async def test_resources_and_templates_are_listed(open_room: library.Connect) -> None:
    async with open_room() as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    assert [(row.uri, row.name, row.title) for row in resources] == [
        ("room://rules", "read_rules", "Rules of the reading room"),
        ("room://burnt", "read_burnt_page", "A page that cannot be read"),
    ]
    assert [row.uri_template for row in templates] == ["books://{book_id}", "books://{book_id}/cover"]


@library.BOTH_MODES
async def test_resource_is_read_as_the_user(open_room: library.Connect, mode: str) -> None:
    from mcp.types import BlobResourceContents, TextResourceContents  # as in `open_mcp_client`

    async with open_room(mode=mode) as client:
        (book,) = (await client.read_resource("books://7")).contents
        (cover,) = (await client.read_resource("books://7/cover")).contents
        (rules,) = (await client.read_resource("room://rules")).contents
    assert isinstance(book, TextResourceContents)
    assert book.mime_type == "application/json"
    assert json.loads(book.text) == {"title": "Dune of ada@example.com", "pages": 412}
    assert isinstance(cover, BlobResourceContents)
    assert (cover.mime_type, base64.b64decode(cover.blob)) == ("image/png", COVER)
    assert isinstance(rules, TextResourceContents)
    assert (rules.mime_type, rules.text) == ("text/plain", "Be quiet.")


async def test_unreadable_resource_is_an_error(open_room: library.Connect) -> None:
    async with open_room() as client:
        for uri, code, message in (
            ("room://nothing", library.INVALID_PARAMS, "There is no resource room://nothing."),
            ("books://8", library.INVALID_PARAMS, "Nothing was found that the user may see."),
            ("books://seven", library.INVALID_PARAMS, "book_id: Input should be a valid integer"),
            ("room://burnt", library.INTERNAL_ERROR, "The request failed on the server."),
        ):
            error_code, text = await library.error_of(client.read_resource(uri))
            assert (error_code, text[: len(message)]) == (code, message), uri


async def test_large_resource_is_refused(open_room: library.Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_room() as client:
        await client.read_resource("room://rules")
        monkeypatch.setattr("opportune.contrib.mcp.server.calls.MAX_CONTENT_BYTES", 5)
        for request in (client.read_resource("books://7"), client.call_tool("recommend_books")):
            _, message = await library.error_of(request)
            assert message.startswith("The content is larger than 5 bytes")


async def test_scopes_limit_resources_and_prompts(app: FastAPI, ada: User) -> None:
    async with library.connect(library.create_site(app, library.LIBRARY, ROOM), ada, "library:read") as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert (await client.list_prompts()).prompts == []
        for request in (client.read_resource("books://7"), client.get_prompt("discuss_book", {"title": "Dune"})):
            assert (await library.error_of(request))[1].startswith("This token lacks the scope room:read")


async def rename_book(session: WriteSession, book_id: int) -> str:
    """Rename a book."""
    return ""


async def suggest_nothing(text: str) -> list[str]:
    """Suggest nothing."""
    return []


@pytest.mark.parametrize(
    ("llm", "message"),
    [
        (Llm(resources={"books://{book_id}": rename_book}), "rename_book changes data, so it must be a tool"),
        (Llm(prompts=[rename_book]), "rename_book changes data, so it must be a tool"),
        (Llm(resources={"books://{isbn}": read_book}), "arguments of read_book differ: book_id, isbn"),
        (Llm(completions={"title": suggest_nothing}), "completion suggest_nothing needs the argument value"),
    ],
)
async def test_wrong_declaration_is_refused(app: FastAPI, llm: Llm, message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        offers_of(library.create_site(app, Feature("room", llm=llm))).require_valid()


@library.BOTH_MODES
async def test_prompt_is_written_for_the_user(open_room: library.Connect, mode: str) -> None:
    from mcp.types import PromptMessage, TextContent  # as in `open_mcp_client`

    async with open_room(mode=mode) as client:
        arguments = {"title": "Dune", "tone": "formal", "volume": "2", "chapters": "[3]"}
        messages = (await client.get_prompt("review_book", arguments)).messages
    text = "Write a short, formal review of Dune 2 [3] for ada@example.com."
    assert messages == [PromptMessage(role="user", content=TextContent(text=text))]


async def test_arguments_are_completed(open_room: library.Connect) -> None:
    from mcp.types import PromptReference  # as in `open_mcp_client`

    ref = PromptReference(name="review_book")
    async with open_room() as client:
        tones = (await client.complete(ref, {"name": "tone", "value": "f"})).completion
        lengths = (await client.complete(ref, {"name": "length", "value": "l"})).completion
        titles = (await client.complete(ref, {"name": "title", "value": "Du"}, {"tone": "formal"})).completion
    assert (tones.values, lengths.values) == (["friendly", "formal"], ["long"])
    assert (titles.values[0], len(titles.values), titles.total, titles.has_more) == ("Duformal0", 100, 120, True)


@pytest.mark.parametrize(("data", "texts"), [(None, []), ([{"id": 7}, "Dune"], ['{"id": 7}', "Dune"])])
def test_result_of_prompt_may_be_other_data(data: object, texts: list[str]) -> None:
    assert [getattr(content, "text", "") for _role, content in message_contents(data)] == texts
