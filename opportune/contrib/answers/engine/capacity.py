"""Limits of the running answers of a user."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.engine import store
from opportune.contrib.answers.engine.errors import AnswerRunning, TooManyAnswers
from opportune.contrib.answers.models import Answer

MAX_RUNNING_ANSWERS = 3
"""Maximum number of running answers per user."""


async def require_capacity(
    session: AsyncSession, answer: Answer, worker: str, is_dead: Callable[[Answer], bool]
) -> None:
    """Check that the user may start this answer. One that waits blocks only its topic.

    Raises:
        AnswerRunning: An answer on the topic is running.
        TooManyAnswers: The user has too many running answers.
    """
    if answer.owner_id is None:
        return
    # The row lock serializes questions of the user. On SQLite, writers are serialized anyway.
    await session.execute(select(col(User.id)).where(col(User.id) == answer.owner_id).with_for_update())
    running = await store.read_running_answers(session, col(Answer.owner_id) == answer.owner_id)
    running = [row for row in running if row is not answer]
    if dead := [row for row in running if is_dead(row)]:
        await store.take_over_answers(session, worker, dead)
    alive = [row for row in running if row not in dead]
    if answer.topic and any(row.topic == answer.topic for row in alive):
        raise AnswerRunning
    if sum(not row.is_waiting for row in alive) >= MAX_RUNNING_ANSWERS:
        raise TooManyAnswers
