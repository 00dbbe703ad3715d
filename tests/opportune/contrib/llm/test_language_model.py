"""The language model of a site: queue, retries, fallbacks, language, and its use in routes and jobs."""

import asyncio
from contextlib import aclosing
from unittest.mock import AsyncMock

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRouter
from httpx2 import AsyncClient

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.llm import Done, FakeProvider, LanguageModel, Llm, LlmError, LlmModel, Message, Provider
from opportune.contrib.llm.providers.fake import Step
from opportune.feature import Feature, Jobs
from opportune.features import llm
from opportune.i18n import use_language
from opportune.jobs import JobContext, job
from opportune.testing import RecordedJobs
from opportune.testing.plugin import settings_for

router = APIRouter()
REFUSED = LlmError("unavailable", "The endpoint is not working.", retry_after=0)
KEY_REFUSED = LlmError("unauthorised", "The key is refused.")
GERMAN = "The language of the user is German. Answer in it, unless the question is in another language or asks for one."


@router.get("/summary")
async def summary(llm: Llm) -> str:
    return await llm.complete("A long text.", system="Sum up.")


@job("library.sum_up")
async def sum_up(context: JobContext) -> None:
    await context.llm.complete("A long text.")


LIBRARY = Feature("library", "Books.", pages=router, api=router, jobs=Jobs([sum_up]))


def llm_with(provider: Provider | None, **limits: float) -> LanguageModel:
    return LanguageModel(lambda: provider, **limits)  # type: ignore[arg-type]


async def test_calls_beyond_the_limit_are_queued() -> None:
    gate = asyncio.Event()
    provider = FakeProvider("It is", gate)
    llm = llm_with(provider, max_parallel=1)
    async with aclosing(llm.stream("First?")) as first:
        await anext(first)
        second = asyncio.create_task(llm.complete("Second?"))
        await asyncio.sleep(0)
        assert len(provider.received) == 1
        gate.set()
    assert await second == "It is"


async def test_queue_has_a_timeout() -> None:
    llm = llm_with(FakeProvider("It is", asyncio.Event()), max_parallel=1, queue_timeout=0.01)
    async with aclosing(llm.stream("First?")) as first:
        await anext(first)
        with pytest.raises(LlmError, match="busy") as caught:
            await llm.complete("Second?")
    assert caught.value.retryable


async def test_failed_call_is_retried() -> None:
    provider = FakeProvider.in_turn([REFUSED], [REFUSED], ["It is short."])
    assert await llm_with(provider, retries=2).complete("A long text.") == "It is short."
    assert len(provider.received) == 3


@pytest.mark.parametrize(
    ("script", "attempts"),
    [
        pytest.param([REFUSED], 3, id="maximum retries"),
        pytest.param(["It is", REFUSED], 1, id="after the first chunk"),
        pytest.param([LlmError("rate_limited", "Come back later.", retry_after=3600)], 1, id="long wait"),
        pytest.param([LlmError("unauthorised", "Wrong.")], 1, id="wrong key"),
        pytest.param([LlmError("timeout", "Too slow.")], 1, id="after a timeout"),
    ],
)
async def test_call_is_not_retried(script: list[Step], attempts: int) -> None:
    provider = FakeProvider(*script)
    with pytest.raises(LlmError):
        await llm_with(provider, retries=2).complete("A long text.")
    assert len(provider.received) == attempts


def llm_with_models(bright: FakeProvider, fast: FakeProvider, **bright_options: str) -> LanguageModel:
    url = "https://llm.example/v1"
    bright_model = LlmModel(name="Bright", base_url=url, **bright_options)
    models = [bright_model, LlmModel(name="Fast", base_url=url, fallback="Bright")]
    llm = LanguageModel.of(settings_for("sqlite:///none.db").model_copy(update={"llm_models": models}))
    llm.provider, llm.using("Fast").provider = bright, fast
    return llm


async def test_model_is_selected_by_name() -> None:
    llm = llm_with_models(FakeProvider("Deep."), FakeProvider("Quick."))
    fast = llm.using("Fast")
    assert [await model.complete("Is it?") for model in (llm, fast, llm.using(""))] == ["Deep.", "Quick.", "Deep."]
    assert fast.using("Bright") is llm
    assert [model.name for model in fast.models] == ["Bright", "Fast"]
    with pytest.raises(LlmError, match=r"^There is no model Slow\. Available: Bright, Fast\.$"):
        llm.using("Slow")


async def test_fallback_answers_only_before_the_first_chunk() -> None:
    llm = llm_with_models(FakeProvider(KEY_REFUSED), FakeProvider("Quick."), fallback="Fast")
    assert [chunk async for chunk in llm.chunks([Message("user", "Is it?")])] == ["Quick.", Done(model="Fast")]
    fallback = FakeProvider("Quick.")
    llm = llm_with_models(FakeProvider("It is", LlmError("interrupted", "Broke off.")), fallback, fallback="Fast")
    with pytest.raises(LlmError, match="Broke off"):
        await llm.complete("Is it?")
    assert not fallback.received


@pytest.fixture
async def app(settings: Settings) -> FastAPI:
    return create_app(settings, [llm, LIBRARY])


async def test_route_and_job_share_the_model(app: FastAPI, client: AsyncClient) -> None:
    state = app.state
    state.llm.provider = provider = FakeProvider("Short.")
    assert (await client.get("/summary")).json() == "Short."
    jobs = RecordedJobs(state.settings, state.database, state.storage, llm=state.llm)
    await sum_up.function(jobs.context)
    assert len(provider.received) == 2
    assert state.services.get(LanguageModel) is state.llm


@pytest.mark.parametrize("path", ["/summary", "/api/v1/summary"])
async def test_missing_model_is_503_without_setting_names(app: FastAPI, client: AsyncClient, path: str) -> None:
    app.state.llm.provider = None
    response = await client.get(path)
    assert response.status_code == 503
    assert "No language model is set up yet." in response.text
    assert "LLM_" not in response.text
    assert "retry-after" not in response.headers


async def test_busy_model_sends_retry_after(app: FastAPI, client: AsyncClient) -> None:
    app.state.llm.provider = FakeProvider(LlmError("rate_limited", "Not now.", retry_after=60.2))
    response = await client.get("/summary")
    assert (response.status_code, response.headers["retry-after"]) == (503, "61")
    assert "Not now." in response.text


async def test_model_is_closed_with_the_site(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeProvider, "close", close := AsyncMock())
    app = create_app(settings)
    app.state.llm.provider = FakeProvider("Short.")
    async with app.router.lifespan_context(app):
        assert app.state.answers.llm is app.state.llm
        close.assert_not_awaited()
    close.assert_awaited_once()


@pytest.mark.parametrize(
    ("language", "system", "rules"),
    [
        ("de", "Be short.", [f"Be short.\n\n{GERMAN}"]),
        ("zh-Hans", "", [GERMAN.replace("German", "Chinese (Simplified)")]),
        ("en", "", []),
    ],
)
async def test_model_answers_in_language_of_visitor(language: str, system: str, rules: list[str]) -> None:
    provider = FakeProvider("Ja.")
    with use_language(language):
        assert [text async for text in LanguageModel(lambda: provider).stream("Is it?", system=system)] == ["Ja."]
    assert [turn.content for turn in provider.received[0] if turn.role == "system"] == rules
