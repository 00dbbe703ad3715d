"""What of a dataclass a site's start can do without: most of them are never compared, shown or hashed."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any


class _Init:
    """Stands where `__init__` will: what asks for that, as `inspect.signature` does, gets the real one."""

    def __init__(self, create: Callable[[], Any]) -> None:
        self.create = create

    def __get__(self, instance: object, kind: type) -> Any:
        made = self.create()
        for owner in kind.__mro__:
            if vars(owner).get("__init__") is self:
                made.__qualname__ = f"{owner.__qualname__}.__init__"
                setattr(owner, "__init__", made)  # noqa: B010 - mypy knows that one does not assign to it
        return made.__get__(instance, kind)


class _Inspect:
    """`inspect` without the signature that a dataclass without a docstring is given as one: it takes the longest."""

    @staticmethod
    def signature(_kind: type) -> str:
        return ""

    def __getattr__(self, name: str) -> Any:
        return getattr(inspect, name)


def install() -> None:
    """Have the methods of dataclasses declared from now on compiled when they are first called or looked at.

    From Python 3.13 on all of a class's methods are compiled at once, and there is nothing to do.
    """
    create: Callable[..., Any] | None = getattr(dataclasses, "_create_fn", None)
    if create is None or create.__module__ == __name__:
        return

    def create_later(name: str, *given: Any, **options: Any) -> Any:
        if name == "__init__":
            return _Init(partial(create, name, *given, **options))
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

    dataclasses.inspect = _Inspect()  # type: ignore[attr-defined]
    dataclasses._create_fn = create_later  # type: ignore[attr-defined]
