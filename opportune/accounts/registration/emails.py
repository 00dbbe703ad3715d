"""The e-mail to who wants an account, written by a job: from the answer alone nobody learns whether there is one."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails import send_account_email
from opportune.accounts.users import find_by_email
from opportune.jobs import JobContext, job
from opportune.settings import Settings


@job("accounts.send_registration_email")
async def send_registration_email(run: JobContext, email: str, token: str) -> None:
    """Send the link that makes the account, or say that there is one."""
    await run.write(_send, run.settings, email, token)


async def _send(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    template = "already_registered" if await find_by_email(session, email) else "register"
    send_account_email(session, settings, email, template, token=token)
