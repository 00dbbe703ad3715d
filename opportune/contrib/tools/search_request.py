"""Request to a service that searches the web."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class SearchRequest(NamedTuple):
    method: str
    url: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = {}
    json: Mapping[str, Any] | None = None
    auth: tuple[str, str] | None = None

    @property
    def host(self) -> str:
        """Host for messages, without secrets."""
        return urlsplit(self.url).hostname or ""
