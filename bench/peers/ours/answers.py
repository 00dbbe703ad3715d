"""Route that answers with a language model that sends its words without a pause."""

from collections.abc import AsyncGenerator, Sequence

from fastapi import APIRouter, Request

from opportune.contrib import llm
from opportune.contrib.answers import Answers
from opportune.contrib.answers.screens.events import AnswerStream
from opportune.web import EventStream

api = APIRouter()
WORDS = [f"word{number} " for number in range(50)]


class FastProvider(llm.Provider):
    name = "FastProvider"
    context_budget = 1_000

    async def stream(
        self, messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        for word in WORDS:
            yield word
        yield llm.Done()


@api.get("/answer", response_class=EventStream)
async def stream_answer(request: Request, answers: Answers) -> EventStream:
    """Create an answer and stream it."""
    request.app.state.llm.provider = FastProvider()
    async with answers.database.writer() as session:
        answer = await answers.ask(session, "Count to fifty.")
    return EventStream(AnswerStream(answers.view(answer), 0, answer.id).json())
