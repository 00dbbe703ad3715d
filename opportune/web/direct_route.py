"""Routes that are answered without FastAPI's general way, which asks each time what a route depends on.

What is not as usual goes FastAPI's way: what is wrong, and dependencies that are replaced or added.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

Asking = TypeVar("Asking", bound=Callable[[Request], Awaitable[Any]])
Direct = Callable[[Request], Awaitable[Response | None]]
"""Answers a request, or gives None before it has done anything: it is FastAPI's then."""


def answering(endpoint: Any, direct: Direct, *, covers: Collection[Any] = ()) -> None:
    """Have `DirectRoute` answer an endpoint's requests so. What it `covers` are dependencies that it does by itself."""
    vars(endpoint).update(direct=direct, covers=covers)


def of_request(dependency: Asking) -> Asking:
    """Mark a dependency that takes the request alone and may be asked twice: `DirectRoute` asks it by itself."""
    vars(dependency).update(is_of_request=True)
    return dependency


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
        asked = [each.dependency for each in self.dependencies if each.dependency and _is_of_request(each.dependency)]

        async def handle(request: Request) -> Response:
            answer = None
            if is_own and self._is_usual():
                for each in asked:
                    await each(request)
                answer = await direct(request)
            return answer or await usual(request)

        return handle

    def _is_usual(self) -> bool:
        replaced = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
        covered = vars(self.endpoint)["covers"]
        needs = [each.dependency for each in self.dependencies]
        are_covered = all(each in covered or _is_of_request(each) for each in needs)
        return self.is_direct and are_covered and not replaced


def _is_of_request(dependency: Any) -> bool:
    return getattr(dependency, "is_of_request", False)
