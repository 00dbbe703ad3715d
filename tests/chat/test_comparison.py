"""Two models that answer a question side by side."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlmodel import col

from app.chat import service
from app.chat.conversation_view import ConversationView, view_conversation
from app.chat.models import Message
from app.chat.schemas import ConversationSettings, MessageCreate
from app.chat.service import Conversations
from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer, AnswerManager, AnswerRunning, TooManyAnswers
from opportune.contrib.answers.spending.models import LlmUsage
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.errors import FieldErrors
from opportune.storage import open_storage
from opportune.testing import signed_in_client
from tests.chat.conversations import make_two_models, read_messages, wait_until_ended

API = "/api/v1/conversations"
COMPARED = ConversationSettings(compare_with="Sharp")


@pytest.fixture
def fast() -> FakeProvider:
    return FakeProvider("A fast answer.")


@pytest.fixture
def sharp() -> FakeProvider:
    return FakeProvider("A sharp answer.")


@pytest.fixture
async def manager(
    database: Database, fast: FakeProvider, sharp: FakeProvider, settings: Settings
) -> AsyncIterator[AnswerManager]:
    llm = make_two_models(settings, fast, sharp)
    manager = AnswerManager(database, llm, storage=open_storage(settings))
    yield manager
    await manager.close()


@pytest.fixture
def compared_app(app: FastAPI, settings: Settings, fast: FakeProvider, sharp: FakeProvider) -> FastAPI:
    llm = make_two_models(settings, fast, sharp)
    llm.guard = app.state.llm.guard
    llm.using("Sharp").guard = app.state.llm.guard
    app.state.llm = app.state.answers.resources.llm = llm
    return app


async def ask(manager: AnswerManager, owner_id: int, conversation_id: int | None = None) -> tuple[Message, Message]:
    """Ask a question of both models. Return the question and the first answer."""
    question = MessageCreate(content="Why?")
    return await service.ask(manager, owner_id, conversation_id, question, settings=COMPARED)


async def read_view(manager: AnswerManager, owner_id: int, conversation_id: int) -> ConversationView:
    view = await view_conversation(manager, owner_id, conversation_id)
    assert view
    return view


async def read_answers(manager: AnswerManager, owner_id: int, conversation_id: int) -> tuple[Message, Message]:
    """Return the answers of the first and the second model after both have ended."""
    view = await read_view(manager, owner_id, conversation_id)
    assert view.beside
    for message in (view.messages[-1], view.beside):
        await wait_until_ended(manager, message)
    view = await read_view(manager, owner_id, conversation_id)
    assert view.beside
    return view.messages[-1], view.beside


@pytest.mark.database("postgresql")
async def test_two_models_answer_one_question(manager: AnswerManager, owner_id: int) -> None:
    question, _ = await ask(manager, owner_id)
    first, second = await read_answers(manager, owner_id, question.conversation_id)
    assert (first.text, second.text) == ("A fast answer.", "A sharp answer.")
    assert first.parent_id == second.parent_id == question.id


async def test_next_question_continues_the_first_answer(
    manager: AnswerManager, owner_id: int, fast: FakeProvider
) -> None:
    question, _ = await ask(manager, owner_id)
    await read_answers(manager, owner_id, question.conversation_id)
    await ask(manager, owner_id, question.conversation_id)
    await read_answers(manager, owner_id, question.conversation_id)
    assert [turn.content for turn in fast.received[-1]][1:] == ["Why?", "A fast answer.", "Why?"]


async def test_next_question_continues_the_chosen_answer(
    manager: AnswerManager, owner_id: int, fast: FakeProvider
) -> None:
    question, _ = await ask(manager, owner_id)
    _, second = await read_answers(manager, owner_id, question.conversation_id)
    async with manager.database.writer() as session:
        await Conversations(session, owner_id).select_branch(second)
    await ask(manager, owner_id, question.conversation_id)
    await read_answers(manager, owner_id, question.conversation_id)
    assert [turn.content for turn in fast.received[-1]][1:] == ["Why?", "A sharp answer.", "Why?"]
    messages = await read_messages(manager, owner_id, question.conversation_id)
    assert [message.text for message in messages][:2] == ["Why?", "A sharp answer."]


async def test_running_column_refuses_the_next_question(
    manager: AnswerManager, owner_id: int, sharp: FakeProvider
) -> None:
    end = asyncio.Event()
    sharp.script = ["So far", end]
    question, first = await ask(manager, owner_id)
    await wait_until_ended(manager, first)
    with pytest.raises(AnswerRunning):
        await ask(manager, owner_id, question.conversation_id)
    assert len(await read_messages(manager, owner_id, question.conversation_id)) == 2, "nothing was stored"
    end.set()
    await read_answers(manager, owner_id, question.conversation_id)


async def test_column_stops_alone(
    manager: AnswerManager, owner_id: int, fast: FakeProvider, sharp: FakeProvider
) -> None:
    end = asyncio.Event()
    fast.script, sharp.script = ["Fast", end], ["Sharp", asyncio.Event()]
    question, _ = await ask(manager, owner_id)
    view = await read_view(manager, owner_id, question.conversation_id)
    assert view.beside
    await service.stop(manager, view.beside)
    assert [message.id for message in (await read_view(manager, owner_id, question.conversation_id)).running] == [
        view.messages[-1].id
    ]
    end.set()
    first, second = await read_answers(manager, owner_id, question.conversation_id)
    assert first.answer
    assert second.answer
    assert (first.answer.status, second.answer.status) == ("done", "stopped")


async def test_retry_keeps_the_column_and_its_model(manager: AnswerManager, owner_id: int, sharp: FakeProvider) -> None:
    question, _ = await ask(manager, owner_id)
    first, second = await read_answers(manager, owner_id, question.conversation_id)
    sharp.script = ["Sharper."]
    _, again = await service.retry(manager, owner_id, second)
    await wait_until_ended(manager, again)
    view = await read_view(manager, owner_id, question.conversation_id)
    assert (view.messages[-1].text, view.beside and view.beside.id) == ("Sharper.", first.id)


async def test_two_answers_count_as_two(manager: AnswerManager, owner_id: int, fast: FakeProvider) -> None:
    fast.script = [asyncio.Event()]
    await service.ask(manager, owner_id, None, MessageCreate(content="One?"))
    await service.ask(manager, owner_id, None, MessageCreate(content="Two?"))
    with pytest.raises(TooManyAnswers):
        await ask(manager, owner_id)
    async with manager.database.reader() as session:
        assert await session.scalar(select(func.count()).select_from(Message)) == 4, "nothing was stored"


async def test_missing_second_model_is_named(manager: AnswerManager, owner_id: int) -> None:
    async with manager.database.writer() as session:
        conversation = await Conversations(session, owner_id).create_conversation("Why?", {"compare_with": "Gone"})
    _, answer = await service.ask(manager, owner_id, conversation.id, MessageCreate(content="Why?"))
    stored = await wait_until_ended(manager, answer)
    assert (stored.text, "Gone" in stored.omitted) == ("A fast answer.", True)


async def test_unknown_second_model_is_refused(manager: AnswerManager, owner_id: int) -> None:
    with pytest.raises(FieldErrors, match="There is no model Gone"):
        await service.ask(
            manager, owner_id, None, MessageCreate(content="Why?"), settings=ConversationSettings(compare_with="Gone")
        )


async def test_another_worker_continues_both_columns(
    manager: AnswerManager, owner_id: int, settings: Settings, fast: FakeProvider, sharp: FakeProvider
) -> None:
    fast.script, sharp.script = ["Fast ", asyncio.Event()], ["Sharp ", asyncio.Event()]
    question, _ = await ask(manager, owner_id)
    models = [FakeProvider("end."), FakeProvider("end.")]
    for model in models:
        model.continues = True
    sibling = AnswerManager(manager.database, make_two_models(settings, *models), storage=open_storage(settings))
    await manager.close()
    first, second = await read_answers(sibling, owner_id, question.conversation_id)
    assert (first.text[-4:], second.text[-4:]) == ("end.", "end.")
    await sibling.close()


async def test_deletion_stops_both_answers(
    manager: AnswerManager, owner_id: int, fast: FakeProvider, sharp: FakeProvider
) -> None:
    fast.script, sharp.script = [asyncio.Event()], [asyncio.Event()]
    question, _ = await ask(manager, owner_id)
    async with manager.database.reader() as session:
        conversation = await Conversations(session, owner_id).get(question.conversation_id)
    assert conversation
    await service.delete(manager, conversation)
    async with manager.database.reader(fresh=True) as session:
        assert [*await session.scalars(select(Answer.status))] == ["stopped", "stopped"]  # type: ignore[call-overload]


async def test_columns_without_javascript(compared_app: FastAPI, user: User) -> None:
    async with signed_in_client(compared_app, user) as client, signed_in_client(compared_app) as other_client:
        page = (await client.post("/chat", data={"content": "Why?", "compare_with": "Sharp"})).headers["location"]
        html = (await client.get(page)).text
        streams = re.findall(r'hx-sse:connect="([^"]+)"', html)
        assert len(streams) == 2
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
        first = (await client.get(created["stream_url"])).text
        second = (await client.get(created["beside_stream_url"])).text
        assert ("A fast answer." in first, "A sharp answer." in second) == (True, True)
        url = f"{API}/{created['conversation']}"
        shown = (await client.get(url)).json()
        assert (shown["messages"][-1]["id"], shown["beside"]["id"]) == (
            created["answer"]["id"],
            created["beside"]["id"],
        )
        await client.post(f"{url}/messages/{created['beside']['id']}/show")
        assert (await client.get(url)).json()["messages"][-1]["id"] == created["beside"]["id"]
        async with compared_app.state.database.reader(fresh=True) as session:
            calls = select(func.sum(LlmUsage.calls)).where(col(LlmUsage.owner_id) == user.id)
            await compared_app.state.llm.guard.flush()
            assert await session.scalar(calls) == 2, "both are counted"
