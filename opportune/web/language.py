"""The language of a request: from its URL, the user's profile, a cookie, or the browser.

In a URL it is the first segment: `/de/books` is the page `/books` in German. The site inside `LanguagePrefixMiddleware`
sees URLs without it, so that access rules, limits and caches are the same in all languages.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import NamedTuple

from starlette.datastructures import URL, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.languages import PSEUDO_LANGUAGE, Language, find_language
from opportune.config.settings import Settings, site_url
from opportune.context import use_value
from opportune.i18n.languages import MAX_HEADER_LENGTH, best_language, current_language
from opportune.web.cookies import take_cookie
from opportune.web.routing.root_path import path_below_root

COOKIE = "language"
COOKIE_PREFIX = f"{COOKIE}=".encode()
COOKIE_SECONDS = 365 * 24 * 60 * 60
TRANSLATED_TYPES = (b"text/html", b"application/problem+json")
"""Content types with texts in the visitor's language."""

PREFIX_KEY = "language_prefix"
"""Key of the scope with the prefix of the URL: `/de`, or empty for the site's language.

It is missing if the URL does not select the language.
"""
UNPREFIXED_SEGMENTS = {
    ".well-known", "admin", "api", "favicon.ico", "files", "health",
    "mailbox", "mcp", "metrics", "robots.txt", "static",
}  # fmt: skip
"""First segments of URLs without a language: those of the admin, programs and files."""

current_prefixes: ContextVar[Mapping[str, str]] = ContextVar("language_prefixes", default=MappingProxyType({}))
"""Prefixes of the site's URLs by language; empty if URLs have no language."""
Header = tuple[bytes, bytes]

URL_HEADERS = {b"content-location", b"hx-location", b"hx-push-url", b"hx-redirect", b"hx-replace-url", b"location"}
COOKIE_PATH = re.compile(rb"; *path=(/[^;]+)", re.IGNORECASE)


class LanguageOfRequest:
    """Selects the language of requests, and describes it in the headers of responses."""

    def __init__(self, settings: Settings) -> None:
        self.default = settings.language
        self.languages = offered_languages(settings)
        self.is_fixed = len(self.languages) == 1

    def select(self, scope: Scope) -> tuple[Scope, str]:
        """Return the scope without the language cookie, and the language.

        The URL selects it, or else the cookie, the browser or the site.
        """
        if self.is_fixed:
            return scope, self.default
        scope, code = take_cookie(scope, COOKIE_PREFIX)
        if PREFIX_KEY in scope:
            return scope, scope[PREFIX_KEY][1:] or self.default
        if code in self.languages:
            return scope, code
        header = dict(scope["headers"]).get(b"accept-language", b"")[:MAX_HEADER_LENGTH].decode("latin-1")
        return scope, (best_language(header, self.languages) if header else "") or self.default

    def add_headers(self, headers: list[Header], scope: Scope) -> None:
        """Add `Content-Language` to pages and errors, and `Vary` if their URL does not select the language.

        Other responses need `Vary` only if their route has set `Content-Language`.
        """
        if self.is_fixed:
            return
        has_language = any(name == b"content-language" for name, _ in headers)
        content_type = next((value for name, value in headers if name == b"content-type"), b"")
        if not (has_language or content_type.startswith(TRANSLATED_TYPES)):
            return
        if not has_language:
            headers.append((b"content-language", current_language.get().encode()))
        if PREFIX_KEY not in scope:
            MutableHeaders(raw=headers).add_vary_header("accept-language, cookie")


def offered_languages(settings: Settings) -> tuple[str, ...]:
    """Return the codes of the languages that visitors can choose. The pseudo-language is only for development."""
    codes = settings.languages or [settings.language]
    if settings.is_production:
        codes = [code for code in codes if code != PSEUDO_LANGUAGE]
    return tuple(codes) or (settings.language,)


def language_choices(settings: Settings) -> Sequence[Language]:
    """Return the languages of the menu; empty if there is only one."""
    codes = offered_languages(settings)
    if len(codes) < 2:
        return []
    return [language for code in codes if (language := find_language(code))]


def language_prefixes(settings: Settings) -> dict[str, str]:
    """Return the prefix of URLs for each language: empty for the site's language, and `/de` for others.

    Empty if URLs have no language.
    """
    codes = offered_languages(settings)
    if not settings.language_in_url or len(codes) < 2:
        return {}
    return {code: "" if code == settings.language else f"/{code}" for code in codes}


def url_prefixes(settings: Settings) -> tuple[str, ...]:
    """Return the prefixes of URLs in other languages than the site's, such as `/de`."""
    return tuple(filter(None, language_prefixes(settings).values()))


def has_language(path: str) -> bool:
    """Return whether the language belongs to the URL of this page, unlike those of the admin and the API."""
    return _first_segment(path) not in UNPREFIXED_SEGMENTS


def _first_segment(path: str) -> str:
    return re.split("[/?#]", path.removeprefix("/"), maxsplit=1)[0]


def url(path: str | URL) -> str:
    """Return the path of a page in the language of the visitor, such as `/de/books` for `/books`.

    Other URLs are unchanged: those of the admin, the API, files and other sites, and paths with a language.
    """
    prefixes = current_prefixes.get()
    return localize(str(path), prefixes, current_language.get()) if prefixes else str(path)


def localized_path(settings: Settings, path: str) -> str:
    """Return the path of a page in the current language, for links outside requests, such as those of e-mails."""
    return localize(path, language_prefixes(settings), current_language.get())


def localize(path: str, prefixes: Mapping[str, str], language: str) -> str:
    is_page = path.startswith("/") and not path.startswith("//") and has_language(path)
    is_localized = f"/{_first_segment(path)}" in prefixes.values()
    return prefixes.get(language, "") + path if is_page and not is_localized else path


def without_prefix(scope: Scope, path: str) -> str:
    """Return the path of another page of this site without the language of the request."""
    prefix = scope.get(PREFIX_KEY, "")
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


class PageLanguage(NamedTuple):
    """A page in one of the languages of the site."""

    language: Language
    path: str
    url: str
    is_default: bool


def page_languages(request: HTTPConnection) -> list[PageLanguage]:
    """Return this page in each language; empty if its URL does not select the language."""
    if PREFIX_KEY not in request.scope:
        return []
    settings: Settings = request.app.state.settings
    query = f"?{request.url.query}" if request.url.query else ""
    page_url = f"/{request.url.path.lstrip('/')}{query}"
    return [
        PageLanguage(language, prefix + page_url, f"{site_url(settings)}{prefix}{page_url}", is_default=not prefix)
        for code, prefix in language_prefixes(settings).items()
        if (language := find_language(code))
    ]


class LanguagePrefixMiddleware:
    """Moves the language from the path to the scope, and adds it to redirects, URLs for htmx and cookies.

    Templates add it to links with `url()`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.prefixes = language_prefixes(settings)
        self.url_prefixes = url_prefixes(settings)
        self.site_origin = site_url(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope = self._move_prefix(scope)

        async def send_with_language(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*self._headers(message.get("headers", ()), scope)]
            await send(message)

        with use_value(current_prefixes, self.prefixes):
            await self.app(scope, receive, send_with_language)

    def _move_prefix(self, scope: Scope) -> Scope:
        """Return the scope with the language beside the path instead of in it."""
        path = path_below_root(scope)
        root = scope["path"].removesuffix(path)
        prefix = next((prefix for prefix in self.url_prefixes if f"{path}/".startswith(f"{prefix}/")), "")
        rest = path.removeprefix(prefix) or "/"
        raw_path: bytes = (scope.get("raw_path") or scope["path"].encode()).removeprefix(root.encode())
        # The prefix is neither encoded nor repeated, and a single slash follows it. Else it is an unknown URL.
        is_unknown = rest.startswith("//") or f"/{rest[1:].partition('/')[0]}" in self.url_prefixes
        if not prefix or is_unknown or not raw_path.startswith(prefix.encode()):
            return {**scope, PREFIX_KEY: ""} if has_language(path) else scope
        raw_path = raw_path.removeprefix(prefix.encode()) or b"/"
        return {**scope, PREFIX_KEY: prefix, "path": root + rest, "raw_path": root.encode() + raw_path}

    def _headers(self, headers: Iterable[Header], scope: Scope) -> Iterator[Header]:
        for name, value in headers:
            if name in URL_HEADERS and scope.get(PREFIX_KEY):
                yield name, self._url_in_language(value.decode("latin-1"), scope).encode("latin-1")
                continue
            yield name, value
            if name == b"set-cookie":
                yield from self._cookies_below_prefixes(value)

    def _cookies_below_prefixes(self, cookie: bytes) -> Iterator[Header]:
        """Yield the cookie of a page again for each language, because browsers send it only below its path."""
        path = COOKIE_PATH.search(cookie)
        if path is None or path[1] == b"/" or not has_language(path[1].decode("latin-1")):
            return
        for prefix in self.url_prefixes:
            yield b"set-cookie", cookie[: path.start(1)] + prefix.encode() + cookie[path.start(1) :]

    def _url_in_language(self, url: str, scope: Scope) -> str:
        """Return the URL of a page of this site, a path or a URL, with the language of the request."""
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        origins = (self.site_origin, f"{scope['scheme']}://{host}")
        origin = next((origin for origin in origins if url.startswith(f"{origin}/")), "")
        return origin + localize(url.removeprefix(origin), self.prefixes, scope[PREFIX_KEY][1:])
