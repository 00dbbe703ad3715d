"""Helpers that start, store and read conversations."""

import asyncio
import re
from typing import Any

from httpx2 import AsyncClient
from playwright.async_api import Page

from app.chat import service
from app.chat.conversation_view import view_conversation
from app.chat.conversations import Conversations
from app.chat.models import Conversation, Message
from app.chat.schemas import MessageCreate
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus
from opportune.contrib.llm import LanguageModel, LlmModel, Provider
from opportune.db import Database

API = "/api/v1/conversations"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
TIMEOUT_SECONDS = 30
"""Timeout of events that a test waits for."""


def make_two_models(settings: Settings, fast: Provider, sharp: Provider) -> LanguageModel:
    """Return a model with the names Fast and Sharp. Only Sharp sees pictures and calls tools."""
    models = [
        LlmModel(name="Fast", base_url="http://127.0.0.1:9"),
        LlmModel(name="Sharp", base_url="http://127.0.0.1:9", sees_images=True, price_per_million_answer_tokens=2),
    ]
    llm = LanguageModel.of(settings.model_copy(update={"llm_models": models}))
    llm.using("Fast").provider, llm.using("Sharp").provider = fast, sharp
    return llm


async def ask(client: AsyncClient, content: str = "Why?", url: str = API, **values: Any) -> dict[str, Any]:
    """Ask a question by the API and wait until its answer has ended.

    Return the response, with the paths of the conversation in the API (`url`) and of its page (`page`).
    """
    created: dict[str, Any] = (await client.post(url, json={"content": content, **values})).json()
    await client.get(created["stream_url"])
    return {**created, "url": f"{API}/{created['conversation']}", "page": f"/chat/{created['conversation']}"}


async def ask_in_browser(page: Page, question: str) -> None:
    await page.locator("#question").fill(question)
    await page.locator("#question").press("Enter")


def find_path(html: str, pattern: str) -> str:
    """Return the path in a page that matches a pattern, such as `/chat/messages/N/stop`; N is a number."""
    match = re.search(pattern.replace("N", r"\d+"), html)
    assert match, pattern
    return match[0]


async def read_messages(manager: AnswerManager, owner_id: int, conversation_id: int) -> list[Message]:
    """Return the messages of the branch that the owner viewed last."""
    view = await view_conversation(manager, owner_id, conversation_id)
    assert view
    return view.messages


async def wait_until_ended(manager: AnswerManager, message: Message) -> Answer:
    assert message.answer
    async with manager.view(message.answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        async for _ in live.follow(0):
            pass
    return live.answer


async def start_conversation(manager: AnswerManager, owner_id: int, question: str = "Why?") -> tuple[int, Message]:
    """Ask the first question. Return the id of the conversation and the answer."""
    message, answer = await service.ask(manager, owner_id, None, MessageCreate(content=question))
    return message.conversation_id, answer


def make_answer(owner_id: int, conversation: Conversation, text: str) -> Answer:
    return Answer(owner_id=owner_id, topic=conversation.topic, text=text, status=AnswerStatus.DONE)


async def make_conversation(database: Database, owner_id: int, questions: int) -> int:
    """Store a conversation of `Question 0?`, `Question 1?` and so on, each with its `Answer`."""
    async with database.writer() as session:
        conversation = Conversation(owner_id=owner_id, title="A long conversation")
        session.add(conversation)
        await session.flush()
        conversations, leaf = Conversations(session, owner_id), None
        for number in range(questions):
            question = await conversations.add_question(conversation, f"Question {number}?", parent_id=leaf)
            leaf = (
                await conversations.add_answer(make_answer(owner_id, conversation, f"Answer {number}."), question)
            ).id
    return conversation.id
