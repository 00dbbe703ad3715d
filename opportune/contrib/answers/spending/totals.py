"""Sums of usage and reservations, which are compared with the limits."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime

from opportune.contrib.answers.spending.limits import Limit, Sums
from opportune.contrib.answers.spending.models import OFF, TOTAL
from opportune.contrib.llm.call_guard import Payer
from opportune.db.clock import utc_now

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
            FROM answers_reservation WHERE expires_at > :now) AS running,
        (SELECT COUNT(*) AS off FROM answers_state WHERE key = '{OFF}') AS switch
"""
_TYPES = (bindparam("day", type_=Date), bindparam("month", type_=Date), bindparam("now", type_=UTCDateTime))
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
    values = {"payer": str(payer), "day": day, "month": day.replace(day=1), "now": utc_now()}
    if payer.user_id is None:
        result = await session.execute(_OTHER_TOTALS, values)
    else:
        result = await session.execute(_USER_TOTALS, {**values, "owner_id": payer.user_id})
    numbers = [int(number) for number in result.one()]
    return Totals(Sums(*numbers[:6]), Sums(*numbers[6:12]), is_off=bool(numbers[12]))
