"""Signed tokens for links in e-mails and for similar purposes. Each is for one purpose, for a limited time.

A token is bound to the current password and e-mail of its user, so the change that it makes also ends it.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from itsdangerous import BadData
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import signer
from opportune.db.models.model import MAX_ID

LIFETIMES = {
    "verify": timedelta(days=3),
    "change-email": timedelta(hours=1),
    "reset": timedelta(hours=1),
    "code": timedelta(minutes=5),
    "email-sign-in": timedelta(minutes=10),
}
"""Lifetime by purpose."""


def make_link_token(settings: Settings, purpose: str, user: User, **data: Any) -> str:
    """Return a signed token with JSON values, which are readable but cannot be changed."""
    return signer(settings, f"accounts: {purpose}").dumps([user.id, fingerprint(user), data])


async def read_link_token(
    session: AsyncSession, settings: Settings, purpose: str, token: str
) -> tuple[User, dict[str, Any]] | None:
    """Return the active user of a link and its values; None if it is invalid, expired or used."""
    seconds = int(LIFETIMES[purpose].total_seconds())
    try:
        user_id, mark, data = signer(settings, f"accounts: {purpose}").loads(token, max_age=seconds)
    except BadData:
        return None
    user = await session.get(User, user_id) if 0 < user_id <= MAX_ID else None
    if user is None or not user.is_active or not hmac.compare_digest(mark, fingerprint(user)):
        return None
    return user, data


def fingerprint(user: User) -> str:
    """Return a hash of password and e-mail that reveals neither."""
    return hashlib.sha256(f"{user.hashed_password}\n{user.email}".encode()).hexdigest()[:32]
