"""The letters of accounts, and the jobs that write those of which nobody else may learn whether there is an account."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import links
from opportune.accounts.manager import find
from opportune.accounts.models import User
from opportune.jobs import Run, job
from opportune.mail import compose, post
from opportune.settings import Settings


def arrive(settings: Settings) -> bool:
    """Whether people get what is sent to them. In the log only who runs the site can read it."""
    return not settings.mail_url.get_secret_value().strip().lower().startswith("console:")


def leave(settings: Settings) -> bool:
    """Whether letters are sent at all, if only to the log and the mailbox of development."""
    return arrive(settings) or not settings.is_production


def tell(session: AsyncSession, settings: Settings, to: str, letter: str, /, **context: Any) -> None:
    """Send one of the letters of accounts, where any are sent."""
    if leave(settings):
        post(session, compose(settings, to, f"accounts/mail/{letter}", context))


def offer_verification(session: AsyncSession, settings: Settings, user: User) -> None:
    """Send a link that proves that the address is theirs."""
    tell(session, settings, user.email, "verify", token=links.make(settings, "verify", user))


@job("accounts.write_of_registration")
async def write_of_registration(run: Run, email: str, token: str) -> None:
    """Send the link that makes the account, or say that there is one."""
    await run.write(_write_of_registration, run.settings, email, token)


@job("accounts.write_of_reset")
async def write_of_reset(run: Run, email: str) -> None:
    """Send a link to choose a new password, if somebody has this address."""
    await run.write(_write_of_reset, run.settings, email)


@job("accounts.write_of_verification")
async def write_of_verification(run: Run, email: str) -> None:
    """Send another link to verify, if somebody has this address and has not yet verified it."""
    await run.write(_write_of_verification, run.settings, email)


async def _write_of_registration(session: AsyncSession, settings: Settings, email: str, token: str) -> None:
    tell(session, settings, email, "registered_already" if await find(session, email) else "register", token=token)


async def _write_of_reset(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find(session, email)
    if user and user.is_active:
        tell(session, settings, user.email, "reset", token=links.make(settings, "reset", user))


async def _write_of_verification(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await find(session, email)
    if user and user.is_active and not user.is_verified:
        offer_verification(session, settings, user)
