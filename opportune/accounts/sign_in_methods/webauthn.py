"""What a browser and its device are asked: for one purpose, by one site, in one browser, once."""

import asyncio
import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from opportune.accounts.models import Passkey, User
from opportune.config.settings import Settings
from opportune.config.signing import seal, unseal
from opportune.mail.email import site_url
from opportune.web.rate_limit import RateLimit, RateLimiter, TooManyRequests

if TYPE_CHECKING:
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.registration.verify_registration_response import VerifiedRegistration

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 600
CHALLENGES = RateLimit("accounts.passkey_challenges", 1, LIFETIME_SECONDS)
"""Each counts once, in all processes."""
MAX_ANSWER_CHARS = 50_000
SEALED_FOR = "accounts: passkeys"

NOT_OURS = "This did not begin in this browser, or too long ago. Please try again."
NOT_BELIEVED = "This passkey could not be verified. Please try again, or take another way in."

Purpose = Literal["sign-in", "second-step", "add", "confirm"]


class PasskeyRefused(Exception):
    """A sentence for whoever has shown a passkey, or wants to change theirs."""


@dataclass(frozen=True)
class RelyingParty:
    """The site as devices know it: a passkey is for one name, for ever."""

    id: str
    origin: str
    name: str


@dataclass(frozen=True)
class Ceremony:
    """What the site keeps of its question, sealed in the page until the answer comes back with it."""

    purpose: Purpose
    challenge: str
    browser: str
    """In which it was asked: the session's number, or what a cookie holds before there is one."""
    user_id: int = 0
    """Who was asked; 0 for whoever it may be."""
    handle: str = ""
    """What a device that makes a passkey is to call its owner."""

    @property
    def challenge_bytes(self) -> bytes:
        return bytes.fromhex(self.challenge)


@dataclass(frozen=True)
class Question:
    """What a script of the page needs."""

    options: Mapping[str, Any]
    """As `PublicKeyCredential.parse…OptionsFromJSON` takes them."""
    state: str
    """The ceremony, to come back with the answer."""


def relying_party(settings: Settings, visited: str) -> RelyingParty | None:
    """The site by its public address, in development by the one that is `visited`.

    None where that has no name: devices keep nothing for the number of a machine, but they do for `localhost`.
    """
    url = urlsplit(site_url(settings) if settings.base_url or settings.is_production else visited)
    host = url.hostname or ""
    if not host or _is_number(host):
        return None
    # As browsers write it: in lower case, and without the port that goes without saying.
    port = f":{url.port}" if url.port not in (None, 80 if url.scheme == "http" else 443) else ""
    return RelyingParty(host, f"{url.scheme}://{host}{port}", settings.site_name or host)


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def ask_to_create(
    settings: Settings, site: RelyingParty, ceremony: Ceremony, user: User, known: Sequence[Passkey]
) -> Question:
    """What a device is asked to make a passkey: one that it finds by itself, and not a second for the same person."""

    def options() -> dict[str, Any]:
        from webauthn import generate_registration_options  # noqa: PLC0415 - 0.2 s, for those who ask
        from webauthn.helpers import options_to_json_dict  # noqa: PLC0415 - as above
        from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement  # noqa: PLC0415

        made = generate_registration_options(
            rp_id=site.id,
            rp_name=site.name,
            user_name=user.email,
            user_display_name=user.get_short_name() or user.email,
            challenge=ceremony.challenge_bytes,
            timeout=LIFETIME_SECONDS * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(resident_key=ResidentKeyRequirement.REQUIRED),
        )
        return options_to_json_dict(made)

    found = await asyncio.to_thread(options)
    found["user"]["id"], found["excludeCredentials"] = ceremony.handle, _descriptors(known)
    return Question(found, _sealed(settings, ceremony))


async def ask_to_show(
    settings: Settings, site: RelyingParty, ceremony: Ceremony, allowed: Sequence[Passkey] = ()
) -> Question:
    """What a device is asked to show a passkey: one of these, or any that it has for this site."""

    def options() -> dict[str, Any]:
        from webauthn import generate_authentication_options  # noqa: PLC0415 - 0.2 s, for those who ask
        from webauthn.helpers import options_to_json_dict  # noqa: PLC0415 - as above
        from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415 - as above

        required, discouraged = UserVerificationRequirement.REQUIRED, UserVerificationRequirement.DISCOURAGED
        made = generate_authentication_options(
            rp_id=site.id,
            challenge=ceremony.challenge_bytes,
            timeout=LIFETIME_SECONDS * 1000,
            user_verification=discouraged if ceremony.purpose == "second-step" else required,
        )
        return options_to_json_dict(made)

    found = await asyncio.to_thread(options)
    return Question({**found, "allowCredentials": _descriptors(allowed)}, _sealed(settings, ceremony))


def new_ceremony(purpose: Purpose, browser: str, user: User | None = None, handle: str = "") -> Ceremony:
    return Ceremony(purpose, secrets.token_hex(32), browser, user.id if user else 0, handle)


async def read_answer(
    settings: Settings, limiter: RateLimiter, answer: str, purpose: Purpose, browser: str, user: User | None
) -> tuple[Ceremony, dict[str, Any]]:
    """The ceremony that an answer belongs to, and what the device has said.

    Raises:
        PasskeyRefused: it is for another purpose, person or browser, too old, has come before, or is none.
    """
    try:
        given: Any = json.loads(answer) if len(answer) <= MAX_ANSWER_CHARS else None
        state, credential = given["state"], given["credential"]
        text = unseal(settings, SEALED_FOR, state, LIFETIME_SECONDS)
        ceremony = Ceremony(**json.loads(text or ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PasskeyRefused(NOT_OURS) from None
    asked = replace(new_ceremony(purpose, browser, user, ceremony.handle), challenge=ceremony.challenge)
    if ceremony != asked or not browser or not isinstance(credential, dict):
        raise PasskeyRefused(NOT_OURS)
    try:
        await limiter.hit(CHALLENGES.by(ceremony.challenge))
    except TooManyRequests:
        raise PasskeyRefused(NOT_OURS) from None
    return ceremony, credential


async def verify_created(site: RelyingParty, ceremony: Ceremony, credential: dict[str, Any]) -> "VerifiedRegistration":
    """What a device has made. Raises PasskeyRefused."""

    def verify() -> "VerifiedRegistration":
        from webauthn import verify_registration_response  # noqa: PLC0415 - see `ask_to_create`

        return verify_registration_response(
            credential=credential,
            expected_challenge=ceremony.challenge_bytes,
            expected_rp_id=site.id,
            expected_origin=site.origin,
        )

    try:
        return await asyncio.to_thread(verify)
    except Exception as error:  # noqa: BLE001 - what the library's parsers make of nonsense is not one kind of error
        raise _not_believed(error) from None


async def verify_shown(
    site: RelyingParty, ceremony: Ceremony, credential: dict[str, Any], passkey: Passkey
) -> "VerifiedAuthentication":
    """What a device has signed by this passkey. Raises PasskeyRefused."""

    def verify() -> "VerifiedAuthentication":
        from webauthn import verify_authentication_response  # noqa: PLC0415 - see `ask_to_show`
        from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415 - as above

        return verify_authentication_response(
            credential=credential,
            expected_challenge=ceremony.challenge_bytes,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=ceremony.purpose != "second-step",
        )

    try:
        return await asyncio.to_thread(verify)
    except Exception as error:  # noqa: BLE001 - as above
        raise _not_believed(error) from None


def _not_believed(error: Exception) -> PasskeyRefused:
    logger.warning("A passkey was not believed: %s: %.200s", type(error).__name__, error)
    return PasskeyRefused(NOT_BELIEVED)


def _sealed(settings: Settings, ceremony: Ceremony) -> str:
    return seal(settings, SEALED_FOR, json.dumps(asdict(ceremony)))


def _descriptors(passkeys: Sequence[Passkey]) -> list[dict[str, Any]]:
    return [
        {"type": "public-key", "id": each.credential_id, "transports": list(filter(None, each.transports.split(",")))}
        for each in passkeys
    ]
