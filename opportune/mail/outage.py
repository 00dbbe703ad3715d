"""Report of an outage of the mail server."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.clock import utc_now
from opportune.jobs import JobQueue

SEND_EMAIL = "mail.send"
"""Name of the job that sends an e-mail."""
REPORT_OUTAGE = "accounts.report_mail_outage"
"""Name of the job that notifies superusers. It belongs to accounts, a layer above mail."""


async def report_outage(session: AsyncSession, reason: str) -> None:
    """Queue an e-mail to superusers, at most one a day. It is sent when the server accepts e-mails again."""
    queue: JobQueue = session.info["jobs"]
    if report := queue.jobs.get(REPORT_OUTAGE):
        queue.defer(session, report(reason), key=f"mail outage of {utc_now():%Y-%m-%d}")
