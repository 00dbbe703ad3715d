"""Rules for new passwords, from OWASP ASVS 5.0, section 6.2: length, guessability, personal words and data breaches."""

import asyncio
import hashlib
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from opportune.accounts.passwords.hashing import MAX_PASSWORD_LENGTH, normalize_password
from opportune.config.settings import Settings
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import require_storable
from opportune.web.forms.error_messages import as_sentence

BREACH_LOOKUP_SECONDS = 2.0
"""Time limit of the whole lookup, because the user waits for it."""
PREFIX_LENGTH = 5

logger = logging.getLogger(__name__)

MIN_GUESSES = 10**8
"""Minimum number of guesses, estimated by zxcvbn. Eight random characters need about as many."""
MAX_ESTIMATED_CHARACTERS = 72
"""Maximum number of characters that zxcvbn checks, which takes up to 60 ms."""
MIN_WORD_LENGTH = 3
WORD_PARTS = re.compile(r"[^\W_]+")

TOO_EASY = _l("This password is too easy to guess. Use a longer one, such as four unrelated words.")
TOO_PERSONAL = _l("This password is too close to your name, your e-mail address or the name of this site.")
BREACHED = _l("This password is part of a known data breach. Please choose another one.")


_estimate_lock = threading.Lock()
"""zxcvbn stores the words of its caller in a global variable, so only one thread may call it."""


async def find_password_problem(password: str, email: str, settings: Settings, name: str = "") -> str | None:
    """Return the problem of a new password, including known data breaches; None if it is accepted."""
    problem = await asyncio.to_thread(password_problem, password, email, settings, name)
    if problem or not settings.breached_passwords_url:
        return problem
    is_known = await is_breached(settings.breached_passwords_url, normalize_password(password))
    return BREACHED if is_known else None


def password_problem(password: str, email: str, settings: Settings, name: str = "") -> str | None:
    """Return the problem of a new password as a sentence for the user; None if it is accepted.

    Takes up to 60 ms, so requests use `find_password_problem`.
    """
    password = normalize_password(password)
    return _length_problem(password, settings.min_password_length) or _guessing_problem(
        password, [email.lower(), *find_personal_words(email, settings.site_name, name)]
    )


def _length_problem(password: str, min_length: int) -> str | None:
    try:
        require_storable(password)
    except ValueError as error:
        return as_sentence(str(error))
    if len(password) < min_length:
        return _("Please use at least %(number)s characters.", number=min_length)
    if len(password) > MAX_PASSWORD_LENGTH:
        return _("Please use at most %(number)s characters.", number=MAX_PASSWORD_LENGTH)
    return None


def _guessing_problem(password: str, words: list[str]) -> str | None:
    lower_password = password.lower()
    without_separators = "".join(WORD_PARTS.findall(lower_password))
    if lower_password in words or without_separators in words:
        return TOO_PERSONAL
    estimate = _estimate_guesses(password, words)
    if estimate["guesses"] >= MIN_GUESSES:
        return None
    is_personal = any(match.get("dictionary_name") == "user_inputs" for match in estimate["sequence"])
    return TOO_PERSONAL if is_personal else TOO_EASY


def _estimate_guesses(password: str, words: list[str]) -> dict[str, Any]:
    """Estimate how many guesses an attacker needs who knows these words.

    zxcvbn recognises leaked passwords, words, names, dates, keyboard patterns and variations such as `P@ssw0rd1`.
    Its lists need 13 MB of memory, so they are loaded when the first user chooses a password.
    """
    from zxcvbn import zxcvbn

    with _estimate_lock:
        estimate: dict[str, Any] = zxcvbn(password[:MAX_ESTIMATED_CHARACTERS], words)
    return estimate


def find_personal_words(email: str, site_name: str, name: str) -> list[str]:
    """Return words that are easy to guess: parts of the e-mail, of the user's name and of the site's name."""
    local, _, domain = email.partition("@")
    sources = (local, domain.rpartition(".")[0], name, site_name)
    return list(dict.fromkeys(word for source in sources for word in _split_words(source.lower())))


def _split_words(text: str) -> list[str]:
    """Return the text without separators, and its parts: `johnsmith`, `john` and `smith` for `john.smith`."""
    parts = WORD_PARTS.findall(text)
    return [word for word in ("".join(parts), *parts) if len(word) >= MIN_WORD_LENGTH]


async def is_breached(url: str, password: str) -> bool:
    """Return whether the service at `url` lists the password as breached, by the protocol of Have I Been Pwned.

    Only the first five characters of the password's SHA-1 hash are sent (k-anonymity). The service returns all hashes
    with this prefix, and invented ones, so that the size of the response does not reveal the prefix.

    If the service fails or is too slow, the result is False, so that users can still register. The failure is logged.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
    try:
        return await asyncio.to_thread(_is_listed, url, digest)
    except OSError as error:
        reason = str(error) or type(error).__name__
        logger.warning("Breached passwords could not be looked up at %s: %s", urlsplit(url).hostname, reason)
        return False


def _is_listed(url: str, digest: str) -> bool:
    """Ask the service for all hashes with the same prefix.

    Raises:
        OSError: The service cannot be reached.
    """
    import httpx2  # slow, so it runs in this thread

    # All services expect the prefix at the end of the path.
    range_url = f"{url.rstrip('/')}/{digest[:PREFIX_LENGTH]}"
    headers = {"Add-Padding": "true", "User-Agent": "opportune"}
    try:
        with httpx2.stream("GET", range_url, headers=headers, timeout=BREACH_LOOKUP_SECONDS) as response:
            if not response.is_success:
                raise OSError(f"status {response.status_code}")
            return any(_matches(line, digest[PREFIX_LENGTH:]) for line in _until_deadline(response.iter_lines()))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise OSError(type(error).__name__) from error


def _until_deadline(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a response.

    Raises:
        TimeoutError: The time is over. httpx2 limits each read, but not the total time.
    """
    deadline = time.monotonic() + BREACH_LOOKUP_SECONDS
    for line in lines:
        if time.monotonic() > deadline:
            raise TimeoutError("the response took too long")
        yield line


def _matches(line: str, suffix: str) -> bool:
    """Return whether a line such as `0018A45C…:3` has this hash. Lines of the padding have the count 0."""
    line_suffix, _, count = line.strip().partition(":")
    return line_suffix.upper() == suffix and count.strip() not in ("", "0")
