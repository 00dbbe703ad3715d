"""Example to-dos for the first superuser."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.todos.models import Todo
from opportune.accounts import demo_owner
from opportune.db import utc_now

# Title, days until due, done.
SAMPLES = (
    ("Renew the passport", -6, False),
    ("Send the invoice for October", -1, False),
    ("Call the dentist", 0, False),
    ("Book train tickets to Lisbon", 2, False),
    ("Water the plants on the balcony", 3, False),
    ("Review the draft of the grant proposal", 5, False),
    ("Find a birthday present for Mara", 9, False),
    ("Prepare slides for the team meeting", 14, False),
    ("Read the chapter on database indexes", None, False),
    ("Learn to bake sourdough", None, False),
    ("Cancel the old phone contract", -4, True),
    ("Back up the photos", None, True),
)
# Creation times in the past mark our rows, even after a user edits them.
MARKS = [datetime(2026, 1, 5, 9, minute, tzinfo=UTC) for minute in range(len(SAMPLES))]
is_ours = col(Todo.created_at).in_(MARKS)


async def load(session: AsyncSession) -> int:
    owner = await demo_owner(session, "The to-dos")
    there = set(await session.scalars(select(col(Todo.created_at)).where(is_ours)))
    missing = [sample for sample in zip(MARKS, SAMPLES, strict=True) if sample[0] not in there]
    for mark, (title, days, done) in missing:
        now = utc_now()
        due_on = None if days is None else now.date() + timedelta(days)
        done_at = now if done else None
        session.add(Todo(owner_id=owner.id, title=title, due_on=due_on, done_at=done_at, created_at=mark))
    return len(missing)


async def clear(session: AsyncSession) -> int:
    return len((await session.execute(delete(Todo).where(is_ours).returning(col(Todo.id)))).all())
