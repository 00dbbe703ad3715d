"""The e-mail of a password reset, sent by a job: the response does not tell whether the address has an account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_active_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


@job("accounts.send_password_reset_email")
async def send_password_reset_email(run: JobContext, email: str) -> None:
    """Send a link to choose a new password, if the address has an active account."""
    await run.write(_send, run.settings, email)


async def _send(session: AsyncSession, settings: Settings, email: str) -> None:
    if user := await find_active_by_email(session, email):
        await user_manager(session, settings).forgot_password(user)
