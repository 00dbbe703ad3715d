"""Verdicts of a language model about the answers to a question."""

import asyncio
from collections.abc import Awaitable
from typing import Literal, TypeVar

from pydantic import BaseModel, Field

from opportune.contrib.evaluation.models import MAX_SCORE, Outcome
from opportune.contrib.llm import LanguageModel
from opportune.contrib.llm.attachments import DATA_RULE, as_data

RUBRIC = f"""You judge answers of assistants. Consider in this order:
1. Correct: no wrong or invented facts. If there is an expected answer, it is right.
2. Helpful: it answers the question completely, and says so if it cannot.
3. Clear: no longer than needed, in the language of the question.
Length, style and politeness alone do not make an answer better. {DATA_RULE}"""
GRADE = "Give a reason in one sentence, then a score: 5 faultless, 4 good, 3 acceptable, 2 poor, 1 wrong or useless."
COMPARE = "Give a reason in one sentence, then the better answer: A, B, or tie if you see no clear difference."

T = TypeVar("T")


class Grade(BaseModel):
    reason: str
    score: int = Field(ge=1, le=MAX_SCORE)


class Preference(BaseModel):
    reason: str
    better: Literal["A", "B", "tie"]


class Verdict(BaseModel):
    outcome: Outcome
    score: int | None = None
    reason: str = ""


async def grade(judge: LanguageModel, question: str, expected: str, answer: str) -> Verdict:
    """Return the score of an answer."""
    prompt = _prompt(question, expected, {"answer": answer})
    result = await judge.parse(prompt, Grade, system=f"{RUBRIC}\n\n{GRADE}")
    return Verdict(outcome=Outcome.GRADED, score=result.score, reason=result.reason)


async def compare(judge: LanguageModel, question: str, expected: str, first: str, second: str) -> Verdict:
    """Return the better answer. The judge sees both orders, and answers that win only in one order are a tie."""

    async def prefer(a: str, b: str) -> Preference:
        prompt = _prompt(question, expected, {"answer A": a, "answer B": b})
        return await judge.parse(prompt, Preference, system=f"{RUBRIC}\n\n{COMPARE}")

    in_order, swapped = await gather_all(prefer(first, second), prefer(second, first))
    outcome = Outcome.TIE
    if in_order.better == "A" and swapped.better == "B":
        outcome = Outcome.FIRST
    elif in_order.better == "B" and swapped.better == "A":
        outcome = Outcome.SECOND
    return Verdict(outcome=outcome, reason=in_order.reason)


async def gather_all(*coroutines: Awaitable[T]) -> list[T]:
    """Return the results of all coroutines, after the last one has ended. Raise the first of their errors."""
    results = await asyncio.gather(*coroutines, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results  # type: ignore[return-value]  # without exceptions


def _prompt(question: str, expected: str, answers: dict[str, str]) -> str:
    texts = {"question": question}
    if expected:
        texts["expected answer"] = expected
    return "\n\n".join(as_data(name, text) for name, text in (texts | answers).items())
