"""Routes that are answered without FastAPI's general way, which asks each time what a route depends on.

What is not as usual goes FastAPI's way: what is wrong, and dependencies that are replaced or added.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

Direct = Callable[[Request], Awaitable[Response | None]]
"""Answers a request, or gives None before it has done anything: it is FastAPI's then."""


def answering(endpoint: Any, direct: Direct, *, covers: Collection[Any] = ()) -> None:
    """Have `DirectRoute` answer an endpoint's requests so. What it `covers` are dependencies that it does by itself."""
    vars(endpoint).update(direct=direct, covers=covers)


class DirectRoute(APIRoute):
    """Asks first what its endpoint has by `answering`."""

    is_direct = False
    """Whether the site's router has taken it as it is: within routers of others it may have dependencies of theirs.

    Never with `SPEEDUPS=off`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()
        direct: Direct | None = getattr(self.endpoint, "direct", None)
        if direct is None:
            return usual
        # FastAPI makes another handler of a route that is taken already, for a router that includes the site's.
        is_own = not self.is_direct

        async def handle(request: Request) -> Response:
            answer = await direct(request) if is_own and self._is_usual(request) else None
            return answer or await usual(request)

        return handle

    def _is_usual(self, request: Request) -> bool:
        is_told = request.scope.get("fastapi.telemetry") is not None
        replaced = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
        covered = vars(self.endpoint)["covers"]
        are_covered = all(each.dependency in covered for each in self.dependencies)
        return self.is_direct and are_covered and not (replaced or is_told)
