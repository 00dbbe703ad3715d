from fastapi import FastAPI

from opportune.feature import Feature, Metric, SetupStep
from opportune.llm.answers import api, pages
from opportune.llm.answers.admin.operations import OPERATIONS, PANELS
from opportune.llm.answers.admin.status import spending_lights
from opportune.llm.answers.attachments import delete_attachments_of_user
from opportune.llm.answers.checks import check_web_search
from opportune.llm.answers.chosen_model import ChosenModel
from opportune.llm.answers.gauges import answer_gauges
from opportune.llm.answers.lifespan import running_answers
from opportune.llm.answers.models import Answer, AnswerAttachment, AnswerChunk
from opportune.llm.answers.personal import personal_data
from opportune.llm.answers.settings import AnswersSettings
from opportune.llm.spending.checks import check_spending
from opportune.llm.spending.cleanup import CLEANUPS
from opportune.llm.spending.guard import SpendingGuard
from opportune.llm.spending.models import LlmReservation, LlmState, LlmUsage


async def _has_model(app: FastAPI) -> bool:
    return not await app.state.llm.waits_for_choice()


answers = Feature(
    name="answers",
    summary="Durable answers of language models, which continue after their request.",
    models=(Answer, AnswerChunk, AnswerAttachment, LlmUsage, LlmReservation, LlmState, ChosenModel),
    setup_steps=(SetupStep("llm", "Choose a language model", _has_model, "/admin/llm/provider"),),
    metrics=(Metric("Answers", Answer.created_at),),
    pages=pages.router,
    api=api.router,
    admin="opportune.llm.answers.admin.views",
    admin_operations=OPERATIONS,
    admin_panels=PANELS,
    status={"Language models": spending_lights},
    gauges=answer_gauges,
    personal_data=personal_data,
    settings=AnswersSettings,
    llm_guard=SpendingGuard,
    checks=(check_spending, check_web_search),
    cleanups=CLEANUPS,
    lifespan=running_answers,
    hooks=(delete_attachments_of_user,),
)
