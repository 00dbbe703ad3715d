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
    Provider,
    ProviderNotBelieved,
    ProviderUnreachable,
    SocialSignInRefused,
    callback_url,
)
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from opportune.accounts.social_sign_in.identity import Client

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 600
PURPOSE = "accounts: social sign-in"
STATES = RateLimit("accounts.social_states", 1, LIFETIME_SECONDS)
"""Each state is valid once, in all processes."""


@dataclass(frozen=True)
class Journey:
    """The state of a sign-in, kept encrypted by the browser."""

    provider: str
    state: str
    verifier: str
    """PKCE verifier: the code alone is worthless to others."""
    nonce: str
    """Part of the id_token, so that a token of another sign-in is invalid."""
    next: str = "/"
    remember: bool = False
    user_id: int = 0
    """The user to link the account to; 0 to sign in."""


def new_journey(provider: Provider, next_path: str, *, remember: bool = False, user_id: int = 0) -> Journey:
    state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    return Journey(provider.name, state, verifier, nonce, next_path, remember, user_id)


def seal_journey(settings: Settings, journey: Journey) -> str:
    return seal(settings, PURPOSE, json.dumps(asdict(journey)))


def read_journey(settings: Settings, provider: Provider, sealed: str, state: str) -> Journey | None:
    """Return the state of a browser for a response of this provider; None if it is invalid or expired."""
    text = unseal(settings, PURPOSE, sealed, LIFETIME_SECONDS)
    journey = Journey(**json.loads(text)) if text is not None else None
    if journey is None or journey.provider != provider.name:
        return None
    return journey if hmac.compare_digest(journey.state.encode(), state.encode(errors="replace")) else None


async def address_of_provider(settings: Settings, provider: Provider, journey: Journey) -> str:
    """Return the address of the provider. Raises SocialSignInRefused."""
    digest = hashlib.sha256(journey.verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    callback = callback_url(settings, provider)
    with _as_refusal(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.authorization_url(callback, journey.state, challenge, journey.nonce)


async def read_identity(
    settings: Settings, provider: Provider, journey: Journey, code: str, answered_by: str | None
) -> Identity:
    """Return the identity of the user who returns. Raises SocialSignInRefused."""
    callback = callback_url(settings, provider)
    with _as_refusal(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.identity(code, callback, journey.verifier, journey.nonce, answered_by)


def _load_client(provider: Provider) -> "Client":
    from opportune.accounts.social_sign_in.identity import client_of  # noqa: PLC0415 - see there

    return client_of(provider)


@contextmanager
def _as_refusal(provider: Provider) -> Iterator[None]:
    try:
        yield
    except ProviderUnreachable as error:
        logger.warning("Sign-in by %s: no response (%s)", provider.label, error)
        raise SocialSignInRefused(f"{provider.label} does not respond at the moment. Please try again later.") from None
    except ProviderNotBelieved as error:
        logger.warning("Sign-in by %s: invalid response: %s", provider.label, error)
        raise SocialSignInRefused(f"The response of {provider.label} is invalid. Please try again.") from None
