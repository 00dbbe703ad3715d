"""Usage of language models in the database."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date
from operator import itemgetter
from typing import NamedTuple

from sqlalchemy import Date, bindparam, delete, text
from sqlmodel import col

from opportune.contrib.answers.spending.models import SITE_CALLS, TOTAL, VISITORS, LlmReservation
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.completion.usage import COUNTERS, TokenUsage
from opportune.db import Database
from opportune.db.queries.dialects import database_time

logger = logging.getLogger(__name__)

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


async def add_usage(database: Database, used: Mapping[UsageKey, TokenUsage], reserved: Collection[int] = ()) -> None:
    """Add usage. Delete these reservations, if there are any, and all expired ones with them."""
    users, sums = _usage_rows(used)
    async with database.writer() as session:
        if users:
            await session.execute(ADD_TO_USER, users)
        if sums:
            await session.execute(ADD_TO_SUM, sums)
        if reserved:
            has_expired = col(LlmReservation.expires_at) <= database_time(session)
            has_ended = col(LlmReservation.id).in_(reserved) | has_expired
            await session.execute(delete(LlmReservation).where(has_ended))


def _usage_rows(used: Mapping[UsageKey, TokenUsage]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the rows of users and of sums, sorted so that processes cannot deadlock."""
    users: dict[tuple[int, date, str], TokenUsage] = {}
    sums: dict[tuple[str, date, str], TokenUsage] = {}
    for (day, payer, model), usage in used.items():
        if payer.user_id is not None:
            users.setdefault((payer.user_id, day, model), TokenUsage()).add(usage)
        for name in _sum_payers(payer):
            sums.setdefault((name, day, model), TokenUsage()).add(usage)
    user_rows = [
        {"owner_id": user_id, "payer": "", "day": day, "model": model, **asdict(usage)}
        for (user_id, day, model), usage in sorted(users.items(), key=itemgetter(0))
    ]
    sum_rows = [
        {"payer": payer, "day": day, "model": model, **asdict(usage)}
        for (payer, day, model), usage in sorted(sums.items(), key=itemgetter(0))
    ]
    return user_rows, sum_rows


def _sum_payers(payer: Payer) -> Iterable[str]:
    """Return the names of the sums that include calls of this payer."""
    return {"user": (TOTAL,), "visitor": (TOTAL, VISITORS, str(payer)), "site": (TOTAL, SITE_CALLS)}[payer.kind]
