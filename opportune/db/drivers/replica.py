"""Read replicas. One that is unavailable or lags behind is not used."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from opportune.db.drivers.pool import Pool, dispose
from opportune.db.errors import explain
from opportune.db.url.replicas import ReplicaUrl
from opportune.services.tasks import cancel_and_wait

logger = logging.getLogger(__name__)

reads_fresh: ContextVar[bool] = ContextVar("reads_fresh", default=False)
"""Whether the current task reads from the primary, because the replica may lack the latest changes."""
on_first_write: ContextVar[Callable[[], None] | None] = ContextVar("on_first_write", default=None)
"""Called before the first commit of a request that was not expected to write. Its later reads are fresh."""
CONNECTION_ERRORS = (DBAPIError, PoolTimeoutError, TimeoutError)
"""Errors of a server that cannot be reached or refuses the connection."""

POOL_IS_FULL = "3o7r"
"""SQLAlchemy's code of the error for an exhausted pool."""
MEASUREMENT_SECONDS = 1
"""Seconds for which a measured lag is valid."""
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


def record_write() -> None:
    """Let the current request read its own changes."""
    if callback := on_first_write.get():
        on_first_write.set(None)
        reads_fresh.set(True)
        callback()


class Replica:
    """Creates sessions on a read replica. After a failure a background task waits until it can be used again."""

    connect_timeout_seconds: float = 2
    """Seconds that a request waits for the replica before it reads from the primary."""
    confirm_delay_seconds: float = 0.25
    """Seconds before a lag is measured again. A replica that only lacks the last changes is not reported."""
    retry_delay_seconds: float = 2
    """Seconds between two attempts to use an unavailable replica."""

    def __init__(
        self, url: ReplicaUrl, engine: AsyncEngine, sessions: Callable[[], AsyncSession], max_lag_seconds: float
    ) -> None:
        self.engine = engine
        self.url = url.url
        self.weight = url.weight
        self.max_lag_seconds = max_lag_seconds
        self.lag_seconds: float | None = None
        """Last measured lag. None if it was not measured, or the server does not report it."""
        self.problem = ""
        """Reason why the replica is not used, or empty."""
        self._sessions = sessions
        self._meter: LagMeter | None = LagMeter()
        """None if the server does not report its lag."""
        self._measured_at = -float(MEASUREMENT_SECONDS)
        self._timeouts: set[asyncio.Timeout] = set()
        """Timeouts of the requests that wait for a connection."""
        self._recovery: asyncio.Task[None] | None = None
        """Task that waits until the replica can be used again."""

    @property
    def is_full(self) -> bool:
        """Whether all connections of the pool are in use."""
        pool = self.engine.sync_engine.pool
        return isinstance(pool, Pool) and pool.checkedout() >= pool.max_connections

    async def connect(self) -> AsyncSession | None:
        """Open a session. None if the replica does not respond in time or lags behind."""
        session = self._sessions()
        try:
            async with self._time_limit():
                await session.connection()
                await self._measure(session)
        except CONNECTION_ERRORS as error:
            await session.close()
            if self.problem:
                return None
            if isinstance(error, PoolTimeoutError) and error.code == POOL_IS_FULL:
                raise  # the replica is busy, and the primary could not take its load as well
            self.set_aside(explain(error, self.url))
            return None
        except asyncio.CancelledError:
            await session.close()
            raise
        if self.lag_seconds is None or self.lag_seconds <= self.max_lag_seconds:
            return session
        await session.close()
        self.set_aside(f"it lags {self.lag_seconds:.1f} s behind", confirm=True)
        return None

    @asynccontextmanager
    async def _time_limit(self) -> AsyncIterator[None]:
        """Limit the time to connect. When the replica is set aside, the time of all waiting requests is over.

        While all connections are in use, only the timeout of the pool applies.
        """
        async with asyncio.timeout(None if self.is_full else self.connect_timeout_seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    async def dispose(self) -> None:
        await cancel_and_wait(self._recovery)
        await dispose(self.engine)

    async def _measure(self, session: AsyncSession) -> None:
        """Update `lag_seconds`, unless it was measured just now."""
        if self._meter is None or monotonic() - self._measured_at < MEASUREMENT_SECONDS:
            return
        try:
            row = (await session.execute(LAG_QUERY)).one()
        except (NotSupportedError, ProgrammingError) as error:
            logger.warning("The lag of replica %s is unknown: %s", self.url.server, explain(error, self.url))
            self._meter = None
            await session.rollback()
            return
        self.lag_seconds = self._meter.update(row)
        self._measured_at = monotonic()

    def set_aside(self, problem: str, *, confirm: bool = False) -> None:
        """Stop using the replica until it responds again.

        Args:
            problem: Explanation for the log.
            confirm: Report the problem only if a second measurement agrees.
        """
        self.problem = problem
        if self._recovery is None:  # several requests may fail together
            for timeout in self._timeouts:  # waiting requests use another server
                if not timeout.expired():
                    timeout.reschedule(asyncio.get_running_loop().time())
            self._recovery = asyncio.create_task(self._wait_until_usable(confirm=confirm), name="wait for the replica")

    async def _wait_until_usable(self, *, confirm: bool) -> None:
        """Try the replica until it can be used, and log the start and the end of the failure."""
        try:
            if not confirm or not await self._try_after(self.confirm_delay_seconds):
                logger.warning("Replica %s is not used: %s", self.url.server, self.problem)
                while not await self._try_after(self.retry_delay_seconds):
                    pass
                logger.warning("Replica %s is used again.", self.url.server)
        finally:
            self._recovery = None
            self.problem = ""

    async def _try_after(self, delay_seconds: float) -> bool:
        """Wait, measure the lag again, and return whether the replica can be used."""
        await asyncio.sleep(delay_seconds)
        self._measured_at = -MEASUREMENT_SECONDS
        try:
            session = await self.connect()
        except PoolTimeoutError:
            return False
        if session:
            await session.close()
        return session is not None


class Replicas:
    """All replicas of a database. They share the reads by their weights."""

    def __init__(self, members: Sequence[Replica] = ()) -> None:
        self.members = members
        self._credits = dict.fromkeys(members, 0)
        """Sums of weights since the last turn of each replica. The replica with the largest sum is next."""

    @property
    def usable(self) -> list[Replica]:
        return [replica for replica in self.members if not replica.problem]

    @asynccontextmanager
    async def reader(self, fallback: Callable[[], AsyncSession]) -> AsyncIterator[AsyncSession]:
        """Open a session on a replica, or a fallback session if the replica cannot be used."""
        replica = self._choose()
        connected = await replica.connect() if replica else None
        async with connected or fallback() as session:
            try:
                yield session
            except DBAPIError as error:
                if replica and error.connection_invalidated and session.bind is replica.engine:
                    # This request fails, the next ones use another server.
                    replica.set_aside(explain(error, replica.url))
                raise

    def _choose(self) -> Replica | None:
        """Return the next replica by smooth weighted round-robin, preferably one with a free connection."""
        usable = self.usable
        candidates = [replica for replica in usable if not replica.is_full] or usable
        if not candidates:
            return None
        for replica in candidates:
            self._credits[replica] += replica.weight
        selected = max(candidates, key=self._credits.__getitem__)
        self._credits[selected] -= sum(replica.weight for replica in candidates)
        return selected

    async def dispose(self) -> None:
        for replica in self.members:
            await replica.dispose()


class ReceivedChange(NamedTuple):
    """Last change in the log of a replica at the time of a measurement."""

    measured_at: float
    position: int


class LagMeter:
    """Lag of a replica over several measurements, which correct the upper bound.

    While the primary runs a long transaction, the last replayed change is old although the replica is current.
    """

    def __init__(self) -> None:
        self._unreplayed: ReceivedChange | None = None
        """Change that the replica has received, but had not replayed at the last measurement."""
        self._current_at: float | None = None
        """Last time at which the replica had received only changes that it has replayed by now."""

    def update(self, row: Row[Any]) -> float:
        """Return the lag in seconds from another row of `LAG_QUERY`."""
        now = monotonic()
        lag = measure_lag(row)
        if lag == 0:
            self._unreplayed = None
            self._current_at = now
            return 0.0
        if not row.is_connected or row.received is None:  # changes that it has not received are unknown
            self._unreplayed = self._current_at = None
            return max(0.0, lag or 0.0)
        if self._unreplayed and row.replayed >= self._unreplayed.position:
            self._current_at = self._unreplayed.measured_at
            self._unreplayed = None
        if self._unreplayed is None:
            self._unreplayed = ReceivedChange(now, row.received)
        if self._current_at is not None:
            since_current = now - self._current_at
            return max(0.0, since_current if lag is None else min(lag, since_current))
        return max(0.0, now - self._unreplayed.measured_at if lag is None else lag)


def measure_lag(row: Row[Any]) -> float | None:
    """Return how far a replica may lag behind, in seconds. None if it is behind, but has not replayed any change.

    A replica that has replayed all it has received lags only if it has lost its primary. Otherwise the age of the last
    replayed change is an upper bound. It is 0 for servers that are no replica or do not report their replay.
    """
    if not row.is_replica or row.replayed is None:
        return 0
    is_current = row.received == row.replayed and row.is_connected
    return 0 if is_current else row.seconds
