"""Outages of the mail server: e-mails that cannot be sent and are retried."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.clock import utc_now
from opportune.i18n import ngettext
from opportune.jobs.management import MAX_COUNTED_JOBS
from opportune.jobs.models import IS_RETRIED, Job
from opportune.mail.outage import SEND_EMAIL

OUTAGE_AFTER = timedelta(minutes=10)
"""Shorter delays are normal: servers defer the first e-mails of a new sender."""


@dataclass(frozen=True)
class Outage:
    """E-mails that could not be sent yet and are retried."""

    count: int
    """At most `MAX_COUNTED_JOBS`."""
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
    """Return all e-mails that are retried, if the first has waited for more than ten minutes. None otherwise."""
    is_email = col(Job.name) == SEND_EMAIL
    columns = col(Job.created_at), col(Job.started_at), col(Job.error)
    first = select(*columns).where(is_email, IS_RETRIED).order_by(col(Job.created_at)).limit(MAX_COUNTED_JOBS)
    emails = first.subquery().c
    count, since = (await session.execute(select(func.count(), func.min(emails.created_at)))).one()
    if not count or since > utc_now() - OUTAGE_AFTER:
        return None
    last_error = select(emails.error).order_by(emails.started_at.desc()).limit(1)
    return Outage(count, since, await session.scalar(last_error) or "")
