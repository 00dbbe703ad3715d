"""Addresses of read replicas with their weights, from DATABASE_READER_URL."""

import re
from dataclasses import dataclass

from opportune.db.url.database_url import DatabaseUrl, Pooled
from opportune.errors import OperatorError

SETTING = "DATABASE_READER_URL"
SEPARATOR = re.compile(r"[\s,]+(?=[a-z][a-z0-9+.:-]*://)", re.IGNORECASE)
"""Spaces or commas before another URL. A URL may contain commas itself."""
WEIGHT = re.compile(r"(?P<start>[?&])weight=(?P<weight>[^&\s]*)(?P<end>&|(?=\W*$))", re.IGNORECASE)
MAX_WEIGHT = 100


@dataclass(frozen=True)
class ReplicaUrl:
    """Address of a replica, and its share of the reads."""

    url: DatabaseUrl
    weight: int = 1


def parse_replicas(text: str, pooled: Pooled = "auto") -> list[ReplicaUrl]:
    """Parse URLs that are separated by spaces, lines or commas. `weight=2` in a URL doubles its share of the reads.

    Raises:
        OperatorError: A URL or weight is invalid.
    """
    parts = [part for part in SEPARATOR.split(text.strip()) if part]
    urls = [part for part in parts if "://" in part] or parts
    return [_parse_replica(part, pooled) for part in urls]


def _parse_replica(text: str, pooled: Pooled) -> ReplicaUrl:
    weight = 1
    if match := WEIGHT.search(text):
        if not match["weight"].isdecimal() or not 1 <= int(match["weight"]) <= MAX_WEIGHT:
            raise OperatorError(f"{SETTING} has an invalid weight. Use a number from 1 to {MAX_WEIGHT}: ?weight=2")
        weight = int(match["weight"])
        text = text[: match.start()] + (match["start"] if match["end"] else "") + text[match.end() :]
    return ReplicaUrl(DatabaseUrl.parse(text, pooled, SETTING), weight)
