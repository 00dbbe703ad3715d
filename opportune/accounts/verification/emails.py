"""The link by which people prove an address."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify, if somebody has this address and has not yet verified it."""
    await run.write(_send, run.settings, email)


async def _send(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_by_email(session, email)
    if user and user.is_active and not user.is_verified:
        await user_manager(session, settings).request_verify(user)
