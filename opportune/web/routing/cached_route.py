"""Route of endpoints marked with `@cached`."""

from dataclasses import astuple, dataclass
from typing import Self

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from opportune.web.cache.rule import CacheRule, unknown_names


@dataclass
class Counts:
    """Number of requests of this process, by the source of their response."""

    fresh: int = 0
    stale: int = 0
    shared: int = 0
    """Requests that waited for the build of another request."""
    built: int = 0
    bypassed: int = 0
    """Requests that bypass the cache, such as those with a cookie."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def hits(self) -> int:
        return self.fresh + self.stale + self.shared

    @property
    def rate(self) -> float | None:
        """Share of requests served without a build, from 0 to 1. None before the first request."""
        return self.hits / (self.hits + self.built) if self.hits + self.built else None


class CachedRoute(APIRoute):
    """Route that consults the cache before it runs its dependencies."""

    rule: CacheRule
    counts: Counts

    @classmethod
    def of(cls, route: APIRoute, rule: CacheRule) -> Self:
        """Return a cached copy of a route.

        Raises:
            TypeError: The route is not for GET alone, or its tags name unknown path parameters.
        """
        if route.methods != {"GET"}:
            raise TypeError(f"{route.path}: only a route for GET can be cached")
        if unknown := unknown_names(rule, route.param_convertors):
            raise TypeError(f"{route.path}: the path has no {', '.join(sorted(unknown))}, which the cache tags use")
        cached = cls.__new__(cls)
        vars(cached).update(vars(route), rule=rule, counts=Counts())
        return cached

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await scope["app"].state.cache.respond(self, scope, receive, send)
        else:
            await super().handle(scope, receive, send)
