"""What is done once a day."""

from datetime import timedelta

from sqlalchemy import delete, update
from sqlmodel import col

from opportune.db import utc_now
from opportune.jobs import JobContext, job
from opportune.llm.answers.models import Answer
from opportune.llm.spending.models import LlmUsage

VISITOR_DAYS = 3
"""Days after which what stands for an address is deleted. The sum of all visitors stays."""


@job("answers.forget_visitors", schedule="41 3 * * *")
async def forget_visitors(run: JobContext) -> None:
    """Delete what single visitors have used, and who asked for answers that have ended."""
    old = utc_now() - timedelta(days=VISITOR_DAYS)
    async with run.database.writer() as session:
        payer, day = col(LlmUsage.payer), col(LlmUsage.day)
        await session.execute(delete(LlmUsage).where(payer.startswith("visitor:"), day < old.date()))
        is_theirs = col(Answer.charged_to).startswith("visitor:") & (col(Answer.finished_at) < old)
        await session.execute(update(Answer).where(is_theirs).values(charged_to=""))
