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

from opportune.accounts import attempts, letters, links, passwords
from opportune.accounts.attempts import Rule, Try
from opportune.accounts.manager import PasswordError, TakenError, UserManager, find
from opportune.accounts.models import User
from opportune.accounts.schemas import Proof
from opportune.jobs import Call, defer
from opportune.settings import Settings
from opportune.signing import seal, unseal
from opportune.web.rate_limit import address_of

AN_HOUR = 3600
ASKED = Rule("letters asked from an address", 20)
LETTERS = Rule("letters to an address", 5, AN_HOUR)
TAKEN = Rule("registrations from an address that did not work", 20)
MADE = Rule("accounts from an address", 100, AN_HOUR)
PROOFS = Rule("proofs of a registration", 20)

NOT_CHOSEN = "This is not the password of the registration. If you have not registered, leave this page."

TO_REGISTER = "accounts: register"


async def register(request: Request, manager: UserManager, email: str, password: str) -> User | None:
    """Make an account and give it, or None where the rest is up to a letter.

    Raises:
        TooMany: there were too many before.
        PasswordError: with a sentence for its owner.
        TakenError: only where no letters arrive.
    """
    settings: Settings = request.app.state.settings
    if not letters.arrive(settings):
        return await _register_now(request, manager, email, password)
    if reason := passwords.fault(password, email):
        raise PasswordError(reason)
    await _count_letter(request, email)
    new = json.dumps([email, await passwords.hashed(password)])
    defer(manager.session, letters.write_of_registration(email, seal(settings, TO_REGISTER, new)))
    return None


async def ask_reset(request: Request, manager: UserManager, email: str) -> None:
    """Raises TooMany."""
    await _ask(request, manager, letters.write_of_reset(email), email)


async def ask_verification(request: Request, manager: UserManager, email: str) -> None:
    """Raises TooMany."""
    await _ask(request, manager, letters.write_of_verification(email), email)


async def can_verify(session: AsyncSession, settings: Settings, token: str) -> bool:
    """Whether `verify` would do anything."""
    if found := await links.read(session, settings, "verify", token):
        return not found[0].is_verified
    new = _unsealed(settings, token)
    return new is not None and await find(session, new[0]) is None


async def verify(request: Request, manager: UserManager, proof: Proof) -> User | None:
    """Take a link from a letter for the proof of its address, and make the account if there is none yet.

    None if the link is not ours, too old, or has been used.

    Raises:
        PasswordError: somebody else may have registered this address, or staff have made its account, to share it when
            its owner opens the link.
        TooMany: there were too many wrong ones before.
    """
    settings: Settings = request.app.state.settings
    found = await links.read(manager.session, settings, "verify", proof.token)
    await manager.session.commit()  # gives the connection back while we hash
    user = found[0] if found else None
    claim = (user.email, user.hashed_password) if user else _unsealed(settings, proof.token)
    if claim is None or (user and user.is_verified):
        return None
    email, hashed_password = claim
    await attempts.count(request, Try(PROOFS, email))
    if not (await passwords.verify(proof.password, hashed_password))[0]:
        raise PasswordError(NOT_CHOSEN)
    if user:
        return await _verify_now(manager, user)
    try:
        return await manager.add(email, hashed_password, is_verified=True)
    except TakenError:
        return None


async def reset(manager: UserManager, settings: Settings, token: str, password: str) -> User | None:
    """Give the user of a link a new password, which signs them out everywhere. None as above.

    Raises:
        PasswordError: with a sentence for its owner. The link can be used again.
    """
    found = await links.read(manager.session, settings, "reset", token)
    await manager.session.commit()  # gives the connection back while we hash
    if found is None:
        return None
    # The link has come by mail, so the address is theirs.
    user = await manager.change(found[0], password=password, is_verified=True)
    letters.tell(manager.session, settings, user.email, "reset_done", email=user.email)
    return user


async def _verify_now(manager: UserManager, user: User) -> User | None:
    """By a statement about this address and password: at the same moment they may become others, not proved."""
    same = (col(User.id) == user.id, col(User.email) == user.email, col(User.hashed_password) == user.hashed_password)
    unproved = update(User).where(*same, ~col(User.is_verified))
    done = unproved.values(is_verified=True).returning(col(User.id))
    return user if await manager.session.scalar(done) else None


async def _register_now(request: Request, manager: UserManager, email: str, password: str) -> User:
    settings: Settings = request.app.state.settings
    address = address_of(request)
    await attempts.count(request, Try(MADE, address), Try(TAKEN, address))
    user = await manager.register(email, password)
    await attempts.take_back(manager.session, settings, Try(TAKEN, address))
    letters.offer_verification(manager.session, settings, user)
    return user


async def _ask(request: Request, manager: UserManager, call: Call[[str]], email: str) -> None:
    await _count_letter(request, email)
    if letters.leave(request.app.state.settings):
        defer(manager.session, call)


async def _count_letter(request: Request, email: str) -> None:
    """Lets nobody fill a stranger's mailbox."""
    await attempts.count(request, Try(ASKED, address_of(request)), Try(LETTERS, email))


def _unsealed(settings: Settings, token: str) -> tuple[str, str] | None:
    """E-mail and hash of the password."""
    seconds = int(links.LIFETIMES["verify"].total_seconds())
    text = unseal(settings, TO_REGISTER, token, seconds)
    if text is None:
        return None
    email, hashed_password = json.loads(text)
    return email, hashed_password
