"""WebAuthn ceremonies. Each challenge is for one purpose, one site and one browser, and is valid once."""

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from opportune.accounts.models import Passkey, User
from opportune.accounts.users.context import AccountContext
from opportune.config.settings import Settings, site_url
from opportune.config.signing import seal_fields, unseal_as
from opportune.errors import Refused
from opportune.i18n import gettext_lazy as _l
from opportune.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.registration.verify_registration_response import VerifiedRegistration

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 600
CHALLENGES = RateLimit("accounts.passkey_challenges", 1, LIFETIME_SECONDS)
"""Each challenge is valid once, in all processes."""
MAX_ASSERTION_CHARS = 50_000
SEAL_PURPOSE = "accounts: passkeys"

NOT_STARTED_HERE = _l("This was not started in this browser, or has expired. Please try again.")
NOT_VERIFIED = _l("This passkey could not be verified. Please try again, or use another sign-in method.")

T = TypeVar("T")
Purpose = Literal["sign-in", "second-step", "add", "confirm"]


class PasskeyRefused(Refused):
    """A message for a user whose passkey, or change to a passkey, is refused."""


class RelyingParty(NamedTuple):
    """The site as a WebAuthn relying party. A passkey belongs to one domain name."""

    id: str
    origin: str
    name: str


class Ceremony(NamedTuple):
    """The state of a ceremony. The page receives it encrypted, and sends it back with the assertion."""

    purpose: Purpose
    challenge: str
    browser: str
    """Id of the browser's session, or the value of a cookie if the browser is not signed in."""
    user_id: int = 0
    """The user whose passkeys are accepted; 0 for any user."""
    handle: str = ""
    """The user handle of a new passkey."""

    @property
    def challenge_bytes(self) -> bytes:
        return bytes.fromhex(self.challenge)


class Assertion(NamedTuple):
    """The result of a ceremony, not verified yet."""

    ceremony: Ceremony
    credential: dict[str, Any]
    """JSON of the device's `PublicKeyCredential`."""


class CeremonyOptions(NamedTuple):
    """Data for the script of the page that starts a ceremony."""

    options: Mapping[str, Any]
    """The argument of `PublicKeyCredential.parse…OptionsFromJSON`."""
    state: str
    """The encrypted `Ceremony`, sent back with the assertion."""


def find_relying_party(settings: Settings, requested_url: str) -> RelyingParty | None:
    """Return the site of BASE_URL; in development without BASE_URL, that of the requested URL.

    Return None if the host is an IP address: passkeys need a domain name or `localhost`.
    """
    has_fixed_url = settings.base_url or settings.is_production
    url = urlsplit(site_url(settings) if has_fixed_url else requested_url)
    host = url.hostname or ""
    if not host or _is_ip_address(host):
        return None
    # Browsers send the origin in lower case and without the default port.
    default_port = 80 if url.scheme == "http" else 443
    port = f":{url.port}" if url.port not in (None, default_port) else ""
    return RelyingParty(host, f"{url.scheme}://{host}{port}", settings.site_name or host)


def _is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def create_registration_options(
    settings: Settings, site: RelyingParty, ceremony: Ceremony, user: User, existing: Sequence[Passkey]
) -> CeremonyOptions:
    """Return the options to create a discoverable passkey. Devices that already have a passkey of this user refuse."""

    def generate_options() -> dict[str, Any]:
        import webauthn.helpers.structs

        required = webauthn.helpers.structs.ResidentKeyRequirement.REQUIRED
        selection = webauthn.helpers.structs.AuthenticatorSelectionCriteria(resident_key=required)
        generated = webauthn.generate_registration_options(
            rp_id=site.id,
            rp_name=site.name,
            user_name=user.email,
            user_display_name=user.get_short_name() or user.email,
            challenge=ceremony.challenge_bytes,
            timeout=LIFETIME_SECONDS * 1000,
            authenticator_selection=selection,
        )
        return webauthn.helpers.options_to_json_dict(generated)

    data = await asyncio.to_thread(generate_options)
    data["user"]["id"] = ceremony.handle
    data["excludeCredentials"] = _descriptors(existing)
    return CeremonyOptions(data, seal_fields(settings, SEAL_PURPOSE, ceremony))


async def create_authentication_options(
    settings: Settings, site: RelyingParty, ceremony: Ceremony, allowed: Sequence[Passkey] = ()
) -> CeremonyOptions:
    """Return the options to authenticate with one of the `allowed` passkeys; if there are none, with any passkey."""

    def generate_options() -> dict[str, Any]:
        import webauthn.helpers.structs

        verification = webauthn.helpers.structs.UserVerificationRequirement
        generated = webauthn.generate_authentication_options(
            rp_id=site.id,
            challenge=ceremony.challenge_bytes,
            timeout=LIFETIME_SECONDS * 1000,
            user_verification=verification.DISCOURAGED if ceremony.purpose == "second-step" else verification.REQUIRED,
        )
        return webauthn.helpers.options_to_json_dict(generated)

    data = await asyncio.to_thread(generate_options)
    data["allowCredentials"] = _descriptors(allowed)
    return CeremonyOptions(data, seal_fields(settings, SEAL_PURPOSE, ceremony))


def create_ceremony(purpose: Purpose, browser: str, user: User | None, handle: str = "") -> Ceremony:
    return Ceremony(purpose, secrets.token_hex(32), browser, user.id if user else 0, handle)


async def read_assertion(
    context: AccountContext, assertion: str, purpose: Purpose, browser: str, user: User | None
) -> Assertion:
    """Check that an assertion was requested here, and has not been used.

    Raises:
        PasskeyRefused: The assertion is invalid, expired or used, or for another purpose, user or browser.
    """
    try:
        data: Any = json.loads(assertion) if len(assertion) <= MAX_ASSERTION_CHARS else None
        credential = data["credential"]
        ceremony = unseal_as(Ceremony, context.settings, SEAL_PURPOSE, data["state"], LIFETIME_SECONDS)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PasskeyRefused(NOT_STARTED_HERE) from None
    if ceremony is None:
        raise PasskeyRefused(NOT_STARTED_HERE)
    expected = create_ceremony(purpose, browser, user, ceremony.handle)._replace(challenge=ceremony.challenge)
    if ceremony != expected or not browser or not isinstance(credential, dict):
        raise PasskeyRefused(NOT_STARTED_HERE)
    if not await context.is_first_use(CHALLENGES.by(ceremony.challenge)):
        raise PasskeyRefused(NOT_STARTED_HERE)
    return Assertion(ceremony, credential)


async def verify_creation(site: RelyingParty, ceremony: Ceremony, credential: dict[str, Any]) -> "VerifiedRegistration":
    """Verify the credential of a new passkey.

    Raises:
        PasskeyRefused: The credential is invalid.
    """

    def verify() -> "VerifiedRegistration":
        import webauthn

        return webauthn.verify_registration_response(credential=credential, **_expectations(site, ceremony))

    return await _run_verification(verify)


async def verify_authentication(
    site: RelyingParty, ceremony: Ceremony, credential: dict[str, Any], passkey: Passkey
) -> "VerifiedAuthentication":
    """Verify the signature of this passkey.

    Raises:
        PasskeyRefused: The signature is invalid.
    """

    def verify() -> "VerifiedAuthentication":
        import webauthn

        return webauthn.verify_authentication_response(
            credential=credential,
            **_expectations(site, ceremony),
            credential_public_key=webauthn.base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=ceremony.purpose != "second-step",
        )

    return await _run_verification(verify)


def _expectations(site: RelyingParty, ceremony: Ceremony) -> dict[str, Any]:
    return {"expected_challenge": ceremony.challenge_bytes, "expected_rp_id": site.id, "expected_origin": site.origin}


async def _run_verification(verify: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(verify)
    except Exception as error:  # noqa: BLE001 - the library's parsers raise many types of errors
        logger.warning("A passkey could not be verified: %s: %.200s", type(error).__name__, error)
        raise PasskeyRefused(NOT_VERIFIED) from None


def _descriptors(passkeys: Sequence[Passkey]) -> list[dict[str, Any]]:
    return [
        {
            "type": "public-key",
            "id": passkey.credential_id,
            "transports": list(filter(None, passkey.transports.split(","))),
        }
        for passkey in passkeys
    ]
