"""Impersonation: a superuser signs in as a user for a limited time, with a reason.

Its session refers to the superuser's own session. It ends when the superuser signs out or is no longer a superuser.
"""

import logging
import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.credentials import delete_expired_and_surplus, hash_token
from opportune.accounts.users.context import AccountContext
from opportune.db.clock import utc_now
from opportune.errors import Refused, require_found
from opportune.i18n import gettext_lazy as _l

logger = logging.getLogger(__name__)

IMPERSONATION_LIFETIME = timedelta(hours=1)
"""If you change it, also change the texts of pages and e-mails, which say "an hour"."""

NOT_YOURSELF = _l("This is your own account.")
NOT_SUPERUSERS = _l("You cannot sign in as another superuser.")
NOT_INACTIVE = _l("This account is deactivated, so you cannot sign in to it.")
SIGNED_OUT = _l("You have been signed out, or are no longer a superuser.")


class ImpersonationRefused(Refused):
    """The superuser may not sign in as this user; the message says why."""


def find_impersonation_problem(superuser: User, user: User) -> str | None:
    """Return why this superuser may not sign in as this user; None if they may."""
    if user.id == superuser.id:
        return NOT_YOURSELF
    if user.is_superuser:
        return NOT_SUPERUSERS
    return None if user.is_active else NOT_INACTIVE


async def start_impersonation(
    context: AccountContext, superuser: User, origin: Session, user_id: int, reason: str, *, may_write: bool = False
) -> tuple[Session, str]:
    """Create a session in which a superuser is signed in as a user, and notify the user by e-mail.

    Args:
        context: The context of the request.
        superuser: The superuser of the request.
        origin: The session of the superuser's browser.
        user_id: The id of the user to sign in as.
        reason: A reason, which the user can read.
        may_write: Whether the superuser may make changes. Each change is an event of the user's account.

    Returns:
        The new session and its token.

    Raises:
        NotFound: The user does not exist.
        ImpersonationRefused: With a message for the superuser.
    """
    # The superuser's session and both users are locked, so that a concurrent change of their permissions takes effect.
    superuser_session = await _lock_superuser_session(context.session, origin)
    user = await _lock_user(context.session, user_id, superuser)
    await delete_expired_and_surplus(context.session, user, Session)
    token = secrets.token_urlsafe(32)
    new_session = Session(
        token_hash=hash_token(token),
        user_id=user.id,
        impersonator_session_id=superuser_session.id,
        impersonator_may_write=may_write,
        expires_at=min(superuser_session.expires_at, utc_now() + IMPERSONATION_LIFETIME),
        address=context.client.address,
        agent=context.client.user_agent,
    )
    context.session.add(new_session)
    kind = "impersonated_with_changes" if may_write else "impersonated"
    record_event(context, user, kind, by=superuser, reason=reason)
    permission = "may change things" if may_write else "read-only"
    logger.warning("user %d signed in as user %d, %s", superuser.id, user.id, permission)
    return new_session, token


async def _lock_superuser_session(session: AsyncSession, origin: Session) -> Session:
    """Lock the superuser's session and account.

    Raises:
        ImpersonationRefused: One of them has ended.
    """
    superuser_session: Session | None = await session.scalar(
        select(Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(Session.id) == origin.id, col(User.is_superuser), col(User.is_active))
        .with_for_update()
    )
    if superuser_session is None or superuser_session.is_impersonation:
        raise ImpersonationRefused(SIGNED_OUT)
    return superuser_session


async def _lock_user(session: AsyncSession, user_id: int, superuser: User) -> User:
    """Lock the user to sign in as.

    Raises:
        NotFound: No such user exists.
        ImpersonationRefused: The superuser may not sign in as this user.
    """
    user: User = require_found(await session.scalar(select(User).where(col(User.id) == user_id).with_for_update()))
    if problem := find_impersonation_problem(superuser, user):
        raise ImpersonationRefused(problem)
    return user


async def end_impersonation(context: AccountContext, user: User, ended_session: Session) -> tuple[Session, str] | None:
    """End an impersonation. Return the superuser's own session and its new token; None if that session has expired."""
    superuser_session = await context.session.scalar(
        select(Session)
        .where(col(Session.id) == ended_session.impersonator_session_id, col(Session.expires_at) > utc_now())
        .with_for_update()
    )
    await context.session.execute(delete(Session).where(col(Session.id) == ended_session.id))
    if superuser_session is None:
        return None
    token = secrets.token_urlsafe(32)
    superuser_session.token_hash = hash_token(token)
    record_event(context, user, "impersonation_ended")
    logger.warning("user %d is no longer signed in as user %d", superuser_session.user_id, user.id)
    return superuser_session, token
