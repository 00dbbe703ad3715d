"""The whole site in production, with a model that sends ten words per second, and public streams."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request

from bench.peers.streams.relay import WORD_INTERVAL_SECONDS, word
from opportune.application import create_app
from opportune.contrib import llm
from opportune.contrib.answers import Answers, ShownAnswer
from opportune.contrib.answers.models import Answer
from opportune.contrib.answers.screens.events import AnswerStream
from opportune.db import RowId, WriteSession
from opportune.feature import Feature
from opportune.project.installed import installed_features
from opportune.web import EventStream, templates

api = APIRouter(prefix="/bench")


class WordProvider(llm.Provider):
    name = "WordProvider"
    context_budget = 1_000

    async def stream(
        self, messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        for number in range(int(messages[-1].content)):
            await asyncio.sleep(WORD_INTERVAL_SECONDS)
            yield word(number)
        yield llm.Done()


@api.post("/answers")
async def start_answers(request: Request, session: WriteSession, answers: Answers, count: int, words: int) -> list[int]:
    """Create answers with this many words and return their ids."""
    request.app.state.llm.provider = WordProvider()
    return [(await answers.ask(session, str(words))).id for _ in range(count)]


async def find_stream(answer_id: RowId, answers: Answers) -> AnswerStream:
    async with answers.database.reader() as session:
        return AnswerStream(answers.view(await session.get_one(Answer, answer_id)), 0, answer_id)


Stream = Annotated[AnswerStream, Depends(find_stream)]


@api.get("/answers/{answer_id}/json", response_class=EventStream)
async def stream_json(stream: Stream) -> EventStream:
    return EventStream(stream.json())


@api.get("/answers/{answer_id}/html", response_class=EventStream)
async def stream_html(request: Request, stream: Stream) -> EventStream:
    async def article(answer: Answer) -> str:
        context = {"answer": await ShownAnswer.of(answer)}
        return templates.render_block_to_string(request, "answers/answer.html", "article", context)

    return EventStream(stream.html(article))


streams = Feature("streams", "Answers that everyone may read.", api=api)


def create() -> FastAPI:
    return create_app(features=[*installed_features(), streams])
