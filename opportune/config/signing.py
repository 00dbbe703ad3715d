"""Signatures and encryption with keys that are derived from SECRET_KEY, one for each purpose.

Keys of SECRET_KEY_FALLBACKS still verify and decrypt. New values use SECRET_KEY.
"""

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from opportune.config.settings import Settings
from opportune.services.clock import clock

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

T = TypeVar("T")


def derived_key(settings: Settings, purpose: str) -> str:
    """Return a key of 64 hexadecimal characters for a purpose. It reveals nothing about other keys."""
    return derived_keys(settings, purpose)[0]


def derived_keys(settings: Settings, purpose: str) -> list[str]:
    """Return the derived key, followed by the keys that are derived from older secret keys."""
    return [hmac.digest(key.encode(), purpose.encode(), "sha256").hex() for key in settings.secret_keys]


def _is_fresh(signed_at: float, max_age: int | None) -> bool:
    """Compare ages also with the future, by at most the maximum age, because the clocks of machines differ."""
    return max_age is None or abs(int(clock.now()) - signed_at) <= max_age


class _Signer(TimestampSigner):
    def get_timestamp(self) -> int:
        return int(clock.now())

    def unsign(self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        value, signed_at = super().unsign(signed_value, return_timestamp=True)
        if not _is_fresh(signed_at.timestamp(), max_age):
            raise SignatureExpired(f"It is valid for {max_age} s.", payload=value, date_signed=signed_at)
        return (value, signed_at) if return_timestamp else value


def signer(settings: Settings, purpose: str) -> URLSafeTimedSerializer:
    """Return a signer of values for links. Read them with `loads(text, max_age=seconds)`.

    A value signed for one purpose is invalid for others.
    """
    return URLSafeTimedSerializer(list(reversed(derived_keys(settings, purpose))), signer=_Signer)


def seal(settings: Settings, purpose: str, text: str) -> str:
    """Encrypt a text. `unseal` decrypts it with the same purpose."""
    return _box(settings, purpose).encrypt_at_time(text.encode(), int(clock.now())).decode()


def unseal(settings: Settings, purpose: str, sealed: str, seconds: int | None = None) -> str | None:
    """Return the text that `seal` encrypted; None if it is invalid, of another purpose, or older than `seconds`."""
    from cryptography.fernet import InvalidToken

    box = _box(settings, purpose)
    token = sealed.encode(errors="replace")
    try:
        text = box.decrypt(token).decode()
    except InvalidToken:
        return None
    return text if _is_fresh(box.extract_timestamp(token), seconds) else None


def seal_fields(settings: Settings, purpose: str, value: NamedTuple) -> str:
    """Encrypt the fields of a named tuple as JSON. `unseal_as` reads them."""
    return seal(settings, purpose, json.dumps(value._asdict()))


def unseal_as(type_: type[T], settings: Settings, purpose: str, sealed: str, seconds: int) -> T | None:
    """Return the tuple whose fields are sealed as JSON. None also if another version of the site has other fields.

    The arguments are those of `unseal`.
    """
    text = unseal(settings, purpose, sealed, seconds)
    try:
        return None if text is None else type_(**json.loads(text))
    except (TypeError, ValueError):
        return None


def _box(settings: Settings, purpose: str) -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet

    keys = [bytes.fromhex(key) for key in derived_keys(settings, f"sealed: {purpose}")]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
