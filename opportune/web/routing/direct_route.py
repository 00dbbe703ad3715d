"""Direct routes of CRUD, which skip FastAPI's resolution of dependencies.

They save 15 to 20 % of a list's CPU time and 40 % of an insert's (`bench.speed --only rows,add`). FastAPI handles
invalid requests, and routes with overrides or added dependencies.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute

RequestDependency = TypeVar("RequestDependency", bound=Callable[[Request], Awaitable[Any]])
Direct = Callable[[Request], Awaitable[Response | None]]
"""Handler that returns the response, or None without any effect if FastAPI should handle the request."""


def set_direct(endpoint: Any, direct: Direct, *, covers: Collection[Any] = ()) -> None:
    """Set the direct handler of an endpoint, which replaces the dependencies that it `covers`."""
    vars(endpoint).update(direct=direct, covers=covers)


def takes_only_request(dependency: RequestDependency) -> RequestDependency:
    """Mark a dependency that has only the parameter `request` and may run twice. `DirectRoute` can call it."""
    vars(dependency).update(takes_only_request=True)
    return dependency


class DirectRoute(APIRoute):
    """Route that tries the direct handler of its endpoint first."""

    is_direct = False
    """Whether the site's router has enabled direct handling (`SPEEDUPS`). Other routers may add dependencies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        fastapi_handler = super().get_route_handler()
        direct: Direct | None = getattr(self.endpoint, "direct", None)
        if direct is None:
            return fastapi_handler
        # FastAPI builds another handler if a router includes the site's router.
        is_outermost = not self.is_direct
        checks = [
            depends.dependency
            for depends in self.dependencies
            if depends.dependency and _takes_only_request(depends.dependency)
        ]

        async def handle(request: Request) -> Response:
            response = None
            if is_outermost and self._can_run_directly():
                for check in checks:
                    await check(request)
                response = await direct(request)
            return response or await fastapi_handler(request)

        return handle

    def _can_run_directly(self) -> bool:
        overrides = getattr(self.dependency_overrides_provider, "dependency_overrides", None)
        covered = vars(self.endpoint)["covers"]
        required = [depends.dependency for depends in self.dependencies]
        are_covered = all(dependency in covered or _takes_only_request(dependency) for dependency in required)
        return self.is_direct and are_covered and not overrides


def _takes_only_request(dependency: Any) -> bool:
    return getattr(dependency, "takes_only_request", False)
