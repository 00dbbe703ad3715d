"""Daily deletion of visitors' usage."""

from datetime import timedelta

from sqlmodel import col

from opportune.db import delete_in_batches, update_in_batches, utc_now
from opportune.jobs import JobContext, job
from opportune.llm.answers.models import Answer
from opportune.llm.spending.models import LlmUsage

VISITOR_USAGE_DAYS = 3
"""Days after which rows with a visitor's hashed address are deleted. The sum of all visitors is kept."""


@job("answers.forget_visitors", schedule="41 3 * * *")
async def forget_visitors(run: JobContext) -> None:
    """Delete the usage of individual visitors and their keys in finished answers."""
    cutoff = utc_now() - timedelta(days=VISITOR_USAGE_DAYS)
    is_old = col(LlmUsage.payer).startswith("visitor:") & (col(LlmUsage.day) < cutoff.date())
    await delete_in_batches(run.database, LlmUsage, is_old)
    is_expired = col(Answer.charged_to).startswith("visitor:") & (col(Answer.finished_at) < cutoff)
    await update_in_batches(run.database, Answer, is_expired, {"charged_to": ""})
