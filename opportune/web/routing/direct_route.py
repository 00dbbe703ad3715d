"""Direct routes of CRUD: 15 to 20 % of a list's CPU, 40 % of an insert's (`bench.speed --only rows,add`).

They skip FastAPI's resolution of dependencies. Invalid requests, and routes with replaced or added dependencies, take
FastAPI's way.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

RequestDependency = TypeVar("RequestDependency", bound=Callable[[Request], Awaitable[Any]])
Direct = Callable[[Request], Awaitable[Response | None]]
"""Return the response, or None before it has done anything: FastAPI handles the request then."""


def set_direct(endpoint: Any, direct: Direct, *, covers: Collection[Any] = ()) -> None:
    """Set the direct handler of an endpoint, which replaces the dependencies that it `covers`."""
    vars(endpoint).update(direct=direct, covers=covers)


def of_request(dependency: RequestDependency) -> RequestDependency:
    """Mark a dependency that takes only the request and may run twice: `DirectRoute` calls it."""
    vars(dependency).update(is_of_request=True)
    return dependency


class DirectRoute(APIRoute):
    """Route that tries the direct handler of its endpoint first."""

    is_direct = False
    """Set by the site's router, unless `SPEEDUPS=off`. Other routers may add dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        usual = super().get_route_handler()
        direct: Direct | None = getattr(self.endpoint, "direct", None)
        if direct is None:
            return usual
        # FastAPI builds another handler if a router includes the site's router.
        is_outermost = not self.is_direct
        checks = [
            depends.dependency
            for depends in self.dependencies
            if depends.dependency and _is_of_request(depends.dependency)
        ]

        async def handle(request: Request) -> Response:
            response = None
            if is_outermost and self._is_usual():
                for check in checks:
                    await check(request)
                response = await direct(request)
            return response or await usual(request)

        return handle

    def _is_usual(self) -> bool:
        replaced = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
        covered = vars(self.endpoint)["covers"]
        required = [depends.dependency for depends in self.dependencies]
        are_covered = all(dependency in covered or _is_of_request(dependency) for dependency in required)
        return self.is_direct and are_covered and not replaced


def _is_of_request(dependency: Any) -> bool:
    return getattr(dependency, "is_of_request", False)
