"""Six-digit codes sent by e-mail. They are not stored but derived again from their purpose, and compared."""

import hmac

from opportune.accounts.emails.signed_links import fingerprint
from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import derived_key

CODE_LENGTH = 6


def make_code(settings: Settings, user: User | None, purpose: str) -> str:
    """Return the code of this user for this purpose. A new password changes it."""
    key = derived_key(settings, "accounts: codes by mail").encode()
    text = f"{purpose}\n{fingerprint(user) if user else ''}"
    return f"{int.from_bytes(hmac.digest(key, text.encode(), 'sha256')) % 10**CODE_LENGTH:0{CODE_LENGTH}}"


def is_code(settings: Settings, user: User | None, purpose: str, typed: str) -> bool:
    """Return whether the typed text is the code, with or without spaces; never for an unknown user."""
    expected = make_code(settings, user, purpose)
    return hmac.compare_digest(expected.encode(), "".join(typed.split()).encode()) and user is not None
