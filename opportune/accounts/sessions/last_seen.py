"""Times of the last use of sessions and tokens, which are written in the background."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy import Update, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from opportune.accounts.models import ApiToken, Session
from opportune.accounts.sessions.service import get_session_expiry
from opportune.config.settings import Settings
from opportune.db.clock import utc_now
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.web.client import Client

logger = logging.getLogger(__name__)

UPDATE_INTERVAL = timedelta(minutes=5)
MAX_PENDING_UPDATES = 100
"""Maximum number of waiting updates. If there are more, a use is recorded by a later request."""


class LastSeen:
    """Records when sessions and tokens were last used. It is at `app.state.last_seen`.

    Requests do not wait for the database, and a failed update does not fail the request.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._pending: dict[str, asyncio.Task[None]] = {}

    def is_due(self, row: Session | ApiToken) -> bool:
        """Return whether the last recorded use is older than `UPDATE_INTERVAL`, and no update is pending."""
        last_use = row.seen_at if isinstance(row, Session) else row.used_at
        return (
            not (last_use and utc_now() - last_use < UPDATE_INTERVAL)
            and row.token_hash not in self._pending
            and len(self._pending) < MAX_PENDING_UPDATES
        )

    def record_use(self, row: Session | ApiToken, client: Client) -> None:
        """Start a task that stores the time of this use."""
        key = row.token_hash  # read it now, because the request may replace the token
        task = asyncio.create_task(self._write(row, client.address))
        self._pending[key] = task
        task.add_done_callback(lambda _task: self._pending.pop(key))

    async def close(self) -> None:
        await asyncio.gather(*self._pending.values())

    async def _write(self, row: Session | ApiToken, address: str) -> None:
        try:
            async with self._database.writer(is_change=False) as session:
                await session.execute(_update_statement(row, address, self._settings))
        except (SQLAlchemyError, OperatorError) as error:
            # The database is read-only, busy or unavailable. Pages that need it report that.
            logger.debug("The last use of a session or token was not recorded: %s", type(error).__name__)


def _update_statement(row: Session | ApiToken, address: str, settings: Settings) -> Update:
    now = utc_now()
    if isinstance(row, ApiToken):
        return update(ApiToken).where(col(ApiToken.id) == row.id).values(used_at=now)
    values = {"seen_at": now, "expires_at": get_session_expiry(settings, row, now), "address": address}
    return update(Session).where(col(Session.id) == row.id).values(values)
