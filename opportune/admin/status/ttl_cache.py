"""A cache for values of a page, refreshed once a minute."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

TTL_SECONDS = 60
MAX_ENTRIES = 1_000
"""Entries from which expired ones are removed."""


class TtlCache(Generic[T]):
    """Values by key, at most one minute old, in this process."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, T]] = {}

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> T:
        entry = self._values.get(key)
        if entry is None or _is_expired(entry):
            value = await read()
            if len(self._values) >= MAX_ENTRIES:
                self._remove_expired()
            entry = self._values[key] = time.monotonic(), value
        return entry[1]

    def _remove_expired(self) -> None:
        self._values = {key: entry for key, entry in self._values.items() if not _is_expired(entry)}


def _is_expired(entry: tuple[float, object]) -> bool:
    return time.monotonic() - entry[0] > TTL_SECONDS
