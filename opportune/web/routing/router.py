"""The site's router: each feature's routes become its own, one after another."""

from collections.abc import Sequence
from copy import copy
from inspect import signature
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, Mount

from opportune.config import speedups
from opportune.web.cache.rule import rule_of
from opportune.web.routing.cached_route import CachedRoute
from opportune.web.routing.direct_route import DirectRoute


class Router(APIRouter):
    """FastAPI's router, which also flattens others. `fastapi_adapter.FastRouter` does the same in less time."""

    page_dependencies: Sequence[Depends] = ()
    """Dependencies of every page, such as the one that finds the user."""

    def include_pages(self, router: APIRouter) -> None:
        self.include_flat(router, dependencies=self.page_dependencies, include_in_schema=False)

    def include_flat(
        self,
        router: APIRouter,
        prefix: str = "",
        dependencies: Sequence[Depends] = (),
        *,
        include_in_schema: bool = True,
    ) -> None:
        """As `include_router`, but each route that is there by now becomes one of this router's own.

        FastAPI asks the routes of an included router once more for each level.

        Raises:
            TypeError: the router has a cached route beside other things than routes.
        """
        flatten(router)
        routes = [route for route in router.routes if isinstance(route, APIRoute) and prefix + route.path]
        sockets = [route for route in router.routes if isinstance(route, APIWebSocketRoute)]
        if len(routes) + len(sockets) < len(router.routes):
            if any(rule_of(route.endpoint) for route in routes):
                raise TypeError("cached routes want a router of routes alone")
            self.include_router(router, prefix=prefix, dependencies=dependencies, include_in_schema=include_in_schema)
            return
        for route in routes:
            own = self.copy_route(route, prefix, dependencies)
            own.include_in_schema &= include_in_schema
            if isinstance(own, DirectRoute):
                own.is_direct = speedups.are_on()
            self.routes.append(own)
        for socket in sockets:
            behind = [*dependencies, *socket.dependencies]
            self.add_api_websocket_route(prefix + socket.path, socket.endpoint, socket.name, dependencies=behind)
        self.include_rest(router, prefix)

    def include_rest(self, router: APIRouter, prefix: str) -> None:
        """Take over what a router has beside routes: work at start and stop, and files that come after all routes."""
        rest = copy(router)
        rest.routes = []
        self.include_router(rest, prefix=prefix)

    def copy_route(self, route: APIRoute, prefix: str, dependencies: Sequence[Depends]) -> APIRoute:
        """The same route at another path, behind these dependencies too."""
        options = _options(route) | {
            "path": prefix + route.path,
            "dependencies": [*self.dependencies, *dependencies, *route.dependencies],
            "dependency_overrides_provider": self.dependency_overrides_provider,
        }
        own = type(route)(**options)
        rule = rule_of(route.endpoint)
        return CachedRoute.of(own, rule) if rule else own


def router_of(app: FastAPI) -> Router:
    assert isinstance(app.router, Router)
    return app.router


def flatten(router: APIRouter) -> APIRouter:
    """The router, with the routes of routers that it includes (`include_router`) as its own.

    FastAPI leaves one thing for all of them among its routes, which says nothing of permissions, scopes or addresses.
    """
    if any(not isinstance(route, APIRoute) for route in router.routes):
        router.routes = [each for route in router.routes for each in routes_within(route)]
    return router


def routes_within(route: BaseRoute) -> Sequence[BaseRoute]:
    """The routes of an included router at their whole paths; of one that has files, and of any other route, itself."""
    if getattr(route, "effective_low_priority_routes", tuple)():  # files that come after all routes
        return [route]
    return [context.route if context.route is route else own_route(context) for context in iter_route_contexts([route])]


def own_route(context: RouteContext) -> BaseRoute:
    """A route of an included router as one that belongs to the outer router."""
    original = context.original_route
    if isinstance(original, APIRoute):
        return type(original)(**_options(context))
    own = copy(original)
    vars(own).update({name: getattr(context, name) for name in vars(original)})
    return own


def _options(route: APIRoute | RouteContext) -> dict[str, Any]:
    return {name: getattr(route, name) for name in signature(APIRoute).parameters}


def analyze(routes: Sequence[BaseRoute]) -> None:
    """Build the routes of mounted applications that build them on first use, such as the admin.

    Raises:
        OperatorError: A view of the admin has a mistake.
    """
    for route in routes:
        if isinstance(route, Mount):
            _ = route.routes


def several(routers: APIRouter | Sequence[APIRouter] | None) -> Sequence[APIRouter]:
    """The routers of a feature, of which it names one, some or none, each with all its routes as its own."""
    return [flatten(each) for each in ([routers] if isinstance(routers, APIRouter) else routers or ())]
