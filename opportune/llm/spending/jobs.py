"""Daily deletion of visitors' usage."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlmodel import col

from opportune.db import utc_now
from opportune.jobs import JobContext, job
from opportune.llm.answers.models import Answer
from opportune.llm.spending.models import LlmUsage

VISITOR_USAGE_DAYS = 3
"""Days after which rows with a visitor's hashed address are deleted. The sum of all visitors is kept."""


@job("answers.forget_visitors", schedule="41 3 * * *")
async def forget_visitors(run: JobContext) -> None:
    """Delete the usage of individual visitors and their keys in finished answers."""
    cutoff = utc_now() - timedelta(days=VISITOR_USAGE_DAYS)
    async with run.database.writer() as session:
        payer, day = col(LlmUsage.payer), col(LlmUsage.day)
        await session.execute(delete(LlmUsage).where(payer.startswith("visitor:"), day < cutoff.date()))
        is_expired = col(Answer.charged_to).startswith("visitor:") & (col(Answer.finished_at) < cutoff)
        await session.execute(update(Answer).where(is_expired).values(charged_to=""))
