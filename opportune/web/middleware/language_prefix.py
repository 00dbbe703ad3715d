"""The language in the URL: `/de/books` is the page `/books` in German.

The site inside sees URLs without the language, so that access rules, limits and caches are the same in all
languages. Templates add it to links with `url()`, and this middleware to redirects, URLs for htmx and cookies.
"""

import re
from collections.abc import Iterable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.web.language import PREFIX_KEY, current_prefixes, has_language, language_prefixes, localized

Header = tuple[bytes, bytes]

URL_HEADERS = {b"content-location", b"hx-location", b"hx-push-url", b"hx-redirect", b"hx-replace-url", b"location"}
COOKIE_PATH = re.compile(rb"; *path=(/[^;]+)", re.IGNORECASE)


class LanguagePrefixMiddleware:
    """Moves the language from the path to the scope, and adds it to headers of the response."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.prefixes = language_prefixes(settings)
        self.url_prefixes = [prefix for prefix in self.prefixes.values() if prefix]
        """The prefixes without the empty one of the site's language."""
        self.site_origin = site_url(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope = self._without_prefix(scope)

        async def send_with_language(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*self._headers(message.get("headers", ()), scope)]
            await send(message)

        token = current_prefixes.set(self.prefixes)
        try:
            await self.app(scope, receive, send_with_language)
        finally:
            current_prefixes.reset(token)

    def _without_prefix(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        prefix = next((prefix for prefix in self.url_prefixes if f"{path}/".startswith(f"{prefix}/")), "")
        rest = path.removeprefix(prefix) or "/"
        raw_path: bytes = scope.get("raw_path") or path.encode()
        # The prefix is neither encoded nor repeated, and a single slash follows it. Else it is an unknown URL.
        is_unknown = rest.startswith("//") or f"/{rest.split('/', 2)[1]}" in self.url_prefixes
        if not prefix or is_unknown or not raw_path.startswith(prefix.encode()):
            return {**scope, PREFIX_KEY: ""} if has_language(path) else scope
        raw_path = raw_path.removeprefix(prefix.encode()) or b"/"
        return {**scope, PREFIX_KEY: prefix, "path": rest, "raw_path": raw_path}

    def _headers(self, headers: Iterable[Header], scope: Scope) -> Iterator[Header]:
        for name, value in headers:
            if name in URL_HEADERS and scope.get(PREFIX_KEY):
                yield name, self._localized(value.decode("latin-1"), scope).encode("latin-1")
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

    def _localized(self, url: str, scope: Scope) -> str:
        """Return the URL of a page of this site, a path or a URL, with the language of the request."""
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        origins = (self.site_origin, f"{scope['scheme']}://{host}")
        origin = next((origin for origin in origins if url.startswith(f"{origin}/")), "")
        return origin + localized(url.removeprefix(origin), self.prefixes, scope[PREFIX_KEY][1:])
