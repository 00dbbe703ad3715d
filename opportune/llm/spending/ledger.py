"""Usage and reservations in the database."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date
from typing import NamedTuple

from sqlalchemy import Date, bindparam, delete, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime, col

from opportune.db import Database, utc_now
from opportune.llm.spending.call_guard import Payer, TokenUsage
from opportune.llm.spending.limits import Limit, Sums
from opportune.llm.spending.models import OFF, SITE_CALLS, TOTAL, VISITORS, LlmReservation, LlmState

_COUNTERS = ("calls", "prompt_tokens", "completion_tokens", "estimated_tokens", "cost_micro")
_COLUMNS = f"owner_id, payer, day, model, {', '.join(_COUNTERS)}"
_VALUES = f":payer, :day, :model, {', '.join(f':{name}' for name in _COUNTERS)}"
_INCREMENTS = ", ".join(f"{name} = answers_usage.{name} + excluded.{name}" for name in _COUNTERS)
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
    """Add usage. Delete these reservations and all expired ones."""
    users, sums = _usage_rows(used)
    async with database.writer() as session:
        if users:
            await session.execute(ADD_TO_USER, users)
        if sums:
            await session.execute(ADD_TO_SUM, sums)
        if reserved:
            has_ended = col(LlmReservation.id).in_(reserved) | (col(LlmReservation.expires_at) <= utc_now())
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
    return (
        [
            {"owner_id": user_id, "payer": "", "day": day, "model": model, **asdict(users[user_id, day, model])}
            for user_id, day, model in sorted(users)
        ],
        [
            {"payer": payer, "day": day, "model": model, **asdict(sums[payer, day, model])}
            for payer, day, model in sorted(sums)
        ],
    )


def _sum_payers(payer: Payer) -> Iterable[str]:
    return {"user": (TOTAL,), "visitor": (TOTAL, VISITORS, str(payer)), "site": (TOTAL, SITE_CALLS)}[payer.kind]


_SUMS = """
    COALESCE(SUM(CASE WHEN day = :day THEN prompt_tokens + completion_tokens ELSE 0 END), 0) AS tokens_day,
    COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS tokens_month,
    COALESCE(SUM(CASE WHEN day = :day THEN cost_micro ELSE 0 END), 0) AS cost_day,
    COALESCE(SUM(cost_micro), 0) AS cost_month
"""
_TOTALS = f"""
    SELECT payer.*, running.payer_tokens, running.payer_cost, site.*, running.tokens, running.cost, switch.off
    FROM (SELECT {_SUMS} FROM answers_usage WHERE {{is_payer}} AND day >= :month) AS payer,
        (SELECT {_SUMS} FROM answers_usage WHERE payer = '{TOTAL}' AND payer <> '' AND day >= :month) AS site,
        (SELECT COALESCE(SUM(tokens), 0) AS tokens, COALESCE(SUM(cost_micro), 0) AS cost,
            COALESCE(SUM(CASE WHEN payer = :payer THEN tokens ELSE 0 END), 0) AS payer_tokens,
            COALESCE(SUM(CASE WHEN payer = :payer THEN cost_micro ELSE 0 END), 0) AS payer_cost
            FROM answers_reservation WHERE expires_at > :now) AS running,
        (SELECT COUNT(*) AS off FROM answers_state WHERE key = '{OFF}') AS switch
"""
_TYPES = (_DAY, bindparam("month", type_=Date), bindparam("now", type_=UTCDateTime))
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
    values = {"payer": str(payer), "owner_id": payer.user_id, "day": day, "month": day.replace(day=1), "now": utc_now()}
    if payer.user_id is None:
        del values["owner_id"]
    row = (await session.execute(_OTHER_TOTALS if payer.user_id is None else _USER_TOTALS, values)).one()
    numbers = [int(number) for number in row]
    return Totals(Sums(*numbers[:6]), Sums(*numbers[6:12]), bool(numbers[12]))


async def is_off(session: AsyncSession) -> bool:
    return await session.get(LlmState, OFF) is not None
