"""Usage of language models in the database: it is collected, added to daily sums, and read by the limits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Date, bindparam, delete, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS
from opportune.contrib.answers.spending.limits import Limit, Sums
from opportune.contrib.answers.spending.models import OFF, SITE_CALLS, TOTAL, VISITORS, LlmReservation
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.completion.usage import COUNTERS, TokenUsage
from opportune.db import Database
from opportune.db.queries.dialects import database_time
from opportune.services.tasks import MAX_WAIT_SECONDS, cancel_and_wait

logger = logging.getLogger(__name__)

FLUSH_INTERVAL_SECONDS = 0.25
"""Seconds for which usage is collected. A crash loses at most the usage of this time."""
RETRY_DELAY_SECONDS = 3.0
"""Seconds between attempts during a database outage."""

_COLUMNS = f"owner_id, payer, day, model, {', '.join(COUNTERS)}"
_VALUES = f":payer, :day, :model, {', '.join(f':{name}' for name in COUNTERS)}"
_INCREMENTS = ", ".join(f"{name} = answers_usage.{name} + excluded.{name}" for name in COUNTERS)
_DAY = bindparam("day", type_=Date)

# SQL text, because SQLAlchemy compiles "on conflict" each time. Nothing is inserted for a deleted user.
ADD_TO_USER = text(f"""
    INSERT INTO answers_usage ({_COLUMNS})
    SELECT id, {_VALUES} FROM accounts_user WHERE id = :owner_id
    ON CONFLICT (owner_id, day, model) DO UPDATE SET {_INCREMENTS}
    """).bindparams(_DAY)
ADD_TO_SUM = text(f"""
    INSERT INTO answers_usage ({_COLUMNS}) VALUES (NULL, {_VALUES})
    ON CONFLICT (payer, day, model) WHERE payer <> '' DO UPDATE SET {_INCREMENTS}
    """).bindparams(_DAY)


class UsageKey(NamedTuple):
    day: date
    payer: Payer
    model: str


async def add_usage(database: Database, used: Mapping[UsageKey, TokenUsage], reserved: Collection[int]) -> None:
    """Add usage. Delete these reservations, if there are any, and all expired ones with them."""
    rows = _usage_rows(used)
    users = [row for row in rows if row["owner_id"]]
    sums = [row for row in rows if row["payer"]]
    async with database.writer() as session:
        if users:
            await session.execute(ADD_TO_USER, users)
        if sums:
            await session.execute(ADD_TO_SUM, sums)
        if reserved:
            has_expired = col(LlmReservation.expires_at) <= database_time(session)
            has_ended = col(LlmReservation.id).in_(reserved) | has_expired
            await session.execute(delete(LlmReservation).where(has_ended))


def _usage_rows(used: Mapping[UsageKey, TokenUsage]) -> list[dict[str, object]]:
    """Return the rows of users and of sums, sorted so that processes cannot deadlock."""
    usage_by_row: dict[tuple[int, str, date, str], TokenUsage] = {}
    for (day, payer, model), usage in used.items():
        for owner_id, name in _counting_rows(payer):
            usage_by_row.setdefault((owner_id, name, day, model), TokenUsage()).add(usage)
    return [
        {"owner_id": owner_id, "payer": name, "day": day, "model": model, **asdict(usage)}
        for (owner_id, name, day, model), usage in sorted(usage_by_row.items(), key=itemgetter(0))
    ]


def _counting_rows(payer: Payer) -> list[tuple[int, str]]:
    """Return the owner and the name of each row that counts the calls of a payer: a user, or a sum with the owner 0."""
    if payer.user_id is not None:
        return [(payer.user_id, ""), (0, TOTAL)]
    if payer.kind == "visitor":
        return [(0, TOTAL), (0, VISITORS), (0, str(payer))]
    return [(0, TOTAL), (0, SITE_CALLS)]


_SUMS = """
    COALESCE(SUM(CASE WHEN day = :day THEN prompt_tokens + completion_tokens ELSE 0 END), 0) AS tokens_day,
    COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS tokens_month,
    COALESCE(SUM(CASE WHEN day = :day THEN cost_micro ELSE 0 END), 0) AS cost_day,
    COALESCE(SUM(cost_micro), 0) AS cost_month
"""
# The order of the columns matters to `read_totals`: `Sums` of the payer, `Sums` of the site, the switch.
_TOTALS = f"""
    SELECT payer.*, running.payer_tokens, running.payer_cost, site.*, running.tokens, running.cost, switch.off
    FROM (SELECT {_SUMS} FROM answers_usage WHERE {{is_payer}} AND day >= :month) AS payer,
        (SELECT {_SUMS} FROM answers_usage WHERE payer = '{TOTAL}' AND payer <> '' AND day >= :month) AS site,
        (SELECT COALESCE(SUM(tokens), 0) AS tokens, COALESCE(SUM(cost_micro), 0) AS cost,
            COALESCE(SUM(CASE WHEN payer = :payer THEN tokens ELSE 0 END), 0) AS payer_tokens,
            COALESCE(SUM(CASE WHEN payer = :payer THEN cost_micro ELSE 0 END), 0) AS payer_cost
            FROM answers_reservation WHERE expires_at > CURRENT_TIMESTAMP) AS running,
        (SELECT COUNT(*) AS off FROM answers_state WHERE key = '{OFF}') AS switch
"""
_TYPES = (bindparam("day", type_=Date), bindparam("month", type_=Date))
_USER_TOTALS = text(_TOTALS.format(is_payer="owner_id = :owner_id")).bindparams(*_TYPES)
_OTHER_TOTALS = text(_TOTALS.format(is_payer="payer = :payer AND payer <> ''")).bindparams(*_TYPES)


class Totals(NamedTuple):
    """Usage and reservations of a payer and of the site, and the state of the switch."""

    payer: Sums
    site: Sums
    is_off: bool

    def of(self, limit: Limit) -> Sums:
        return self.site if limit.scope == "site" else self.payer


async def read_totals(session: AsyncSession, payer: Payer, day: date) -> Totals:
    values = {"payer": str(payer), "day": day, "month": day.replace(day=1)}
    if payer.user_id is None:
        result = await session.execute(_OTHER_TOTALS, values)
    else:
        result = await session.execute(_USER_TOTALS, {**values, "owner_id": payer.user_id})
    numbers = [int(number) for number in result.one()]
    return Totals(Sums(*numbers[:6]), Sums(*numbers[6:12]), is_off=bool(numbers[12]))


class UsageFlusher:
    """Collects usage and writes it in a background task, which runs only if there is something to write."""

    def __init__(self, database: Database, after_flush: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._after_flush = after_flush
        self._is_due = False
        self._pending_usage: dict[UsageKey, TokenUsage] = {}
        self._ended_reservations: set[int] = set()
        self._flush_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def add(self, key: UsageKey, usage: TokenUsage, reservation_id: int | None) -> None:
        """Add the usage of an ended call and the id of its reservation."""
        if usage.calls:
            self._pending_usage.setdefault(key, TokenUsage()).add(usage)
        if reservation_id is not None:
            self._ended_reservations.add(reservation_id)
        if self._pending_usage or self._ended_reservations:
            self.schedule()

    def schedule(self) -> None:
        """Flush after a short delay."""
        self._is_due = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon(), name="count tokens")

    async def _flush_soon(self) -> None:
        delay = FLUSH_INTERVAL_SECONDS
        while self._is_due:
            await asyncio.sleep(delay)
            try:
                await self.flush()
            except TRANSIENT_ERRORS as fault:
                logger.warning("the usage of models is not stored yet (%s)", type(fault).__name__)
                self._is_due = True
                delay = RETRY_DELAY_SECONDS

    async def flush(self) -> None:
        """Write the collected usage. If the database raises an error, keep the usage for the next flush."""
        async with self._flush_lock:
            pending_usage = self._pending_usage
            reservations = self._ended_reservations
            self._pending_usage = {}
            self._ended_reservations = set()
            self._is_due = False
            try:
                if pending_usage or reservations:
                    await add_usage(self._database, pending_usage, reservations)
            except BaseException:
                for key, usage in pending_usage.items():
                    self._pending_usage.setdefault(key, TokenUsage()).add(usage)
                self._ended_reservations |= reservations
                raise
            await self._after_flush()

    async def close(self) -> None:
        with suppress(TimeoutError):  # a cancelled flush may be committed, and would be repeated
            async with asyncio.timeout(MAX_WAIT_SECONDS), self._flush_lock:
                pass
        await cancel_and_wait(self._task)
        try:
            await self.flush()
        except TRANSIENT_ERRORS as fault:
            logger.warning("the usage of models is not stored (%s)", type(fault).__name__)
