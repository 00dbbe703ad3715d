"""Conversations on the start page."""

import pytest
from httpx2 import AsyncClient

from app.chat.models import Conversation, Message, Role
from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.db import Database


async def add_conversation(database: Database, user: User, title: str, status: AnswerStatus) -> None:
    async with database.writer() as session:
        session.add(conversation := Conversation(owner_id=user.id, title=title))
        await session.flush()
        answer = Answer(owner_id=user.id, topic=conversation.topic, model="scripted", status=status)
        session.add(answer)
        await session.flush()
        session.add(message := Message(conversation_id=conversation.id, role=Role.ASSISTANT, answer_id=answer.id))
        await session.flush()
        conversation.leaf_id = message.id


@pytest.mark.parametrize(
    ("status", "badge"), [(AnswerStatus.WAITING, "Waits for you"), (AnswerStatus.INTERRUPTED, "Interrupted")]
)
async def test_start_page_lists_unfinished_answers_first(
    database: Database, user: User, user_client: AsyncClient, status: AnswerStatus, badge: str
) -> None:
    await add_conversation(database, user, "Unfinished one", status)
    for number in range(4):
        await add_conversation(database, user, f"Finished {number}", AnswerStatus.DONE)

    page = (await user_client.get("/")).text

    assert page.count(badge) == 1
    assert page.index("Unfinished one") < page.index("Finished 3") < page.index("Finished 1")
    assert "Finished 0" not in page
