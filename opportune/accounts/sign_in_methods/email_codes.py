"""Six-digit codes sent by e-mail. They are not stored: a check derives the expected code again and compares."""

import hmac

from opportune.accounts.emails.signed_links import fingerprint
from opportune.accounts.models import User
from opportune.config.settings import Settings
from opportune.config.signing import derived_key

CODE_LENGTH = 6


def make_code(settings: Settings, user: User | None, purpose: str) -> str:
    """Return the code of this user for this purpose. A new password or e-mail of the user changes the code."""
    key = derived_key(settings, "accounts: codes by mail").encode()
    message = f"{purpose}\n{fingerprint(user) if user else ''}"
    number = int.from_bytes(hmac.digest(key, message.encode(), "sha256"))
    return str(number % 10**CODE_LENGTH).zfill(CODE_LENGTH)


def is_code(settings: Settings, user: User | None, purpose: str, text: str) -> bool:
    """Return whether this is the code, with or without spaces. For an unknown user (None) the result is False."""
    expected, code = make_code(settings, user, purpose), "".join(text.split())
    return hmac.compare_digest(expected.encode(), code.encode()) and user is not None
