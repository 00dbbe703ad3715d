"""Questions about an entry, answered by a language model and shown again on the next visit."""

from fastapi import Depends, Request, Response

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead
from opportune.accounts import CurrentUser, User
from opportune.contrib.answers import AnswerManager, Answers, QuestionForm, ask_by_form, show_answer
from opportune.web import APIRouter, Form, RateLimit, read_form, templates

router = APIRouter(prefix="/pydocs")

INSTRUCTIONS = "Answer the question in a few sentences, from this entry of Python's documentation:\n\n"
CHARACTERS_PER_TOKEN = 2


@router.post("", dependencies=[Depends(RateLimit("pydocs.ask", 20))])
async def ask(request: Request, index: Index, slug: str, user: CurrentUser, answers: Answers) -> Response:
    entry = EntryRead.of(await index.get(slug))
    form = await read_form(request, QuestionForm)
    system = INSTRUCTIONS + entry.text[: CHARACTERS_PER_TOKEN * answers.llm.context_budget]
    answer = await ask_by_form(answers, form, system=system, owner_id=user.id, topic=answer_topic(slug))
    if answer is None:
        return await show_entry(request, entry, slug, user, answers, form)
    return await show_answer(request, answer, entry.url)


async def show_entry(
    request: Request, entry: EntryRead, slug: str, user: User | None, answers: AnswerManager, form: Form[QuestionForm]
) -> Response:
    """Render an entry with the answer to the user's last question about it."""
    answer = await answers.newest(answer_topic(slug), user.id) if user else None
    return templates.render(request, "pydocs/entry.html", {"entry": entry, "answer": answer, "form": form}, form.status)


def answer_topic(slug: str) -> str:
    return f"pydocs:{slug[:400]}"
