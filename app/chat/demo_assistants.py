"""Example assistants and an example prompt for the first superuser."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.contrib.assistants import Assistant, Prompt
from opportune.db import DemoRows
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
demo_assistants = DemoRows(Assistant, ASSISTANTS, datetime(2026, 1, 5, 9, 43, tzinfo=UTC))
demo_prompts = DemoRows(Prompt, [(PROMPT_NAME, PROMPT_TEXT)], datetime(2026, 1, 5, 9, 50, tzinfo=UTC))


async def load(session: AsyncSession, owner_id: int) -> int:
    """Add the missing rows, and return their number."""
    rows: list[Assistant | Prompt] = [
        Prompt(name=str(name), text=str(text), owner_id=owner_id, created_at=created_at)
        for created_at, (name, text) in await demo_prompts.missing(session)
    ]
    for created_at, values in await demo_assistants.missing(session):
        ids = {"owner_id": owner_id, "created_at": created_at}
        rows.append(Assistant.model_validate(translated(values) | ids))
    session.add_all(rows)
    return len(rows)


def translated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: [*map(str, value)] if isinstance(value, list) else str(value) for name, value in values.items()}


async def clear(session: AsyncSession) -> int:
    return await demo_assistants.clear(session) + await demo_prompts.clear(session)
