"""Web search for models that call tools, by the service in WEB_SEARCH_URL. Pages are not fetched."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from markupsafe import Markup
from pydantic import ValidationError

from opportune.contrib.tools.declaration import Tool
from opportune.contrib.tools.results import Source
from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable

EXAMPLES = "Use https://search.example.org/search (your SearXNG), brave://KEY or tavily://KEY."
MAX_QUERY_LENGTH = 400
MAX_QUERY_WORDS = 50
"""Maximum length and words of a query that all services accept."""
MAX_RESULTS = 8
MAX_EXCERPT_LENGTH = 1_500
"""Maximum characters of the excerpt of a page."""


class SearchRequest(NamedTuple):
    method: str
    url: str
    options: Mapping[str, Any]
    """Parameters, headers, JSON and authentication, as the HTTP client takes them."""


@dataclass(frozen=True)
class WebSearch(ABC):
    """A service that searches the web."""

    url: str
    key: str = field(default="", repr=False)

    @abstractmethod
    def request(self, query: str) -> SearchRequest:
        """Return the request for a query."""

    def results(self, response: Any) -> Iterator[Mapping[str, Any]]:
        """Yield `title`, `url` and `text` of each result, as far as the response has them.

        Most services call the text `content`.
        """
        return ({**result, "text": result.get("content")} for result in response["results"])

    async def search_web(self, query: str) -> Sequence[Source]:
        """Search the web for recent or rare facts that you do not know. Returns excerpts of pages with their URLs."""
        from opportune.contrib.tools.web_search_client import fetch  # imports httpx2, which is slow

        words = " ".join(query.split()[:MAX_QUERY_WORDS])[:MAX_QUERY_LENGTH]
        if not words:
            return []
        return self.sources(await fetch(*self.request(words)))

    def sources(self, response: Any) -> list[Source]:
        """Return the results as sources, without those that have no valid URL."""
        try:
            sources = [_to_source(result) for result in self.results(response)]
            return [source for source in sources if source][:MAX_RESULTS]
        except (AttributeError, KeyError, TypeError):  # a response in an unknown format
            return []


class SearXNG(WebSearch):
    """An instance of SearXNG, whose `search.formats` must contain `json`. The key is `user:password`, or empty.

    API: https://docs.searxng.org/dev/search_api.html
    """

    def request(self, query: str) -> SearchRequest:
        parts = urlsplit(self.url)
        options: dict[str, Any] = {"params": [*parse_qsl(parts.query), ("q", query), ("format", "json")]}
        user, _, password = self.key.partition(":")
        if user:
            options["auth"] = user, password
        return SearchRequest("GET", parts._replace(query="").geturl(), options)


class Brave(WebSearch):
    """Brave Search. Its texts contain HTML.

    API: https://api-dashboard.search.brave.com/app/documentation/web-search
    """

    def request(self, query: str) -> SearchRequest:
        params = [("q", query), ("count", str(MAX_RESULTS)), ("text_decorations", "false")]
        return SearchRequest("GET", self.url, {"params": params, "headers": {"X-Subscription-Token": self.key}})

    def results(self, response: Any) -> Iterator[Mapping[str, Any]]:
        for result in response.get("web", {}).get("results", ()):
            excerpts = [result.get("description") or "", *(result.get("extra_snippets") or ())]
            title = _to_text(result.get("title") or "")
            yield {"url": result.get("url"), "title": title, "text": "\n".join(map(_to_text, excerpts))}


class Tavily(WebSearch):
    """Tavily. API: https://docs.tavily.com/documentation/api-reference/endpoint/search."""

    def request(self, query: str) -> SearchRequest:
        body = {"query": query, "max_results": MAX_RESULTS}
        headers = {"Authorization": f"Bearer {self.key}"}
        return SearchRequest("POST", self.url, {"headers": headers, "json": body})


SERVICES: Mapping[str, tuple[type[WebSearch], str]] = {
    "brave": (Brave, "https://api.search.brave.com/res/v1/web/search"),
    "tavily": (Tavily, "https://api.tavily.com/search"),
}
"""Class and default URL of each service with an API key, by the scheme of WEB_SEARCH_URL."""


def web_search_tool(search: WebSearch) -> Tool:
    return Tool(search.search_web, "search_web", _l("Searching the web"), asks=False)


def parse_web_search_url(value: str) -> WebSearch:
    """Parse WEB_SEARCH_URL.

    Raises:
        OperatorError: It is invalid. The message contains no secret.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for an invalid port
    except ValueError:
        raise _refusal("is not a URL") from None
    if parts.scheme in ("http", "https"):
        return _parse_searxng(parts)
    if parts.scheme in SERVICES:
        return _parse_service(parts)
    raise _refusal("has an unknown scheme")


def _parse_service(parts: SplitResult) -> WebSearch:
    """Parse `brave://KEY` or, for a proxy or another compatible service, `brave://KEY@proxy.example.org`."""
    service, url = SERVICES[parts.scheme]
    key, separator, host = parts.netloc.rpartition("@")
    if not separator:
        key, host = host, ""
    if host:
        scheme = "http" if is_local(parts.hostname or "") else "https"
        url = f"{scheme}://{host}{parts.path or urlsplit(url).path}"
    elif key and (parts.path.strip("/") or parts.query or parts.fragment):  # the rest of a key
        raise _refusal("has a key with invalid characters (write %2F for /, %3F for ? and %23 for #)")
    return service(url, _require_key(unquote(key.strip(":"))))


def _parse_searxng(parts: SplitResult) -> SearXNG:
    if not parts.hostname:
        raise _refusal("has no host")
    user = unquote(parts.username or "")
    password = unquote(parts.password or "")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/search") else f"{path}/search"
    instance = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, fragment="")
    return SearXNG(instance.geturl(), f"{user}:{password}" if user else "")


def _require_key(key: str) -> str:
    if not key:
        raise _refusal("has no key")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise _refusal("has a key with invalid characters")
    return key


def _refusal(fault: str) -> OperatorError:
    return OperatorError(f"WEB_SEARCH_URL {fault}. {EXAMPLES}")


def _to_source(result: Mapping[str, Any]) -> Source | None:
    try:
        text = make_storable(str(result.get("text") or "")).strip()[:MAX_EXCERPT_LENGTH]
        source = Source(title=result.get("title") or "", url=result.get("url") or "", text=text)
    except ValidationError:
        return None
    return None if source.url.startswith("/") else source  # a path would be a page of this site


def _to_text(html: str) -> str:
    return Markup(html).striptags()  # noqa: S704 - the result is escaped by templates
