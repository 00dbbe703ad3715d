"""Addresses of read replicas with their weights, from DATABASE_READER_URL."""

import re
from typing import NamedTuple

from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.formats import Pooled
from opportune.errors import OperatorError

SETTING = "DATABASE_READER_URL"
SEPARATOR = re.compile(r"[\s,]+(?=[a-z][a-z0-9+.:-]*://)", re.IGNORECASE)
"""Spaces or commas before another URL. A URL may contain commas itself."""
WEIGHT = re.compile(r"(?P<start>[?&])weight=(?P<weight>[^&\s]*)(?P<end>&|(?=\W*$))", re.IGNORECASE)
"""Option of a URL, which libpq does not know, so it is removed with the sign after or before it."""
MAX_WEIGHT = 100


class ReplicaUrl(NamedTuple):
    """Address of a replica, and its share of the reads."""

    url: DatabaseUrl
    weight: int = 1


def parse_replicas(text: str, pooled: Pooled = "auto") -> list[ReplicaUrl]:
    """Parse URLs that are separated by spaces, lines or commas. `weight=2` in a URL doubles its share of the reads."""
    parts = [part for part in SEPARATOR.split(text.strip()) if part]
    urls = [part for part in parts if "://" in part] or parts
    return [_parse_replica(part, pooled) for part in urls]


def _parse_replica(text: str, pooled: Pooled) -> ReplicaUrl:
    match = WEIGHT.search(text)
    if match is None:
        return ReplicaUrl(DatabaseUrl.parse(text, pooled, SETTING))
    weight = match["weight"]
    if not weight.isdecimal() or not 1 <= int(weight) <= MAX_WEIGHT:
        raise OperatorError(f"{SETTING} has an invalid weight. Use a number from 1 to {MAX_WEIGHT}: ?weight=2")
    separator = match["start"] if match["end"] else ""  # before the next option, if there is one
    url = text[: match.start()] + separator + text[match.end() :]
    return ReplicaUrl(DatabaseUrl.parse(url, pooled, SETTING), int(weight))
