"""Keys for one purpose each, made from SECRET_KEY: what is signed for one is worth nothing for another."""

import hashlib
import hmac

from app.core.settings import Settings


def derived_key(settings: Settings, purpose: str) -> str:
    """64 characters that tell nothing about SECRET_KEY, nor about the key for any other purpose."""
    master = settings.secret_key.get_secret_value().encode()
    return hmac.new(master, purpose.encode(), hashlib.sha256).hexdigest()
