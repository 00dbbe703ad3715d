"""The route of an endpoint that is marked with `@cached`. It also answers HEAD."""

from dataclasses import astuple, dataclass
from typing import Self

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from opportune.web.cache.rule import CacheRule, unknown_names


@dataclass
class Counts:
    """Counts of this process's requests, by where their answer came from."""

    fresh: int = 0
    stale: int = 0
    shared: int = 0
    """Waited for another request's."""
    built: int = 0
    bypassed: int = 0
    """Of somebody with a cookie, whom the cache does not answer."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def hits(self) -> int:
        return self.fresh + self.stale + self.shared

    @property
    def rate(self) -> float | None:
        """The share of those that needed no building."""
        return self.hits / (self.hits + self.built) if self.hits + self.built else None


class CachedRoute(APIRoute):
    """A route that asks the cache before anything of it is run, its dependencies included."""

    rule: CacheRule
    counts: Counts

    @classmethod
    def of(cls, route: APIRoute, rule: CacheRule) -> Self:
        """A route like this one."""
        if route.methods != {"GET"}:
            raise TypeError(f"{route.path}: only a route for GET alone can be cached")
        if unknown := unknown_names(rule, route.param_convertors):
            raise TypeError(f"{route.path}: no {', '.join(sorted(unknown))} in the path for the tags of its answers")
        cached = cls.__new__(cls)
        vars(cached).update(vars(route), rule=rule, counts=Counts())
        return cached

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await self.handle({**scope, "method": "GET"}, receive, _without_body(send))
        elif scope["method"] == "GET":
            await scope["app"].state.cache.answer(self, scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
