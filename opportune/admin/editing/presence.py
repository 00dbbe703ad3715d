"""Users who have the form of a row open."""

import json
import time
from collections import OrderedDict

from opportune.db.bus import Bus

TOPIC = "admin.editors"
PRESENT_SECONDS = 45.0
"""Seconds after a request of a form in which its user counts as present. Forms send one every 20 seconds."""
MAX_ROWS = 2_000

RowKey = tuple[str, str]
"""Identity of the model, and key of the row."""


class Editors:
    """Users who have the form of a row open, in all processes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._seen = OrderedDict[RowKey, dict[str, float]]()
        """Times of the last requests by e-mail address."""
        bus.subscribe(TOPIC, self._receive)

    def add(self, row: RowKey, email: str) -> list[str]:
        """Record that a user has the form open, and return the other users."""
        self._record(row, email)
        self._bus.publish(TOPIC, json.dumps([*row, email]))
        return sorted(self._seen[row].keys() - {email})

    def _receive(self, payload: str | None) -> None:
        if payload:  # otherwise messages were lost, and the forms send new ones
            match json.loads(payload):
                case [str(identity), str(pk), str(email)]:
                    self._record((identity, pk), email)

    def _record(self, row: RowKey, email: str) -> None:
        now = time.monotonic()
        present = {
            name: seen_at for name, seen_at in self._seen.pop(row, {}).items() if seen_at > now - PRESENT_SECONDS
        }
        self._seen[row] = {**present, email: now}
        while len(self._seen) > MAX_ROWS:
            self._seen.popitem(last=False)
