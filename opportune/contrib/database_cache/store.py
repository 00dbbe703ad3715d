"""Cache entries in a table of the database, shared by all processes. Errors of the database are logged, not raised."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import LargeBinary, bindparam, delete, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import Executable
from sqlmodel import UTCDateTime, col

from opportune.contrib.database_cache.models import CacheRow
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.sessions.session import Rows
from opportune.web.cache.store import LEASE_SECONDS, TAG_SECONDS, CacheSize, SharedStore, lock_key, new_version, tag_key

logger = logging.getLogger(__name__)

WRITE_WAIT_SECONDS = 0.1
"""Seconds to wait for a write. On SQLite it waits for the transaction of this request, and is then completed later."""
CLEANUP_EVERY_WRITES = 50
"""One of this many writes of a process also deletes expired rows, so that the table does not grow."""
MAX_DELETED_AT_ONCE = 1_000
ERRORS = (SQLAlchemyError, TimeoutError, OSError)
NOW = bindparam("now", type_=UTCDateTime)
EXPIRES_AT = bindparam("expires_at", type_=UTCDateTime)
VALUE = bindparam("value", type_=LargeBinary)

FIND = select(col(CacheRow.key), col(CacheRow.value)).where(
    col(CacheRow.key).in_(bindparam("keys", expanding=True)), col(CacheRow.expires_at) > NOW
)
# Plain SQL, because SQLAlchemy compiles its own "on conflict" again for each execution.
WRITE = text("""
    INSERT INTO database_cache_row (key, value, expires_at) VALUES (:key, :value, :expires_at)
    ON CONFLICT (key) DO UPDATE SET value = :value, expires_at = :expires_at
""").bindparams(EXPIRES_AT, VALUE)
CLAIM = text("""
    INSERT INTO database_cache_row (key, value, expires_at) VALUES (:key, :value, :expires_at)
    ON CONFLICT (key) DO UPDATE SET value = :value, expires_at = :expires_at WHERE database_cache_row.expires_at <= :now
    RETURNING key
""").bindparams(NOW, EXPIRES_AT, VALUE)
EXPIRED = select(col(CacheRow.key)).where(col(CacheRow.expires_at) <= NOW).limit(MAX_DELETED_AT_ONCE)
DELETE_EXPIRED = delete(CacheRow).where(col(CacheRow.key).in_(EXPIRED.with_for_update(skip_locked=True)))
DROP = delete(CacheRow).where(col(CacheRow.key) == bindparam("key"))
RELEASE = DROP.where(col(CacheRow.value) == bindparam("token"))
# Keys with a colon are versions of tags and claims of builds.
COUNT = select(func.count(col(CacheRow.key))).where(col(CacheRow.key).not_like("%:%"), col(CacheRow.expires_at) > NOW)


Change = tuple[Executable, Mapping[str, Any]]
"""A statement and its values."""


class TableStore(SharedStore):
    """Store in the table `database_cache_row`.

    Writes of a process run one after the other. A request waits only briefly for its write.
    """

    name = "database"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._order = asyncio.Lock()
        self._writes: set[asyncio.Task[bool]] = set()
        """Writes that have not ended."""
        self._write_count = 0
        self._failure = ""
        """Type of the last error; empty if the database is available."""
        self._token = new_version()
        """Value of this process's claims."""
        self._cleared: dict[str, bytes] = {}
        """Versions of cleared tags that are not stored yet, because the write waits or has failed."""

    async def close(self) -> None:
        if self._writes:
            await asyncio.wait(self._writes)

    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        rows = await self._look_up(FIND, {"keys": [*keys], "now": utc_now()})
        values = {key: bytes(value) for key, value in rows} | self._cleared
        return [values.get(key) for key in keys]

    async def write(self, key: str, value: bytes, seconds: float) -> None:
        self._write_count += 1
        changes: list[Change] = [(WRITE, _values(key, value, seconds))]
        if self._write_count % CLEANUP_EVERY_WRITES == 0:
            changes.append((DELETE_EXPIRED, {"now": utc_now()}))
        await self._run(*changes)

    async def drop(self, key: str) -> None:
        await self._run((DROP, {"key": key}))

    async def clear(self, *tags: str) -> None:
        self._cleared |= {tag_key(tag): new_version() for tag in tags}
        await self._run()

    async def size(self) -> CacheSize:
        rows = await self._look_up(COUNT, {"now": utc_now()})
        return CacheSize(rows[0][0] if rows else 0, None)

    async def claim(self, build: str) -> bool:
        return await self._run((CLAIM, _values(lock_key(build), self._token, LEASE_SECONDS) | {"now": utc_now()}))

    async def release(self, build: str) -> None:
        await self._run((RELEASE, {"key": lock_key(build), "token": self._token}))

    async def check(self) -> str:
        await self.write(lock_key("check"), b"", 1)
        return self._failure

    async def _look_up(self, statement: Executable, values: Mapping[str, Any]) -> Rows:
        try:
            return await self._database.lookup_all(statement, values)
        except ERRORS as error:
            self._record_failure(error)
            return ()

    async def _run(self, *changes: Change) -> bool:
        """Make changes in one transaction, but wait only briefly. Return False if a claim was refused."""
        task = asyncio.create_task(self._change(changes))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        await asyncio.wait({task}, timeout=WRITE_WAIT_SECONDS)
        return task.result() if task.done() else True

    async def _change(self, changes: Iterable[Change]) -> bool:
        try:
            async with self._order, self._database.engine.begin() as connection:
                cleared = sorted(self._cleared.items())  # in the same order in all processes, to avoid deadlocks
                for key, version in cleared:
                    await connection.execute(WRITE, _values(key, version, TAG_SECONDS))
                results = [await connection.execute(statement, values) for statement, values in changes]
                # Only CLAIM returns a row, unless another process has the claim.
                is_done = all(result.first() is not None for result in results if result.returns_rows)
        except ERRORS as error:
            self._record_failure(error)
            return True
        self._cleared = dict(self._cleared.items() - cleared)
        if self._failure:
            self._failure = ""
            logger.info("the cache in the database is available again")
        return is_done

    def _record_failure(self, error: Exception) -> None:
        reason = type(getattr(error, "orig", None) or error).__name__
        if not self._failure:
            logger.warning("the cache in the database is unavailable (%s): nothing is cached", reason)
        self._failure = reason


def _values(key: str, value: bytes, seconds: float) -> dict[str, Any]:
    return {"key": key, "value": value, "expires_at": utc_now() + timedelta(seconds=seconds)}
