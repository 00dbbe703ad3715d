"""Times of the last use of sessions and tokens, written in the background."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy import Update, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.sessions.service import expiry_of
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.models.model import utc_now
from opportune.errors import OperatorError
from opportune.web.client import Client

logger = logging.getLogger(__name__)

UPDATE_INTERVAL = timedelta(minutes=5)
MAX_PENDING_UPDATES = 100
"""Maximum number of waiting updates. Further ones are dropped, and the next request adds them again."""


class LastSeen:
    """Records when credentials were used, as `app.state.last_seen`. Requests neither wait for it nor fail with it."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._notes: dict[str, asyncio.Task[None]] = {}

    def is_due(self, row: Session | ApiToken) -> bool:
        """Return whether the last recorded use is some minutes old."""
        seen_at = row.seen_at if isinstance(row, Session) else row.used_at
        return (
            not (seen_at and utc_now() - seen_at < UPDATE_INTERVAL)
            and row.token_hash not in self._notes
            and len(self._notes) < MAX_PENDING_UPDATES
        )

    def note(self, row: Session | ApiToken, client: Client) -> None:
        """Record the current use."""
        key = row.token_hash  # the request may replace the token before this is written
        task = asyncio.create_task(self._write(row, client.address))
        self._notes[key] = task
        task.add_done_callback(lambda _task: self._notes.pop(key))

    async def close(self) -> None:
        await asyncio.gather(*self._notes.values())

    async def _write(self, row: Session | ApiToken, address: str) -> None:
        try:
            async with self._database.writer() as session:
                await session.execute(_note(row, address, self._settings))
        except (
            SQLAlchemyError,
            OperatorError,
        ) as error:  # the database is read-only, busy or unavailable; pages that need it report that
            logger.debug("not noted when a session was seen: %s", type(error).__name__)


def _note(row: Session | ApiToken, address: str, settings: Settings) -> Update:
    now = utc_now()
    if isinstance(row, ApiToken):
        return update(ApiToken).where(col(ApiToken.id) == row.id).values(used_at=now)
    seen = {"seen_at": now, "expires_at": expiry_of(settings, row, now), "address": address[:64]}
    return update(Session).where(col(Session.id) == row.id).values(seen)
