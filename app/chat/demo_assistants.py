"""Example assistants and an example prompt for the first superuser."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.assistants import Assistant, Prompt
from opportune.i18n import gettext_lazy as _l

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
# These creation times identify the demo rows, even after a user edits them.
CREATION_TIMES = [datetime(2026, 1, 5, 9, 43 + number, tzinfo=UTC) for number in range(len(ASSISTANTS))]
PROMPT_CREATED_AT = datetime(2026, 1, 5, 9, 50, tzinfo=UTC)
is_demo_assistant = col(Assistant.created_at).in_(CREATION_TIMES)
is_demo_prompt = col(Prompt.created_at) == PROMPT_CREATED_AT


async def load(session: AsyncSession, owner_id: int) -> int:
    """Add the missing rows, and return their number."""
    existing = {
        *await session.scalars(select(col(Assistant.created_at)).where(is_demo_assistant)),
        *await session.scalars(select(col(Prompt.created_at)).where(is_demo_prompt)),
    }
    rows = [row for row in _make_rows(owner_id) if row.created_at not in existing]
    session.add_all(rows)
    return len(rows)


def _make_rows(owner_id: int) -> list[Assistant | Prompt]:
    assistants = zip(CREATION_TIMES, ASSISTANTS, strict=True)
    return [
        Prompt(name=str(PROMPT_NAME), text=str(PROMPT_TEXT), owner_id=owner_id, created_at=PROMPT_CREATED_AT),
        *(
            Assistant.model_validate({**translated(values), "owner_id": owner_id, "created_at": created_at})
            for created_at, values in assistants
        ),
    ]


def translated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [*map(str, value)] if isinstance(value, list) else str(value) for name, value in values.items()}


async def clear(session: AsyncSession) -> int:
    assistants = await session.execute(delete(Assistant).where(is_demo_assistant).returning(col(Assistant.id)))
    prompts = await session.execute(delete(Prompt).where(is_demo_prompt).returning(col(Prompt.id)))
    return len(assistants.all()) + len(prompts.all())
