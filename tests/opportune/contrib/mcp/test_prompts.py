import pytest

from tests.opportune.contrib.mcp.library import BOTH_MODES, INVALID_PARAMS, Connect, error_of


@BOTH_MODES
async def test_prompts_are_listed_with_arguments(open_room: Connect, mode: str) -> None:
    async with open_room(mode=mode) as client:
        prompt = (await client.list_prompts()).prompts[0]
    assert (prompt.name, prompt.title) == ("review_book", "Write a review of a book")
    assert [(row.name, row.description, row.required) for row in prompt.arguments or ()] == [
        ("title", "Title of the book.", True),
        ("tone", None, False),
        ("length", None, False),
    ]


@BOTH_MODES
async def test_prompt_is_written_for_the_user(open_room: Connect, mode: str) -> None:
    from mcp.types import PromptMessage, TextContent  # as in `open_mcp_client`

    async with open_room(mode=mode) as client:
        messages = (await client.get_prompt("review_book", {"title": "Dune", "tone": "formal"})).messages
    text = "Write a short, formal review of Dune for ada@example.com."
    assert messages == [PromptMessage(role="user", content=TextContent(text=text))]


async def test_prompt_can_have_messages_and_pictures(open_room: Connect) -> None:
    async with open_room() as client:
        messages = (await client.get_prompt("discuss_book", {"title": "Dune"})).messages
    contents = [(message.role, message.content.type) for message in messages]
    assert contents == [("user", "text"), ("user", "image"), ("assistant", "text")]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "There is no prompt nothing."),
        ("review_book", {}, "title: Field required"),
        ("review_book", {"title": "Dune", "tone": "rude"}, "tone: Input should be 'friendly' or 'formal'"),
    ],
)
async def test_wrong_prompt_is_an_error(open_room: Connect, name: str, arguments: dict[str, str], message: str) -> None:
    async with open_room() as client:
        code, text = await error_of(client.get_prompt(name, arguments))
    assert (code, text[: len(message)]) == (INVALID_PARAMS, message)


@BOTH_MODES
async def test_arguments_are_completed(open_room: Connect, mode: str) -> None:
    from mcp.types import PromptReference  # as in `open_mcp_client`

    ref = PromptReference(name="review_book")
    async with open_room(mode=mode) as client:
        tones = (await client.complete(ref, {"name": "tone", "value": "f"})).completion
        lengths = (await client.complete(ref, {"name": "length", "value": "l"})).completion
        titles = (await client.complete(ref, {"name": "title", "value": "Du"}, {"tone": "formal"})).completion
    assert (tones.values, lengths.values) == (["friendly", "formal"], ["long"])
    assert (titles.values[0], len(titles.values), titles.total, titles.has_more) == ("Duformal0", 100, 120, True)


async def test_template_has_no_completion_without_function(open_room: Connect) -> None:
    from mcp.types import ResourceTemplateReference  # as in `open_mcp_client`

    ref = ResourceTemplateReference(uri="books://{book_id}")
    async with open_room() as client:
        assert (await client.complete(ref, {"name": "book_id", "value": ""})).completion.values == []
        _, message = await error_of(client.complete(ref, {"name": "isbn", "value": ""}))
    assert message.startswith("There is no such resource, prompt or argument")
