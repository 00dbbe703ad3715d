"""The link to a new password, in an e-mail that a job writes: the answer tells nobody who has an account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


@job("accounts.send_password_reset_email")
async def send_password_reset_email(run: JobContext, email: str) -> None:
    """Send a link to choose a new password, if somebody has this address."""
    await run.write(_send, run.settings, email)


async def _send(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_by_email(session, email)
    if user and user.is_active:
        await user_manager(session, settings).forgot_password(user)
