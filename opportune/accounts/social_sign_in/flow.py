"""The redirect to a provider and back, bound to the browser that started it."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from opportune.accounts.sign_in_methods.providers import (
    Identity,
    InvalidProviderResponse,
    Provider,
    ProviderUnreachable,
    SocialSignInRefused,
    callback_url,
)
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.i18n import gettext
from opportune.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from opportune.accounts.social_sign_in.identity import ProviderClient

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 600
PURPOSE = "accounts: social sign-in"
STATES = RateLimit("accounts.social_states", 1, LIFETIME_SECONDS)
"""Each OAuth state is valid once, in all processes."""


@dataclass(frozen=True)
class AuthRequest:
    """A started sign-in or linking. The browser keeps it encrypted in a cookie while the user is at the provider."""

    provider: str
    state: str
    verifier: str
    """PKCE verifier. Without it, a stolen authorization code is worthless."""
    nonce: str
    """The id_token must contain this value, so that a token of another sign-in is invalid."""
    next: str = "/"
    remember: bool = False
    user_id: int = 0
    """The user to link the account to; 0 to sign in."""


def create_request(provider: Provider, next_path: str, *, remember: bool = False, user_id: int = 0) -> AuthRequest:
    state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    return AuthRequest(provider.name, state, verifier, nonce, next_path, remember, user_id)


def seal_request(settings: Settings, auth_request: AuthRequest) -> str:
    return seal(settings, PURPOSE, json.dumps(asdict(auth_request)))


def read_request(settings: Settings, provider: Provider, sealed: str, state: str) -> AuthRequest | None:
    """Return the decrypted request; None if it is expired, or does not match this provider and `state`."""
    text = unseal(settings, PURPOSE, sealed, LIFETIME_SECONDS)
    auth_request = AuthRequest(**json.loads(text)) if text is not None else None
    if auth_request is None or auth_request.provider != provider.name:
        return None
    return auth_request if hmac.compare_digest(auth_request.state.encode(), state.encode(errors="replace")) else None


async def authorization_url(settings: Settings, provider: Provider, auth_request: AuthRequest) -> str:
    """Return the URL of the provider that the browser is redirected to. Raises SocialSignInRefused."""
    digest = hashlib.sha256(auth_request.verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    callback = callback_url(settings, provider)
    with _translate_provider_errors(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.authorization_url(callback, auth_request.state, challenge, auth_request.nonce)


async def read_identity(
    settings: Settings, provider: Provider, auth_request: AuthRequest, code: str, issuer: str | None
) -> Identity:
    """Exchange the authorization code for the identity of the user. Raises SocialSignInRefused."""
    callback = callback_url(settings, provider)
    with _translate_provider_errors(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.fetch_identity(code, callback, auth_request.verifier, auth_request.nonce, issuer)


def _load_client(provider: Provider) -> "ProviderClient":
    from opportune.accounts.social_sign_in.identity import get_client  # identity.py is slow to import

    return get_client(provider)


@contextmanager
def _translate_provider_errors(provider: Provider) -> Iterator[None]:
    """Log errors of the provider, and raise SocialSignInRefused instead."""
    try:
        yield
    except ProviderUnreachable as error:
        logger.warning("Sign-in by %s: no response (%s)", provider.label, error)
        raise SocialSignInRefused(
            gettext("%(label)s does not respond at the moment. Please try again later.", label=provider.label)
        ) from None
    except InvalidProviderResponse as error:
        logger.warning("Sign-in by %s: invalid response: %s", provider.label, error)
        raise SocialSignInRefused(
            gettext("The response of %(label)s is invalid. Please try again.", label=provider.label)
        ) from None
