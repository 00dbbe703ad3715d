"""The sums in the database. Each function is one short transaction."""

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
from opportune.llm.spending.models import OFF, OWN, TOTAL, VISITORS, LlmReservation, LlmState

_NUMBERS = ("calls", "prompt_tokens", "completion_tokens", "estimated_tokens", "cost_micro")
_COLUMNS = f"owner_id, payer, day, model, {', '.join(_NUMBERS)}"
_VALUES = f":payer, :day, :model, {', '.join(f':{each}' for each in _NUMBERS)}"
_ADDED = ", ".join(f"{each} = answers_usage.{each} + excluded.{each}" for each in _NUMBERS)
_DAY = bindparam("day", type_=Date)

# As text: SQLAlchemy compiles "on conflict" each time. A deleted user has no row, so nothing is inserted.
ADD_TO_PERSON = text(f"""
    INSERT INTO answers_usage ({_COLUMNS})
    SELECT id, {_VALUES} FROM accounts_user WHERE id = :owner_id
    ON CONFLICT (owner_id, day, model) DO UPDATE SET {_ADDED}
    """).bindparams(_DAY)
ADD_TO_SUM = text(f"""
    INSERT INTO answers_usage ({_COLUMNS}) VALUES (NULL, {_VALUES})
    ON CONFLICT (payer, day, model) WHERE payer <> '' DO UPDATE SET {_ADDED}
    """).bindparams(_DAY)


class UsageKey(NamedTuple):
    """What a sum is of."""

    day: date
    payer: Payer
    model: str


async def add(database: Database, used: Mapping[UsageKey, TokenUsage], ended: Collection[int] = ()) -> None:
    """Write down what was used, and take back what the reservations with these ids had set aside."""
    people, sums = _rows(used)
    async with database.writer() as session:
        if people:
            await session.execute(ADD_TO_PERSON, people)
        if sums:
            await session.execute(ADD_TO_SUM, sums)
        if ended:
            expires_at, own = col(LlmReservation.expires_at), col(LlmReservation.id).in_(ended)
            await session.execute(delete(LlmReservation).where(own | (expires_at <= utc_now())))


def _rows(used: Mapping[UsageKey, TokenUsage]) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Of people, and of sums; in one order for all processes, so that none waits for another that waits for it."""
    people: dict[tuple[int, date, str], TokenUsage] = {}
    sums: dict[tuple[str, date, str], TokenUsage] = {}
    for (day, payer, model), usage in used.items():
        if payer.user_id is not None:
            people.setdefault((payer.user_id, day, model), TokenUsage()).add(usage)
        for name in _sums_of(payer):
            sums.setdefault((name, day, model), TokenUsage()).add(usage)
    return (
        [
            {"owner_id": who, "payer": "", "day": day, "model": name, **asdict(people[who, day, name])}
            for who, day, name in sorted(people)
        ],
        [{"payer": who, "day": day, "model": name, **asdict(sums[who, day, name])} for who, day, name in sorted(sums)],
    )


def _sums_of(payer: Payer) -> Iterable[str]:
    return {"user": (TOTAL,), "visitor": (TOTAL, VISITORS, str(payer)), "site": (TOTAL, OWN)}[payer.kind]


_SUMS = """
    COALESCE(SUM(CASE WHEN day = :day THEN prompt_tokens + completion_tokens ELSE 0 END), 0) AS tokens_day,
    COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS tokens_month,
    COALESCE(SUM(CASE WHEN day = :day THEN cost_micro ELSE 0 END), 0) AS cost_day,
    COALESCE(SUM(cost_micro), 0) AS cost_month
"""
_STANDING = f"""
    SELECT theirs.*, running.their_tokens, running.their_cost, everybody.*, running.tokens, running.cost, switch.off
    FROM (SELECT {_SUMS} FROM answers_usage WHERE {{whose}} AND day >= :month) AS theirs,
        (SELECT {_SUMS} FROM answers_usage WHERE payer = '{TOTAL}' AND payer <> '' AND day >= :month) AS everybody,
        (SELECT COALESCE(SUM(tokens), 0) AS tokens, COALESCE(SUM(cost_micro), 0) AS cost,
            COALESCE(SUM(CASE WHEN payer = :payer THEN tokens ELSE 0 END), 0) AS their_tokens,
            COALESCE(SUM(CASE WHEN payer = :payer THEN cost_micro ELSE 0 END), 0) AS their_cost
            FROM answers_reservation WHERE expires_at > :now) AS running,
        (SELECT COUNT(*) AS off FROM answers_state WHERE key = '{OFF}') AS switch
"""
_TYPES = (_DAY, bindparam("month", type_=Date), bindparam("now", type_=UTCDateTime))
_OF_USER = text(_STANDING.format(whose="owner_id = :owner_id")).bindparams(*_TYPES)
_OF_OTHERS = text(_STANDING.format(whose="payer = :payer AND payer <> ''")).bindparams(*_TYPES)


class Standing(NamedTuple):
    """Where somebody stands, and the site."""

    theirs: Sums
    everybody: Sums
    is_off: bool

    def of(self, limit: Limit) -> Sums:
        return self.everybody if limit.scope == "site" else self.theirs


async def standing(session: AsyncSession, payer: Payer, day: date) -> Standing:
    """What they and all have used and set aside: one statement."""
    values = {"payer": str(payer), "owner_id": payer.user_id, "day": day, "month": day.replace(day=1), "now": utc_now()}
    if payer.user_id is None:
        del values["owner_id"]
    row = (await session.execute(_OF_OTHERS if payer.user_id is None else _OF_USER, values)).one()
    numbers = [int(number) for number in row]
    return Standing(Sums(*numbers[:6]), Sums(*numbers[6:12]), bool(numbers[12]))


async def is_off(session: AsyncSession) -> bool:
    """Whether answers are switched off."""
    return await session.get(LlmState, OFF) is not None
