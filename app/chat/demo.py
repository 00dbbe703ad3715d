"""Example conversations, assistants and a prompt for the first superuser.

The model name of the conversations says that their answers are made up.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversations import Conversations
from app.chat.models import Conversation, Message
from opportune.accounts import demo_owner
from opportune.contrib.answers import Answer, AnswerStatus
from opportune.contrib.assistants import Assistant, Prompt
from opportune.db import DemoRows, purge, with_deleted
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
ASSISTANTS = (
    {
        "name": _l("Plain writing"),
        "icon": "ti-pencil",
        "description": _l("Makes texts shorter and clearer."),
        "instructions": _l("Rewrite the text in short sentences, in its language. Then list the main changes."),
        "starters": [_l("Which rules make a sentence easy to read?")],
    },
    {
        "name": _l("Study partner"),
        "icon": "ti-school",
        "description": _l("Explains a subject in small steps, with questions."),
        "instructions": _l("Explain one idea at a time, with an example. Then ask a question and wait for the reply."),
        "starters": [_l("Explain how tides work."), _l("Teach me the basics of compound interest.")],
    },
)
PROMPT_NAME = _l("Summarise a text")
PROMPT_TEXT = _l("Summarise this text in {{length:three sentences|one paragraph}}, for {{reader}}:\n\n{{text}}")
demo_conversations = DemoRows(Conversation, SAMPLES, datetime(2026, 1, 6, 18, tzinfo=UTC))
demo_assistants = DemoRows(Assistant, ASSISTANTS, datetime(2026, 1, 5, 9, 43, tzinfo=UTC))
demo_prompts = DemoRows(Prompt, [(PROMPT_NAME, PROMPT_TEXT)], datetime(2026, 1, 5, 9, 50, tzinfo=UTC))


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "the conversations")
    added = await _add_assistants(session, owner.id)
    for created_at, turns in await demo_conversations.missing(session):
        added += await _add_conversation(session, owner.id, created_at, turns)
    return added


async def _add_assistants(session: AsyncSession, owner_id: int) -> int:
    """Add the missing assistants and prompts, and return their number."""
    rows: list[Assistant | Prompt] = [
        Prompt(name=str(name), text=str(text), owner_id=owner_id, created_at=created_at)
        for created_at, (name, text) in await demo_prompts.missing(session)
    ]
    for created_at, values in await demo_assistants.missing(session):
        ids = {"owner_id": owner_id, "created_at": created_at}
        rows.append(Assistant.model_validate(_translated(values) | ids))
    session.add_all(rows)
    return len(rows)


def _translated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [*map(str, value)] if isinstance(value, list) else str(value) for name, value in values.items()}


async def _add_conversation(
    session: AsyncSession, owner_id: int, created_at: datetime, turns: Sequence[tuple[str, str]]
) -> int:
    """Add a conversation with its questions and answers, and return the number of rows."""
    conversations = Conversations(session, owner_id)
    conversation = await conversations.create_conversation(str(turns[0][0]), {"created_at": created_at})
    for number, (content, text) in enumerate(turns):
        at = created_at + timedelta(minutes=2 * number)
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
    """Delete the examples, conversations permanently with all added messages, and return the number of rows."""
    is_demo = demo_conversations.condition
    demo_ids = select(col(Conversation.id)).where(is_demo)
    query = select(func.count()).select_from(Message).where(col(Message.conversation_id).in_(demo_ids))
    messages = await session.scalar(with_deleted(query)) or 0
    conversations = (await session.scalars(with_deleted(select(Conversation).where(is_demo)))).all()
    for conversation in conversations:
        await purge(session, conversation)
    others = await demo_assistants.clear(session) + await demo_prompts.clear(session)
    return messages + len(conversations) + others
