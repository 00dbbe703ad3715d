"""Two models that answer a question side by side, also in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from sqlalchemy import func, select
from sqlmodel import col

from app.chat import service
from app.chat.conversation_view import ConversationView, view_conversation
from app.chat.conversations import Conversations
from app.chat.models import Message
from app.chat.schemas import ConversationSettings, MessageCreate
from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer, AnswerRunning, TooManyAnswers
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.errors import FieldErrors
from opportune.storage import open_storage
from opportune.testing import signed_in_client
from opportune.testing.services.accessibility import find_violations
from tests.chat.conversations import API, ask_in_browser, make_two_models, read_messages, wait_until_ended

WHY = MessageCreate(content="Why?")
ARTICLE = "#messages > article"


class Comparison:
    """A conversation with the models Fast and Sharp, whose answers the test scripts."""

    def __init__(self, database: Database, settings: Settings, owner_id: int) -> None:
        self.fast, self.sharp = FakeProvider("A fast answer."), FakeProvider("A sharp answer.")
        llm = make_two_models(settings, self.fast, self.sharp)
        self.manager = create_manager(database, llm, storage=open_storage(settings))
        self.owner_id, self.id = owner_id, 0

    async def ask(self, compare_with: str = "Sharp") -> Message:
        """Ask a question. Return the answer of the first model."""
        settings = ConversationSettings(compare_with=compare_with)
        question, answer = await service.ask(self.manager, self.owner_id, self.id or None, WHY, settings=settings)
        self.id = question.conversation_id
        return answer

    async def view(self) -> ConversationView:
        view = await view_conversation(self.manager, self.owner_id, self.id)
        assert view
        return view

    async def wait(self) -> tuple[Message, Message]:
        """Return the current answer and the one beside it after both have ended."""
        for message in (await self.view()).running:
            await wait_until_ended(self.manager, message)
        view = await self.view()
        assert view.beside
        return view.messages[-1], view.beside


@pytest.fixture
async def chat(database: Database, settings: Settings, owner_id: int) -> AsyncIterator[Comparison]:
    comparison = Comparison(database, settings, owner_id)
    yield comparison
    await comparison.manager.engine.close()


@pytest.mark.parametrize(("is_second", "continued"), [(False, "A fast answer."), (True, "A sharp answer.")])
async def test_next_question_continues_the_current_answer(chat: Comparison, *, is_second: bool, continued: str) -> None:
    await chat.ask()
    answers = await chat.wait()
    if is_second:
        async with chat.manager.database.writer() as session:
            await Conversations(session, chat.owner_id).select_branch(answers[1])
    await chat.ask()
    await chat.wait()
    assert [turn.content for turn in chat.fast.received[-1]][1:] == ["Why?", continued, "Why?"]


async def test_running_column_refuses_the_next_question(chat: Comparison) -> None:
    chat.sharp.script = ["So far", asyncio.Event()]
    await wait_until_ended(chat.manager, await chat.ask())
    with pytest.raises(AnswerRunning):
        await chat.ask()
    assert len(await read_messages(chat.manager, chat.owner_id, chat.id)) == 2, "nothing was stored"


async def test_column_stops_alone(chat: Comparison) -> None:
    end = asyncio.Event()
    chat.fast.script, chat.sharp.script = ["Fast", end], ["Sharp", asyncio.Event()]
    first = await chat.ask()
    beside = (await chat.view()).beside
    assert beside
    await service.stop(chat.manager, beside)
    assert [message.id for message in (await chat.view()).running] == [first.id]
    end.set()
    assert [message.answer and message.answer.status for message in await chat.wait()] == ["done", "stopped"]


async def test_retry_keeps_the_column_and_its_model(chat: Comparison) -> None:
    await chat.ask()
    first, second = await chat.wait()
    chat.sharp.script = ["Sharper."]
    await service.retry(chat.manager, chat.owner_id, second)
    current, beside = await chat.wait()
    assert (current.text, beside.id) == ("Sharper.", first.id)


async def test_two_answers_count_as_two(chat: Comparison) -> None:
    chat.fast.script = [asyncio.Event()]
    for _ in range(2):
        await service.ask(chat.manager, chat.owner_id, None, WHY)
    with pytest.raises(TooManyAnswers):
        await chat.ask()
    async with chat.manager.database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 4, "nothing was stored"


async def test_missing_second_model_is_named(chat: Comparison) -> None:
    async with chat.manager.database.writer() as session:
        conversation = await Conversations(session, chat.owner_id).create_conversation("Why?", {"compare_with": "Gone"})
    chat.id = conversation.id
    stored = await wait_until_ended(chat.manager, await chat.ask(""))
    assert (stored.text, "Gone" in stored.omitted) == ("A fast answer.", True)
    with pytest.raises(FieldErrors, match="There is no model Gone"):
        await chat.ask("Gone")


async def test_another_worker_continues_both_columns(chat: Comparison, settings: Settings) -> None:
    chat.fast.script, chat.sharp.script = ["Fast ", asyncio.Event()], ["Sharp ", asyncio.Event()]
    await chat.ask()
    await chat.manager.engine.close()
    sibling = Comparison(chat.manager.database, settings, chat.owner_id)
    sibling.id = chat.id
    for model in (sibling.fast, sibling.sharp):
        model.continues, model.script = True, ["end."]
    assert [message.text[-4:] for message in await sibling.wait()] == ["end.", "end."]
    await sibling.manager.engine.close()


async def test_deletion_stops_both_answers(chat: Comparison) -> None:
    chat.fast.script = chat.sharp.script = [asyncio.Event()]
    await chat.ask()
    await service.delete(chat.manager, (await chat.view()).conversation)
    async with chat.manager.database.reader(fresh=True) as session:
        assert [*await session.scalars(select(col(Answer.status)))] == ["stopped", "stopped"]


@pytest.fixture
def models() -> tuple[FakeProvider, FakeProvider]:
    return FakeProvider("A fast answer."), FakeProvider("A sharp answer.")


@pytest.fixture
def compared_app(app: FastAPI, settings: Settings, models: tuple[FakeProvider, FakeProvider]) -> FastAPI:
    llm = make_two_models(settings, *models)
    llm.guard = llm.using("Sharp").guard = app.state.llm.guard
    app.state.llm = app.state.answers.engine.resources.llm = llm
    return app


async def test_columns_without_javascript(
    compared_app: FastAPI, user: User, models: tuple[FakeProvider, FakeProvider]
) -> None:
    gate = asyncio.Event()
    for model in models:
        model.script = [gate, *model.script]  # still running when the page is read
    async with signed_in_client(compared_app, user) as client, signed_in_client(compared_app) as other_client:
        page = (await client.post("/chat", data={"content": "Why?", "compare_with": "Sharp"})).headers["location"]
        streams = re.findall(r'hx-sse:connect="([^"]+)"', (await client.get(page)).text)
        gate.set()
        assert ["fast" in (await client.get(stream)).text for stream in streams] == [True, False]
        html = (await client.get(page)).text
        assert (html.count("chat-column"), html.count("chat-unchosen")) == (2, 1)
        assert html.index("A fast answer.") < html.index("A sharp answer.")
        choice = re.search(r"/chat/messages/\d+/show", html.split("chat-choice")[2])
        assert choice
        assert (await other_client.post(choice[0])).status_code == 404
        assert (await client.post(choice[0])).status_code == 303
        chosen = (await client.get(page)).text
        assert chosen.index("chat-unchosen") < chosen.index("A fast answer.") < chosen.index("A sharp answer.")
        await client.post(f"{page}/messages", data={"content": "And?"})
        assert "A fast answer." not in (await client.get(page)).text.split("And?")[0]


async def test_api_compares_models(compared_app: FastAPI, user: User) -> None:
    async with signed_in_client(compared_app, user) as client:
        created = (await client.post(API, json={"content": "Why?", "compare_with": "Sharp"})).json()
        assert "A fast answer." in (await client.get(created["stream_url"])).text
        assert "A sharp answer." in (await client.get(created["beside_stream_url"])).text
        url, beside = f"{API}/{created['conversation']}", created["beside"]["id"]
        shown = (await client.get(url)).json()
        assert (shown["messages"][-1]["id"], shown["beside"]["id"]) == (created["answer"]["id"], beside)
        await client.post(f"{url}/messages/{beside}/show")
        assert (await client.get(url)).json()["messages"][-1]["id"] == beside
        await compared_app.state.llm.guard.flusher.flush()
        async with compared_app.state.database.reader(fresh=True) as session:
            calls = select(func.sum(LlmUsage.calls)).where(col(LlmUsage.owner_id) == user.id)
            assert await session.scalar(calls) == 2, "both are counted"


@pytest.fixture
async def comparing_page(compared_app: FastAPI, chat_page: Page) -> Page:
    """A new conversation in a browser, with Sharp beside Fast."""
    await chat_page.reload()  # with the models
    await chat_page.locator(".chat-options summary").click()
    await chat_page.get_by_label("Compare with").select_option("Sharp")
    await chat_page.locator(".chat-options summary").click()
    return chat_page


@pytest.mark.parametrize(("width", "is_beside"), [(390, False), (1280, True)])
async def test_columns_grow_and_one_is_chosen(
    comparing_page: Page, models: tuple[FakeProvider, FakeProvider], *, width: int, is_beside: bool
) -> None:
    page = comparing_page
    end = asyncio.Event()
    models[0].script = ["A fast ", end, "answer."]
    await page.set_viewport_size({"width": width, "height": 800})
    await ask_in_browser(page, "Why?")
    columns = page.locator(".chat-column")
    await expect(columns.nth(1)).to_contain_text("A sharp answer.")
    await expect(columns.nth(0)).to_contain_text("A fast")
    end.set()
    await expect(columns.nth(0)).to_contain_text("A fast answer.")
    await expect(page.locator("#send")).to_be_visible()
    boxes = [await columns.nth(index).bounding_box() for index in (0, 1)]
    assert boxes[0]
    assert boxes[1]
    assert (boxes[1]["y"] == boxes[0]["y"]) == is_beside
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert not await find_violations(page)

    await columns.nth(1).get_by_role("button", name="Continue with this answer").click()
    await expect(columns.nth(1)).to_contain_text("The conversation continues with this answer")
    await ask_in_browser(page, "And?")
    await expect(page.locator(ARTICLE)).to_have_count(5)
    await expect(page.locator(ARTICLE).nth(1)).to_contain_text("A sharp answer.")
    await expect(columns).to_have_count(2)
    await page.reload()
    await expect(page.locator(ARTICLE)).to_have_count(5)
    await expect(page.locator(ARTICLE).nth(1)).to_contain_text("A sharp answer.")


async def test_each_column_has_its_stop(comparing_page: Page, models: tuple[FakeProvider, FakeProvider]) -> None:
    page = comparing_page
    for model in models:
        model.script = ["So far", asyncio.Event()]
    await ask_in_browser(page, "Why?")
    columns = page.locator(".chat-column")
    await columns.nth(0).get_by_role("button", name="Stop").click()
    await expect(columns.nth(0).locator(".badge", has_text="Stopped")).to_be_visible()
    await expect(columns.nth(1).locator(".chat-running")).to_be_visible()
    await page.reload()
    await expect(columns.nth(1).locator(".chat-running")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(columns.nth(1).locator(".badge", has_text="Stopped")).to_be_visible()
    await expect(page.locator("#send")).to_be_visible()
