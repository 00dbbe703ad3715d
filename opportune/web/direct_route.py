"""Routes that are answered without FastAPI's general way, which asks each time what a route depends on.

What is not as usual goes FastAPI's way: what is wrong, and dependencies that are replaced or added.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

Direct = Callable[[Request], Awaitable[Response | None]]
"""Answers a request, or gives None before it has done anything: it is FastAPI's then."""


class DirectRoute(APIRoute):
    """Asks first what its endpoint has as `direct`."""

    is_direct = False
    """Whether the site's router has taken it as it is: within routers of others it may have dependencies of theirs.

    Never with `SPEEDUPS=off`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()
        direct: Direct | None = getattr(self.endpoint, "direct", None)
        if direct is None:
            return usual

        async def handle(request: Request) -> Response:
            replaced = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
            if (
                not self.is_direct
                or self.dependencies
                or replaced
                or request.scope.get("fastapi.telemetry") is not None
            ):
                return await usual(request)
            return await direct(request) or await usual(request)

        return handle
