"""Keys for one purpose each, made from SECRET_KEY: what is signed for one is worth nothing for another."""

from app.core import keys
from app.core.settings import Settings


def derived_key(settings: Settings, purpose: str) -> str:
    """64 characters that tell nothing about SECRET_KEY, nor about the key for any other purpose."""
    return keys.derived_key(settings, f"accounts:{purpose}")
