"""Reports to superusers about e-mails that could not be sent for a while."""

from opportune.accounts.emails.delivery import email_superusers
from opportune.jobs import JobContext, job
from opportune.mail.outage import REPORT_OUTAGE


@job(REPORT_OUTAGE)
async def report_mail_outage(run: JobContext, reason: str) -> None:
    """Write to all superusers."""
    await run.write(email_superusers, run.settings, "accounts/mail/outage", {"reason": reason})
