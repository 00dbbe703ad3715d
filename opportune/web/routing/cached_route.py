"""Route whose responses are cached."""

from typing import Self

from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from opportune.web.cache.rule import CacheRule, Counts, unknown_names


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
