"""Two models that answer a question side by side, also in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
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
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.storage import open_storage
from opportune.testing import signed_in_client
from tests.chat.conversations import make_two_models, read_messages, wait_until_ended

WHY = MessageCreate(content="Why?")


class Comparison:
    """A conversation with the models Fast and Sharp, whose answers the test scripts."""

    def __init__(self, database: Database, settings: Settings, owner_id: int) -> None:
        self.fast, self.sharp = FakeProvider("A fast answer."), FakeProvider("A sharp answer.")
        llm = make_two_models(settings, self.fast, self.sharp)
        self.manager = create_manager(database, llm, storage=open_storage(settings))
        self.owner_id, self.id = owner_id, 0

    async def ask(self, compare_with: str = "Sharp") -> Message:
        settings = ConversationSettings(compare_with=compare_with)
        question, answer = await service.ask(self.manager, self.owner_id, self.id or None, WHY, settings=settings)
        self.id = question.conversation_id
        return answer

    async def view(self) -> ConversationView:
        view = await view_conversation(self.manager, self.owner_id, self.id)
        assert view
        return view

    async def wait(self) -> tuple[Message, Message]:
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


async def test_retry_keeps_the_column_and_its_model(chat: Comparison) -> None:
    await chat.ask()
    first, second = await chat.wait()
    chat.sharp.script = ["Sharper."]
    await service.retry(chat.manager, chat.owner_id, second)
    current, beside = await chat.wait()
    assert (current.text, beside.id) == ("Sharper.", first.id)


async def test_running_column_refuses_the_next_question(chat: Comparison) -> None:
    chat.sharp.script = ["So far", asyncio.Event()]
    await wait_until_ended(chat.manager, await chat.ask())
    with pytest.raises(AnswerRunning):
        await chat.ask()
    assert len(await read_messages(chat.manager, chat.owner_id, chat.id)) == 2, "nothing was stored"


async def test_two_answers_count_as_two(chat: Comparison) -> None:
    chat.fast.script = [asyncio.Event()]
    for _ in range(2):
        await service.ask(chat.manager, chat.owner_id, None, WHY)
    with pytest.raises(TooManyAnswers):
        await chat.ask()
    async with chat.manager.database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 4, "nothing was stored"


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


async def test_columns_as_html(compared_app: FastAPI, user: User, models: tuple[FakeProvider, FakeProvider]) -> None:
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
