"""The letters of accounts, and the jobs that write those of which nobody else may learn whether there is an account."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import signed_links
from opportune.accounts.manager import find_by_email
from opportune.accounts.models import User
from opportune.jobs import JobContext, job
from opportune.mail import enqueue_email, render_email
from opportune.settings import Settings


def email_is_delivered(settings: Settings) -> bool:
    """Whether people get what is sent to them. In the log only who runs the site can read it."""
    return not settings.mail_url.get_secret_value().strip().lower().startswith("console:")


def email_is_enabled(settings: Settings) -> bool:
    """Whether letters are sent at all, if only to the log and the mailbox of development."""
    return email_is_delivered(settings) or not settings.is_production


def send_account_email(session: AsyncSession, settings: Settings, to: str, letter: str, /, **context: Any) -> None:
    """Send one of the letters of accounts, where any are sent."""
    if email_is_enabled(settings):
        enqueue_email(session, render_email(settings, to, f"accounts/mail/{letter}", context))


def send_verification_link(session: AsyncSession, settings: Settings, user: User) -> None:
    """Send a link that proves that the address is theirs."""
    send_account_email(
        session, settings, user.email, "verify", token=signed_links.make_link_token(settings, "verify", user)
    )


@job("accounts.send_registration_email")
async def send_registration_email(run: JobContext, email: str, token: str) -> None:
    """Send the link that makes the account, or say that there is one."""
    await run.write(_send_registration_email, run.settings, email, token)


@job("accounts.send_password_reset_email")
async def send_password_reset_email(run: JobContext, email: str) -> None:
    """Send a link to choose a new password, if somebody has this address."""
    await run.write(_send_password_reset_email, run.settings, email)


@job("accounts.send_verification_email")
async def send_verification_email(run: JobContext, email: str) -> None:
    """Send another link to verify, if somebody has this address and has not yet verified it."""
    await run.write(_send_verification_email, run.settings, email)


async def _send_registration_email(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    send_account_email(
        session,
        settings,
        email,
        "registered_already" if await find_by_email(session, email) else "register",
        token=token,
    )


async def _send_password_reset_email(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_by_email(session, email)
    if user and user.is_active:
        send_account_email(
            session, settings, user.email, "reset", token=signed_links.make_link_token(settings, "reset", user)
        )


async def _send_verification_email(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find_by_email(session, email)
    if user and user.is_active and not user.is_verified:
        send_verification_link(session, settings, user)
