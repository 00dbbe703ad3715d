"""The sums in the database. Each function is one short transaction."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import date
from typing import NamedTuple

from sqlalchemy import Date, bindparam, delete, text
from sqlmodel import col

from opportune.answers.spending.models import OWN, TOTAL, VISITORS, LlmReservation
from opportune.db import Database, utc_now
from opportune.llm.guard import Payer, TokenUsage

_NUMBERS = ("calls", "prompt_tokens", "completion_tokens", "estimated_tokens", "cost_micro")
_COLUMNS = f"owner_id, payer, day, model, {', '.join(_NUMBERS)}"
_VALUES = f":payer, :day, :model, {', '.join(f':{each}' for each in _NUMBERS)}"
_ADDED = ", ".join(f"{each} = answers_usage.{each} + excluded.{each}" for each in _NUMBERS)
_DAY = bindparam("day", type_=Date)

# As text, for SQLAlchemy compiles its own "on conflict" anew each time. Who has left meanwhile has no row any more.
ADD_TO_PERSON = text(f"""
    INSERT INTO answers_usage ({_COLUMNS})
    SELECT id, {_VALUES} FROM accounts_user WHERE id = :owner_id
    ON CONFLICT (owner_id, day, model) DO UPDATE SET {_ADDED}
    """).bindparams(_DAY)  # noqa: S608 - of names above
ADD_TO_SUM = text(f"""
    INSERT INTO answers_usage ({_COLUMNS}) VALUES (NULL, {_VALUES})
    ON CONFLICT (payer, day, model) WHERE payer <> '' DO UPDATE SET {_ADDED}
    """).bindparams(_DAY)  # noqa: S608 - as above


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
