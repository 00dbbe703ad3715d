"""Example conversations for the first superuser. Their model name says that the answers are made up."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat import demo_assistants
from app.chat.conversations import Conversations
from app.chat.models import Conversation, Message
from opportune.accounts import demo_owner
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.db import DemoRows, purge, utc_now, with_deleted
from opportune.i18n import gettext_lazy as _l

MODEL = "demonstration (made up)"

# Questions and answers of each conversation.
SAMPLES = (
    (
        (
            _l("What does async def change about a function in Python?"),
            _l(
                "Calling it no longer runs it. The call gives a **coroutine**, which runs when something awaits it:\n\n"
                "```python\nasync def greet() -> str:\n    return 'hello'\n\nword = await greet()\n```\n\n"
                "While it waits for a database or a network, the event loop does other work."
            ),
        ),
        (
            _l("And when should I not use it?"),
            _l(
                "When a function only computes. It never waits, so it holds the loop for as long as it runs:\n\n"
                "1. Keep short computations as plain functions.\n"
                "2. Give long ones to a thread or a process, for example with `asyncio.to_thread`."
            ),
        ),
    ),
    (
        (
            _l("Suggest three evening walks of about an hour near a river."),
            _l(
                "| Walk | Best at | Bring |\n| --- | --- | --- |\n"
                "| Along the near bank and back over the footbridge | sunset | a jacket |\n"
                "| Upstream to the old mill | early evening | water |\n"
                "| Around the island, where there is one | dusk | a torch |\n\n"
                "All three are flat and can be cut short."
            ),
        ),
    ),
    (
        (
            _l('Make this friendlier: "Your invoice is overdue. Pay now."'),
            _l(
                "> Hello! Our records show that the last invoice is still open. Could you have a look when you find a "
                "moment? If it is on its way already, thank you, and please ignore this message."
            ),
        ),
        (
            _l("Shorter, please."),
            _l("> Hello! The last invoice seems to be still open. Could you have a look? Thank you!"),
        ),
    ),
)
demo_conversations = DemoRows(Conversation, SAMPLES, datetime(2026, 1, 6, 18, tzinfo=UTC))


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The conversations")
    added = await demo_assistants.load(session, owner.id)
    for created_at, turns in await demo_conversations.missing(session):
        # Recent questions, so that the chart of the admin is not empty.
        asked_at = utc_now() - timedelta(days=1 + 5 * created_at.minute)
        added += await _add_conversation(session, owner.id, created_at, turns, asked_at)
    return added


async def _add_conversation(
    session: AsyncSession, owner_id: int, created_at: datetime, turns: Sequence[tuple[str, str]], asked_at: datetime
) -> int:
    """Add a conversation whose first question has the time `asked_at`, and return the number of rows."""
    conversations = Conversations(session, owner_id)
    conversation = await conversations.create_conversation(str(turns[0][0]), {"created_at": created_at})
    for number, (content, text) in enumerate(turns):
        at = asked_at + timedelta(minutes=2 * number)
        question = await conversations.add_question(conversation, str(content), parent_id=conversation.leaf_id)
        answer = Answer(
            owner_id=owner_id,
            topic=conversation.topic,
            text=str(text),
            status=AnswerStatus.DONE,
            model=MODEL,
            prompt_tokens=len(content) // 4,
            completion_tokens=len(text) // 4,
            created_at=at,
            finished_at=at + timedelta(seconds=4),
        )
        message = await conversations.add_answer(answer, question)
        question.created_at = message.created_at = conversation.used_at = at
    return 1 + 2 * len(turns)


async def clear(session: AsyncSession) -> int:
    """Delete the examples permanently with all messages added to them, and return the number of rows."""
    is_demo = demo_conversations.condition
    demo_ids = select(col(Conversation.id)).where(is_demo)
    query = select(func.count()).select_from(Message).where(col(Message.conversation_id).in_(demo_ids))
    messages = await session.scalar(with_deleted(query)) or 0
    conversations = (await session.scalars(with_deleted(select(Conversation).where(is_demo)))).all()
    for conversation in conversations:
        await purge(session, conversation)
    return messages + len(conversations) + await demo_assistants.clear(session)
