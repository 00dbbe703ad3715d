"""Sign-in and registration with an account of another site, and linking of such accounts."""

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from itsdangerous.encoding import base64_encode
from sqlalchemy import delete
from sqlmodel import col

from opportune.accounts.events.service import record_event
from opportune.accounts.flows.registration import REGISTRATIONS_PER_IP, require_may_register
from opportune.accounts.models import LinkedAccount, User
from opportune.accounts.sign_in_methods import available
from opportune.accounts.sign_in_methods.providers import (
    Identity,
    InvalidProviderResponse,
    Provider,
    ProviderUnreachable,
    SocialSignInRefused,
    callback_url,
)
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE, EmailTakenError, RegistrationClosedError
from opportune.config.settings import Settings
from opportune.config.signing import seal_fields, unseal_as
from opportune.errors import require_found
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from opportune.accounts.sign_in_methods.provider_clients import ProviderClient

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 600
PURPOSE = "accounts: social sign-in"
STATES = RateLimit("accounts.social_states", 1, LIFETIME_SECONDS)
"""Each OAuth state is valid once, in all processes."""

STARTS_PER_IP = RateLimit("accounts.social_starts_per_address", 60)
FAILURES_PER_IP = RateLimit("accounts.social_failures_per_address", 20)
NOT_SHARED = _l(
    "%(label)s does not share your e-mail address. Register here first, then add %(label)s on your profile."
)
NOT_VERIFIED = _l(
    "%(label)s has not verified %(email)s. Register here with that address, then add %(label)s on your profile."
)
TAKEN = _l("There is already an account with %(email)s. Sign in to it, then add %(label)s on your profile.")
LINKED_TO_YOU = _l("That account at %(label)s is already linked to your account.")
LINKED_TO_ANOTHER = _l("That account at %(label)s is already linked to another account.")


class AuthRequest(NamedTuple):
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
    return AuthRequest(
        provider=provider.name,
        state=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        next=next_path,
        remember=remember,
        user_id=user_id,
    )


def seal_request(settings: Settings, auth_request: AuthRequest) -> str:
    return seal_fields(settings, PURPOSE, auth_request)


def read_request(settings: Settings, provider: Provider, sealed: str, state: str) -> AuthRequest | None:
    """Return the decrypted request; None if it is expired, or does not match this provider and `state`."""
    auth_request = unseal_as(AuthRequest, settings, PURPOSE, sealed, LIFETIME_SECONDS)
    if auth_request is None:
        return None
    has_state = hmac.compare_digest(auth_request.state.encode(), state.encode(errors="replace"))
    return auth_request if has_state and auth_request.provider == provider.name else None


async def authorization_url(settings: Settings, provider: Provider, auth_request: AuthRequest) -> str:
    """Return the URL of the provider that the browser is redirected to.

    Raises:
        SocialSignInRefused: The provider does not respond as expected.
    """
    digest = hashlib.sha256(auth_request.verifier.encode()).digest()
    challenge = base64_encode(digest).decode()  # in base64url without padding, as PKCE requires
    callback = callback_url(settings, provider)
    with _translate_provider_errors(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.authorization_url(callback, auth_request.state, challenge, auth_request.nonce)


async def read_identity(
    settings: Settings, provider: Provider, auth_request: AuthRequest, code: str, issuer: str | None
) -> Identity:
    """Exchange the authorization code for the identity of the user.

    Raises:
        SocialSignInRefused: The provider refuses the code, or does not respond as expected.
    """
    callback = callback_url(settings, provider)
    with _translate_provider_errors(provider):
        client = await asyncio.to_thread(_load_client, provider)
        return await client.fetch_identity(code, callback, auth_request.verifier, auth_request.nonce, issuer)


def _load_client(provider: Provider) -> "ProviderClient":
    from opportune.accounts.sign_in_methods.provider_clients import get_client  # slow to import

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


async def find_user(context: AccountContext, identity: Identity) -> User | None:
    """Return the user to whom an identity is linked. A second factor may still be required.

    Raises:
        SocialSignInRefused: The account is deactivated.
    """
    user = await context.manager.user_db.get_by_oauth_account(identity.issuer, identity.subject)
    await context.session.commit()
    if user and not await context.manager.lock_unchanged(user):
        raise SocialSignInRefused("This account is deactivated.")
    return user


async def register(context: AccountContext, provider: Provider, identity: Identity) -> User:
    """Create the user of an identity.

    Raises:
        SocialSignInRefused: With a message for the user.
        TooManyRequests: Too many accounts were created from this address.
    """
    if not identity.email:
        raise _refusal(NOT_SHARED, provider, identity)
    if not identity.email_is_verified:
        raise _refusal(NOT_VERIFIED, provider, identity)
    await context.limiter.hit(REGISTRATIONS_PER_IP.by(context.client.address))
    try:
        await require_may_register(context, identity.email)
        return await context.manager.oauth_callback(
            identity.issuer, "", identity.subject, identity.email, is_verified_by_default=True
        )
    except RegistrationClosedError as refusal:
        raise SocialSignInRefused(str(refusal)) from None
    except EmailTakenError:
        raise _refusal(TAKEN, provider, identity) from None


def _refusal(message: str, provider: Provider, identity: Identity) -> SocialSignInRefused:
    return SocialSignInRefused(gettext(message, label=provider.label, email=identity.email))


async def link(context: AccountContext, provider: Provider, identity: Identity, user: User) -> None:
    """Link an identity to a user, and notify the user by e-mail.

    Raises:
        SocialSignInRefused: The identity is linked already.
        AccountLinkedError: Another request has just linked it.
    """
    if not await context.manager.lock_unchanged(user):
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    linked_user = await context.manager.user_db.get_by_oauth_account(identity.issuer, identity.subject)
    if linked_user is not None:
        message = LINKED_TO_YOU if linked_user.id == user.id else LINKED_TO_ANOTHER
        raise _refusal(message, provider, identity)
    values = {"oauth_name": identity.issuer, "account_id": identity.subject, "account_email": identity.email}
    await context.manager.user_db.add_oauth_account(user, values)
    record_event(context, user, "account_linked", label=provider.label)


async def unlink(context: AccountContext, user: User, row_id: int) -> None:
    """Unlink an account, and notify the user by e-mail.

    Raises:
        NotFound: The user has no such account.
        SocialSignInRefused: It is the user's last sign-in method.
    """
    # The lock keeps two concurrent requests from removing the last two methods.
    if not await context.manager.lock_unchanged(user):
        raise SocialSignInRefused(CHANGED_MEANWHILE)
    accounts = await available.find_linked_accounts(context.session, user)
    account = require_found(next((row for row in accounts if row.id == row_id), None))
    methods = await available.count_sign_in_methods(context.session, context.settings, user)
    is_usable = available.find_account_provider(context.settings, account) is not None
    if methods.total <= int(is_usable):
        raise SocialSignInRefused(available.LAST_SIGN_IN_METHOD)
    await context.session.execute(delete(LinkedAccount).where(col(LinkedAccount.id) == row_id))
    record_event(context, user, "account_unlinked", label=available.get_account_label(context.settings, account))
