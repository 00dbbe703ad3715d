"""The first superuser where nobody has a shell: by a link that only who reads the log, or ADMIN_EMAIL, has.

The link is random and signed, ends with the day, and counts for nothing as soon as there is a superuser.
"""

import secrets

from itsdangerous import BadData
from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.sessions.service import delete_all_sessions
from opportune.accounts.sign_in_methods import totp
from opportune.accounts.sign_in_methods.available import delete_sign_in_methods
from opportune.accounts.users.errors import EmailTakenError
from opportune.accounts.users.factory import user_manager
from opportune.config.settings import Settings
from opportune.config.signing import signer
from opportune.config.site_url import site_url
from opportune.db.queries.advisory_lock import take_turn

LINK_LIFETIME_SECONDS = 24 * 60 * 60
PURPOSE = "set up the first superuser"


async def has_superuser(session: AsyncSession) -> bool:
    """Whether there is a superuser, and so nothing to set up."""
    return bool(await session.scalar(select(exists().where(col(User.is_superuser)))))


def make_setup_link(settings: Settings) -> str:
    token = signer(settings, PURPOSE).dumps(secrets.token_urlsafe(24))
    return f"{site_url(settings)}/accounts/setup?token={token}"


def is_valid_token(settings: Settings, token: str) -> bool:
    """Whether it comes from a link of ours that has not ended."""
    try:
        signer(settings, PURPOSE).loads(token, max_age=LINK_LIFETIME_SECONDS)
    except BadData:
        return False
    return True


async def create_first_superuser(session: AsyncSession, email: str, password: str) -> User | None:
    """The first superuser, or None if there is one. Who has this e-mail already becomes it, signed out everywhere.

    All that let somebody into that account before ends: a stranger may have registered it.

    Raises:
        InvalidPasswordError: it is too weak.
        EmailTakenError: somebody registered this e-mail at the same moment.
    """
    hashed_password = await user_manager(session).hashed(password, email)
    await take_turn(session, "setup")
    if await has_superuser(session):
        return None
    found = select(User).where(func.lower(User.email) == email).with_for_update()
    user = await session.scalar(found) or User(email=email, hashed_password="")
    user.hashed_password = hashed_password
    user.is_active = user.is_verified = user.is_staff = user.is_superuser = True
    session.add(user)
    try:
        await session.flush()
    except IntegrityError:
        await session.rollback()
        raise EmailTakenError from None
    await delete_all_sessions(session, user)
    await delete_sign_in_methods(session, user)
    await totp.disable(session, user)
    return user
