"""Assistants and memory in conversations."""

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat import service
from app.chat.prompt import SYSTEM_PROMPT
from app.chat.schemas import ConversationCreate, ConversationSettings, MessageCreate
from opportune.accounts import User
from opportune.contrib.answers import AnswerManager
from opportune.contrib.assistants import Assistant, Memory
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.testing import Make, make_user, signed_in_client
from tests.chat.conversations import wait_until_ended

FACT = "Likes tea."


@pytest.fixture
async def assistant(make: Make, user: User) -> Assistant:
    return await make(
        Assistant,
        name="Librarian",
        icon="ti-book",
        owner_id=user.id,
        instructions="Be a librarian.",
        temperature=0.3,
        starters=["What is new?"],
    )


@pytest.fixture
async def browser(app: FastAPI, user: User) -> AsyncIterator[AsyncClient]:
    app.state.llm.provider = FakeProvider("An answer.")
    async with signed_in_client(app, user) as client:
        yield client


async def start(browser: AsyncClient, assistant_id: int) -> str:
    response = await browser.post("/chat", data={"content": "Why?", "assistant_id": str(assistant_id)})
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def ask(manager: AnswerManager, owner_id: int, **settings: object) -> str:
    chosen = ConversationSettings.model_validate(settings)
    _, answer = await service.ask(manager, owner_id, None, MessageCreate(content="Why?"), settings=chosen)
    return (await wait_until_ended(manager, answer)).omitted


async def test_assistant_runs(manager: AnswerManager, owner_id: int, model: FakeProvider, assistant: Assistant) -> None:
    await ask(manager, owner_id, assistant_id=assistant.id, system_prompt="Rhyme.")
    await ask(manager, owner_id, assistant_id=assistant.id, temperature=1)
    assert model.received[0][0].content.startswith("Be a librarian.\n\nRhyme.")
    assert model.temperatures == [0.3, 1], "settings of the conversation have precedence"


async def test_new_conversation_offers_starters(browser: AsyncClient, assistant: Assistant) -> None:
    page = await browser.get(f"/chat?assistant_id={assistant.id}")
    assert "What is new?" in page.text
    assert f'<option value="{assistant.id}" selected>Librarian</option>' in page.text


async def test_deleted_assistant_is_reported(browser: AsyncClient, assistant: Assistant) -> None:
    path = await start(browser, assistant.id)
    await browser.post(f"/assistants/{assistant.id}/delete")
    assert re.search(r'<p class="text-secondary small">[^<]*Librarian', (await browser.get(path)).text)
    assert (await browser.post(f"{path}/messages", data={"content": "And?"})).status_code == 303


async def test_assistant_of_another_user_is_refused(app: FastAPI, database: Database, assistant: Assistant) -> None:
    async with signed_in_client(app, await make_user(database)) as stranger:
        message = {"content": "Why?", "assistant_id": assistant.id}
        assert (await stranger.post("/api/v1/conversations", json=message)).status_code == 422
        for id_ in ("x", "9" * 20, str(assistant.id)):
            assert (await stranger.post("/chat", data={"content": "Why?", "assistant_id": id_})).status_code == 422, id_
        assert (await stranger.get("/api/v1/conversations")).json()["total"] == 0


async def ask_with_memory(app: FastAPI, user: User, manager: AnswerManager, *, is_on: bool) -> int:
    async with signed_in_client(app, user) as browser:
        await browser.post("/assistants/memory/switch", data={"is_on": is_on})
    question, answer = await service.ask(manager, user.id, None, MessageCreate(content="Why?"))
    await wait_until_ended(manager, answer)
    return question.conversation_id


async def test_model_gets_facts_after_the_user_agreed(
    app: FastAPI, manager: AnswerManager, model: FakeProvider, user: User, make: Make
) -> None:
    await make(Memory, owner_id=user.id, text=FACT)
    await ask_with_memory(app, user, manager, is_on=False)
    await ask_with_memory(app, user, manager, is_on=True)
    question = ConversationCreate(content="Why?", is_temporary=True)
    _, answer = await service.ask(manager, user.id, None, question, settings=question)
    await wait_until_ended(manager, answer)
    systems = [messages[0].content for messages in model.received]
    assert [FACT in system for system in systems] == [False, True, False], "a temporary conversation uses none"
    assert systems[1].startswith(SYSTEM_PROMPT)


async def test_shared_link_shows_no_facts(
    app: FastAPI, user_client: AsyncClient, manager: AnswerManager, user: User, make: Make
) -> None:
    await make(Memory, owner_id=user.id, text=FACT)
    number = await ask_with_memory(app, user, manager, is_on=True)
    share = (await user_client.post(f"/api/v1/conversations/{number}/shares")).json()
    assert FACT not in (await user_client.get(f"/api/v1/conversations/{number}/export")).text
    assert FACT not in (await user_client.get(f"/chat/{number}")).text
    async with signed_in_client(app) as stranger:
        page = await stranger.get(share["path"])
    assert page.status_code == 200
    assert FACT not in page.text
