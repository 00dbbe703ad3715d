"""Cache of rendered search results. Visitors often request the same first letters while they type."""

from collections import OrderedDict

MAX_KEY_LENGTH = 30
"""Maximum length of cached query strings; longer ones are rarely repeated."""


class FragmentCache:
    """LRU cache of HTML by query string, for one edition of an index."""

    def __init__(self, max_chars: int = 16 * 1024 * 1024) -> None:
        self._fragments: OrderedDict[bytes, str] = OrderedDict()
        self._edition = 0
        self._remaining = self._max_chars = max_chars

    def get(self, edition: int | None, query: bytes) -> str | None:
        """Return the cached HTML of this edition, or None."""
        if edition != self._edition or query not in self._fragments:
            return None
        self._fragments.move_to_end(query)
        return self._fragments[query]

    def set(self, edition: int | None, query: bytes, html: str) -> None:
        """Cache HTML that was rendered in this edition or later. Nothing is cached if the edition is unknown (None)."""
        if edition is None or edition < self._edition or len(query) > MAX_KEY_LENGTH:
            return
        if edition > self._edition:
            self._fragments.clear()
            self._edition, self._remaining = edition, self._max_chars
        self._remaining += len(self._fragments.pop(query, "")) - len(html)
        self._fragments[query] = html
        while self._remaining < 0:
            self._remaining += len(self._fragments.popitem(last=False)[1])
