"""The language of a request: from the user's profile, a cookie, or the browser."""

from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import Scope

from opportune.config.languages import PSEUDO_LANGUAGE, Language, find_language
from opportune.config.settings import Settings
from opportune.i18n.languages import best_language, current_language
from opportune.web.public_cookies import take_cookie

COOKIE = "language"
COOKIE_PREFIX = f"{COOKIE}=".encode()
COOKIE_SECONDS = 365 * 24 * 60 * 60
TRANSLATED_TYPES = (b"text/html", b"application/problem+json")
"""Content types with texts in the visitor's language."""

Headers = list[tuple[bytes, bytes]]


class LanguageOfRequest:
    """Selects the language of requests, and describes it in the headers of responses."""

    def __init__(self, settings: Settings) -> None:
        self.default = settings.language
        self.languages = offered_languages(settings)
        self.is_fixed = len(self.languages) == 1

    def select(self, scope: Scope) -> tuple[Scope, str]:
        """Return the scope without the language cookie, and the language of the cookie, the browser or the site."""
        if self.is_fixed:
            return scope, self.default
        scope, code = take_cookie(scope, COOKIE_PREFIX)
        if code in self.languages:
            return scope, code
        header = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        return scope, (best_language(header, self.languages) if header else "") or self.default

    def add_headers(self, headers: Headers) -> None:
        """Add `Content-Language` and `Vary` to pages and errors."""
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        if self.is_fixed or not content_type.startswith(TRANSLATED_TYPES):
            return
        if not any(name == b"content-language" for name, _ in headers):
            headers.append((b"content-language", current_language.get().encode()))
        vary = [value for name, value in headers if name == b"vary"]
        if b"*" not in vary:
            headers[:] = [header for header in headers if header[0] != b"vary"]
            names = {name.strip().lower() for value in vary for name in value.split(b",")}
            headers.append((b"vary", b", ".join(sorted({*names, b"accept-language", b"cookie"} - {b""}))))


def offered_languages(settings: Settings) -> tuple[str, ...]:
    """Return the codes of the languages that visitors can choose. The pseudo-language is only for development."""
    codes = settings.languages or [settings.language]
    return tuple(code for code in codes if code != PSEUDO_LANGUAGE or not settings.is_production) or (
        settings.language,
    )


def language_choices(settings: Settings) -> Sequence[Language]:
    """Return the languages of the menu; empty if there is only one."""
    codes = offered_languages(settings)
    return [language for code in codes if (language := find_language(code))] if len(codes) > 1 else []


def set_language_cookie(response: Response, settings: Settings, code: str) -> None:
    """Remember the language in this browser for a year."""
    response.set_cookie(
        COOKIE,
        code,
        max_age=COOKIE_SECONDS,
        secure=settings.has_secure_cookies,
        httponly=True,
        samesite="lax",
        path="/",
    )
