"""Feature of stored answers: their pages, API, admin, jobs, and limits of spending."""

from functools import cache

from fastapi import FastAPI

from opportune.contrib.answers.admin.operations import OPERATIONS, PANELS
from opportune.contrib.answers.chosen_model import ChosenModel
from opportune.contrib.answers.engine.attachments import delete_attachments_of_user
from opportune.contrib.answers.engine.results import stop_answers_of_inactive_user
from opportune.contrib.answers.engine.tool_jobs import ToolJobs, run_tool
from opportune.contrib.answers.lifespan import running_answers
from opportune.contrib.answers.models import Answer, AnswerAttachment, AnswerChunk
from opportune.contrib.answers.monitoring import answer_gauges, check_spending, check_web_search, spending_lights
from opportune.contrib.answers.personal import CLEANUPS, personal_data
from opportune.contrib.answers.screens import api, pages
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.answers.spending.models import LlmReservation, LlmState, LlmUsage
from opportune.contrib.tools import full_toolbox_of
from opportune.contrib.tools.site_tools import site_for_tools
from opportune.feature import Accounts, Admin, Feature, Jobs, Llm, Metric, Monitoring, Process, SetupStep
from opportune.services import Service, Services


async def _has_model(app: FastAPI) -> bool:
    return not await app.state.llm.waits_for_choice()


def _open_tool_jobs(services: Services) -> ToolJobs:
    # A process that serves the site replaces the toolbox by its own: see `running_answers`.
    return ToolJobs(services.database, cache(lambda: full_toolbox_of(site_for_tools(services))))


answers = Feature(
    "answers",
    "Durable answers of language models, which continue after their request.",
    requires=("llm",),
    models=(Answer, AnswerChunk, AnswerAttachment, LlmUsage, LlmReservation, LlmState, ChosenModel),
    admin=Admin(
        "opportune.contrib.answers.admin.views",
        setup_steps=(SetupStep("llm", "Choose a language model", _has_model, "/admin/llm/provider"),),
        metrics=(Metric("Answers", Answer.created_at),),
        actions=OPERATIONS,
        panels=PANELS,
    ),
    pages=pages.router,
    api=api.router,
    monitoring=Monitoring(
        status={"Language models": spending_lights}, gauges=answer_gauges, checks=(check_spending, check_web_search)
    ),
    accounts=Accounts(personal_data=personal_data),
    settings=AnswersSettings,
    llm=Llm(guard=SpendingGuard),
    jobs=Jobs((run_tool,), cleanups=CLEANUPS),
    process=Process(services=(Service("tool_jobs", ToolJobs, _open_tool_jobs),), lifespan=running_answers),
    hooks=(delete_attachments_of_user, stop_answers_of_inactive_user),
)
