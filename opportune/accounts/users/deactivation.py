"""Deactivation of accounts, which a `before_update` hook of a feature may refuse, unless it is forced."""

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.db.hooks.registry import changes

FORCED_KEY = "deactivation_is_forced"


def force_deactivation(session: AsyncSession) -> None:
    """Let this transaction deactivate accounts, even if a hook would refuse it."""
    session.info[FORCED_KEY] = True


def may_refuse_deactivation(session: AsyncSession, user: User) -> bool:
    """Return whether this change deactivates the account, and a `before_update` hook may raise `FieldErrors`.

    False if the operator forces the deactivation.
    """
    return not user.is_active and "is_active" in changes(user) and FORCED_KEY not in session.info
