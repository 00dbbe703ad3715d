"""Questions about an entry, which a language model answers; the answer is there again whenever the page is."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response

from app.pydocs.documents import Index
from app.pydocs.schemas import EntryRead
from opportune.accounts import CurrentUser
from opportune.db import WriteSession
from opportune.llm import Answers, show_answer
from opportune.text import Line
from opportune.web import RateLimit

router = APIRouter(prefix="/pydocs")

RULES = "Answer the question in a few sentences, from this entry of Python's documentation:\n\n"
CHARACTERS_PER_TOKEN = 2


@router.post("", dependencies=[Depends(RateLimit("pydocs.ask", 20))])
async def ask(
    request: Request,
    index: Index,
    slug: str,
    user: CurrentUser,
    session: WriteSession,
    answers: Answers,
    question: Annotated[Line, Form(min_length=1, max_length=500)],
) -> Response:
    entry = EntryRead.of(await index.get(slug))
    system = RULES + entry.text[: CHARACTERS_PER_TOKEN * answers.llm.context_budget]
    answer = await answers.ask(session, question, system=system, owner_id=user.id, topic=topic_of(slug))
    return await show_answer(request, answer, entry.url)


def topic_of(slug: str) -> str:
    return f"pydocs:{slug[:400]}"
