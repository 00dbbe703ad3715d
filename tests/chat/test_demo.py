"""Demo conversations."""

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversations import Conversations
from app.chat.demo import ASSISTANTS, MODEL, SAMPLES, clear, load
from app.chat.models import Conversation, Message, Role
from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.db import Database, with_deleted
from opportune.testing import make_user, signed_in_client

DEMO_ROWS = sum(1 + 2 * len(turns) for turns in SAMPLES)


@pytest.fixture
async def admin(database: Database) -> User:
    await make_user(database)
    return await make_user(database, is_superuser=True)


async def count_rows(session: AsyncSession) -> int:
    counts = [await session.scalar(select(func.count()).select_from(table)) for table in (Conversation, Message)]
    return sum(count or 0 for count in counts)


async def test_first_superuser_reads_the_demo(app: FastAPI, admin: User) -> None:
    async with app.state.database.writer() as session:
        assert await load(session) == DEMO_ROWS + len(ASSISTANTS) + 1
    async with signed_in_client(app, admin) as client:
        conversations = (await client.get("/api/v1/conversations?sort=-created_at")).json()
        assert conversations["total"] == len(SAMPLES)
        conversation = (await client.get(f"/api/v1/conversations/{conversations['items'][-1]['id']}")).json()
        assert [message["text"] for message in conversation["messages"]] == [
            text for turn in SAMPLES[0] for text in turn
        ]
        assert {message["model"] for message in conversation["messages"] if message["role"] == Role.ASSISTANT} == {
            MODEL
        }
        assert "<code" in (await client.get(f"/chat/{conversation['id']}")).text


async def test_clear_deletes_only_demo_conversations(database: Database, admin: User) -> None:
    async with database.writer() as session:
        conversation = await Conversations(session, admin.id).create_conversation(SAMPLES[0][0][0])
        await load(session)
        demo_id = await session.scalar(
            select(col(Conversation.id)).where(col(Conversation.id) != conversation.id).limit(1)
        )
        assert demo_id
        conversations = Conversations(session, admin.id)
        question = await conversations.add_question(await session.get_one(Conversation, demo_id), "And now?")
        answer = Answer(owner_id=admin.id, topic=f"chat:{demo_id}", text="Half an answ", status=AnswerStatus.STREAMING)
        await conversations.add_answer(answer, question)
        await session.delete(await session.get_one(Conversation, demo_id))
    async with database.writer() as session:
        assert await clear(session) == DEMO_ROWS + 2 + len(ASSISTANTS) + 1
        assert await clear(session) == 0
    async with database.reader() as session:
        assert (await session.scalars(with_deleted(select(col(Conversation.id))))).all() == [conversation.id]
        assert await count_rows(session) == 1
        assert (await session.scalars(select(Answer))).all() == []
