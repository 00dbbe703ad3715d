"""A site with a model that tells a long story and continues it after a takeover."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from fastapi import APIRouter, FastAPI

from opportune.accounts import CurrentUser
from opportune.application import create_app
from opportune.contrib import llm
from opportune.contrib.answers import Answers
from opportune.db import WriteSession
from opportune.feature import Feature
from opportune.features import accounts, answers, jobs
from opportune.features import llm as llm_feature

STORY = "".join(f"Wave {number} 🌊 breaks.\n\n" for number in range(40))
CHARACTERS_PER_CHUNK = 3

router = APIRouter(prefix="/stories")


@router.post("")
async def begin(session: WriteSession, user: CurrentUser, answers: Answers) -> int:
    return (await answers.ask(session, "Tell me a story.", owner_id=user.id)).id


class Storyteller(llm.Provider):
    name = "Storyteller"
    context_budget = 10_000
    continues = True

    async def stream(
        self, messages: Sequence[llm.Message], *, temperature: float | None = None
    ) -> AsyncGenerator[llm.Chunk, None]:
        text = messages[-1].content if messages[-1].role == "assistant" else ""
        for start in range(len(text), len(STORY), CHARACTERS_PER_CHUNK):
            yield STORY[start : start + CHARACTERS_PER_CHUNK]
            await asyncio.sleep(0.005)
        yield llm.Done()


def create_site() -> FastAPI:
    stories = Feature("stories", "Stories.", api=router)
    app = create_app(features=[accounts, jobs, llm_feature, answers, stories])
    app.state.llm.provider = Storyteller()
    return app
