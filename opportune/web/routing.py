"""The site's router: FastAPI's, told where to look."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from fastapi import APIRouter
from fastapi._compat import ModelField
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.utils import (
    _get_body_field,
    _get_flat_body_params,
    _should_embed_body_fields,
    get_parameterless_sub_dependant,
)
from fastapi.params import Depends
from fastapi.routing import APIRoute, _DefaultLifespan, request_response
from starlette._utils import get_route_path
from starlette.routing import BaseRoute, Match, compile_path
from starlette.types import Receive, Scope, Send

from opportune.web.cache.route import CachedRoute
from opportune.web.cache.rule import rule_of


class Router(APIRouter):
    """Asks only routes whose path begins like the request's.

    FastAPI asks all of them in turn, those of an included router once more for each level, which takes longer than
    most routes take to answer.
    """

    def take(
        self,
        router: APIRouter,
        prefix: str = "",
        dependencies: Sequence[Depends] = (),
        *,
        include_in_schema: bool = True,
    ) -> None:
        """As `include_router`, but each route that is there by now becomes one of this router's own."""
        routes = [route for route in router.routes if isinstance(route, APIRoute) and prefix + route.path]
        if len(routes) < len(router.routes) or _has_more_than_routes(router):
            if any(rule_of(route.endpoint) for route in routes):
                raise TypeError("cached routes want a router of routes alone")
            self.include_router(router, prefix=prefix, dependencies=dependencies, include_in_schema=include_in_schema)
            return
        for route in routes:
            taken = self._own(route, prefix, dependencies)
            taken.include_in_schema &= include_in_schema
            self.routes.append(taken)

    def _own(self, route: APIRoute, prefix: str, dependencies: Sequence[Depends]) -> APIRoute:
        """Its copy at another path. Its parameters are not analysed again: that is most of what making an app takes."""
        rule = rule_of(route.endpoint)
        taken = CachedRoute.of(route, rule) if rule else copy(route)
        taken.path = prefix + route.path
        taken.path_regex, taken.path_format, taken.param_convertors = compile_path(taken.path)
        outer = [*self.dependencies, *dependencies]
        taken.dependencies = [*outer, *route.dependencies]
        before = [get_parameterless_sub_dependant(depends=each, path=taken.path_format) for each in outer]
        taken.dependant = replace(route.dependant, dependencies=[*before, *route.dependant.dependencies])
        taken.dependency_overrides_provider = self.dependency_overrides_provider
        _name_again(taken)
        taken.app = request_response(taken.get_route_handler())
        return taken

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Telemetry wants to be told of the choice, in FastAPI's own words.
        if scope["type"] == "http" and scope.get("fastapi.telemetry") is None:
            for route in self._near(get_route_path(scope)):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.setdefault("router", self)
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)  # another method, a slash too many, or nothing

    def _near(self, path: str) -> Sequence[BaseRoute]:
        if self._known != self.routes:
            self._known = list(self.routes)
            self._beginnings = [(_beginning(route), route) for route in self.routes]
            self._literal = dict.fromkeys(path for path, _ in self._beginnings)
        if path not in self._literal:
            return self._begun(path)
        found = self._literal[path]
        if found is None:  # asked for the first time
            found = self._literal[path] = self._begun(path)
        return found

    def _begun(self, path: str) -> list[BaseRoute]:
        return [route for beginning, route in self._beginnings if path.startswith(beginning)]

    _known: Sequence[BaseRoute] = ()
    _beginnings: Sequence[tuple[str, BaseRoute]] = ()
    _literal: dict[str, Sequence[BaseRoute] | None]
    """By paths that routes have as they are; no more than these, or strangers would fill the memory."""


def _name_again(route: APIRoute) -> None:
    """What the description of the API names after the path, and the body with what its new dependencies take of it."""
    name = route.generate_unique_id_function
    route.unique_id = route.operation_id or (name.value if isinstance(name, DefaultPlaceholder) else name)(route)
    if route.response_field:
        route.response_field = _named(route.response_field, f"Response_{route.unique_id}")
    route.response_fields = {
        status: _named(field, f"Response_{status}_{route.unique_id}") for status, field in route.response_fields.items()
    }
    body = _get_flat_body_params(route.dependant)
    route._embed_body_fields = _should_embed_body_fields(body)
    route.body_field = _get_body_field(
        body_params=body, name=route.unique_id, embed_body_fields=route._embed_body_fields
    )


def _named(field: ModelField, name: str) -> ModelField:
    field = copy(field)
    field.name = name
    return field


def _has_more_than_routes(router: APIRouter) -> bool:
    """Whether it wants to know of start and stop, or has files that come after all routes."""
    is_told = router.on_startup or router.on_shutdown or not isinstance(router.lifespan_context, _DefaultLifespan)
    return bool(is_told or router._low_priority_routes)


def _beginning(route: BaseRoute) -> str:
    """What all paths of a route have in common: nothing, for a kind of route that we do not know."""
    path: str = getattr(route, "path", "")
    return path.partition("{")[0]
