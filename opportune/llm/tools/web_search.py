"""A search of the web for models that call tools, by the service that WEB_SEARCH_URL names. Nothing else is fetched."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from markupsafe import Markup
from pydantic import ValidationError

from opportune.db.url.providers import is_local
from opportune.errors import OperatorError
from opportune.llm.tools.source import Source
from opportune.llm.tools.tool import Tool
from opportune.text import made_storable

EXAMPLES = "Use https://search.example.org/search (a SearXNG of yours), brave://KEY or tavily://KEY."
MAX_QUERY_LENGTH = 400
MAX_QUERY_WORDS = 50
"""What all of them take."""
MAX_RESULTS = 8
MAX_EXCERPT_LENGTH = 1_500
"""Characters of what a result says of its page."""


class SearchRequest(NamedTuple):
    """What is sent to a service."""

    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    json: Mapping[str, Any] | None = None
    auth: tuple[str, str] | None = None


@dataclass(frozen=True)
class WebSearch(ABC):
    """A service that searches the web."""

    url: str
    key: str = field(default="", repr=False)

    @abstractmethod
    def request(self, query: str) -> SearchRequest:
        """What asks it for a query."""

    @abstractmethod
    def results(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        """The `title`, `url` and `text` of each result, as far as the answer has them."""

    @property
    def host(self) -> str:
        """Where it is, as people are told: without secrets."""
        return urlsplit(self.url).netloc

    async def search_web(self, query: str) -> Sequence[Source]:
        """Search the web for what is newer or rarer than what you know. Gives excerpts of pages and their addresses."""
        from opportune.llm.tools.web_search_client import fetch  # noqa: PLC0415 - when somebody searches

        words = " ".join(query.split()[:MAX_QUERY_WORDS])[:MAX_QUERY_LENGTH]
        return self.sources(await fetch(self, self.request(words))) if words else []

    def sources(self, answer: Any) -> list[Source]:
        """What an answer has found; what is no address of a page is left out."""
        try:
            return list(filter(None, map(_source, self.results(answer))))[:MAX_RESULTS]
        except (AttributeError, KeyError, TypeError):  # not what it is told to be
            return []


class SearXNG(WebSearch):
    """https://docs.searxng.org/dev/search_api.html; `json` has to be in the `search.formats` of its settings."""

    def request(self, query: str) -> SearchRequest:
        parts = urlsplit(self.url)
        params = [*parse_qsl(parts.query), ("q", query), ("format", "json")]
        user, _, password = self.key.partition(":")
        return SearchRequest("GET", parts._replace(query="").geturl(), params, auth=(user, password) if user else None)

    def results(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        return ({**each, "text": each.get("content")} for each in answer["results"])


class Brave(WebSearch):
    """https://api-dashboard.search.brave.com/app/documentation/web-search."""

    def request(self, query: str) -> SearchRequest:
        params = [("q", query), ("count", str(MAX_RESULTS)), ("text_decorations", "false")]
        return SearchRequest("GET", self.url, params, {"X-Subscription-Token": self.key})

    def results(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        for each in answer.get("web", {}).get("results", ()):
            excerpts = [each.get("description") or "", *(each.get("extra_snippets") or ())]
            yield {"url": each["url"], "title": _plain(each["title"]), "text": "\n".join(map(_plain, excerpts))}


class Tavily(WebSearch):
    """https://docs.tavily.com/documentation/api-reference/endpoint/search."""

    def request(self, query: str) -> SearchRequest:
        body = {"query": query, "max_results": MAX_RESULTS}
        return SearchRequest("POST", self.url, headers={"Authorization": f"Bearer {self.key}"}, json=body)

    def results(self, answer: Any) -> Iterator[Mapping[str, Any]]:
        return ({**each, "text": each.get("content")} for each in answer["results"])


SERVICES: Mapping[str, tuple[type[WebSearch], str]] = {
    "brave": (Brave, "https://api.search.brave.com/res/v1/web/search"),
    "tavily": (Tavily, "https://api.tavily.com/search"),
}


def web_search_tool(search: WebSearch) -> Tool:
    return Tool(search.search_web, "search_web", "Searching the web", asks=False)


def parse_web_search_url(value: str) -> WebSearch:
    """The service that WEB_SEARCH_URL names.

    Raises:
        OperatorError: it names none; the line shows nothing of a secret.
    """
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise _refusal("is no address") from None
    if parts.scheme in ("http", "https"):
        return _searxng(parts)
    if parts.scheme not in SERVICES:
        raise _refusal("says nothing that is understood")
    kind, url = SERVICES[parts.scheme]
    key, _, host = parts.netloc.rpartition("@") if "@" in parts.netloc else (parts.netloc, "", "")
    if host:  # one that speaks as it does: a proxy, say
        url = f"{'http' if is_local(parts.hostname or '') else 'https'}://{host}{parts.path or urlsplit(url).path}"
    return kind(url, _require_key(unquote(key.strip(":"))))


def _searxng(parts: SplitResult) -> SearXNG:
    if not parts.hostname:
        raise _refusal("names no host")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    path = parts.path.rstrip("/")
    address = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path=path if path.endswith("/search") else f"{path}/search",
        fragment="",
    )
    return SearXNG(address.geturl(), f"{user}:{password}" if user else "")


def _require_key(key: str) -> str:
    if not key:
        raise _refusal("has no key")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise _refusal("has a key with characters that no key has")
    return key


def _refusal(fault: str) -> OperatorError:
    return OperatorError(f"WEB_SEARCH_URL {fault}. {EXAMPLES}")


def _source(result: Mapping[str, Any]) -> Source | None:
    try:
        text = made_storable(str(result.get("text") or "")).strip()[:MAX_EXCERPT_LENGTH]
        source = Source(title=result.get("title") or "", url=result.get("url") or "", text=text)
    except ValidationError:
        return None
    return None if source.url.startswith("/") else source  # that would be a page of this site


def _plain(html: str) -> str:
    return Markup(html).striptags()  # noqa: S704 - to a text, which is escaped where it is shown
