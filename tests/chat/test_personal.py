"""Export and deletion of a user's conversations."""

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.chat.models import Conversation, Message, Role
from app.chat.personal import read
from opportune.accounts import User
from opportune.db import Database
from opportune.db.queries import batches
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.feature import Person
from opportune.testing import make_user
from tests.chat.conversations import make_answer


async def test_export_contains_own_conversations(database: Database, owner_id: int) -> None:
    other = await make_user(database)
    async with database.writer() as session:
        for owner, title in ((owner_id, "Whales"), (other.id, "Secrets"), (owner_id, "Empty")):
            session.add(conversation := Conversation(owner_id=owner, title=title))
            await session.flush()
            if title != "Empty":
                session.add(Message(conversation_id=conversation.id, role=Role.USER, question=f"On {title}?"))
                answer = make_answer(owner, conversation, "Much.")
                session.add(Message(conversation_id=conversation.id, role=Role.ASSISTANT, answer=answer))

    async with database.reader() as session:
        exported = await read(session, Person(owner_id, ""))

    assert [(row["title"], [message["text"] for message in row["messages"]]) for row in exported["conversations"]] == [
        ("Whales", ["On Whales?", "Much."]),
        ("Empty", []),
    ]


async def test_messages_are_deleted_with_the_user(
    database: Database, owner_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BATCH_ROWS", "MAX_IDS_PER_QUERY", "MAX_CASCADED_ROWS"):
        monkeypatch.setattr(batches, name, 2)  # answers are deleted with their questions and not counted
    other = await make_user(database)
    for owner in (owner_id, other.id):
        async with database.writer() as session:
            session.add(conversation := Conversation(owner_id=owner, title="Whales"))
            await session.flush()
            for _ in range(2):
                session.add(question := Message(conversation_id=conversation.id, role=Role.USER, question="?"))
                await session.flush()
                answer = Message(conversation_id=conversation.id, parent_id=question.id, role=Role.ASSISTANT)
                answer.answer = make_answer(owner, conversation, "!")
                session.add(answer)

    await delete_dependents_in_batches(database, User, owner_id)

    async with database.reader() as session:
        assert (await session.scalars(select(col(Message.conversation_id)))).all() == [conversation.id] * 4
        assert len((await session.scalars(select(Conversation))).all()) == 2
