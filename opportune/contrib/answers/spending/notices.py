"""E-mails to superusers when 80 % and 100 % of a site limit are used, once per period."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts.emails import email_superusers
from opportune.config.settings import Settings
from opportune.contrib.answers.spending.ledger import read_totals
from opportune.contrib.answers.spending.limits import Limit, LimitMessages, period_name
from opportune.contrib.answers.spending.models import LlmState
from opportune.contrib.llm.call_guard import SITE
from opportune.db import Database, utc_now
from opportune.db.queries.dialects import upsert

LEVEL_PERCENTS = (100, 80)  # highest first


class Notices:
    """Compares usage with the limits of the site and sends notices."""

    def __init__(
        self, settings: Settings, database: Database, limits: Sequence[Limit], messages: LimitMessages
    ) -> None:
        self._settings = settings
        self._database = database
        self._limits = [limit for limit in limits if limit.scope == "site"]
        self._messages = messages
        self._sent_keys: set[str] = set()
        self._exhausted_limits: set[Limit] = set()

    def record_refusal(self, limit: Limit) -> None:
        """Report the limit as used up, because it refused a question."""
        self._exhausted_limits.add(limit)

    async def send(self, now: datetime) -> None:
        """Send due notices. Scripts have no jobs, so a process of the site sends them later."""
        if not self._limits or "jobs" not in self._database.info:
            return
        exhausted_limits = self._exhausted_limits.copy()
        async with self._database.reader(fresh=True) as session:
            totals = await read_totals(session, SITE, now.date())
        for limit in self._limits:
            percent = 100 if limit in exhausted_limits else 100 * totals.site.used(limit) // limit.amount
            await self._send_once(limit, percent, now)
        self._exhausted_limits -= exhausted_limits  # later, so that none is lost if the database fails

    async def _send_once(self, limit: Limit, percent: int, now: datetime) -> None:
        """Send the notice of the highest level that is reached, unless a process has already sent it."""
        period = limit.period_of(now.date())
        levels = [level for level in LEVEL_PERCENTS if percent >= level]
        keys = [f"notice:{limit.setting}:{limit.amount}:{period}:{level}" for level in levels]
        if not keys or keys[0] in self._sent_keys:
            return
        async with self._database.writer() as session:
            # Lower levels get their keys too, because their notices would say less than this one.
            rows = [{"key": key, "at": utc_now()} for key in keys]
            insertion = upsert(session, LlmState).values(rows).on_conflict_do_nothing()
            new_keys = await session.scalars(insertion.returning(col(LlmState.key)))
            if keys[0] in new_keys.all():  # only the process that inserts the key sends the e-mail
                await self._email(session, limit, percent, now)
        self._sent_keys.update(keys)

    async def _email(self, session: AsyncSession, limit: Limit, percent: int, now: datetime) -> None:
        context = {
            "percent": percent,
            "is_cost": limit.unit == "cost",
            # Functions, because the language is that of each superuser, not of the request that reached the limit.
            "amount": partial(self._messages.amount, limit),
            "span": partial(period_name, limit),
            "renewed": partial(self._messages.renewal, limit, now),
            "setting": limit.setting.upper(),
        }
        await email_superusers(session, self._settings, "answers/mail/spending", context)
