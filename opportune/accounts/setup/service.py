"""Creation of the first superuser without a shell, by a signed link in the log or in an e-mail to ADMIN_EMAIL.

The link is valid for a day, or until the site has a superuser.
"""

import secrets

from itsdangerous import BadData
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.models import User
from opportune.accounts.users.context import user_manager
from opportune.accounts.users.credentials import delete_all_sessions, delete_sign_in_methods
from opportune.accounts.users.errors import EmailTakenError
from opportune.config.email_domains import normalize_email
from opportune.config.settings import Settings, site_url
from opportune.config.signing import signer
from opportune.db.constraint_errors import flush_or_refuse
from opportune.db.queries.dialects import acquire_advisory_lock
from opportune.errors import NotFound

LINK_LIFETIME_SECONDS = 24 * 60 * 60
PURPOSE = "set up the first superuser"


async def has_superuser(session: AsyncSession) -> bool:
    return bool(await session.scalar(select(exists().where(col(User.is_superuser)))))


def make_setup_link(settings: Settings) -> str:
    token = signer(settings, PURPOSE).dumps(secrets.token_urlsafe(24))
    return f"{site_url(settings)}/accounts/setup?token={token}"


def is_valid_token(settings: Settings, token: str) -> bool:
    """Return whether the token is from a link of this site that has not expired."""
    try:
        signer(settings, PURPOSE).loads(token, max_age=LINK_LIFETIME_SECONDS)
    except BadData:
        return False
    return True


async def create_first_superuser(session: AsyncSession, email: str, password: str) -> User:
    """Create the first superuser, or promote the account with this e-mail.

    Sessions, tokens and sign-in methods of an existing account end, because another person may have registered it.

    Raises:
        InvalidPasswordError: the password is too weak.
        NotFound: the site has a superuser.
        EmailTakenError: a concurrent request registered this e-mail.
    """
    hashed_password = await user_manager(session).hash_new_password(password, email)
    await acquire_advisory_lock(session, "setup")
    if await has_superuser(session):
        raise NotFound
    email = normalize_email(email)
    existing = select(User).where(func.lower(User.email) == email).with_for_update()
    user: User = await session.scalar(existing) or User(email=email, hashed_password="")
    user.hashed_password = hashed_password
    user.is_active = user.is_verified = user.is_staff = user.is_superuser = True
    session.add(user)
    await flush_or_refuse(session, EmailTakenError())
    await delete_all_sessions(session, user)
    await delete_sign_in_methods(session, user)
    return user
