"""Request to a service that searches the web."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class SearchRequest(NamedTuple):
    method: str
    url: str
    options: Mapping[str, Any]
    """Parameters, headers, JSON and authentication, as the HTTP client takes them."""

    @property
    def host(self) -> str:
        """Host for messages, without secrets."""
        return urlsplit(self.url).hostname or ""
