"""Asking and waiting, for tests of conversations."""

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import update
from sqlmodel import col

from app.chat import answer_store, answering
from app.chat.answer_manager import AnswerManager
from app.chat.models import Conversation, Message, Role
from app.chat.schemas import MessageCreate
from opportune.db import Database, utc_now

TIMEOUT_SECONDS = 10
"""Seconds that a test waits for what must happen, before it fails."""


async def shown_messages(manager: AnswerManager, owner_id: int, conversation_id: int) -> list[Message]:
    found = await answering.view_conversation(manager, owner_id, conversation_id)
    assert found
    return found.messages


async def wait_until_ended(manager: AnswerManager, answer: Message) -> Message:
    """The answer once it has ended, as a viewer sees it."""
    async with manager.view(answer) as live, asyncio.timeout(TIMEOUT_SECONDS):
        async for _ in live.growth(0):
            pass
    return live.message


async def start_conversation(manager: AnswerManager, owner_id: int, question: str = "Why?") -> tuple[int, Message]:
    asked, answer = await answering.ask(manager, owner_id, None, MessageCreate(content=question))
    return asked.conversation_id, answer


async def wait_until_saved(database: Database, message_id: int, text: str) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (
            progress := (await answer_store.read(database, {message_id: -1})).get(message_id)
        ) and progress.text != text:
            await asyncio.sleep(0.01)


async def set_values(database: Database, answer: Message, **values: Any) -> None:
    async with database.writer() as session:
        await session.execute(update(Message).where(col(Message.id) == answer.id).values(values))


async def kill_process(manager: AnswerManager, database: Database, answer: Message) -> None:
    """What remains of a process after SIGKILL: a row whose lease nobody renews."""
    answer_task = manager._tasks.pop(answer.id)
    answer_task.task.cancel()  # no more saving, and no end
    await asyncio.wait([answer_task.task])
    answer_task._generation.cancel()
    await set_values(database, answer, lease_until=utc_now() - timedelta(seconds=1))


async def make_conversation(database: Database, owner_id: int, questions: int) -> int:
    """A conversation of so many questions, `Question 0?` and so on, each with its `Answer`."""
    async with database.writer() as session:
        conversation = Conversation(owner_id=owner_id, title="A long talk")
        session.add(conversation)
        await session.flush()
        for number in range(questions):
            question = Message(conversation_id=conversation.id, role=Role.USER, text=f"Question {number}?")
            session.add(question)
            await session.flush()
            answer = Message(conversation_id=conversation.id, role=Role.ASSISTANT, parent_id=question.id)
            answer.text = f"Answer {number}."
            session.add(answer)
    return conversation.id
