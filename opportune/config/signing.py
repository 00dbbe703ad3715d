"""Keys for one purpose each, made from SECRET_KEY: what is signed for one is worth nothing for another.

What was signed or sealed with a key of SECRET_KEY_FALLBACKS can still be read; everything new has the newest.
"""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from itsdangerous import URLSafeTimedSerializer

from opportune.config.settings import Settings


def derived_key(settings: Settings, purpose: str) -> str:
    """64 characters that tell nothing about SECRET_KEY, nor about the key for any other purpose."""
    return derived_keys(settings, purpose)[0]


def derived_keys(settings: Settings, purpose: str) -> list[str]:
    """The same, and after it those of the older secret keys."""
    return [hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest() for key in settings.secret_keys]


def signer(settings: Settings, purpose: str) -> URLSafeTimedSerializer:
    """Writes values into addresses so that we know them again, and when: `loads(text, max_age=seconds)`."""
    return URLSafeTimedSerializer(list(reversed(derived_keys(settings, purpose))))


def seal(settings: Settings, purpose: str, text: str) -> str:
    """The text, to be read by `unseal` alone."""
    return _box(settings, purpose).encrypt(text.encode()).decode()


def unseal(settings: Settings, purpose: str, sealed: str, seconds: int | None = None) -> str | None:
    """What was sealed for this purpose, at most so many seconds ago; None if it was not."""
    try:
        return _box(settings, purpose).decrypt(sealed.encode(errors="replace"), seconds).decode()
    except InvalidToken:
        return None


def _box(settings: Settings, purpose: str) -> "MultiFernet":
    keys = [bytes.fromhex(key) for key in derived_keys(settings, f"sealed: {purpose}")]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
