"""Lag of a replica, measured on the replica alone."""

from time import monotonic
from typing import Any

from sqlalchemy import Row, text

LAG_QUERY = text(
    """
SELECT pg_is_in_recovery() AS is_replica,
       pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::bigint AS received,
       pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS replayed,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS is_connected,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float AS seconds
"""
)
"""State of the replay. All users may run it."""


def measure_lag(row: Row[Any]) -> float | None:
    """Return how far a replica may lag behind, in seconds. None if it is behind, but has not replayed any change.

    A replica that has replayed all it has received lags only if it has lost its primary. Otherwise the age of the last
    replayed change is an upper bound. It is 0 for servers that are no replica or do not report their replay.
    """
    is_current = row.received is not None and row.received == row.replayed and row.is_connected
    return 0 if is_current or not row.is_replica or row.replayed is None else row.seconds


class LagMeter:
    """Lag of a replica over several measurements, which correct the upper bound.

    While the primary runs a long transaction, the last replayed change is old although the replica is current.
    """

    def __init__(self) -> None:
        self._received: tuple[float, int] | None = None
        """Time and position of a change that was not replayed yet."""

    def update(self, row: Row[Any]) -> float:
        """Return the lag in seconds from another row of `LAG_QUERY`."""
        lag, now = measure_lag(row), monotonic()
        is_bound = lag != 0 and row.is_connected
        if not is_bound or self._received is None:
            self._received = (now, row.received) if is_bound else None
            return max(0.0, lag or 0.0)
        received_at, position = self._received
        seconds = now - received_at
        has_replayed = row.replayed >= position
        if has_replayed:  # all that it had received then, so that it lags no longer than this
            self._received = now, row.received
        if lag is None or has_replayed:
            lag = min(seconds if lag is None else lag, seconds)
        return max(0.0, lag)
