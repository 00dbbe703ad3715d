"""The bundled model answers the example questions of an empty chat."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from app.chat.models import Message, Role
from app.chat.prompt import EXAMPLE_QUESTIONS, build_prompt
from opportune.contrib.llm import Done, Timeouts
from opportune.contrib.llm.providers.local import LocalModel, find_weights
from opportune.testing.services.missing_programs import INSTALL_MODEL, skip_for_missing

pytestmark = pytest.mark.model

EXPECTED = ("Paris", "sea", "plants")
MAX_TOKENS = 150


@pytest.fixture
async def bundled_model() -> AsyncIterator[LocalModel]:
    weights = find_weights()
    if weights is None:
        skip_for_missing("The local model", INSTALL_MODEL)
    model = LocalModel(weights, Timeouts())
    yield model
    await model.close()


async def ask(model: LocalModel, question: str) -> tuple[str, Done]:
    question_row = Message(id=1, conversation_id=1, role=Role.USER, question=question)
    prompt, _ = build_prompt([question_row], question_row, model.context_budget)
    async with aclosing(model.stream(prompt, temperature=0)) as chunks:
        pieces = [chunk async for chunk in chunks]
    done = pieces.pop()
    assert isinstance(done, Done)
    return "".join(map(str, pieces)), done


async def test_bundled_model_answers_the_examples(bundled_model: LocalModel) -> None:
    for question, word in zip(EXAMPLE_QUESTIONS, EXPECTED, strict=True):
        text, done = await ask(bundled_model, question)
        assert word in text
        assert 0 < (done.completion_tokens or 0) < MAX_TOKENS
