"""Signed tokens in the links that cancel a registration. They are not stored."""

from datetime import datetime

from itsdangerous import BadSignature, URLSafeSerializer

from app.events.models import Registration
from opportune.config import Settings, derived_keys
from opportune.errors import NotFound


def make_token(settings: Settings, registration: Registration) -> str:
    created_at = registration.created_at.isoformat()
    return str(_signer(settings).dumps([registration.id, created_at]))


def read_token(settings: Settings, token: str) -> tuple[int, datetime]:
    """Return the id and the creation time of a registration.

    Raises:
        NotFound: The token has no valid signature.
    """
    try:
        registration_id, created_at = _signer(settings).loads(token)
    except BadSignature:
        raise NotFound from None
    return registration_id, datetime.fromisoformat(created_at)


def _signer(settings: Settings) -> URLSafeSerializer:
    # The last key signs; all of them verify.
    return URLSafeSerializer(list(reversed(derived_keys(settings, "events: cancel"))))
