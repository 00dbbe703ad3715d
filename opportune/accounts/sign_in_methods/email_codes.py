"""Codes of six digits that go by mail. None is stored: each is made again of what it is for, and compared."""

import hmac

from opportune.accounts.emails.signed_links import fingerprint
from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import derived_key

CODE_LENGTH = 6


def make_code(settings: Settings, user: User | None, purpose: str) -> str:
    """The code for this purpose, which is nobody else's and for nothing else. Another password makes it another one."""
    key = derived_key(settings, "accounts: codes by mail").encode()
    text = f"{purpose}\n{fingerprint(user) if user else ''}"
    return f"{int.from_bytes(hmac.digest(key, text.encode(), 'sha256')) % 10**CODE_LENGTH:0{CODE_LENGTH}}"


def is_code(settings: Settings, user: User | None, purpose: str, typed: str) -> bool:
    """Whether somebody has typed it, with spaces or without. Nobody has one."""
    right = make_code(settings, user, purpose)
    return hmac.compare_digest(right.encode(), "".join(typed.split()).encode()) and user is not None
