"""Router of the site. It copies the routes of all features into one flat list, and finds them by prefix.

The copy of a route with `@cached` consults the cache first.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from itertools import compress
from typing import Any, Self

from fastapi import APIRouter, FastAPI
from fastapi.params import Depends
from fastapi.routing import APIRoute, APIWebSocketRoute
from fastapi.utils import generate_unique_id, get_value_or_default
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Message, Receive, Scope, Send

from opportune.errors import OperatorError
from opportune.web.cache.counts import Counts
from opportune.web.cache.rule import CacheRule, rule_of, unknown_names
from opportune.web.routing.api_router import LazyRoute, flatten, has_fallback_files, options_of
from opportune.web.routing.root_path import path_below_root

DefaultLifespan: Any = type(APIRouter().lifespan_context)
"""Lifespan of a router without one, which only calls the handlers of `on_event`."""
LIFESPAN_REPLACED = (
    "Opportune has not started, because `router.lifespan_context` of the application was replaced. Wrap the lifespan, "
    "or pass yours to Feature(process=Process(lifespan=…)), or to FastAPI before opportune.mount()."
)


class CachedRoute(LazyRoute):
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


class Router(APIRouter):
    """FastAPI's router with flattening of included routers, which matches only routes whose prefix fits the path.

    FastAPI matches all routes in turn (oppman.py docs speedups).
    """

    page_dependencies: Sequence[Depends] = ()
    """Dependencies of every page, such as the current user."""

    _indexed: Sequence[BaseRoute] = ()
    """Routes for which the index below was built. It is built again if `routes` differs."""
    _prefixes: Sequence[str] = ()
    """The literal beginnings of their paths."""
    _by_path: dict[str, Sequence[BaseRoute] | None]
    """Candidates by literal path. Other paths are not cached, because requests could fill the memory."""

    def app(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]  # saves a coroutine
        if scope["type"] == "http" and scope["method"] == "HEAD":
            return self._respond_to_head(scope, receive, send)
        if scope["type"] == "http":
            for route in self._candidates(path_below_root(scope)):
                methods = getattr(route, "methods", None) or {scope["method"]}
                match, changes = route.matches(scope) if scope["method"] in methods else (Match.NONE, {})
                if match is Match.FULL:
                    scope.setdefault("router", self)
                    scope["route"] = route
                    scope.update(changes)
                    # `handle` compares the method again, in two more coroutines.
                    run = route.app if type(route) is LazyRoute else route.handle
                    return run(scope, receive, send)
        return super().app(scope, receive, send)  # another method, an extra slash, or not found

    async def _respond_to_head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to HEAD wherever GET does. FastAPI's routes for GET refuse it, and pages of mounts expect GET."""
        routes = (route for route in self.routes if not isinstance(route, Mount))
        if any(route.matches(scope)[0] is Match.FULL for route in routes):
            await super().app(scope, receive, send)
            return
        scope_of_get = {**scope, "method": "GET"}
        try:
            await self.app(scope_of_get, receive, _without_body(send))
        finally:
            scope["route"] = scope_of_get.get("route")  # for the metrics of requests

    def _candidates(self, path: str) -> Sequence[BaseRoute]:
        if self._indexed != self.routes:
            self._indexed = list(self.routes)
            self._prefixes = [*map(_literal_prefix, self.routes)]
            self._by_path = dict.fromkeys(self._prefixes)
        if path not in self._by_path:
            return self._with_prefix_of(path)
        candidates = self._by_path[path]
        if candidates is None:  # the first request for this path
            candidates = self._by_path[path] = [
                route
                for route in self._with_prefix_of(path)
                if not isinstance(route, Route) or route.path_regex.match(path)
            ]
        return candidates

    def _with_prefix_of(self, path: str) -> list[BaseRoute]:
        return [*compress(self._indexed, map(path.startswith, self._prefixes))]

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
        """Include a router like `include_router`, but copy its current routes into this router.

        FastAPI matches the routes of included routers once per level of nesting.

        Raises:
            TypeError: The router has cached routes next to mounts.
        """
        flatten(router)
        # FastAPI refuses a route without any path.
        routes = [route for route in router.routes if isinstance(route, APIRoute) and prefix + route.path]
        sockets = [route for route in router.routes if isinstance(route, APIWebSocketRoute)]
        has_other_routes = len(routes) + len(sockets) < len(router.routes)
        if has_other_routes:
            if any(rule_of(route.endpoint) for route in routes):
                raise TypeError("A router with cached routes may not have mounts.")
            self.include_router(router, prefix=prefix, dependencies=dependencies, include_in_schema=include_in_schema)
            return
        for route in routes:
            limited = _with_form_limits_of(router, route)
            self.routes.append(self.copy_route(limited, prefix, dependencies, include_in_schema))
        for socket in sockets:
            required = [*dependencies, *socket.dependencies]
            self.add_api_websocket_route(prefix + socket.path, socket.endpoint, socket.name, dependencies=required)
        self.include_lifespan(router, prefix)

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope["app"].state
        await super().lifespan(scope, receive, check_start(send, lambda: state.has_started))

    def include_lifespan(self, router: APIRouter, prefix: str) -> None:
        """Include the lifespan handlers and fallback files of a router, without its routes."""
        without_routes = copy(router)
        without_routes.routes = []
        lifespan = self.lifespan_context
        self.include_router(without_routes, prefix=prefix)
        if isinstance(router.lifespan_context, DefaultLifespan):  # `include_router` has copied handlers of `on_event`
            self.lifespan_context = lifespan
        included = self.routes.pop()  # `include_router` has appended it, and each request would match it
        if has_fallback_files(included):
            self.routes.append(included)

    def copy_route(
        self, route: APIRoute, prefix: str, dependencies: Sequence[Depends], include_in_schema: bool = True
    ) -> APIRoute:
        """Copy a route to another path, with additional dependencies. The copy is analysed on first use."""
        options = options_of(route) | {
            "path": prefix + route.path,
            "dependencies": [*self.dependencies, *dependencies, *route.dependencies],
            "dependency_overrides_provider": self.dependency_overrides_provider,
            "generate_unique_id_function": get_value_or_default(
                route.generate_unique_id_function, self.generate_unique_id_function
            ),
            "include_in_schema": route.include_in_schema and include_in_schema,
        }
        class_ = LazyRoute if type(route) is APIRoute else type(route)
        rule = rule_of(route.endpoint)
        return CachedRoute.of(class_(**options), rule) if rule else class_(**options)


def check_start(send: Send, has_started: Callable[[], bool]) -> Send:
    """Return a `send` that refuses the start if the site's lifespan has not run, and sends OperatorErrors as a line."""

    async def send_checked(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete" and not has_started():
            raise OperatorError(LIFESPAN_REPLACED)
        error = sys.exception()  # Starlette sends the traceback while it handles the error
        if message["type"] == "lifespan.startup.failed" and isinstance(error, OperatorError):
            message = {**message, "message": error.with_advice}
        await send(message)

    return send_checked


def _with_form_limits_of(router: APIRouter, route: APIRoute) -> APIRoute:
    """Return the route with the form limits of its router, which the limits of the route override."""
    if not router.form_limits:
        return route
    limited = copy(route)
    limited.form_limits = {**router.form_limits, **route.form_limits}
    return limited


def _literal_prefix(route: BaseRoute) -> str:
    """Return the start of the path, up to the first parameter. Empty for other types of routes."""
    path: str = getattr(route, "path", "")
    return path.partition("{")[0]


def _without_body(send: Send) -> Send:
    """Return a `send` that ends the response after its headers, also of a stream without an end."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif message["type"] != "http.response.body":
            await send(message)

    return send_head


def router_of(app: FastAPI) -> Router:
    assert isinstance(app.router, Router)
    return app.router


def operation_id(route: APIRoute) -> str:
    """Return the first tag and the name of a route, such as `books_list`, which stays the same if the path changes.

    Names of routes without a tag are often not unique. These routes get FastAPI's id, with the path.
    """
    if not route.tags:
        return generate_unique_id(route)
    return re.sub(r"\W+", "_", "_".join([str(route.tags[0]), route.name]))


def build_mounted_routes(routes: Sequence[BaseRoute]) -> None:
    """Build the routes of mounted applications that build them on first use, such as the admin.

    Raises:
        OperatorError: A view of the admin has a mistake.
    """
    for route in routes:
        if isinstance(route, Mount):
            _ = route.routes  # the admin builds its routes when this property is read
