"""FastAPI's router for features, whose routes are analysed on first use."""

from collections.abc import Callable
from typing import Any

import fastapi
from fastapi.routing import APIRoute
from starlette.routing import compile_path, get_name

DERIVED_OPTIONS = ("description", "response_model", "stream_item_type")
"""Options that FastAPI replaces after it has analysed the function."""


class LazyRoute(APIRoute):
    """Route that is analysed when it is first requested or described.

    FastAPI inspects the function and its dependencies, and builds validators, which takes milliseconds and memory. A
    site has hundreds of routes, of which many processes need few. FastAPI 0.165 has no option to do so later.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        vars(self).update(options, path=path, endpoint=endpoint, options=options)
        for name in DERIVED_OPTIONS:
            vars(self).pop(name, None)
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.name = options.get("name") or get_name(endpoint)
        self.methods = {method.upper() for method in options.get("methods") or ["GET"]}
        self.form_limits = options.get("form_limits", {})

    def __getattr__(self, name: str) -> Any:
        if self.is_analysed or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.analyse()
        return getattr(self, name)

    @property
    def is_analysed(self) -> bool:
        return "options" not in vars(self)

    def analyse(self) -> None:
        """Inspect the function.

        Raises:
            FastAPIError: A parameter or the response has an invalid type.
        """
        if self.is_analysed:
            return
        options = vars(self).pop("options")
        try:
            super().__init__(self.path, self.endpoint, **options | {"form_limits": self.form_limits})
        except BaseException:
            vars(self)["options"] = options  # the next request fails with the same error
            raise

    def with_options(self, path: str, **changes: Any) -> "LazyRoute":
        """Return a copy at another path, for a route that is not analysed yet."""
        options = vars(self)["options"] | {"form_limits": self.form_limits} | changes
        return LazyRoute(path, self.endpoint, **options)


class APIRouter(fastapi.APIRouter):
    """FastAPI's router with routes that are analysed on first use. Mistakes are reported by `oppman.py check`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"route_class": LazyRoute} | options)
