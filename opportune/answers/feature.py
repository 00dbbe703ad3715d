from opportune.answers import api, pages
from opportune.answers.admin.operations import OPERATIONS, PANELS
from opportune.answers.admin.status import spending_lights
from opportune.answers.attachments import delete_theirs
from opportune.answers.checks import check_web_search
from opportune.answers.chosen_model import ChosenModel
from opportune.answers.lifespan import running_answers
from opportune.answers.models import Answer, AnswerAttachment, AnswerChunk
from opportune.answers.personal import personal_data
from opportune.answers.settings import AnswersSettings
from opportune.answers.spending.checks import check_spending
from opportune.answers.spending.guard import SpendingGuard
from opportune.answers.spending.jobs import forget_visitors
from opportune.answers.spending.models import LlmReservation, LlmState, LlmUsage
from opportune.feature import Feature, Metric

answers = Feature(
    name="answers",
    summary="Answers of language models that outlive their request, for features that ask for them.",
    models=(Answer, AnswerChunk, AnswerAttachment, LlmUsage, LlmReservation, LlmState, ChosenModel),
    metrics=(Metric("Answers", Answer.created_at),),
    pages=pages.router,
    api=api.router,
    admin="opportune.answers.admin.views",
    admin_operations=OPERATIONS,
    admin_panels=PANELS,
    status={"Language models": spending_lights},
    personal_data=personal_data,
    settings=AnswersSettings,
    llm_guard=SpendingGuard,
    checks=(check_spending, check_web_search),
    jobs=(forget_visitors,),
    lifespan=running_answers,
    hooks=(delete_theirs,),
)
