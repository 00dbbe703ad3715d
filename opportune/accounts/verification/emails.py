"""The link by which people prove an address."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import signed_links
from opportune.accounts.emails import send_account_email
from opportune.accounts.manager import find_by_email
from opportune.accounts.models import User
from opportune.jobs import JobContext, job
from opportune.settings import Settings


def send_verification_link(session: AsyncSession, settings: Settings, user: User) -> None:
    """Send a link that proves that the address is theirs."""
    token = signed_links.make_link_token(settings, "verify", user)
    send_account_email(session, settings, user.email, "verify", token=token)


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify, if somebody has this address and has not yet verified it."""
    await run.write(_send, run.settings, email)


async def _send(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_by_email(session, email)
    if user and user.is_active and not user.is_verified:
        send_verification_link(session, settings, user)
