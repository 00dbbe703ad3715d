"""Routes that FastAPI analyses when somebody first asks about them, and not as they are declared.

Reading an endpoint's signature, its dependencies and its schemas is the most costly part of making an application, and
a process that starts serves one page first. The public way is FastAPI's own route.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

from fastapi import APIRouter
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import get_name


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
            error.add_note(f"This is the route {path} of {endpoint.__module__}.{get_name(endpoint)}.")
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


def install() -> None:
    """Have each `APIRouter()` that names no class of routes make these."""
    defaults = APIRouter.__init__.__kwdefaults__ or {}
    if defaults.get("route_class") is not APIRoute:
        raise ImportError("APIRouter() no longer makes an APIRoute unless told otherwise")
    defaults["route_class"] = LazyRoute
