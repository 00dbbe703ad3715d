"""The current time, as models store it."""

from datetime import UTC, datetime
from inspect import Signature

from opportune.services.clock import clock


def utc_now() -> datetime:
    """Return the current time in UTC, for `default_factory`."""
    return datetime.fromtimestamp(clock.now(), UTC)


# Pydantic reads the signature for each new row. Without this line, that is a large part of creating a row.
utc_now.__signature__ = Signature()  # type: ignore[attr-defined]
