"""Impersonation: a superuser signs in as a user for a limited time, with a reason.

The session depends on the superuser's own session, so it ends with that session, the right or the account.
"""

import logging
import secrets
from datetime import timedelta

from sqlalchemy import delete, select
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session, User
from opportune.accounts.sessions.credentials import hash_token, prune
from opportune.accounts.users.context import AccountContext
from opportune.db.models.model import utc_now
from opportune.errors import NotFound, Refused

logger = logging.getLogger(__name__)

IMPERSONATION_LIFETIME = timedelta(hours=1)
"""Pages and e-mails mention this duration in words."""

NOT_YOURSELF = "This is your own account."
NOT_SUPERUSERS = "You cannot sign in as another superuser."
NOT_INACTIVE = "This account is deactivated, so you cannot sign in to it."
SIGNED_OUT = "You have been signed out, or are no longer a superuser."


class ImpersonationRefused(Refused):
    """The superuser may not sign in as this user; the message says why."""


def impersonation_problem(superuser: User, person: User) -> str:
    """Return why this superuser may not sign in as this user; empty if they may."""
    if person.id == superuser.id:
        return NOT_YOURSELF
    if person.is_superuser:
        return NOT_SUPERUSERS
    return "" if person.is_active else NOT_INACTIVE


async def start_impersonation(
    context: AccountContext, superuser: User, here: Session, person_id: int, reason: str, *, may_write: bool = False
) -> tuple[Session, str]:
    """Create a session of this user for a superuser, and return it with its token. The user is notified.

    The superuser may only read, unless `may_write`: then each change is an event of the user's account.

    Raises:
        NotFound: the user does not exist.
        ImpersonationRefused: with a message for the superuser.
    """
    session = context.session
    # Both are locked, so that a concurrent change of their rights ends this session.
    superuser_session = await session.scalar(
        select(Session)
        .join(User, col(User.id) == col(Session.user_id))
        .where(col(Session.id) == here.id, col(User.is_superuser), col(User.is_active))
        .with_for_update()
    )
    if superuser_session is None or superuser_session.impersonator_session_id is not None:
        raise ImpersonationRefused(SIGNED_OUT)
    person = await session.scalar(select(User).where(col(User.id) == person_id).with_for_update())
    if person is None:
        raise NotFound
    if problem := impersonation_problem(superuser, person):
        raise ImpersonationRefused(problem)
    await prune(session, person, Session)
    token = secrets.token_urlsafe(32)
    made = Session(
        token_hash=hash_token(token),
        user_id=person.id,
        impersonator_session_id=superuser_session.id,
        impersonator_may_write=may_write,
        expires_at=min(superuser_session.expires_at, utc_now() + IMPERSONATION_LIFETIME),
        address=context.client.address[:64],
        agent=context.client.user_agent[:256],
    )
    session.add(made)
    kind = "impersonated_with_changes" if may_write else "impersonated"
    record_event(context, person, kind, by=superuser, reason=reason)
    rights = "may change things" if may_write else "read-only"
    logger.warning("user %d signed in as user %d, %s", superuser.id, person.id, rights)
    return made, token


async def end_impersonation(context: AccountContext, person: User, here: Session) -> tuple[Session, str] | None:
    """Restore the superuser's own session with a new token; return None if it has ended."""
    session = context.session
    superuser_session = await session.scalar(
        select(Session)
        .where(col(Session.id) == here.impersonator_session_id, col(Session.expires_at) > utc_now())
        .with_for_update()
    )
    await session.execute(delete(Session).where(col(Session.id) == here.id))
    if superuser_session is None:
        return None
    token = secrets.token_urlsafe(32)
    superuser_session.token_hash = hash_token(token)
    record_event(context, person, "impersonation_ended")
    logger.warning("user %d is no longer signed in as user %d", superuser_session.user_id, person.id)
    return superuser_session, token
