"""E-mails to superusers when most of what the site may use is used, and when all of it is: each once in its period."""

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
from opportune.llm.spending.limits import Limit, Words

LEVELS_PERCENTS = (100, 80)

# Of several processes one adds it, and writes.
_ADD = text(
    "INSERT INTO answers_state (key, said, at) VALUES (:key, '', :at) ON CONFLICT (key) DO NOTHING RETURNING key"
).bindparams(bindparam("at", type_=UTCDateTime))


class Notices:
    """Looks at the limits of the site when something was used, as long as there is something to tell."""

    def __init__(self, settings: Settings, database: Database, limits: Sequence[Limit], words: Words) -> None:
        self._settings = settings
        self._database = database
        self._limits = [limit for limit in limits if limit.scope == "site"]
        self._words = words
        self._told: set[str] = set()
        self._full: set[Limit] = set()

    def note_refusal(self, limit: Limit) -> None:
        """Note that a limit keeps somebody from asking: what is left of it is too little."""
        self._full.add(limit)

    async def send(self, now: datetime) -> None:
        """Write what there is to tell. Without the site's jobs (in a script) that is left to another process."""
        full, self._full = self._full, set()
        if not self._limits or "jobs" not in self._database.info:
            return
        async with self._database.reader(fresh=True) as session:
            sums = (await ledger.standing(session, SITE, now.date())).everybody
        for limit in self._limits:
            percent = 100 if limit in full else 100 * sums.used(limit) // limit.amount
            reached = [level for level in LEVELS_PERCENTS if percent >= level]
            keys = [f"notice:{limit.setting}:{limit.amount}:{limit.period_of(now.date())}:{level}" for level in reached]
            if keys and keys[0] not in self._told:
                async with self._database.writer() as session:
                    added = [await self._add(session, key) for key in keys]
                    if added[0]:
                        await self._write(session, limit, percent, now)
                self._told.update(keys)

    @staticmethod
    async def _add(session: AsyncSession, key: str) -> bool:
        return (await session.execute(_ADD, {"key": key, "at": utc_now()})).first() is not None

    async def _write(self, session: AsyncSession, limit: Limit, percent: int, now: datetime) -> None:
        anew = limit.renewed_at(now)
        context = {
            "percent": percent,
            "amount": self._words.amount(limit),
            "is_cost": limit.unit == "cost",
            "span": "today" if limit.period == "day" else "this month",
            "renewed": f"midnight ({self._words.zone})" if limit.period == "day" else f"{anew.day} {anew:%B}",
            "setting": limit.setting.upper(),
        }
        await email_superusers(session, self._settings, "answers/mail/spending", context)
