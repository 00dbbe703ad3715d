"""The e-mail that verifies an address, sent by a job: the response does not tell whether the address has an account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_active_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify the address, if it has an active account and is not verified yet."""
    await run.write(_send, run.settings, email)


async def _send(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_active_by_email(session, email)
    if user and not user.is_verified:
        await user_manager(session, settings).request_verify(user)
