"""What takes a letter: to register, to prove an address, and to get back in without the password.

Where letters arrive, all answers are the same whether or not there is an account, and take as long: who asks learns it
from the letter alone, which a job writes. Where they do not arrive (MAIL_URL is `console:`), registering lets people in
at once, and so tells of a taken address; how often it does is limited.
"""

import json

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.requests import Request

from opportune.accounts import emails, passwords, rate_limits, signed_links
from opportune.accounts.manager import EmailTakenError, InvalidPasswordError, UserManager, find_by_email
from opportune.accounts.models import User
from opportune.accounts.rate_limits import Hit, RateLimit
from opportune.accounts.schemas import EmailVerification
from opportune.jobs import JobCall, defer
from opportune.settings import Settings
from opportune.signing import seal, unseal
from opportune.web.rate_limit import client_address

HOUR_SECONDS = 3600
EMAILS_PER_ADDRESS = RateLimit("letters asked from an address", 20)
EMAILS_PER_RECIPIENT = RateLimit("letters to an address", 5, HOUR_SECONDS)
FAILED_REGISTRATIONS_PER_ADDRESS = RateLimit("registrations from an address that did not work", 20)
REGISTRATIONS_PER_ADDRESS = RateLimit("accounts from an address", 100, HOUR_SECONDS)
VERIFICATIONS_PER_ACCOUNT = RateLimit("proofs of a registration", 20)

WRONG_PASSWORD = "This is not the password of the registration. If you have not registered, leave this page."  # noqa: S105

REGISTRATION_PURPOSE = "accounts: register"


async def register(request: Request, manager: UserManager, email: str, password: str) -> User | None:
    """Make an account and give it, or None where the rest is up to a letter.

    Raises:
        TooMany: there were too many before.
        PasswordError: with a sentence for its owner.
        TakenError: only where no letters arrive.
    """
    settings: Settings = request.app.state.settings
    if not emails.email_is_delivered(settings):
        return await _register_now(request, manager, email, password)
    if reason := passwords.password_problem(password, email):
        raise InvalidPasswordError(reason)
    await _count_letter(request, email)
    new = json.dumps([email, await passwords.hash_password(password)])
    defer(manager.session, emails.send_registration_email(email, seal(settings, REGISTRATION_PURPOSE, new)))
    return None


async def request_password_reset(request: Request, manager: UserManager, email: str) -> None:
    """Raises TooMany."""
    await _ask(request, manager, emails.send_password_reset_email(email), email)


async def request_verification(request: Request, manager: UserManager, email: str) -> None:
    """Raises TooMany."""
    await _ask(request, manager, emails.send_verification_email(email), email)


async def can_verify(session: AsyncSession, settings: Settings, token: str) -> bool:
    """Whether `verify` would do anything."""
    if found := await signed_links.read_link_token(session, settings, "verify", token):
        return not found[0].is_verified
    new = _unsealed(settings, token)
    return new is not None and await find_by_email(session, new[0]) is None


async def verify_email(request: Request, manager: UserManager, proof: EmailVerification) -> User | None:
    """Take a link from a letter for the proof of its address, and make the account if there is none yet.

    None if the link is not ours, too old, or has been used.

    Raises:
        PasswordError: somebody else may have registered this address, or staff have made its account, to share it when
            its owner opens the link.
        TooMany: there were too many wrong ones before.
    """
    settings: Settings = request.app.state.settings
    found = await signed_links.read_link_token(manager.session, settings, "verify", proof.token)
    await manager.session.commit()  # gives the connection back while we hash
    user = found[0] if found else None
    claim = (user.email, user.hashed_password) if user else _unsealed(settings, proof.token)
    if claim is None or (user and user.is_verified):
        return None
    email, hashed_password = claim
    await rate_limits.hit(request, Hit(VERIFICATIONS_PER_ACCOUNT, email))
    if not (await passwords.verify_password(proof.password, hashed_password))[0]:
        raise InvalidPasswordError(WRONG_PASSWORD)
    if user:
        return await _verify_now(manager, user)
    try:
        return await manager.add(email, hashed_password, is_verified=True)
    except EmailTakenError:
        return None


async def reset_password(manager: UserManager, settings: Settings, token: str, password: str) -> User | None:
    """Give the user of a link a new password, which signs them out everywhere. None as above.

    Raises:
        PasswordError: with a sentence for its owner. The link can be used again.
    """
    found = await signed_links.read_link_token(manager.session, settings, "reset", token)
    await manager.session.commit()  # gives the connection back while we hash
    if found is None:
        return None
    # The link has come by mail, so the address is theirs.
    user = await manager.change(found[0], password=password, is_verified=True)
    emails.send_account_email(manager.session, settings, user.email, "reset_done", email=user.email)
    return user


async def _verify_now(manager: UserManager, user: User) -> User | None:
    """By a statement about this address and password: at the same moment they may become others, not proved."""
    same = (col(User.id) == user.id, col(User.email) == user.email, col(User.hashed_password) == user.hashed_password)
    unproved = update(User).where(*same, ~col(User.is_verified))
    done = unproved.values(is_verified=True).returning(col(User.id))
    return user if await manager.session.scalar(done) else None


async def _register_now(request: Request, manager: UserManager, email: str, password: str) -> User:
    settings: Settings = request.app.state.settings
    address = client_address(request)
    await rate_limits.hit(
        request, Hit(REGISTRATIONS_PER_ADDRESS, address), Hit(FAILED_REGISTRATIONS_PER_ADDRESS, address)
    )
    user = await manager.register(email, password)
    await rate_limits.refund(manager.session, settings, Hit(FAILED_REGISTRATIONS_PER_ADDRESS, address))
    emails.send_verification_link(manager.session, settings, user)
    return user


async def _ask(request: Request, manager: UserManager, call: JobCall[[str]], email: str) -> None:
    await _count_letter(request, email)
    if emails.email_is_enabled(request.app.state.settings):
        defer(manager.session, call)


async def _count_letter(request: Request, email: str) -> None:
    """Lets nobody fill a stranger's mailbox."""
    await rate_limits.hit(request, Hit(EMAILS_PER_ADDRESS, client_address(request)), Hit(EMAILS_PER_RECIPIENT, email))


def _unsealed(settings: Settings, token: str) -> tuple[str, str] | None:
    """E-mail and hash of the password."""
    seconds = int(signed_links.LIFETIMES["verify"].total_seconds())
    text = unseal(settings, REGISTRATION_PURPOSE, token, seconds)
    if text is None:
        return None
    email, hashed_password = json.loads(text)
    return email, hashed_password
