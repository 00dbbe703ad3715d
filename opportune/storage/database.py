"""Files in the database of the site, for hosts without a disk or a bucket."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.db.errors import DATABASE_ERRORS, explain
from opportune.db.queries.batches import batches_of
from opportune.db.queries.dialects import acquire_advisory_lock
from opportune.i18n import gettext as _
from opportune.i18n.formats import format_number
from opportune.storage import storage
from opportune.storage.location import MEGABYTE_BYTES, DatabaseFiles
from opportune.storage.models import StoredFile, StoredPiece

logger = logging.getLogger(__name__)

PIECE_BYTES = 64 * 1024
"""Bytes per row. `copydb` and backups hold 500 rows in memory."""
PIECES_PER_STATEMENT = 8
MAX_POSITION = 2**31 - 1


class DatabaseStorage(storage.Storage):
    """Storage in two tables. Files are written in one transaction, and in pieces to save memory."""

    def __init__(self, limits: DatabaseFiles, signer: storage.UrlSigner, database: Database) -> None:
        super().__init__(signer)
        self.limits = limits
        self._database = database
        self.writes_to_sqlite = database.engine.dialect.name == "sqlite"

    async def put(self, name: str, content: bytes, content_type: str) -> None:
        del content_type  # the suffix determines it
        if not storage.is_name(name):
            raise storage.MissingFileError(name)
        if len(content) > self.limits.max_file_megabytes * MEGABYTE_BYTES:
            raise storage.FileTooLargeError(self.limits.max_file_megabytes)
        with suppress(IntegrityError):  # two requests have stored the same copy
            async with self._handle_errors(), self._database.writer() as session:
                await session.execute(delete(StoredFile).where(col(StoredFile.name) == name))
                await self._require_room(session, len(content))
                row = {"name": name, "size_bytes": len(content), "created_at": utc_now()}
                new_file = insert(StoredFile).values(row).returning(col(StoredFile.id))
                file_id = (await session.execute(new_file)).scalar_one()
                for offsets in batches_of(range(0, len(content), PIECE_BYTES), PIECES_PER_STATEMENT):
                    pieces = [
                        {"file_id": file_id, "position": at // PIECE_BYTES, "content": content[at : at + PIECE_BYTES]}
                        for at in offsets
                    ]
                    await session.execute(insert(StoredPiece), pieces)

    async def read(self, name: str) -> bytes:
        return (await self.read_part(name, 0, PIECE_BYTES * MAX_POSITION))[0]

    async def read_part(self, name: str, start: int, stop: int) -> tuple[bytes, int]:
        if not storage.is_name(name):
            raise storage.MissingFileError(name)
        first = start // PIECE_BYTES
        last = (stop - 1) // PIECE_BYTES
        in_range = col(StoredPiece.position).between(first, last)
        query = (
            select(col(StoredFile.size_bytes), col(StoredPiece.content))
            .outerjoin(StoredPiece, and_(col(StoredPiece.file_id) == col(StoredFile.id), in_range))
            .where(col(StoredFile.name) == name)
            .order_by(col(StoredPiece.position))
        )
        async with self._handle_errors(), self._database.reader(fresh=True) as session:
            rows = (await session.execute(query)).all()
        if not rows:
            raise storage.MissingFileError(name)
        content = b"".join(piece for _total, piece in rows if piece)
        return content[start - first * PIECE_BYTES : stop - first * PIECE_BYTES], rows[0][0]

    async def delete(self, name: str) -> None:
        if storage.is_name(name):
            async with self._handle_errors(), self._database.writer() as session:
                await session.execute(delete(StoredFile).where(col(StoredFile.name) == name))

    async def check(self) -> str:
        try:
            async with self._database.reader(fresh=True) as session:
                total = await _total_bytes(session)
        except DATABASE_ERRORS as error:
            reason = explain(error, self._database.url)
            return _("Files cannot be stored in the database: %(reason)s", reason=reason)
        if total < self.limits.max_total_megabytes * MEGABYTE_BYTES:
            return ""
        return _(
            "Files use %(used)s MB of the database, and the limit is %(limit)s MB: no more files are saved. "
            "Raise max_total_megabytes in STORAGE_URL.",
            used=format_number(total // MEGABYTE_BYTES),
            limit=format_number(self.limits.max_total_megabytes),
        )

    async def _require_room(self, session: AsyncSession, more_bytes: int) -> None:
        await acquire_advisory_lock(session, "opfile")  # concurrent uploads must not exceed the limit together
        if await _total_bytes(session) + more_bytes > self.limits.max_total_megabytes * MEGABYTE_BYTES:
            logger.error("storage: the files would exceed max_total_megabytes in STORAGE_URL")
            raise storage.StorageFullError(self.limits.max_total_megabytes)

    @asynccontextmanager
    async def _handle_errors(self) -> AsyncIterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DATABASE_ERRORS as error:
            logger.error("storage: %s", explain(error, self._database.url))
            raise storage.StorageError from error


async def _total_bytes(session: AsyncSession) -> int:
    return int(await session.scalar(select(func.coalesce(func.sum(col(StoredFile.size_bytes)), 0))) or 0)
