"""Cache of rendered results, because many queries begin with the same letters."""

from collections import OrderedDict

MAX_KEY_LENGTH = 30
"""Maximum length of cached query strings; longer ones are rarely repeated."""


class FragmentCache:
    """LRU cache of HTML by query string, for one edition of an index."""

    def __init__(self, max_chars: int = 16 * 1024 * 1024) -> None:
        self._parts: OrderedDict[bytes, str] = OrderedDict()
        self._edition = 0
        self._remaining = self._max_chars = max_chars

    def get(self, edition: int | None, query: bytes) -> str | None:
        """Return the cached HTML of this edition, or None."""
        if edition != self._edition or query not in self._parts:
            return None
        self._parts.move_to_end(query)
        return self._parts[query]

    def set(self, edition: int | None, query: bytes, part: str) -> None:
        """Cache HTML that was rendered in this edition or later. Nothing is cached if the edition is unknown (None)."""
        if edition is None or edition < self._edition or len(query) > MAX_KEY_LENGTH:
            return
        if edition > self._edition:
            self._parts.clear()
            self._edition, self._remaining = edition, self._max_chars
        self._remaining += len(self._parts.pop(query, "")) - len(part)
        self._parts[query] = part
        while self._remaining < 0:
            self._remaining += len(self._parts.popitem(last=False)[1])
