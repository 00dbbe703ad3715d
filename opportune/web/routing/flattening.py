"""Routers without included routers, whose routes have full paths."""

from collections.abc import Sequence
from copy import copy
from inspect import signature
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute


def flatten(router: APIRouter) -> APIRouter:
    """Replace included routers by their routes, and return the router.

    FastAPI represents an included router as one route object, which has no permissions, scopes or paths.
    """
    if any(not isinstance(route, APIRoute) for route in router.routes):
        router.routes = [inner for route in router.routes for inner in routes_within(route)]
    return router


def router_list(routers: APIRouter | Sequence[APIRouter] | None) -> Sequence[APIRouter]:
    """Return the flattened routers of a feature, which may name one router, several or none."""
    if isinstance(routers, APIRouter):
        return [flatten(routers)]
    return [flatten(router) for router in routers or ()]


def routes_within(route: BaseRoute) -> Sequence[BaseRoute]:
    """Return the routes of an included router with full paths. Other routes are returned unchanged."""
    if has_fallback_files(route):
        return [route]
    contexts = iter_route_contexts([route])
    return [route if context.route is route else copy_included(context) for context in contexts]


def has_fallback_files(route: BaseRoute) -> bool:
    """Return whether an included router has routes of `frontend`."""
    return bool(getattr(route, "effective_low_priority_routes", tuple)())


def copy_included(context: RouteContext) -> BaseRoute:
    """Copy a route of an included router as a route of the outer router."""
    original = context.original_route
    if isinstance(original, APIRoute):
        return type(original)(**options_of(context))
    copied = copy(original)
    vars(copied).update({name: getattr(context, name) for name in vars(original)})
    return copied


def options_of(route: APIRoute | RouteContext) -> dict[str, Any]:
    """Return the arguments with which FastAPI makes a route."""
    original = route.original_route if isinstance(route, RouteContext) else route
    # FastAPI 0.165 leaves out `form_limits` in contexts.
    return {name: getattr(route, name, getattr(original, name)) for name in signature(APIRoute).parameters}
