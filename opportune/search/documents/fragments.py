"""Parts of pages that were made before: many who type begin with the same letters."""

from collections import OrderedDict

MAX_KEY_LENGTH = 30
"""Letters of an address: what is longer is hardly asked for twice."""


class FragmentCache:
    """The parts of one edition of the index, by the query of their address; the latest that were asked for."""

    def __init__(self, max_chars: int = 16 * 1024 * 1024) -> None:
        self._parts: OrderedDict[bytes, str] = OrderedDict()
        self._edition = 0
        self._left = self._room = max_chars
        """Letters for which there is room."""

    def get(self, edition: int | None, query: bytes) -> str | None:
        """The part of that address, and of no other edition than it was kept for."""
        if edition != self._edition or query not in self._parts:
            return None
        self._parts.move_to_end(query)
        return self._parts[query]

    def set(self, edition: int | None, query: bytes, part: str) -> None:
        """Keep a part that was made in this edition, or after it. Where editions cannot be told (None), do not."""
        if edition is None or edition < self._edition or len(query) > MAX_KEY_LENGTH:
            return
        if edition > self._edition:
            self._parts.clear()
            self._edition, self._left = edition, self._room
        self._left += len(self._parts.pop(query, "")) - len(part)
        self._parts[query] = part
        while self._left < 0:
            self._left += len(self._parts.popitem(last=False)[1])
