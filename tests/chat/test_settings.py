"""Model and settings of a conversation."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from app.chat import service
from app.chat.conversations import Conversations
from app.chat.models import Conversation
from app.chat.schemas import ConversationSettings, MessageCreate
from opportune.config.settings import Settings
from opportune.contrib.answers import AnswerManager
from opportune.contrib.answers.testing import create_manager
from opportune.contrib.llm import FakeProvider, LanguageModel
from opportune.db import Database
from opportune.errors import FieldErrors
from opportune.storage import open_storage
from tests.chat.conversations import make_two_models, wait_until_ended


@pytest.fixture
def llm(settings: Settings, model: FakeProvider) -> LanguageModel:
    return make_two_models(settings, model, model)


@pytest.fixture
async def manager(database: Database, llm: LanguageModel, settings: Settings) -> AsyncIterator[AnswerManager]:
    manager = create_manager(database, llm, storage=open_storage(settings))
    yield manager
    await manager.engine.close()


async def read_conversation(manager: AnswerManager, owner_id: int, id_: int) -> Conversation:
    async with manager.database.reader(fresh=True) as session:
        conversation = await Conversations(session, owner_id).get(id_)
    assert conversation
    return conversation


async def test_settings_apply_to_later_answers(manager: AnswerManager, owner_id: int, model: FakeProvider) -> None:
    selected = ConversationSettings(model="Sharp", system_prompt="Speak like a pirate.", temperature=0.2)
    question, answer = await service.ask(manager, owner_id, None, MessageCreate(content="Why?"), settings=selected)
    assert (await wait_until_ended(manager, answer)).model == "Sharp"
    id_ = question.conversation_id
    conversation = await read_conversation(manager, owner_id, id_)
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
