"""Links that go by mail, and what else is handed out to come back: signed, for one purpose, for a time, and once.

Each is bound to the password and the e-mail that its user has now, so what it brings about also ends it.
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
from opportune.db.model import MAX_ID

LIFETIMES = {
    "verify": timedelta(days=3),
    "change-email": timedelta(hours=1),
    "reset": timedelta(hours=1),
    "code": timedelta(minutes=5),
    "email-sign-in": timedelta(minutes=10),
}
"""By purpose."""


def make_link_token(settings: Settings, purpose: str, user: User, **data: Any) -> str:
    """Text for an address, with JSON values in it that everybody can read and nobody can change."""
    return signer(settings, f"accounts: {purpose}").dumps([user.id, fingerprint(user), data])


async def read_link_token(
    session: AsyncSession, settings: Settings, purpose: str, token: str
) -> tuple[User, dict[str, Any]] | None:
    """The active user of a link and its values; None if it is not ours, too old, or has been used."""
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
    """Changes with what it is made of, and lets nobody find any of it."""
    return hashlib.sha256(f"{user.hashed_password}\n{user.email}".encode()).hexdigest()[:32]
