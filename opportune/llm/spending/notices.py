"""E-mails to superusers when 80 % and 100 % of a site limit are used, once per period."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import UTCDateTime

from opportune.accounts.emails.delivery import email_superusers
from opportune.config.settings import Settings
from opportune.db import Database, utc_now
from opportune.llm.spending import ledger
from opportune.llm.spending.call_guard import SITE
from opportune.llm.spending.limits import Limit, LimitMessages, span_of

LEVELS_PERCENTS = (100, 80)

# Only the process that inserts the row sends the e-mail.
_ADD = text(
    "INSERT INTO answers_state (key, said, at) VALUES (:key, '', :at) ON CONFLICT (key) DO NOTHING RETURNING key"
).bindparams(bindparam("at", type_=UTCDateTime))


class Notices:
    """Compares usage with the limits of the site and sends notices."""

    def __init__(
        self, settings: Settings, database: Database, limits: Sequence[Limit], messages: LimitMessages
    ) -> None:
        self._settings = settings
        self._database = database
        self._limits = [limit for limit in limits if limit.scope == "site"]
        self._messages = messages
        self._sent: set[str] = set()
        self._full: set[Limit] = set()

    def note_refusal(self, limit: Limit) -> None:
        """Treat the limit as used up, because a question was refused for it."""
        self._full.add(limit)

    async def send(self, now: datetime) -> None:
        """Send due notices. Scripts have no jobs, so a process of the site sends them later."""
        full, self._full = self._full, set()
        if not self._limits or "jobs" not in self._database.info:
            return
        async with self._database.reader(fresh=True) as session:
            sums = (await ledger.read_totals(session, SITE, now.date())).site
        for limit in self._limits:
            percent = 100 if limit in full else 100 * sums.used(limit) // limit.amount
            reached = [level for level in LEVELS_PERCENTS if percent >= level]
            keys = [f"notice:{limit.setting}:{limit.amount}:{limit.period_of(now.date())}:{level}" for level in reached]
            if keys and keys[0] not in self._sent:
                async with self._database.writer() as session:
                    added = [await self._add(session, key) for key in keys]
                    if added[0]:
                        await self._email(session, limit, percent, now)
                self._sent.update(keys)

    @staticmethod
    async def _add(session: AsyncSession, key: str) -> bool:
        return (await session.execute(_ADD, {"key": key, "at": utc_now()})).first() is not None

    async def _email(self, session: AsyncSession, limit: Limit, percent: int, now: datetime) -> None:
        context = {
            "percent": percent,
            "amount": self._messages.amount(limit),
            "is_cost": limit.unit == "cost",
            "span": span_of(limit),
            "renewed": self._messages.renewal(limit, now),
            "setting": limit.setting.upper(),
        }
        await email_superusers(session, self._settings, "answers/mail/spending", context)
