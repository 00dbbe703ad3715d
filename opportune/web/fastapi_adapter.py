"""FastAPI's private parts: a router that is told where to look, and makes routes its own without analysing them again.

FastAPI asks all routes in turn, which takes longer than most routes take to answer; and analysing their parameters is
most of what making an application takes. The public way is `opportune.web.routing.Router`.
"""

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
from opportune.web.routing import Router


class FastRouter(Router):
    """Asks only routes whose path begins like the request's."""

    def include_rest(self, router: APIRouter, prefix: str) -> None:
        is_told = router.on_startup or router.on_shutdown or not isinstance(router.lifespan_context, _DefaultLifespan)
        if is_told or router._low_priority_routes:
            super().include_rest(router, prefix)

    def copy_route(self, route: APIRoute, prefix: str, dependencies: Sequence[Depends]) -> APIRoute:
        rule = rule_of(route.endpoint)
        outer = [*self.dependencies, *dependencies]
        own = CachedRoute.of(route, rule) if rule else copy(route)
        self._adopt(own, route, prefix, outer)
        return own

    def _adopt(self, own: APIRoute, route: APIRoute, prefix: str, outer: Sequence[Depends]) -> None:
        """Give a copy of an analysed route its own path and what it is behind."""
        own.path = prefix + route.path
        own.path_regex, own.path_format, own.param_convertors = compile_path(own.path)
        own.dependencies = [*outer, *route.dependencies]
        before = [get_parameterless_sub_dependant(depends=each, path=own.path_format) for each in outer]
        own.dependant = replace(route.dependant, dependencies=[*before, *route.dependant.dependencies])
        own.dependency_overrides_provider = self.dependency_overrides_provider
        _rename(own)
        own.app = request_response(own.get_route_handler())

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            for route in self._candidates(get_route_path(scope)):
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.setdefault("router", self)
                    scope["route"] = route
                    scope.update(found)
                    await route.handle(scope, receive, send)
                    return
        await super().app(scope, receive, send)  # another method, a slash too many, or nothing

    def _candidates(self, path: str) -> Sequence[BaseRoute]:
        if self._known != self.routes:
            self._known = list(self.routes)
            self._prefixes = [(_literal_prefix(route), route) for route in self.routes]
            self._by_path = dict.fromkeys(path for path, _ in self._prefixes)
        if path not in self._by_path:
            return self._with_prefix_of(path)
        found = self._by_path[path]
        if found is None:  # asked for the first time
            found = self._by_path[path] = self._with_prefix_of(path)
        return found

    def _with_prefix_of(self, path: str) -> list[BaseRoute]:
        return [route for prefix, route in self._prefixes if path.startswith(prefix)]

    _known: Sequence[BaseRoute] = ()
    _prefixes: Sequence[tuple[str, BaseRoute]] = ()
    _by_path: dict[str, Sequence[BaseRoute] | None]
    """By paths that routes have as they are; no more than these, or strangers would fill the memory."""


def _rename(route: APIRoute) -> None:
    """What the description of the API names after the path, and the body with what its new dependencies take of it."""
    name = route.generate_unique_id_function
    route.unique_id = route.operation_id or (name.value if isinstance(name, DefaultPlaceholder) else name)(route)
    if route.response_field:
        route.response_field = _renamed(route.response_field, f"Response_{route.unique_id}")
    route.response_fields = {
        status: _renamed(field, f"Response_{status}_{route.unique_id}")
        for status, field in route.response_fields.items()
    }
    body = _get_flat_body_params(route.dependant)
    route._embed_body_fields = _should_embed_body_fields(body)
    route.body_field = _get_body_field(
        body_params=body, name=route.unique_id, embed_body_fields=route._embed_body_fields
    )


def _renamed(field: ModelField, name: str) -> ModelField:
    field = copy(field)
    field.name = name
    return field


def _literal_prefix(route: BaseRoute) -> str:
    """What all paths of a route have in common: nothing, for a kind of route that we do not know."""
    path: str = getattr(route, "path", "")
    return path.partition("{")[0]
