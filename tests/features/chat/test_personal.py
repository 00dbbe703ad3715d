import pytest

from app.core.db.database import Database
from app.core.feature import Person
from app.features.chat.models import Conversation, Message, Role
from app.features.chat.personal import personal_data
from tests.factories import make_user


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_a_persons_conversations_are_told_with_their_messages_and_nobody_elses(
    database: Database, owner_id: int
) -> None:
    other = await make_user(database)
    async with database.writer() as session:
        for owner, title in ((owner_id, "Whales"), (other.id, "Secrets"), (owner_id, "Empty")):
            session.add(conversation := Conversation(owner_id=owner, title=title))
            await session.flush()
            if title != "Empty":
                session.add(Message(conversation_id=conversation.id, role=Role.USER, text=f"On {title}?"))
                session.add(Message(conversation_id=conversation.id, role=Role.ASSISTANT, text="Much."))

    async with database.reader() as session:
        told = await personal_data.read(session, Person(owner_id, ""))

    assert [(row["title"], [message["text"] for message in row["messages"]]) for row in told["conversations"]] == [
        ("Whales", ["On Whales?", "Much."]),
        ("Empty", []),
    ]
