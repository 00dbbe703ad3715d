"""A new e-mail address counts once its owner has opened a link there: a typing error gives nobody else the account."""

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import emails, signed_links
from opportune.accounts.manager import EmailTakenError, UserManager
from opportune.accounts.models import User
from opportune.accounts.rate_limits import Hit, RateLimit, hit
from opportune.settings import Settings

CHANGE_EMAIL_PATH = "/accounts/change-email"
PURPOSE = "change-email"
EMAILS_PER_USER = RateLimit("letters to change an e-mail", 5, 3600)


async def check_email_change(request: Request, manager: UserManager, user: User, email: str) -> None:
    """Find out what speaks against it, before anything is changed.

    Raises:
        TooMany: they have had enough letters written.
        TakenError: the address has an account, and no letters leave that could say so to its owner alone.
    """
    settings: Settings = request.app.state.settings
    await hit(request, Hit(EMAILS_PER_USER, str(user.id)))
    if not emails.email_is_enabled(settings) and await manager.is_taken(email):
        raise EmailTakenError
    await manager.session.commit()  # gives the connection back: a password may have to be hashed


async def request_email_change(manager: UserManager, settings: Settings, user: User, email: str) -> bool:
    """Write to the new address. Only its owner learns whether it has an account already.

    Where no letters leave the change is made at once, and this is False; the address is not verified then.

    Raises:
        TakenError: the address got an account since `prepare`.
    """
    if not emails.email_is_enabled(settings):
        await manager.change(user, email=email)
        return False
    path = f"{CHANGE_EMAIL_PATH}?token={signed_links.make_link_token(settings, PURPOSE, user, email=email)}"
    letter = "email_taken" if await manager.is_taken(email) else "email_change"
    emails.send_account_email(manager.session, settings, email, letter, old=user.email, path=path)
    return True


async def read_email_change(
    session: AsyncSession, settings: Settings, user: User, token: str
) -> tuple[User, str] | None:
    """This user, as the session has them, and the address that a link is about.

    None if it is no link of this user's, too old or used.
    """
    found = await signed_links.read_link_token(session, settings, PURPOSE, token)
    return (found[0], str(found[1]["email"])) if found and found[0].id == user.id else None


async def confirm_email_change(manager: UserManager, settings: Settings, user: User, email: str) -> None:
    """Make the change that a link is about, and tell the old address.

    Raises:
        TakenError: the address has another account by now.
        PasswordError: the password was changed at the same moment.
    """
    old = user.email
    await manager.change(user, email=email, is_verified=True)
    emails.send_account_email(manager.session, settings, old, "email_changed", new=email)
