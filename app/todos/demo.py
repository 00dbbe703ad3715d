"""Example to-dos for the first superuser."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.models import Todo
from app.todos.service import Todos
from opportune.accounts import demo_owner
from opportune.db import utc_now
from opportune.i18n import gettext_lazy as _l

# Title, days until due, done.
SAMPLES = (
    (_l("Renew the passport"), -6, False),
    (_l("Send the invoice for October"), -1, False),
    (_l("Call the dentist"), 0, False),
    (_l("Book train tickets to Lisbon"), 2, False),
    (_l("Water the plants on the balcony"), 3, False),
    (_l("Review the draft of the grant proposal"), 5, False),
    (_l("Find a birthday present for Mara"), 9, False),
    (_l("Prepare slides for the team meeting"), 14, False),
    (_l("Read the chapter on database indexes"), None, False),
    (_l("Learn to bake sourdough"), None, False),
    (_l("Cancel the old phone contract"), -4, True),
    (_l("Back up the photos"), None, True),
)
# These creation times identify the demo to-dos, even after a user edits them.
CREATION_TIMES = [datetime(2026, 1, 5, 9, minute, tzinfo=UTC) for minute in range(len(SAMPLES))]
is_demo_todo = col(Todo.created_at).in_(CREATION_TIMES)


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The to-dos")
    todos = Todos(session, owner)
    existing = set(await session.scalars(select(col(Todo.created_at)).where(is_demo_todo)))
    missing = [sample for sample in zip(CREATION_TIMES, SAMPLES, strict=True) if sample[0] not in existing]
    for created_at, (title, days, done) in missing:
        now = utc_now()
        todo = todos.new_row()
        todo.title, todo.created_at, todo.done_at = str(title), created_at, now if done else None
        todo.due_on = None if days is None else now.date() + timedelta(days)
        session.add(todo)
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return len((await session.execute(delete(Todo).where(is_demo_todo).returning(col(Todo.id)))).all())
