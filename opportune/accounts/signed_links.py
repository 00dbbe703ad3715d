"""Signed tokens for links in e-mails, and six-digit codes. Each token has one purpose and a limited lifetime.

A token contains a hash of the user's password and e-mail. It becomes invalid when one of them changes, so a link that
sets a new password works once.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import Any, NamedTuple

from itsdangerous import BadData
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import derived_key, signer
from opportune.db.models.row_ids import MAX_ID

LIFETIMES = {
    "verify": timedelta(days=3),
    "change-email": timedelta(hours=1),
    "reset": timedelta(hours=1),
    "code": timedelta(minutes=5),
    "email-sign-in": timedelta(minutes=10),
}
"""Lifetime by purpose."""

CODE_LENGTH = 6
"""Digits of a code. Codes are not stored: a check derives the expected code again and compares."""


class SignedLink(NamedTuple):
    user: User
    """The active user to whom the link was sent."""
    data: dict[str, Any]


def make_link_token(settings: Settings, purpose: str, user: User, **data: Any) -> str:
    """Return a signed token that contains `data` as JSON. The user can read the data but not change it."""
    return signer(settings, f"accounts: {purpose}").dumps([user.id, fingerprint(user), data])


async def read_link_token(session: AsyncSession, settings: Settings, purpose: str, token: str) -> SignedLink | None:
    """Return the user and the data of a token; None if the token is invalid, expired or used."""
    max_age = int(LIFETIMES[purpose].total_seconds())
    try:
        user_id, user_hash, data = signer(settings, f"accounts: {purpose}").loads(token, max_age=max_age)
    except (BadData, ValueError):  # another version of the site has other data
        return None
    user = await session.get(User, user_id) if 0 < user_id <= MAX_ID else None
    if user is None or not user.is_active or not hmac.compare_digest(user_hash, fingerprint(user)):
        return None
    return SignedLink(user, data)


def fingerprint(user: User) -> str:
    """Return a hash that changes with the user's password and e-mail."""
    return hashlib.sha256(f"{user.hashed_password}\n{user.email}".encode()).hexdigest()[:32]


def make_code(settings: Settings, user: User | None, purpose: str) -> str:
    """Return the code of this user for this purpose. A new password or e-mail of the user changes the code."""
    key = derived_key(settings, "accounts: codes by mail").encode()
    message = f"{purpose}\n{fingerprint(user) if user else ''}"
    number = int.from_bytes(hmac.digest(key, message.encode(), "sha256"))
    return str(number % 10**CODE_LENGTH).zfill(CODE_LENGTH)


def is_code(settings: Settings, user: User | None, purpose: str, text: str) -> bool:
    """Return whether this is the code, with or without spaces. For an unknown user (None) the result is False."""
    expected = make_code(settings, user, purpose)
    code = "".join(text.split())
    return hmac.compare_digest(expected.encode(), code.encode()) and user is not None
