"""The lag of a replica, computed from its positions, and URLs that cannot be replicas."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple
from unittest.mock import AsyncMock, Mock

import pytest
from pydantic import SecretStr

from opportune.db.drivers.replica import LagMeter, Replica, measure_lag
from opportune.db.factory import open_database
from opportune.errors import OperatorError
from opportune.testing.plugin import settings_for

OLD_CHANGE = 900.0
"""Age of the last replayed change in seconds."""


class LagRow(NamedTuple):
    received: int | None
    replayed: int | None
    is_replica: bool = True
    is_connected: bool = True
    seconds: float | None = OLD_CHANGE


@pytest.mark.parametrize(
    ("url", "reader_url", "message"),
    [
        ("sqlite:///a.db", "postgresql://u@h/d", "requires PostgreSQL as DATABASE_URL"),
        ("postgresql://u@h/d", "sqlite:///a.db", "must be a replica of DATABASE_URL"),
    ],
)
def test_invalid_replica_url_is_refused(url: str, reader_url: str, message: str) -> None:
    settings = settings_for(url).model_copy(update={"database_reader_url": SecretStr(reader_url)})
    with pytest.raises(OperatorError, match=message):
        open_database(settings)


@pytest.mark.parametrize(("replayed", "first_lag"), [((10, 25), OLD_CHANGE), ((20, 20), 0)])
def test_long_transaction_is_no_lag(replayed: Sequence[int], first_lag: float) -> None:
    rows: list[Any] = [LagRow(received=20, replayed=replayed[0]), LagRow(received=30, replayed=replayed[1])]
    meter = LagMeter()
    assert meter.update(rows[0]) == first_lag
    assert meter.update(rows[1]) < OLD_CHANGE


def test_lag_without_any_replayed_change_is_counted() -> None:
    row: Any = LagRow(received=20, replayed=10, seconds=None)
    meter = LagMeter()
    assert [measure_lag(row), meter.update(row)] == [None, 0]
    assert meter.update(row) > 0


def test_replica_that_has_received_nothing_is_measured_again() -> None:
    row: Any = LagRow(received=None, replayed=10)
    meter = LagMeter()
    assert [meter.update(row), meter.update(row)] == [OLD_CHANGE] * 2


async def test_cancelled_request_closes_its_session() -> None:
    session = Mock(connection=AsyncMock(side_effect=asyncio.CancelledError), close=AsyncMock())
    with pytest.raises(asyncio.CancelledError):
        await Replica(Mock(), Mock(), lambda: session, 10).connect()
    session.close.assert_awaited_once()


@pytest.mark.parametrize(
    ("row", "lag"),
    [
        (LagRow(received=10, replayed=10), 0),
        (LagRow(received=10, replayed=10, is_connected=False), OLD_CHANGE),
        (LagRow(received=20, replayed=10), OLD_CHANGE),
        (LagRow(received=None, replayed=None, is_replica=False), 0),
    ],
)
def test_lag_from_one_measurement(row: Any, lag: float) -> None:
    assert measure_lag(row) == lag
