"""Deletion of temporary conversations."""

from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col

from app.chat.models import Conversation
from opportune.db import purge, utc_now, with_deleted
from opportune.jobs import JobContext, job

TEMPORARY_HOURS = 24
"""Hours without a question after which a temporary conversation is deleted."""
ROWS_PER_TRANSACTION = 100


@job("chat.delete_temporary", schedule="23 * * * *")
async def delete_temporary(run: JobContext) -> None:
    """Delete temporary conversations permanently, also from the trash, with their answers and files."""
    is_old = col(Conversation.used_at) < utc_now() - timedelta(hours=TEMPORARY_HOURS)
    query = with_deleted(select(Conversation).where(col(Conversation.is_temporary), is_old).limit(ROWS_PER_TRANSACTION))
    while True:
        async with run.database.writer() as session:
            rows = (await session.scalars(query)).all()
            for row in rows:
                await purge(session, row)
        if len(rows) < ROWS_PER_TRANSACTION:
            return
