"""Metrics of answers for `GET /metrics`."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerStatus
from opportune.feature import Gauge

STATES = {AnswerStatus.STREAMING: "running", AnswerStatus.WAITING: "waiting"}


async def answer_gauges(session: AsyncSession) -> list[Gauge]:
    status = col(Answer.status)
    rows = await session.execute(select(status, func.count()).where(status.in_(STATES)).group_by(status))
    counts = {AnswerStatus(name): number for name, number in rows}
    samples = [({"state": name}, counts.get(state, 0)) for state, name in STATES.items()]
    return [Gauge("opportune_answers", "Answers that are being written or wait for an approval.", samples)]
