"""Outages of the mail server: e-mails that cannot be sent and are retried."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.models.model import utc_now
from opportune.i18n import ngettext
from opportune.jobs import JobQueue
from opportune.jobs.models import Job, JobState

SEND_EMAIL = "mail.send"
"""Name of the job that sends an e-mail."""
OUTAGE_AFTER = timedelta(minutes=10)
"""Shorter delays are normal: servers defer the first e-mails of a new sender."""
REPORT_OUTAGE = "accounts.report_mail_outage"
"""Name of the job that notifies superusers. It belongs to accounts, a layer above mail."""


@dataclass(frozen=True)
class Outage:
    """E-mails that could not be sent yet and are retried."""

    count: int
    since: datetime
    error: str
    """Error of the last attempt."""

    def __str__(self) -> str:
        return ngettext(
            "%(num)s e-mail could not be sent yet. %(error)s",
            "%(num)s e-mails could not be sent yet. %(error)s",
            self.count,
            error=self.error,
        )


async def read_outage(session: AsyncSession) -> Outage | None:
    """Return the e-mails that have been retried for more than ten minutes; None without such e-mails."""
    is_retried = (col(Job.name) == SEND_EMAIL) & (col(Job.state) == JobState.WAITING) & (col(Job.attempt) > 0)
    totals = select(func.count(), func.min(col(Job.created_at))).where(is_retried)
    count, since = (await session.execute(totals)).one()
    if not count or since > utc_now() - OUTAGE_AFTER:
        return None
    last_error = select(col(Job.error)).where(is_retried).order_by(col(Job.started_at).desc()).limit(1)
    return Outage(count, since, await session.scalar(last_error) or "")


async def report_outage(session: AsyncSession, reason: str) -> None:
    """Queue an e-mail to superusers, at most one a day. It is sent when the server accepts e-mails again."""
    queue: JobQueue = session.info["jobs"]
    if report := queue.jobs.get(REPORT_OUTAGE):
        queue.defer(session, report(reason), key=f"mail outage of {utc_now():%Y-%m-%d}")
