"""A new e-mail address counts once its owner has opened a link there: a typing error gives nobody else the account."""

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts import letters, links
from opportune.accounts.attempts import Rule, Try, count
from opportune.accounts.manager import TakenError, UserManager
from opportune.accounts.models import User
from opportune.settings import Settings

PAGE = "/accounts/change-email"
PURPOSE = "change-email"
LETTERS = Rule("letters to change an e-mail", 5, 3600)


async def prepare(request: Request, manager: UserManager, user: User, email: str) -> None:
    """Find out what speaks against it, before anything is changed.

    Raises:
        TooMany: they have had enough letters written.
        TakenError: the address has an account, and no letters leave that could say so to its owner alone.
    """
    settings: Settings = request.app.state.settings
    await count(request, Try(LETTERS, str(user.id)))
    if not letters.leave(settings) and await manager.is_taken(email):
        raise TakenError
    await manager.session.commit()  # gives the connection back: a password may have to be hashed


async def ask(manager: UserManager, settings: Settings, user: User, email: str) -> bool:
    """Write to the new address. Only its owner learns whether it has an account already.

    Where no letters leave the change is made at once, and this is False; the address is not verified then.

    Raises:
        TakenError: the address got an account since `prepare`.
    """
    if not letters.leave(settings):
        await manager.change(user, email=email)
        return False
    path = f"{PAGE}?token={links.make(settings, PURPOSE, user, email=email)}"
    letter = "email_taken" if await manager.is_taken(email) else "email_change"
    letters.tell(manager.session, settings, email, letter, old=user.email, path=path)
    return True


async def read(session: AsyncSession, settings: Settings, user: User, token: str) -> tuple[User, str] | None:
    """This user, as the session has them, and the address that a link is about.

    None if it is no link of this user's, too old or used.
    """
    found = await links.read(session, settings, PURPOSE, token)
    return (found[0], str(found[1]["email"])) if found and found[0].id == user.id else None


async def confirm(manager: UserManager, settings: Settings, user: User, email: str) -> None:
    """Make the change that a link is about, and tell the old address.

    Raises:
        TakenError: the address has another account by now.
        PasswordError: the password was changed at the same moment.
    """
    old = user.email
    await manager.change(user, email=email, is_verified=True)
    letters.tell(manager.session, settings, old, "email_changed", new=email)
