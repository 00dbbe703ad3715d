import asyncio
from contextlib import aclosing

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRouter
from httpx import ASGITransport, AsyncClient

from opportune.application import create_app
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.jobs import JobContext, job
from opportune.llm import Done, FakeProvider, LanguageModel, Llm, LLMError, Message, Provider, open_llm
from opportune.settings import Settings
from opportune.testing import RecordedJobs
from opportune.testing.plugin import settings_for

router = APIRouter()


@router.get("/summary")
async def summary(llm: Llm) -> str:
    return await llm.complete("A long text.", system="Sum up.")


@job("library.sum_up")
async def sum_up(context: JobContext) -> None:
    await context.llm.complete("A long text.")


LIBRARY = Feature(name="library", summary="Books.", pages=router, api=router, jobs=[sum_up])


def asking(provider: Provider | None, **limits: float) -> LanguageModel:
    return LanguageModel(lambda: provider, **limits)  # type: ignore[arg-type]


async def test_the_whole_answer_is_one_text() -> None:
    provider = FakeProvider("It is", " short.", Done(truncated=True))
    assert await asking(provider).complete("A long text.") == "It is short."


async def test_a_question_is_asked_with_what_the_model_is_told_beforehand() -> None:
    provider = FakeProvider("Yes.")
    await asking(provider).complete("Is it?", system="Be short.")
    assert provider.received == [[Message("system", "Be short."), Message("user", "Is it?")]]


async def test_a_conversation_is_asked_as_it_is() -> None:
    provider, turns = FakeProvider("Yes."), [Message("user", "Is it?"), Message("assistant", "What?")]
    await asking(provider).complete(turns)
    assert provider.received == [turns]


async def test_closing_an_answer_stops_the_model() -> None:
    provider = FakeProvider("It is", asyncio.Event())
    async with aclosing(asking(provider).stream("Is it?")) as pieces:
        assert await anext(pieces) == "It is"
    assert provider.stopped.is_set()


async def test_an_answer_that_breaks_off_is_an_error_and_not_half_a_text() -> None:
    with pytest.raises(LLMError, match="Too slow"):
        await asking(FakeProvider("It is", LLMError("timeout", "Too slow."))).complete("Is it?")


async def test_without_a_model_asking_says_at_once_what_to_set() -> None:
    with pytest.raises(OperatorError, match=r"Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL\.$"):
        asking(None).stream("Is it?")


async def test_one_more_than_may_be_answered_at_once_waits_for_its_turn() -> None:
    gate = asyncio.Event()
    provider = FakeProvider("It is", gate)
    llm = asking(provider, max_parallel=1)
    async with aclosing(llm.stream("First?")) as first:
        await anext(first)
        second = asyncio.create_task(llm.complete("Second?"))
        await asyncio.sleep(0)
        assert len(provider.received) == 1
        gate.set()
    assert await second == "It is"


async def test_whoever_waits_too_long_for_a_turn_is_told_to_come_back() -> None:
    llm = asking(FakeProvider("It is", asyncio.Event()), max_parallel=1, queue_timeout=0.01)
    async with aclosing(llm.stream("First?")) as first:
        await anext(first)
        with pytest.raises(LLMError, match="busy") as caught:
            await llm.complete("Second?")
    assert caught.value.retryable


async def test_a_script_has_the_model_until_its_block_ends() -> None:
    async with open_llm(settings_for("sqlite:///none.db")) as llm:
        assert await llm.complete("Is it?") == "A scripted answer."


def test_the_provider_is_made_when_it_is_needed_and_once() -> None:
    made = list[FakeProvider]()

    def make() -> FakeProvider:
        made.append(FakeProvider())
        return made[-1]

    llm = LanguageModel(make)
    assert not made
    assert llm.provider is llm.provider is made[0]
    assert len(made) == 1


@pytest.fixture
async def site(settings: Settings) -> FastAPI:
    return create_app(settings, [LIBRARY])


async def get(app: FastAPI, path: str) -> tuple[int, str, dict[str, str]]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        answer = await client.get(path)
    return answer.status_code, answer.text, dict(answer.headers)


@pytest.mark.database("sqlite")
async def test_a_route_and_a_job_ask_the_same_model(site: FastAPI) -> None:
    site.state.llm.provider = provider = FakeProvider("Short.")
    assert (await get(site, "/summary"))[:2] == (200, '"Short."')
    jobs = RecordedJobs(site.state.settings, site.state.database, site.state.storage, site.state.llm)
    await sum_up.function(jobs.context)
    assert len(provider.received) == 2
    assert site.state.jobs.worker.llm is site.state.llm


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("path", ["/summary", "/api/v1/summary"])
async def test_without_a_model_a_page_is_answered_503_with_what_to_set(site: FastAPI, path: str) -> None:
    site.state.llm.provider = None
    status, text, headers = await get(site, path)
    assert status == 503
    assert "Set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL." in text
    assert "retry-after" not in headers


@pytest.mark.database("sqlite")
async def test_a_model_that_is_busy_tells_when_to_come_back(site: FastAPI) -> None:
    site.state.llm.provider = FakeProvider(LLMError("rate_limited", "Not now.", retry_after=3.2))
    status, text, headers = await get(site, "/summary")
    assert (status, headers["retry-after"]) == (503, "4")
    assert "Not now." in text


@pytest.mark.database("sqlite")
async def test_the_model_is_given_back_when_the_site_stops(settings: Settings) -> None:
    closed = list[Provider]()

    class Closing(FakeProvider):
        async def close(self) -> None:
            closed.append(self)

    app = create_app(settings)
    app.state.llm.provider = provider = Closing("Short.")
    async with app.router.lifespan_context(app):
        assert app.state.chat.llm is app.state.llm
        assert not closed
    assert closed == [provider]
