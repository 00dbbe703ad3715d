"""Guard that counts calls of models in the database and enforces the limits in the settings."""

import asyncio
import hmac
from contextlib import aclosing
from datetime import date, datetime, timedelta
from operator import itemgetter

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.config.llm_models import LlmModel
from opportune.config.settings import Settings
from opportune.config.signing import derived_key
from opportune.contrib.answers.chosen_model import look_up_chosen
from opportune.contrib.answers.engine.store import TRANSIENT_ERRORS, can_recover
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.ledger import Totals, UsageFlusher, UsageKey, read_totals
from opportune.contrib.answers.spending.limits import MIN_ANSWER_TOKENS, Limit, LimitedCall, LimitMessages, Sums
from opportune.contrib.answers.spending.models import LlmReservation
from opportune.contrib.answers.spending.notices import Notices
from opportune.contrib.answers.spending.switch import Switch, read_switch, switched_off_error
from opportune.contrib.llm.call_guard import CallGuard, Payer, SpendingRefused
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.providers.provider import Chunks, LlmError
from opportune.db import Database, utc_now
from opportune.db.queries.dialects import acquire_advisory_lock, read_database_time
from opportune.web import client_address, site_zone

RESERVATION_MARGIN_SECONDS = 60
"""Seconds after the longest answer until a reservation of a dead process expires."""
WARNING_PERCENT = 80
"""Used percentage of a limit from which users see a notice."""
RESERVED_RETRY_SECONDS = 10.0
"""Retry-After of a refusal that lasts until running answers have ended."""
MAX_LOCAL_ANSWER_TOKENS = 1_024
"""Reserved tokens for an answer of a model without settings."""


class RunningCall:
    """A call with its reservation. It can be stopped."""

    def __init__(self, meter: CallMeter, payer: Payer, day: date) -> None:
        self.meter = meter
        self.model = meter.model
        self.payer = payer
        self.day = day
        self.reservation_id: int | None = None
        self.allowed_tokens: int | None = None
        """Reserved tokens of the answer; None without limits."""
        self._stop_error: SpendingRefused | None = None
        self._chunk_timeout: asyncio.Timeout | None = None

    @property
    def max_answer_tokens(self) -> int:
        """Maximum number of tokens of an answer."""
        return self.model.max_answer_tokens if self.model else MAX_LOCAL_ANSWER_TOKENS

    @property
    def needs_reservation(self) -> bool:
        """True if a running answer has used up its reservation."""
        if self.allowed_tokens is None or self.meter.done is not None:
            return False
        return self.meter.answer_tokens > self.allowed_tokens

    def stop(self, refusal: SpendingRefused) -> None:
        """Stop the answer with this error, also while waiting for a chunk."""
        self._stop_error = refusal
        if self._chunk_timeout and not self._chunk_timeout.expired():
            self._chunk_timeout.reschedule(asyncio.get_running_loop().time())

    async def chunks(self, answer: Chunks) -> Chunks:
        """Yield the chunks of the answer.

        Raises:
            LlmError: The call failed, or was stopped by `stop`.
        """
        while True:
            if self._stop_error:
                raise self._stop_error
            try:
                async with asyncio.timeout(None) as self._chunk_timeout:
                    chunk = await anext(answer, None)
            except TimeoutError:
                raise (self._stop_error or LlmError("timeout", "The model took too long to answer.")) from None
            finally:
                self._chunk_timeout = None
            if chunk is None:
                return
            yield chunk


class SpendingGuard(CallGuard):
    """Guard with sums in the database, shared by all processes.

    The maximum usage of a call is reserved before it starts, so that parallel calls cannot exceed a limit.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.answers_settings = settings.of(AnswersSettings)
        self.limits = [*Limit.all_of(self.answers_settings)]
        self.messages = LimitMessages(self.answers_settings, settings.time_zone)
        self.database = database
        self.switch = Switch(database)
        self.notices = Notices(settings, database, self.limits, self.messages)
        self.flusher = UsageFlusher(database, lambda: self.notices.send(self.now()))
        self._zone = site_zone(settings)
        self._running: set[RunningCall] = set()

    def now(self) -> datetime:
        """Current time in the site's time zone, whose days the limits use."""
        return utc_now().astimezone(self._zone)

    def payer_of(self, request: Request) -> Payer:
        user = getattr(request.state, "user", None)
        if user is not None and user.email.lower() not in self.answers_settings.demo_emails:
            return Payer.of_user(user.id)
        secret = derived_key(self.settings, "answers: visitors").encode()
        return Payer("visitor", hmac.digest(secret, client_address(request).encode(), "sha256").hex()[:32])

    async def chosen_model(self) -> LlmModel | None:
        return await look_up_chosen(self.database, self.settings)

    async def check(self, session: AsyncSession, payer: Payer, model: LlmModel | None, prompt_tokens: int = 0) -> None:
        await self._checked_totals(session, LimitedCall(payer, model, prompt_tokens))

    async def _checked_totals(self, session: AsyncSession, call: LimitedCall) -> Totals | None:
        """Return the amounts that the check has read. None if the payer has no limits."""
        totals = None
        if self._limits_for(call.payer):
            totals = await self._read_totals(session, call.payer)
            self._require_room(call, totals)
        elif not self.switch.is_fresh:
            self.switch.update(is_off=await read_switch(session) is not None)
        await self.switch.require_on()
        return totals

    async def watch(self, meter: CallMeter, payer: Payer, answer: Chunks) -> Chunks:
        running = RunningCall(meter, payer, self.now().date())
        try:
            await self._reserve(running)
            self._running.add(running)
            self.switch.watch(self._stop_all)
            async with aclosing(answer), aclosing(running.chunks(answer)) as chunks:
                async for chunk in chunks:
                    yield chunk
                    if running.needs_reservation:
                        await self._reserve(running)
        finally:
            self._record_usage(running)

    async def _reserve(self, running: RunningCall) -> None:
        """Reserve the maximum usage of a call, or what remains of the limits.

        A call that has used up its reservation gets another one for as many tokens.

        Raises:
            SpendingRefused: Too little remains, or answers are switched off.
            LlmError: The limits cannot be read.
        """
        if not self._limits_for(running.payer):
            await self.switch.require_on()
            return
        is_growing = running.reservation_id is not None
        call = LimitedCall(running.payer, running.model, 0 if is_growing else running.meter.prompt_tokens)
        try:
            async with self.database.writer() as session:
                await acquire_advisory_lock(session, "opllm$")  # parallel calls must not reserve the same amount
                totals = await self._read_totals(session, call.payer)
                await self.switch.require_on()
                room = self._require_room(call, totals, is_growing=is_growing)
                granted = min(running.max_answer_tokens, room)
                row = await self._save_reservation(session, running, call.prompt_tokens, granted)
        except TRANSIENT_ERRORS as fault:
            if not can_recover(fault):
                raise
            raise LlmError("busy", "Your limits cannot be checked at the moment. Try again soon.") from fault
        running.reservation_id = row.id
        running.allowed_tokens = (running.allowed_tokens or 0) + granted

    async def _save_reservation(
        self, session: AsyncSession, running: RunningCall, prompt_tokens: int, granted: int
    ) -> LlmReservation:
        max_seconds = self.settings.llm_timeout + self.settings.llm_first_byte_timeout
        duration = timedelta(seconds=max_seconds + RESERVATION_MARGIN_SECONDS)
        expires_at = await read_database_time(session) + duration
        row = await session.get(LlmReservation, running.reservation_id) if running.reservation_id else None
        if row is None:  # new, or expired and deleted
            row = LlmReservation(payer=str(running.payer), tokens=0, cost_micro=0, expires_at=expires_at)
            session.add(row)
        row.tokens += prompt_tokens + granted
        row.cost_micro += running.model.cost_micro(prompt_tokens, granted) if running.model else 0
        row.expires_at = expires_at
        await session.flush()
        return row

    def _limits_for(self, payer: Payer) -> list[Limit]:
        return [limit for limit in self.limits if limit.is_for(payer)]

    async def _read_totals(self, session: AsyncSession, payer: Payer) -> Totals:
        """Return the used and reserved amounts. The same query tells whether answers are switched off."""
        totals = await read_totals(session, payer, self.now().date())
        self.switch.update(is_off=totals.is_off)
        return totals

    def _require_room(self, call: LimitedCall, totals: Totals, *, is_growing: bool = False) -> int:
        """Return the tokens that remain for an answer, by the tightest of the payer's limits.

        `is_growing` means that the answer has used up its reservation and needs more.

        Raises:
            SpendingRefused: Too little remains, or the remainder is reserved for other answers.
        """
        rooms = {
            limit: limit.answer_room(totals.of(limit).remaining(limit), call) for limit in self._limits_for(call.payer)
        }
        tightest, room = min(rooms.items(), key=itemgetter(1))
        if room < call.min_answer_tokens:
            raise self._refusal(call, tightest, totals.of(tightest), is_growing=is_growing)
        return room

    def _refusal(self, call: LimitedCall, limit: Limit, sums: Sums, *, is_growing: bool) -> SpendingRefused:
        """Return the error for an exhausted limit. Other running answers may have reserved what remains of it."""
        if not is_growing and limit.answer_room(sums.unused(limit), call) >= call.min_answer_tokens:
            return SpendingRefused("limit_reached", self.messages.reserved(limit), RESERVED_RETRY_SECONDS)
        if limit.scope == "site":
            self.notices.record_refusal(limit)
            self.flusher.schedule()  # notices are sent after a flush
        remainder = limit.answer_room(sums.remaining(limit), call._replace(prompt_tokens=0))
        now = self.now()
        message = self.messages.used_up(limit, now, has_remainder=remainder >= MIN_ANSWER_TOKENS)
        return SpendingRefused("limit_reached", message, (limit.renewed_at(now) - now).total_seconds())

    async def allowance(self, session: AsyncSession, payer: Payer, model: LlmModel | None = None) -> str:
        try:
            totals = await self._checked_totals(session, LimitedCall(payer, model))
        except SpendingRefused as refused:
            return str(refused)
        limits = [limit for limit in self._limits_for(payer) if limit.scope != "site"]
        if totals is None or not limits:
            return ""
        limit = max(limits, key=lambda limit: totals.payer.used(limit) / limit.amount)
        is_near = totals.payer.used(limit) * 100 >= WARNING_PERCENT * limit.amount
        return self.messages.nearly_used_up(limit, totals.payer.used(limit)) if is_near else ""

    def _record_usage(self, running: RunningCall) -> None:
        """Count an ended call. Its usage is written soon, together with that of other calls."""
        self._running.discard(running)
        if not self._running:
            self.switch.unwatch()
        key = UsageKey(running.day, running.payer, running.meter.name)
        self.flusher.add(key, running.meter.usage(), running.reservation_id)

    def _stop_all(self) -> None:
        for running in self._running:
            running.stop(switched_off_error())

    async def close(self) -> None:
        await self.switch.close()
        await self.flusher.close()
