"""The e-mail of a registration, sent by a job: the response does not tell whether the address has an account."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.emails.delivery import send_account_email
from opportune.accounts.users.factory import user_manager
from opportune.accounts.users.lookup import find_by_email
from opportune.config.settings import Settings
from opportune.jobs import JobContext, job


@job("accounts.send_registration_email")
async def send_registration_email(run: JobContext, email: str, token: str) -> None:
    """Send the link that makes the account, or say that there is one. Addresses without an invitation get nothing."""
    await run.write(_send, run.settings, email, token)


async def _send(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    is_taken = await find_by_email(session, email) is not None
    if not is_taken and not await user_manager(session, settings).may_register(email):
        return
    template = "already_registered" if is_taken else "register"
    send_account_email(session, settings, email, template, token=token)
