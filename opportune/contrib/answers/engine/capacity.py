"""Limit of the running answers of a user."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.engine import results, store
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.models import Answer
from opportune.errors import Refused
from opportune.i18n import gettext as _

MAX_RUNNING_ANSWERS = 3
"""Maximum number of running answers per user."""


class AnswerRunning(Refused):
    """The user's last question on the topic is still being answered."""

    def __init__(self) -> None:
        super().__init__(_("The last answer is still being written."))


class TooManyAnswers(Refused):
    """The user has reached the limit of running answers."""

    status = 429

    def __init__(self) -> None:
        super().__init__(_("You have several answers running already."))


async def require_capacity(session: AsyncSession, answer: Answer, engine: AnswerEngine, now: datetime) -> None:
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
    on_topic = [row for row in running if answer.topic and row.topic == answer.topic]
    if dead := [row for row in on_topic if engine.is_dead(row, now)]:  # those on other topics will be continued
        await results.take_over_answers(session, engine.worker, dead)
    if len(on_topic) > len(dead):
        raise AnswerRunning
    alive = [row for row in running if not engine.is_dead(row, now) and not row.is_waiting]
    if len(alive) >= MAX_RUNNING_ANSWERS:
        raise TooManyAnswers
