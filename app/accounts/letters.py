"""The letters of accounts, and the jobs that write those of which nobody else may learn whether there is an account."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.accounts import links
from app.accounts.models import User
from app.core.jobs import Run, job
from app.core.mail import compose, post
from app.core.settings import Settings


def arrive(settings: Settings) -> bool:
    """Whether people get what is sent to them. In the log only who runs the site can read it."""
    return not settings.mail_url.get_secret_value().strip().lower().startswith("console:")


def leave(settings: Settings) -> bool:
    """Whether letters are sent at all, if only to the log and the mailbox of development."""
    return arrive(settings) or not settings.is_production


def offer_verification(session: AsyncSession, settings: Settings, user: User) -> None:
    """Send a link that proves that the address is theirs."""
    if leave(settings):
        token = links.make(settings, "verify", user)
        post(session, compose(settings, user.email, "accounts/mail/verify", {"token": token}))


def tell_of_reset(session: AsyncSession, settings: Settings, user: User) -> None:
    if leave(settings):
        post(session, compose(settings, user.email, "accounts/mail/reset_done", {"email": user.email}))


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
    name = "registered_already" if await _find(session, email) else "register"
    post(session, compose(settings, email, f"accounts/mail/{name}", {"token": token}))


async def _write_of_reset(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await _find(session, email)
    if user and user.is_active:
        token = links.make(settings, "reset", user)
        post(session, compose(settings, user.email, "accounts/mail/reset", {"token": token}))


async def _write_of_verification(session: AsyncSession, settings: Settings, email: str) -> None:
    user = await _find(session, email)
    if user and user.is_active and not user.is_verified:
        offer_verification(session, settings, user)


async def _find(session: AsyncSession, email: str) -> User | None:
    user: User | None = await session.scalar(select(User).where(func.lower(col(User.email)) == email))
    return user
