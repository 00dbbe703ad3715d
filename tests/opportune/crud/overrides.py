"""Overrides of all methods of a class, as a project might write them."""

from collections.abc import Mapping
from functools import wraps
from inspect import getattr_static, iscoroutinefunction, isfunction
from typing import Any

Methods = Mapping[str, Any]


def override_all(base: type[Any]) -> Methods:
    """Return all public methods of a class. Each only calls the original."""

    def override(original: Any) -> Any:
        @wraps(original)  # with the marks of routes, actions and filters
        def method(self: Any, *args: Any, **options: Any) -> Any:
            return original(self, *args, **options)

        @wraps(original)
        async def async_method(self: Any, *args: Any, **options: Any) -> Any:
            return await original(self, *args, **options)

        return async_method if iscoroutinefunction(original) else method

    members = {name: getattr_static(base, name) for name in dir(base) if not name.startswith("_")}
    return {name: override(member) for name, member in members.items() if isfunction(member)}
