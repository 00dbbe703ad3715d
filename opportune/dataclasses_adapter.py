"""What of a dataclass a site's start can do without: most of them are never compared, shown or hashed."""

import dataclasses
from collections.abc import Callable
from typing import Any


def install() -> None:
    """Have the methods of dataclasses declared from now on, but `__init__`, compiled when they are first called.

    From Python 3.13 on all of a class's methods are compiled at once, and there is nothing to do.
    """
    create: Callable[..., Any] | None = getattr(dataclasses, "_create_fn", None)
    if create is None or create.__module__ == __name__:
        return

    def create_later(name: str, *given: Any, **options: Any) -> Any:
        if name == "__init__":
            return create(name, *given, **options)
        made: Callable[..., Any] | None = None

        def method(self: object, *values: object) -> Any:
            nonlocal made
            made = made or create(name, *given, **options)
            made.__qualname__ = method.__qualname__
            for owner in type(self).__mro__:
                if vars(owner).get(name) is method:
                    setattr(owner, name, made)
            return made(self, *values)

        method.__name__ = name
        return method

    dataclasses._create_fn = create_later  # type: ignore[attr-defined]
