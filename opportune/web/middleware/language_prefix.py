"""The language in the address: `/de/books` is the page `/books` in German.

The site inside sees addresses without the language, so that access rules, limits and caches are the same in all
languages. Responses get the language back: links of pages, redirects, and addresses for htmx.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.config.settings import Settings
from opportune.config.site_url import site_url
from opportune.web.language import PREFIX_KEY, UNPREFIXED_SEGMENTS, has_language, language_prefixes

Header = tuple[bytes, bytes]

ADDRESSES_KEY = "language_addresses"
"""Key of the scope with the `Addresses` of a request with a language other than the site's."""
ADDRESS_HEADERS = {b"content-location", b"hx-location", b"hx-push-url", b"hx-redirect", b"hx-replace-url", b"location"}
COOKIE_PATH = re.compile(rb"; *path=(/[^;]+)", re.IGNORECASE)
FIRST_SEGMENT = re.compile(rb"/([^/?#]*)")
HTML, EVENT_STREAM = b"text/html", b"text/event-stream"
MAX_STORED_BYTES = 64 * 1024

ADDRESS = re.compile(rb"""=["']((?:/|https?:)[^\s"'<>]*)""")
ADDRESS_ATTRIBUTE = re.compile(rb"action|formaction|href|src|hx-[a-z:-]+|data-(?:[a-z-]+-)?(?:action|href|options|url)")
"""Attributes with an address. Scripts read theirs from `data-url`, `data-href`, `data-action` or `data-options`."""
MAX_NAME_BYTES = 100
MAX_TAG_BYTES = 4000
OPEN_TAG = re.compile(rb"""<[a-z](?:[^"'>]|"[^"]*"|'[^']*')*["']""", re.IGNORECASE)
LANGUAGE_OF_LINK = b" hreflang="


@dataclass(frozen=True)
class Addresses:
    """Adds the language of a request to the addresses in its response."""

    prefix: bytes
    unprefixed: frozenset[bytes]
    """First segments of addresses that keep their form, such as those with a language."""
    origins: tuple[bytes, ...]
    """Origins of this site, such as `https://example.org`."""

    def localized(self, address: bytes) -> bytes:
        """Return the address of a page of this site with the language. Other addresses are unchanged."""
        origin = next((origin for origin in self.origins if address.startswith(origin)), b"")
        path = address[len(origin) :]
        segment = FIRST_SEGMENT.match(path)
        if segment is None or path.startswith(b"//") or segment[1] in self.unprefixed:
            return address
        return origin + self.prefix + path

    def localized_html(self, html: bytes) -> bytes:
        """Add the language to links, forms and requests of htmx, except in tags with `hreflang`."""
        return ADDRESS.sub(self._replace, html)

    def _replace(self, match: re.Match[bytes]) -> bytes:
        html, start = match.string, match.start(1)
        localized = self.localized(match[1])
        words = html[max(0, start - MAX_NAME_BYTES) : start - 2].rsplit(None, 1)
        if localized == match[1] or len(words) < 2 or not ADDRESS_ATTRIBUTE.fullmatch(words[1].lower()):
            return match[0]
        tag_start = max(html.rfind(b"<", max(0, start - MAX_TAG_BYTES), start), 0)
        tag_end = html.find(b">", start, start + MAX_TAG_BYTES)
        tag = html[tag_start:start]
        is_in_tag = b">" not in tag or OPEN_TAG.fullmatch(tag)
        if not is_in_tag or LANGUAGE_OF_LINK in html[tag_start:tag_end]:
            return match[0]
        return match[0][:2] + localized


@lru_cache(64)
def _stored_html(addresses: Addresses, html: bytes) -> bytes:
    """Return a page of the cache, which is sent repeatedly, with the language in its addresses."""
    return addresses.localized_html(html)


class LanguagePrefixMiddleware:
    """Moves the language from the path to the scope, and adds it to headers of the response."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.prefixes = tuple(prefix for prefix in language_prefixes(settings).values() if prefix)
        self.site_origin = site_url(settings).encode()
        segments = (*UNPREFIXED_SEGMENTS, *(prefix[1:] for prefix in self.prefixes))
        self.unprefixed = frozenset(segment.encode() for segment in segments)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope = self._without_prefix(scope)

        async def send_with_language(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*self._headers(message.get("headers", ()), scope.get(ADDRESSES_KEY))]
            await send(message)

        await self.app(scope, receive, send_with_language)

    def _without_prefix(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        prefix = next((prefix for prefix in self.prefixes if f"{path}/".startswith(f"{prefix}/")), "")
        raw_path: bytes = scope.get("raw_path") or path.encode()
        rest = path.removeprefix(prefix) or "/"
        # The prefix is neither encoded nor repeated, and a single slash follows it. Else it is an unknown address.
        is_unknown = rest.startswith("//") or rest.split("/", 2)[1] in [other[1:] for other in self.prefixes]
        if not prefix or is_unknown or not raw_path.startswith(prefix.encode()):
            return {**scope, PREFIX_KEY: ""} if has_language(path) else scope
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        origins = (self.site_origin, b"%s://%s" % (scope["scheme"].encode(), host))
        return {
            **scope,
            PREFIX_KEY: prefix,
            ADDRESSES_KEY: Addresses(prefix.encode(), self.unprefixed, origins),
            "path": rest,
            "raw_path": raw_path.removeprefix(prefix.encode()) or b"/",
        }

    def _headers(self, headers: Iterable[Header], addresses: Addresses | None) -> Iterator[Header]:
        for name, value in headers:
            if addresses and name in ADDRESS_HEADERS:
                yield name, addresses.localized(value)
                continue
            yield name, value
            path = COOKIE_PATH.search(value) if name == b"set-cookie" else None
            if path and path[1] != b"/" and path[1][1:].partition(b"/")[0] not in self.unprefixed:
                for prefix in self.prefixes:  # the browser sends the cookie to the pages in all languages
                    yield name, value[: path.start(1)] + prefix.encode() + value[path.start(1) :]


class LocalizedLinksMiddleware:
    """Adds the language to links of pages and fragments. It runs before they are compressed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        addresses: Addresses | None = scope.get(ADDRESSES_KEY)
        await self.app(
            scope, receive, LocalizedSend(addresses, send) if addresses and scope["type"] == "http" else send
        )


class LocalizedSend:
    """ASGI `send` that adds the language to links. Streams are sent without delay, up to an incomplete tag."""

    def __init__(self, addresses: Addresses, send: Send) -> None:
        self._addresses = addresses
        self._send = send
        self._start: Message | None = None  # delayed until the length of the body is known
        self._content_type = b""
        self._incomplete_tag = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message.get("headers", ()))
            content_type = headers.get(b"content-type", b"").partition(b";")[0]
            if content_type in (HTML, EVENT_STREAM) and b"content-encoding" not in headers:
                self._content_type = content_type
                if b"content-length" in headers:
                    self._start = message
                    return
        elif message["type"] == "http.response.body" and self._content_type:
            message = await self._localize(message)
        await self._send(message)

    async def _localize(self, message: Message) -> Message:
        has_more = message.get("more_body", False)
        body, self._incomplete_tag = self._incomplete_tag + message.get("body", b""), b""
        if has_more and self._content_type == HTML and (start := body.rfind(b"<")) > body.rfind(b">"):
            body, self._incomplete_tag = body[:start], body[start:]
        headers = [header for header in self._start["headers"] if header[0] != b"content-length"] if self._start else []
        is_cached = not has_more and len(body) <= MAX_STORED_BYTES and any(name == b"etag" for name, _ in headers)
        body = _stored_html(self._addresses, body) if is_cached else self._addresses.localized_html(body)
        if self._start:
            if body and not has_more:  # not of a HEAD request
                headers.append((b"content-length", b"%d" % len(body)))
            await self._send({**self._start, "headers": headers})
            self._start = None
        return {**message, "body": body}
