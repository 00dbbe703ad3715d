"""Routes that FastAPI analyses when somebody first asks about them, and not as they are declared.

Reading an endpoint's signature, its dependencies and its schemas is the most costly part of making an application, and
a process that starts serves one page first. The public way is FastAPI's own route.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from fastapi import APIRouter
from fastapi.params import Depends
from fastapi.routing import APIRoute, RouteContext, _IncludedRouter, _RouterIncludeContext
from fastapi.utils import get_value_or_default
from starlette.routing import BaseRoute, get_name

from opportune.project import display_path
from opportune.web import routing


class LazyRoute(APIRoute):
    """Knows what its declaration says; any other attribute has FastAPI make all of it."""

    _declaration: tuple[str, Callable[..., Any], dict[str, Any]]
    _is_analysed = False
    _original: "LazyRoute | None" = None
    _adopt: Callable[[APIRoute], None]
    shares_analysis = False
    """Whether what is declared again is told what the first was: a process of many sites, as of tests, has it once."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self._declaration = path, endpoint, options
        self.path, self.endpoint = path, endpoint
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}
        self.dependencies = list(options.get("dependencies") or [])
        self.include_in_schema = options.get("include_in_schema", True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or self._is_analysed or "_declaration" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        original = self._original if self.shares_analysis else None
        known = vars(original) if original and original.dependant else {}
        path, endpoint, options = self._declaration
        self._is_analysed = True
        try:
            if known:
                vars(self).update({**known, **vars(self)})
                self._adopt(self)
            else:
                super().__init__(path, endpoint, **options | {"include_in_schema": self.include_in_schema})
        except Exception as error:
            self._is_analysed = False
            error.add_note(f"This is the route {path} of {endpoint.__module__}.{get_name(endpoint)}{_place(endpoint)}.")
            raise
        return getattr(self, name)

    def declared_again(
        self,
        prefix: str,
        outer: Sequence[Depends],
        dependency_overrides_provider: Any,
        adopt: Callable[[APIRoute], None],
    ) -> Self:
        """The same route at another path and behind these dependencies; `adopt` makes it of what this one was told."""
        path, endpoint, options = self._declaration
        own = {
            "dependencies": [*outer, *self.dependencies],
            "dependency_overrides_provider": dependency_overrides_provider,
            "include_in_schema": self.include_in_schema,
        }
        again = type(self)(prefix + path, endpoint, **options | own)
        again._original, again._adopt = self, adopt
        return again

    def declared_within(self, router: _RouterIncludeContext) -> Self:
        """The same route in a router that has included its own, with what that says of all its routes."""
        path, endpoint, options = self._declaration
        added = {
            "dependencies": [*router.dependencies, *self.dependencies],
            "tags": [*router.tags, *(options.get("tags") or [])],
            "callbacks": [*router.callbacks, *(options.get("callbacks") or [])],
            "responses": {**router.responses, **(options.get("responses") or {})},
            "deprecated": options.get("deprecated") or router.deprecated,
            "include_in_schema": self.include_in_schema and router.include_in_schema,
        }
        inner = router.included_router
        chosen = {
            name: get_value_or_default(
                options.get(name, getattr(inner, ours)), getattr(inner, ours), getattr(router, ours)
            )
            for name, ours in INHERITED.items()
        }
        return type(self)(router.prefix + path, endpoint, **options | added | chosen)


def _place(endpoint: Callable[..., Any]) -> str:
    code = getattr(endpoint, "__code__", None)
    return f" ({display_path(Path(code.co_filename))}:{code.co_firstlineno})" if code else ""


INHERITED = {
    "response_class": "default_response_class",
    "generate_unique_id_function": "generate_unique_id_function",
    "strict_content_type": "strict_content_type",
}
"""What a route has of the nearest router that says it: its option, and the router's."""


def routes_within(route: BaseRoute) -> Sequence[BaseRoute]:
    """As the public way, but routes that are not analysed stay so."""
    has_files = isinstance(route, _IncludedRouter) and route.effective_low_priority_routes()
    return [*_within(route)] if isinstance(route, _IncludedRouter) and not has_files else [route]


def _within(router: _IncludedRouter) -> Iterator[BaseRoute]:
    for route in router.original_router.routes:
        if isinstance(route, _IncludedRouter):
            yield from _within(
                _IncludedRouter(route.original_router, router.include_context.combine(route.include_context))
            )
        elif isinstance(route, LazyRoute):
            yield route.declared_within(router.include_context)
        elif context := router._build_effective_context(route):
            yield routing.own_route(RouteContext(route, context))


def install() -> None:
    """Have each `APIRouter()` that names no class of routes make these."""
    defaults = APIRouter.__init__.__kwdefaults__ or {}
    if defaults.get("route_class") is not APIRoute:
        raise ImportError("APIRouter() no longer makes an APIRoute unless told otherwise")
    defaults["route_class"] = LazyRoute
