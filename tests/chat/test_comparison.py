"""Model and settings of a conversation, and two models side by side, also in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import func, select
from sqlmodel import col

from app.chat import service
from app.chat.conversation_view import ConversationView, view_conversation
from app.chat.conversations import Conversations
from app.chat.documents import Documents, write_document
from app.chat.jobs import choose_model
from app.chat.models import Conversation, Message
from app.chat.schemas import ConversationSettings, DocumentForm, MessageCreate
from opportune.accounts import User
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer, AnswerManager, AnswerRunning, TooManyAnswers
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.assistants import Assistant
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db import Database
from opportune.errors import FieldErrors
from opportune.storage import open_storage
from opportune.testing import Make, signed_in_client
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


async def test_titles_and_documents_are_by_the_model_of_the_answer(chat: Comparison, make: Make) -> None:
    assistant = await make(Assistant, name="Librarian", owner_id=chat.owner_id, model="Sharp")
    settings = ConversationSettings(assistant_id=assistant.id)
    _, answer = await service.ask(chat.manager, chat.owner_id, None, WHY, settings=settings)
    async with chat.manager.database.writer() as session:
        conversation = await session.get_one(Conversation, answer.conversation_id)
        documents = Documents(session, chat.owner_id)
        document = await documents.create(answer, "A draft.")
    form = DocumentForm(text="A draft.", version=1, instruction="Shorter.", is_question=True)
    await write_document(chat.manager, chat.owner_id, document.id, form)
    async with chat.manager.database.reader(fresh=True) as documents.session:
        assert [version.model for version in await documents.versions(document)] == ["Sharp", "Sharp"]
    assert choose_model(Mock(service=lambda _: chat.manager.llm), conversation, answer.answer).name == "Sharp"


async def test_deletion_stops_both_answers(chat: Comparison) -> None:
    chat.fast.script = chat.sharp.script = [asyncio.Event()]
    await chat.ask()
    await service.delete(chat.manager, (await chat.view()).conversation)
    async with chat.manager.database.reader(fresh=True) as session:
        assert [*await session.scalars(select(col(Answer.status)))] == ["stopped", "stopped"]


async def test_columns_as_html(app: FastAPI, settings: Settings, user: User) -> None:
    gate = asyncio.Event()  # both are still running when the page is read
    llm = make_two_models(settings, FakeProvider(gate, "A fast answer."), FakeProvider(gate, "A sharp answer."))
    llm.guard = llm.using("Sharp").guard = app.state.llm.guard
    app.state.llm = app.state.answers.engine.resources.llm = llm
    async with signed_in_client(app, user) as client, signed_in_client(app) as other_client:
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


@pytest.fixture
def llm(settings: Settings, model: FakeProvider) -> LanguageModel:
    return make_two_models(settings, model, model)


@pytest.fixture
async def manager(database: Database, llm: LanguageModel, settings: Settings) -> AsyncIterator[AnswerManager]:
    manager = create_manager(database, llm, storage=open_storage(settings))
    yield manager
    await manager.engine.close()


async def test_settings_apply_to_later_answers(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    selected = ConversationSettings(model="Sharp", system_prompt="Speak like a pirate.", temperature=0.2)
    question, answer = await service.ask(manager, owner_id, None, MessageCreate(content="Why?"), settings=selected)
    assert (await wait_until_ended(manager, answer)).model == "Sharp"
    id_ = question.conversation_id
    async with manager.database.reader(fresh=True) as session:
        conversation = await session.get_one(Conversation, id_)
    await service.configure(manager, conversation, ConversationSettings(model="Fast", temperature=None))
    _, answer = await service.ask(manager, owner_id, id_, MessageCreate(content="And?"))
    assert (await wait_until_ended(manager, answer)).model == "Fast"
    assert [turns[0].content for turns in model.received] == ["Speak like a pirate."] * 2, (
        "the change of settings keeps the system prompt"
    )
    assert model.temperatures == [0.2, None]
    with pytest.raises(FieldErrors, match=r"There is no model Gone\. Available: Fast, Sharp"):
        await service.configure(manager, conversation, ConversationSettings(model="Gone"))


async def test_owner_changes_settings(app: FastAPI, user_client: AsyncClient, llm: LanguageModel) -> None:
    app.state.llm = app.state.answers.engine.resources.llm = llm
    page = (await user_client.get("/chat")).text
    assert "Sharp (sees pictures, 12,288 tokens, 0 + 2 per million)" in page
    refused = await user_client.post("/chat", data={"content": "Why?", "model": "Gone"})
    assert (refused.status_code, "There is no model Gone" in refused.text) == (422, True)
    response = await user_client.post("/chat", data={"content": "Why?", "model": "Sharp", "temperature": "0.5"})
    path = response.headers["location"]
    changed = await user_client.post(f"{path}/settings", data={"system_prompt": "Be <b>.", "model": "Sharp"})
    assert changed.headers["location"] == path
    page = (await user_client.get(path)).text
    assert "Be &lt;b&gt;." in page
    invalid = await user_client.post(f"{path}/settings", data={"temperature": "3"})
    assert (invalid.status_code, 'class="chat-options" open' in invalid.text) == (422, True)
    url = f"/api/v1{path}".replace("/chat/", "/conversations/")
    settings = (await user_client.patch(url, json={"temperature": 1.5})).json()
    assert (settings["model"], settings["system_prompt"], settings["temperature"]) == ("Sharp", "Be <b>.", 1.5)
    for field in ("model", "compare_with"):
        assert (await user_client.patch(url, json={field: "Gone"})).status_code == 422, field
