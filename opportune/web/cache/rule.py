"""Cache rules of routes: the lifetime of responses, and the parts of the request they depend on."""

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter
from string import Formatter
from typing import Any, NamedTuple, TypeVar

from starlette.types import Scope

from opportune.i18n.languages import current_language

Header = tuple[bytes, bytes]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

MAX_AGE_SECONDS = 24 * 60 * 60
"""Maximum of `seconds` and `stale` together."""
CACHED_ATTRIBUTE = "__cached__"
PERSONAL_HEADERS = {b"cookie", b"authorization"}
ACCEPT_JSON = (b"accept", b"application/json")
HTMX_PARTIAL = (b"hx-request-type", b"partial")
NAME = itemgetter(0)
"""Key to sort pairs of a name and a value."""


class CacheRule(NamedTuple):
    """The arguments of `cached`, which describes them, as the cache compares them."""

    seconds: float
    stale: float
    vary: frozenset[bytes]
    tags: tuple[str, ...]
    query: frozenset[bytes] | None
    per_user: bool

    def visible_headers(self, scope: Scope) -> list[Header]:
        """Return the request headers that the route sees, which are part of the cache key.

        `Accept` only stays if it asks for JSON, and htmx's header if it asks for a partial page.
        """
        visible = []
        for name, value in scope["headers"]:
            if name in self.vary or name == b"host":
                visible.append((name, value))
            elif name == b"accept" and b"json" in value and b"text/html" not in value:
                visible.append(ACCEPT_JSON)
            elif name == b"hx-request-type" and value == b"partial":
                visible.append(HTMX_PARTIAL)
        visible.sort(key=NAME)
        return visible

    def visible_query(self, scope: Scope) -> bytes:
        """Return the query, sorted and without parameters that the rule does not list."""
        query: bytes = scope["query_string"]
        if not query or self.query == frozenset():
            return b""
        pairs = [(pair.partition(b"=")[0], pair) for pair in query.split(b"&")]
        visible = [(name, pair) for name, pair in pairs if self.query is None or name in self.query]
        visible.sort(key=NAME)
        return b"&".join(pair for _, pair in visible)

    def tags_of(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the tags with these path parameters filled in."""
        return tuple(tag.format_map(values) for tag in self.tags) if values else self.tags


def request_parts(scope: Scope) -> tuple[object, ...]:
    """Return all that a response depends on, except its viewer: the visible parts of the request, and its language."""
    return (scope["scheme"], scope["path"], scope["query_string"], scope["headers"], current_language.get())


def check_seconds(seconds: float, stale: float) -> None:
    is_valid = seconds > 0 and stale >= 0 and seconds + stale <= MAX_AGE_SECONDS
    if not is_valid:  # also if one of them is NaN
        raise ValueError(f"seconds must be more than 0, and with stale at most {MAX_AGE_SECONDS} (a day)")


def tag_tuple(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise TypeError(f"tags must be a list: tags=[{tags!r}]")
    return tuple(tags)


def cached(
    seconds: float,
    *,
    stale: float = 0,
    vary: Collection[str] = (),
    query: Collection[str] | None = None,
    tags: Collection[str] = (),
    per_user: bool = False,
) -> Callable[[Endpoint], Endpoint]:
    """Cache the responses of a route.

        @router.get("/books")
        @cached(60, stale=300, tags=["books"])
        async def books(request: Request) -> HTMLResponse: ...

    Requests with cookies or `Authorization` bypass the cache, unless `per_user` is set.

    Args:
        seconds: Time for which a response is fresh.
        stale: Further seconds in which the old response is sent while a new one is built in the background.
        vary: Request headers that the response depends on. The route does not see other headers.
        query: Query parameters that the response depends on. The route does not see others. None allows all.
        tags: Names with which `clear_cache` removes the response. `book:{book_id}` contains a path parameter.
        per_user: Cache a response for each user, set of permissions and scopes of a token, and apart for those who
            have confirmed their identity.
    """
    check_seconds(seconds, stale)
    names = frozenset(name.lower().encode() for name in vary)
    if names & PERSONAL_HEADERS:
        raise ValueError("set per_user=True for responses that depend on cookies or Authorization")
    parameters = None if query is None else frozenset(name.encode() for name in query)
    rule = CacheRule(
        seconds=seconds, stale=stale, vary=names, tags=tag_tuple(tags), query=parameters, per_user=per_user
    )

    def set_rule(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, CACHED_ATTRIBUTE, rule)
        return endpoint

    return set_rule


def rule_of(endpoint: Callable[..., Any]) -> CacheRule | None:
    rule: CacheRule | None = getattr(endpoint, CACHED_ATTRIBUTE, None)
    return rule


def unknown_names(rule: CacheRule, path_names: Collection[str]) -> set[str]:
    """Return the names in tags that are not path parameters."""
    names = {name for tag in rule.tags for _text, name, *_format in Formatter().parse(tag) if name is not None}
    return names.difference(path_names)
