"""Example to-dos for the first superuser."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.todos.models import Todo
from app.todos.service import Todos
from opportune.accounts import demo_owner
from opportune.db import DemoRows, utc_now
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
demo_todos = DemoRows(Todo, SAMPLES, datetime(2026, 1, 5, 9, tzinfo=UTC))


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "the to-dos")
    todos = Todos(session, owner)
    missing = await demo_todos.missing(session)
    for created_at, (title, days, done) in missing:
        now = utc_now()
        todo = todos.new_row()
        todo.title = str(title)
        todo.created_at = created_at
        todo.done_at = now if done else None
        todo.due_on = None if days is None else now.date() + timedelta(days)
        session.add(todo)
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return await demo_todos.clear(session)
