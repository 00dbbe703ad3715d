"""What a route says of its answers: how long they hold, and what they depend on."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from string import Formatter
from typing import Any, TypeVar

from starlette.types import Scope

Header = tuple[bytes, bytes]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

MAX_AGE_SECONDS = 24 * 60 * 60
"""Seconds for which an answer may be kept, the time in which it is stale included."""
CACHED_ATTRIBUTE = "__cached__"
PERSONAL_HEADERS = {b"cookie", b"authorization"}
JSON, PART = (b"accept", b"application/json"), (b"hx-request-type", b"partial")
first = itemgetter(0)


@dataclass(frozen=True)
class CacheRule:
    seconds: float
    stale: float
    vary: frozenset[bytes]
    tags: tuple[str, ...]
    query: frozenset[bytes] | None
    per_user: bool

    def headers_seen(self, scope: Scope) -> list[Header]:
        """All that a cached route gets to see of a request's headers, so that its answer depends on nothing else.

        Of `Accept` it sees whether a program asks, of htmx whether a part of the page is wanted.
        """
        seen = []
        for name, value in scope["headers"]:
            if name in self.vary or name == b"host":
                seen.append((name, value))
            elif name == b"accept" and b"json" in value and b"text/html" not in value:
                seen.append(JSON)
            elif name == b"hx-request-type" and value == b"partial":
                seen.append(PART)
        seen.sort(key=first)
        return seen

    def query_seen(self, scope: Scope) -> bytes:
        """The query in an order of our own, without what the route does not declare."""
        query: bytes = scope["query_string"]
        if not query or self.query == frozenset():
            return b""
        pairs = [(pair.partition(b"=")[0], pair) for pair in query.split(b"&")]
        return b"&".join(pair for name, pair in sorted(pairs, key=first) if self.query is None or name in self.query)

    def tags_of(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """The tags of one address; `values` are those of its path."""
        return tuple(tag.format_map(values) for tag in self.tags) if values else self.tags


def key_of(scope: Scope, owner: str) -> str:
    """The cache key of a request: a short name for all that its answer depends on, and for whose it is."""
    seen = (scope["scheme"], scope["path"], scope["query_string"], scope["headers"], owner)
    return blake2b(repr(seen).encode(), digest_size=16).hexdigest()


def cached(
    seconds: float,
    *,
    stale: float = 0,
    vary: Collection[str] = (),
    query: Collection[str] | None = None,
    tags: Collection[str] = (),
    per_user: bool = False,
) -> Callable[[Endpoint], Endpoint]:
    """Keep this route's answers: `@router.get("/books")` above `@cached(60, stale=300, tags=["books"])`.

    Who sends a cookie or an `Authorization` is not answered from what is kept, and nothing of theirs is kept.

    Args:
        seconds: How long an answer is fresh.
        stale: Seconds after that in which it is still given at once, while a new one is built in the background.
        vary: Names of headers that the answer depends on. The route does not see others.
        query: Names in the query that it depends on. The route does not see others; None stands for all.
        tags: Names to `clear` it by; `book:{book_id}` takes a value of the path.
        per_user: Keep an answer for each user, which is given to nobody else. It still takes a look at who asks.
    """
    if not 0 < seconds <= seconds + stale <= MAX_AGE_SECONDS:
        raise ValueError("seconds must be more than 0, and with stale at most a day")
    names = frozenset(name.lower().encode() for name in vary)
    if names & PERSONAL_HEADERS:
        raise ValueError("answers that depend on cookies or Authorization are kept with per_user=True")
    asked = None if query is None else frozenset(name.encode() for name in query)
    rule = CacheRule(seconds, stale, names, tuple(tags), asked, per_user)

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, CACHED_ATTRIBUTE, rule)
        return endpoint

    return mark


def rule_of(endpoint: Callable[..., Any]) -> CacheRule | None:
    rule: CacheRule | None = getattr(endpoint, CACHED_ATTRIBUTE, None)
    return rule


def unknown_names(rule: CacheRule, path_names: Collection[str]) -> set[str]:
    """Names in tags that the path does not have."""
    used = {name for tag in rule.tags for _, name, _, _ in Formatter().parse(tag) if name is not None}
    return used.difference(path_names)
