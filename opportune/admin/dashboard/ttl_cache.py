"""A cache for values of a page, refreshed once a minute."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL_SECONDS = 60


class TTLCache(Generic[T]):
    """Values by key, at most one minute old, in this process."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, T]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        entry = self._values.get(key)
        if entry is None or time.monotonic() - entry[0] > TTL_SECONDS:
            entry = self._values[key] = time.monotonic(), await read()
        return entry[1]
