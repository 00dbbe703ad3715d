"""Start and shutdown of answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.config.hosts import RESERVED_STOP_SECONDS, shutdown_seconds
from opportune.config.settings import Settings
from opportune.contrib.answers.engine.engine import AnswerEngine
from opportune.contrib.answers.engine.manager import AnswerManager
from opportune.contrib.answers.engine.resources import AnswerLimits, AnswerResources
from opportune.contrib.answers.engine.tool_jobs import RELEASED_TOPIC, ToolJobs
from opportune.contrib.answers.engine.within_requests import RequestAnswerEngine
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.llm.language_model import LanguageModel
from opportune.contrib.tools import full_toolbox_of
from opportune.contrib.tools.site_tools import offer, retrieval_of
from opportune.contrib.tools.web_search import parse_web_search_url, web_search_tool
from opportune.server import shutting_down
from opportune.server.shutdown import next_version_serves
from opportune.services.tasks import cancel_and_wait, run_in_background


@asynccontextmanager
async def running_answers(app: FastAPI) -> AsyncIterator[None]:
    llm: LanguageModel = app.state.llm
    settings = app.state.settings.of(AnswersSettings)
    resources = AnswerResources(
        database=app.state.database,
        llm=llm,
        make_toolbox=lambda: full_toolbox_of(app),
        storage=app.state.storage,
        make_retrieval=lambda: retrieval_of(app),
        limits=site_limits(settings),
    )
    engine_class = RequestAnswerEngine if app.state.settings.jobs == "request" else AnswerEngine
    engine = engine_class(resources)
    app.state.answers = AnswerManager(engine)
    engine.open(watch=not getattr(app.state, "is_test_app", False))
    _connect_jobs(app, engine)
    if url := settings.web_search_url.get_secret_value():
        offer(app, "web", [web_search_tool(parse_web_search_url(url))])
    # Do not delay the start of the server.
    setup = asyncio.create_task(llm.setup())
    closing = asyncio.create_task(_close_in_time(app, engine, grace_seconds(app.state.settings)))
    try:
        yield
    finally:
        shutting_down(app).set()
        await cancel_and_wait(setup)
        await asyncio.wait([closing])


def site_limits(settings: AnswersSettings) -> AnswerLimits:
    """Return the limits of each answer in the settings."""
    return AnswerLimits(
        steps=settings.llm_max_steps_per_answer,
        seconds=settings.llm_max_seconds_per_answer,
        cost=settings.llm_max_cost_per_answer,
    )


def _connect_jobs(app: FastAPI, engine: AnswerEngine) -> None:
    """Continue answers when the jobs they wait for have ended, in this process or in a worker."""
    tool_jobs: ToolJobs = app.state.tool_jobs
    tool_jobs.make_toolbox = lambda: full_toolbox_of(app)
    tool_jobs.on_result = lambda: run_in_background(engine.continue_released())
    app.state.database.bus.subscribe(RELEASED_TOPIC, lambda _: tool_jobs.on_result())


def grace_seconds(settings: Settings) -> float:
    """Return the seconds for answers to end when the process stops."""
    if settings.answer_grace_seconds is not None:
        return settings.answer_grace_seconds
    return max(0, shutdown_seconds() - RESERVED_STOP_SECONDS) if settings.is_production else 0


async def _close_in_time(app: FastAPI, engine: AnswerEngine, grace: float) -> None:
    # The server waits for open streams before it ends the lifespan, so end their answers first.
    await shutting_down(app).wait()
    # Most models cannot continue an answer, so wait for them if a new process already serves requests.
    await engine.close(app.state.settings.llm_timeout if next_version_serves.is_set() else grace)
