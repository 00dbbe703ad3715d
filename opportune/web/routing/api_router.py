"""FastAPI's router for features: routes that are analysed on first use, and copies of those of included routers."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from inspect import signature
from itertools import chain
from threading import Lock
from typing import Any

import fastapi
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.routing import BaseRoute, compile_path, get_name

ROUTE_OPTIONS = tuple(signature(APIRoute).parameters)
DERIVED_OPTIONS = ("description", "response_model", "stream_item_type")
"""Options that FastAPI replaces after it has analysed the function."""

publishing = Lock()


class LazyRoute(APIRoute):
    """Route that is analysed when it is first requested or described.

    FastAPI inspects the function and its dependencies, and builds validators, which takes milliseconds and memory. A
    site has hundreds of routes, of which many processes need few. FastAPI 0.165 has no option to do so later.
    """

    options: dict[str, Any]
    """Options of the route until it is analysed."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        vars(self).update({"form_limits": {}} | options, path=path, endpoint=endpoint, options=options)
        for name in DERIVED_OPTIONS:
            vars(self).pop(name, None)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            self.analyse()
            if name in vars(self):
                return vars(self)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_analysed(self) -> bool:
        return "options" not in vars(self)

    def analyse(self) -> None:
        """Inspect the function.

        Raises:
            FastAPIError: A parameter or the response has an invalid type.
        """
        options = vars(self).get("options")
        if options is not None:
            route = copy(self)  # requests of other threads never see a half analysed route
            vars(route).pop("options", None)
            super(LazyRoute, route).__init__(self.path, self.endpoint, **options | {"form_limits": self.form_limits})
            with publishing:
                if not self.is_analysed:  # OpenAPI needs the same fields throughout
                    vars(self).update(vars(route))
                    del self.options


class APIRouter(fastapi.APIRouter):
    """FastAPI's router with routes that are analysed on first use. Mistakes are reported by `oppman.py check`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"route_class": LazyRoute} | options)


def flatten(router: fastapi.APIRouter) -> fastapi.APIRouter:
    """Replace included routers by their routes, and return the router.

    FastAPI represents an included router as one route object, which has no permissions, scopes or paths.
    """
    if any(not isinstance(route, APIRoute) for route in router.routes):
        router.routes = [inner for route in router.routes for inner in routes_within(route)]
    return router


def router_list(routers: fastapi.APIRouter | Sequence[fastapi.APIRouter] | None) -> Sequence[fastapi.APIRouter]:
    """Return the flattened routers of a feature, which may name one router, several or none."""
    if isinstance(routers, fastapi.APIRouter):
        return [flatten(routers)]
    return [flatten(router) for router in routers or ()]


def listed_routes(*routers: fastapi.APIRouter | Sequence[fastapi.APIRouter] | None) -> Iterator[BaseRoute]:
    """Yield the routes of routers, as features list them: `listed_routes(feature.pages, feature.api)`."""
    for router in chain.from_iterable(map(router_list, routers)):
        yield from router.routes


def routes_within(route: BaseRoute) -> Sequence[BaseRoute]:
    """Return the routes of an included router with full paths. Other routes are returned unchanged."""
    if has_fallback_files(route):
        return [route]
    contexts = iter_route_contexts([route])
    return [route if context.route is route else copy_included(context) for context in contexts]


def with_dependencies(dependant: Dependant) -> Iterator[Dependant]:
    """Yield the dependant of a route, followed by its dependencies and theirs."""
    yield dependant
    for dependency in dependant.dependencies:
        yield from with_dependencies(dependency)


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
    """Return the arguments with which FastAPI makes a route, without analysing it."""
    if isinstance(route, LazyRoute) and not route.is_analysed:
        return route.options | {"path": route.path, "endpoint": route.endpoint, "form_limits": route.form_limits}
    original = route.original_route if isinstance(route, RouteContext) else route
    # FastAPI 0.165 leaves out `form_limits` in contexts.
    options = {name: getattr(route, name, getattr(original, name)) for name in ROUTE_OPTIONS}
    if route.stream_item_type:
        del options["response_model"]  # FastAPI finds the type of the items only without this option
    return options
