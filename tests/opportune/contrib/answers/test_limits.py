"""Limits of users, visitors and the site: reservations, refusals and stopped answers."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi import APIRouter, FastAPI
from httpx2 import AsyncClient
from sqlalchemy.exc import SQLAlchemyError

from opportune.accounts import CurrentUser, User
from opportune.config.settings import Settings
from opportune.contrib.answers import Answer, AnswerManager, Answers
from opportune.contrib.answers.personal import CLEANUPS
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.ledger import read_totals
from opportune.contrib.answers.spending.limits import Limit
from opportune.contrib.answers.spending.models import LlmReservation, LlmUsage
from opportune.contrib.answers.spending.switch import switch_off, switch_on
from opportune.contrib.llm import Done, FakeProvider, LanguageModel, Llm, LlmModel
from opportune.contrib.llm.call_guard import Payer, SpendingRefused
from opportune.db import Database, WriteSession, utc_now
from opportune.i18n import use_language
from opportune.jobs.cleanup import clean_up
from opportune.services.clock import clock
from opportune.testing import Make, RecordedJobs, make_token, make_user
from tests.opportune.contrib.answers.priced_model import PRICED
from tests.opportune.contrib.answers.questions import TIMEOUT_SECONDS, ask, wait_until_ended
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.stored_rows import read_all, read_one, set_all

REPORTED_USAGE = Done(prompt_tokens=100, completion_tokens=400)

MakeGuard = Callable[..., SpendingGuard]


@pytest.fixture
async def make_guard(settings: Settings, database: Database) -> AsyncIterator[MakeGuard]:
    guards = []

    def make(**limits: Any) -> SpendingGuard:
        guards.append(SpendingGuard(settings.having(AnswersSettings(**limits)), database))
        return guards[-1]

    yield make
    for guard in guards:
        await guard.close()


def llm_with(guard: SpendingGuard, *script: Any, model: LlmModel = PRICED) -> LanguageModel:
    provider = FakeProvider(*(script or ("An answer.", REPORTED_USAGE)))
    llm = LanguageModel(lambda: provider)
    llm.guard, llm.model, llm.models = guard, model, [model]
    return llm


async def count_total_tokens(database: Database) -> int:
    return sum(row.prompt_tokens + row.completion_tokens for row in await read_all(database, LlmUsage, payer="total"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"llm_max_tokens_per_person_per_day": 550}, "You have used up your 550 tokens for today."),
        ({"llm_max_cost_per_person_per_day": "0.0018"}, "You have used up your 0.0018\N{NO-BREAK SPACE}USD for today."),
        ({"llm_max_cost_per_month": "0.0018"}, "This site has reached its limit of .* this month."),
    ],
)
async def test_refusal_names_renewal(make_guard: MakeGuard, user: User, limits: dict[str, Any], message: str) -> None:
    guard = make_guard(**limits)
    llm = llm_with(guard).for_user(user.id)
    assert await llm.complete("Why?") == "An answer."
    await guard.flusher.flush()
    with pytest.raises(SpendingRefused, match=f"^{message} You can ask again (at midnight \\(UTC\\)|on 1 )") as refused:
        await llm.complete("Why?")
    assert refused.value.code == "limit_reached"
    assert 0 < (refused.value.retry_after or 0) <= 31 * 86_400


async def test_limits_apply_per_user_and_price(make_guard: MakeGuard, user: User) -> None:
    other = await make_user(make_guard().database, "other@example.com")
    guard = make_guard(llm_max_tokens_per_person_per_day=550, llm_max_cost_per_day="0.0034")
    await llm_with(guard).for_user(user.id).complete("Why?")
    await guard.flusher.flush()
    await llm_with(guard).for_user(other.id).complete("Why?")
    await guard.flusher.flush()
    with pytest.raises(SpendingRefused, match="This site"):
        await llm_with(guard).complete("A job.")
    free = LlmModel(name="Free", base_url="http://127.0.0.1:1/v1")
    assert await llm_with(guard, model=free).complete("A job.")


async def test_form_warns_when_most_is_used(make_guard: MakeGuard, user: User) -> None:
    guard, allowances = make_guard(llm_max_tokens_per_person_per_day=1_200), list[str]()
    for _ in range(2):
        await llm_with(guard).for_user(user.id).complete("Why?")
        await guard.flusher.flush()
        async with guard.database.reader(fresh=True) as session:
            allowances.append(await guard.allowance(session, Payer.of_user(user.id), PRICED))
    assert allowances == ["", "You have used 83 % of your 1,200 tokens for today."]


@pytest.mark.parametrize(
    ("now", "period", "renewed"),
    [("2026-03-29 12:00", "day", "2026-03-30 00:00"), ("2026-12-31 12:00", "month", "2027-01-01 00:00")],
)
def test_limits_are_renewed_at_local_midnight(now: str, period: Any, renewed: str) -> None:
    zone = ZoneInfo("Europe/Vienna")
    renewed_at = Limit("x", "site", "tokens", period, 1).renewed_at(datetime.fromisoformat(now).replace(tzinfo=zone))
    assert renewed_at == datetime.fromisoformat(renewed).replace(tzinfo=zone)


def test_days_of_limits_are_local(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_000_000_000)  # 9 September 2001, 1:46 UTC
    guard = SpendingGuard(settings.model_copy(update={"time_zone": "America/New_York"}), database)
    assert guard.now().date() == date(2001, 9, 8)


@pytest.mark.database("sqlite", "postgresql")
async def test_parallel_calls_respect_a_limit(make_guard: MakeGuard, user: User) -> None:
    """Each call reserves 501 tokens and uses 401, in chunks of 100."""
    guards = [make_guard(llm_max_tokens_per_person_per_day=2_000) for _ in range(2)]
    models = [llm_with(guard, *["word" * 100] * 4, Done()).for_user(user.id) for guard in guards * 10]
    answers = await asyncio.gather(*(model.complete("Why?") for model in models), return_exceptions=True)
    for guard in guards:
        await guard.flusher.flush()
    assert {type(answer) for answer in answers} == {str, SpendingRefused}
    assert 1_200 < await count_total_tokens(guards[0].database) <= 2_100
    assert await read_all(guards[0].database, LlmReservation) == []


@pytest.mark.database("sqlite", "postgresql")
async def test_reservation_of_a_dead_process_expires(
    make_guard: MakeGuard, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: time.time() + 3_600)  # the clock of this machine is ahead
    guard = make_guard(llm_max_tokens_per_person_per_day=550)
    stream = llm_with(guard, "So", asyncio.Event()).for_user(user.id).stream("Why?")
    await anext(stream)
    with pytest.raises(SpendingRefused, match="of your 550 tokens for today is reserved") as refused:
        await llm_with(guard).for_user(user.id).complete("Why?")
    assert refused.value.retry_after == 10
    await set_all(guard.database, LlmReservation, expires_at=utc_now() - timedelta(hours=2))
    await llm_with(guard).for_user(user.id).complete("Why?")
    await stream.aclose()


async def test_answer_stops_at_the_limit(app: FastAPI, fake_llm: FakeProvider, settings: Settings, user: User) -> None:
    app.state.llm.model, limits = PRICED, AnswersSettings(llm_max_tokens_per_person_per_day=200)
    app.state.llm.guard = guard = SpendingGuard(settings.having(limits), app.state.database)
    fake_llm.script = ["Word " * 100, "word " * 100, "never", REPORTED_USAGE]
    manager: AnswerManager = app.state.answers
    answer = await wait_until_ended(manager, await ask(manager, user.id))
    assert answer.text == "Word " * 100 + "word " * 100
    assert (answer.status, answer.error_code) == ("failed", "limit_reached")
    assert answer.error.startswith("You have used up your 200 tokens for today.")
    assert (answer.completion_tokens, answer.usage_estimated, answer.cost_micro) == (250, True, 1001)
    await guard.flusher.flush()
    with pytest.raises(SpendingRefused):
        await ask(manager, user.id)


asking_routes = APIRouter()


@asking_routes.post("/ask")
async def ask_durably(user: CurrentUser, session: WriteSession, answers: Answers) -> int:
    return (await answers.ask(session, "Why?", owner_id=user.id)).id


@asking_routes.get("/told")
async def complete(llm: Llm) -> str:
    return await llm.complete("Why?")


async def test_api_limit_is_429_with_retry_after(
    app: FastAPI, user: User, client: AsyncClient, fake_llm: FakeProvider, settings: Settings
) -> None:
    app.include_router(asking_routes, prefix="/api/v1/test")
    limits = AnswersSettings(llm_max_tokens_per_person_per_day=10, llm_max_tokens_per_visitor_per_day=10)
    app.state.llm.guard = SpendingGuard(settings.having(limits), app.state.database)
    headers = {"Authorization": f"Bearer {await make_token(app.state.database, user)}"}
    for response in (await client.post("/api/v1/test/ask", headers=headers), await client.get("/api/v1/test/told")):
        assert (response.status_code, response.json()["code"]) == (429, "limit_reached")
        assert 0 < int(response.headers["Retry-After"]) <= 86_400
    assert not fake_llm.received
    assert response.json()["detail"].startswith("You have used up the 10 tokens that a visitor")
    async with app.state.database.writer() as session:
        await switch_off(session, "test")
    assert (await client.post("/api/v1/test/ask", headers=headers)).status_code == 429  # checked first


async def test_switch_stops_all_calls(make_guard: MakeGuard, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.answers.spending.switch.CHECK_INTERVAL_SECONDS", 0.02)
    guards = [make_guard(), make_guard(llm_max_tokens_per_person_per_day=9_000)]
    streams = [llm_with(guard, "So", asyncio.Event()).for_user(user.id).stream("Why?") for guard in guards]
    for stream in streams:
        await anext(stream)
    async with guards[0].database.writer() as session:
        assert await switch_off(session, "root@example.com")
        assert not await switch_off(session, "again")
    for stream in streams:
        with pytest.raises(SpendingRefused, match="switched off") as refused:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await anext(stream)
        assert refused.value.code == "switched_off"
    for guard in guards:
        with pytest.raises(SpendingRefused, match="switched off"):
            await llm_with(guard).for_user(user.id).complete("Why?")
        async with guard.database.reader(fresh=True) as session:
            assert "switched off" in await guard.allowance(session, Payer.of_user(user.id))
    async with guards[0].database.writer() as session:
        assert await switch_on(session)
        assert not await switch_on(session)
    await asyncio.sleep(0.02)  # while the cached state is valid
    for guard in guards:
        assert await llm_with(guard).for_user(user.id).complete("Why?") == "An answer."
    assert await count_total_tokens(guards[0].database) >= 0


async def test_superusers_are_notified_of_limits(app: FastAPI, recorded_jobs: RecordedJobs, settings: Settings) -> None:
    for language in ("", "de"):
        await make_user(app.state.database, f"root{language}@example.com", is_superuser=True, language=language)
    await make_user(app.state.database, "closed@example.com", is_superuser=True, is_active=False)
    # Two processes, and one that starts later in the month.
    limits = AnswersSettings(llm_max_cost_per_month=Decimal("0.0040"), llm_max_tokens_per_day=10_000_000)
    guards = [SpendingGuard(settings.having(limits), app.state.database) for _ in range(3)]

    async def subjects() -> list[str]:
        for guard in guards:
            with use_language("fr"):  # of the request that reaches the limit
                await guard.flusher.flush()
        emails, recorded_jobs.calls = recorded_jobs.outbox, []
        return [f"{email.to}: {email.subject.partition(': ')[2]}" for email in emails]

    statuses = []
    for guard in guards:
        await llm_with(guard).complete("Why?")
        statuses.append(await subjects())
    with pytest.raises(SpendingRefused):
        await llm_with(guards[0]).complete("Why?")
    english = "root@example.com: {} % of the cost limit of language models this month"
    german = "rootde@example.com: {} Prozent des Kostenlimits der Sprachmodelle diesen Monat"
    assert statuses == [[], *([english.format(percent), german.format(percent)] for percent in (85, 127))]
    assert await subjects() == []
    for guard in guards:
        await guard.close()


async def test_notice_survives_an_outage(
    app: FastAPI, recorded_jobs: RecordedJobs, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_user(app.state.database, "root@example.com", is_superuser=True)
    monkeypatch.setattr("opportune.contrib.answers.spending.ledger.RETRY_DELAY_SECONDS", 0)
    guard = SpendingGuard(settings.having(AnswersSettings(llm_max_tokens_per_day=550)), app.state.database)
    outages = [SQLAlchemyError()]

    async def read_in_outage(*arguments: Any) -> Any:
        if outages:
            raise outages.pop()
        return await read_totals(*arguments)

    await llm_with(guard).complete("Why?")
    monkeypatch.setattr("opportune.contrib.answers.spending.guard.read_totals", read_in_outage)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "count tokens"))
    assert [email.to for email in recorded_jobs.outbox] == ["root@example.com"]
    assert await count_total_tokens(app.state.database) == 500, "the usage is counted once"
    await guard.close()


async def test_hashed_addresses_are_deleted_after_days(app: FastAPI, make: Make) -> None:
    today = utc_now().date()
    for payer in ("visitor:1a", "visitors", "total"):
        for days in (0, 10):
            await make(LlmUsage, payer=payer, day=today - timedelta(days=days))
    for days, charged in ((0, "visitor:1a"), (10, "visitor:1a"), (10, "user:1")):
        await make(Answer, charged_to=charged, finished_at=utc_now() - timedelta(days=days))
    await clean_up(app.state.database, app.state.settings, CLEANUPS)
    charged_to = [answer.charged_to for answer in await read_all(app.state.database, Answer)]
    assert charged_to == ["visitor:1a", "", "user:1"]
    payers = [usage.payer for usage in await read_all(app.state.database, LlmUsage)]
    assert sorted(payers) == ["total", "total", "visitor:1a", "visitors", "visitors"]


async def test_old_rows_are_deleted_after_set_days(app: FastAPI, make: Make, user: User) -> None:
    """Usage of users, and answers without an owner. Zero days keep all rows."""
    now = utc_now()
    for payer, days in (("", 9), ("", 11), ("total", 11)):
        await make(LlmUsage, payer=payer, day=now.date() - timedelta(days=days))
    for owner_id, days in ((user.id, 11), (None, 11), (None, 9)):
        await make(Answer, owner_id=owner_id, finished_at=now - timedelta(days=days))
    for kept_days, count in ((0, 3), (10, 2)):
        settings = app.state.settings.having(AnswersSettings(llm_usage_days=kept_days, unowned_answer_days=kept_days))
        await clean_up(app.state.database, settings, CLEANUPS)
        assert [len(await read_all(app.state.database, model)) for model in (LlmUsage, Answer)] == [count, count]


@pytest.mark.usefixtures("fake_llm")
async def test_guide_examples_run(app: FastAPI, user: User, recorded_jobs: RecordedJobs) -> None:
    guide = read_guide("spending.md")
    names = run_code(*code_blocks(guide))
    for setting in re.findall(r"`(LLM_MAX_\w+|LLM_DEMO_\w+|LLM_CURRENCY)`", guide):
        assert setting.lower() in AnswersSettings.model_fields, setting
    await recorded_jobs.run(names["sum_up_for"](user.id, "A text."))
    await app.state.llm.guard.flusher.flush()
    assert (await read_one(app.state.database, LlmUsage, owner_id=user.id)).calls == 1
    assert await names["words_at_the_form"](user, app.state.answers) == ""
