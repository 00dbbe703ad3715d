"""Counts every call of a model, whoever asks, and refuses what is beyond the limits or switched off."""

import hmac
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings
from opportune.config.signing import derived_key
from opportune.db import Database, is_outage, utc_now
from opportune.db.queries.advisory_lock import take_turn
from opportune.llm.answers.chosen_model import look_up_chosen
from opportune.llm.answers.settings import AnswersSettings
from opportune.llm.providers.provider import Chunk, LLMError
from opportune.llm.spending import ledger
from opportune.llm.spending.call import RunningCall
from opportune.llm.spending.call_guard import CallGuard, GuardedCall, Payer, SpendingRefused
from opportune.llm.spending.flusher import UsageFlusher
from opportune.llm.spending.ledger import Standing, UsageKey
from opportune.llm.spending.limits import MIN_ANSWER_TOKENS, Limit, Words, worst
from opportune.llm.spending.models import LlmReservation
from opportune.llm.spending.notices import Notices
from opportune.llm.spending.switch import Switch, refusal
from opportune.web.client import client_address
from opportune.web.time_zone import site_zone

SPARE_SECONDS = 60
"""Seconds for which a reservation outlives the longest answer. That of a dead process is counted for so long."""
WARN_PERCENTS = 80
RESERVED_RETRY_SECONDS = 10.0
"""Seconds after which programs may ask again if only running answers keep them from it."""


class SpendingGuard(CallGuard):
    """The guard of a process. Its sums are the database's, and so all processes'.

    What a call may use is set aside before it begins, so that many at once use no more than there is.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.own = settings.of(AnswersSettings)
        self.limits = [*Limit.all_of(self.own)]
        self.words = Words(self.own, settings.time_zone)
        self.database = database
        self.switch = Switch(database)
        self.notices = Notices(settings, database, self.limits, self.words)
        self.flusher = UsageFlusher(database, lambda: self.notices.send(self.now()))
        self._zone = site_zone(settings)
        self._running: set[RunningCall] = set()

    def now(self) -> datetime:
        """The site's clock, whose days count."""
        return datetime.now(self._zone)

    def payer_of(self, request: Request) -> Payer:
        user = getattr(request.state, "user", None)
        if user is not None and user.email.lower() not in self.own.demo_emails:
            return Payer.of_user(user.id)
        secret = derived_key(self.settings, "answers: visitors").encode()
        return Payer("visitor", hmac.digest(secret, client_address(request).encode(), "sha256").hex()[:32])

    async def chosen_model(self) -> LlmModel | None:
        return await look_up_chosen(self.database, self.settings)

    async def check(self, session: AsyncSession, payer: Payer, model: LlmModel | None, prompt_tokens: int = 0) -> None:
        if limits := self._limits_for(payer):
            now = self.now()
            standing = await ledger.standing(session, payer, now.date())
            self.switch.note(is_off=standing.is_off)
            self._require_room(limits, standing, prompt_tokens, model, now)
        elif not self.switch.is_known:
            self.switch.note(is_off=await ledger.is_off(session))
        await self.switch.require_on()

    async def watch(self, call: GuardedCall) -> AsyncGenerator[Chunk, None]:
        running = RunningCall(call, self.now().date())
        try:
            await self._reserve(running, call.prompt_tokens, running.max_answer_tokens)
        except BaseException:
            running.note_refusal()
            self._settle(running)
            raise
        self._running.add(running)
        self.switch.watch(self._cut_all)
        try:
            async with aclosing(call.chunks), aclosing(running.chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk
                    if running.needs_more:
                        await self._reserve(running, 0, running.max_answer_tokens)
        except BaseException as error:
            running.note_end(error)
            raise
        finally:
            self._settle(running)

    async def _reserve(self, running: RunningCall, prompt_tokens: int, answer_tokens: int) -> None:
        """Set aside what a call may use: all that it may come to, or what is left.

        Raises:
            SpendingRefused: too little is left, or it is switched off.
        """
        payer, model = running.call.payer, running.call.model
        limits = self._limits_for(payer)
        if not limits:
            await self.switch.require_on()
            return
        try:
            async with self.database.writer() as session:
                await take_turn(session, "opllm$")  # or two at once would both set aside what is left
                now = self.now()
                standing = await ledger.standing(session, payer, now.date())
                self.switch.note(is_off=standing.is_off)
                if standing.is_off:
                    raise refusal()
                is_growing = running.reservation_id is not None
                room = self._require_room(limits, standing, prompt_tokens, model, now, is_growing=is_growing)
                granted = answer_tokens if room is None else min(answer_tokens, room)
                row = await self._set_aside(session, running, prompt_tokens, granted)
        except (SQLAlchemyError, TimeoutError) as fault:
            if not (isinstance(fault, TimeoutError) or is_outage(fault)):
                raise
            raise LLMError("busy", "What you may use cannot be looked up now. Try again in a moment.") from fault
        running.reservation_id = row.id
        running.allowed_tokens = (running.allowed_tokens or 0) + granted

    async def _set_aside(
        self, session: AsyncSession, running: RunningCall, prompt_tokens: int, granted: int
    ) -> LlmReservation:
        model, longest = running.call.model, self.settings.llm_timeout + self.settings.llm_first_byte_timeout
        row = await session.get(LlmReservation, running.reservation_id) if running.reservation_id else None
        if row is None:  # or it has expired
            row = LlmReservation(payer=str(running.call.payer), tokens=0, cost_micro=0, expires_at=utc_now())
            session.add(row)
        row.tokens += prompt_tokens + granted
        row.cost_micro += model.cost_micro(prompt_tokens, granted) if model else 0
        row.expires_at = utc_now() + timedelta(seconds=longest + SPARE_SECONDS)
        await session.flush()
        return row

    def _limits_for(self, payer: Payer) -> list[Limit]:
        return [limit for limit in self.limits if limit.is_for(payer)]

    def _require_room(
        self,
        limits: list[Limit],
        standing: Standing,
        prompt_tokens: int,
        model: LlmModel | None,
        now: datetime,
        *,
        is_growing: bool = False,
    ) -> int | None:
        """Return the tokens of an answer for which there is room; None if nothing limits them.

        `is_growing`: the answer has used what was reserved for it, and asks for more.

        Raises:
            SpendingRefused: too little is left, or the rest is reserved for other answers.
        """
        found = worst(
            (limit, limit.answer_room(standing.of(limit).left(limit), prompt_tokens, model)) for limit in limits
        )
        if found is None:
            return None
        limit, room = found
        needed = min(MIN_ANSWER_TOKENS, model.max_answer_tokens if model else MIN_ANSWER_TOKENS)
        if room < needed:
            unused = limit.answer_room(standing.of(limit).unused(limit), prompt_tokens, model)
            if not is_growing and (unused is None or unused >= needed):
                raise SpendingRefused("limit_reached", self.words.reserved(limit), RESERVED_RETRY_SECONDS)
            if limit.scope == "site":
                self.notices.note_refusal(limit)
                self.flusher.stir()
            is_left = (limit.answer_room(standing.of(limit).left(limit), 0, model) or 0) >= MIN_ANSWER_TOKENS
            words = self.words.used_up(limit, now, is_something_left=is_left)
            raise SpendingRefused("limit_reached", words, (limit.renewed_at(now) - now).total_seconds())
        return room

    async def allowance(self, session: AsyncSession, payer: Payer, model: LlmModel | None = None) -> str:
        """A sentence for whoever is about to ask: what keeps them from it, or that most is used; else empty."""
        try:
            await self.check(session, payer, model)
        except SpendingRefused as refused:
            return str(refused)
        own = [limit for limit in self._limits_for(payer) if limit.scope != "site"]
        if not own:
            return ""
        sums = (await ledger.standing(session, payer, self.now().date())).theirs
        limit = max(own, key=lambda each: sums.used(each) / each.amount)
        is_near = sums.used(limit) * 100 >= WARN_PERCENTS * limit.amount
        return self.words.nearly(limit, sums.used(limit)) if is_near else ""

    def _settle(self, running: RunningCall) -> None:
        """Count a call that has ended; written down a moment later, with others."""
        self._running.discard(running)
        if not self._running:
            self.switch.leave()
        usage = running.usage()
        if running.call.usage is not None:
            running.call.usage.add(usage)
        key = UsageKey(running.day, running.call.payer, running.call.name)
        self.flusher.add(key, usage, running.reservation_id)

    def _cut_all(self) -> None:
        for running in self._running:
            running.cut(refusal())

    async def close(self) -> None:
        await self.switch.close()
        await self.flusher.close()

    async def flush(self) -> None:
        """Write down at once what has been used."""
        await self.flusher.flush()
