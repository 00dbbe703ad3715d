"""Rules for new passwords, from OWASP ASVS 5.0, section 6.2: length, guessability, personal words and data breaches.

`find_password_problem` applies all rules, and `find_offline_problem` all but that of data breaches.
"""

import asyncio
import re
import threading
from typing import Any

from opportune.accounts.passwords.breaches import is_breached
from opportune.accounts.passwords.hashing import MAX_PASSWORD_LENGTH, normalize_password
from opportune.config.settings import Settings
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import require_storable
from opportune.web.forms.error_messages import as_sentence

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
    problem = await asyncio.to_thread(find_offline_problem, password, email, settings, name)
    if problem or not settings.breached_passwords_url:
        return problem
    is_known = await is_breached(settings.breached_passwords_url, normalize_password(password))
    return BREACHED if is_known else None


def find_offline_problem(password: str, email: str, settings: Settings, name: str = "") -> str | None:
    """Return the problem of a new password, without a lookup of data breaches; None if it is accepted.

    Takes up to 60 ms, so requests use `find_password_problem`.
    """
    password = normalize_password(password)
    words = [email.lower(), *find_personal_words(email, settings.site_name, name)]
    return _length_problem(password, settings.min_password_length) or _guessing_problem(password, words)


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
