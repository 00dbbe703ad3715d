"""What is looked up once a minute, however many look at the page that shows it."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL_SECONDS = 60


class TTLCache(Generic[T]):
    """Values by key, each as it was within the last minute in this process."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, T]] = {}

    async def get(self, key: str, find: Callable[[], Awaitable[T]]) -> T:
        found = self._values.get(key)
        if found is None or time.monotonic() - found[0] > TTL_SECONDS:
            found = self._values[key] = time.monotonic(), await find()
        return found[1]
