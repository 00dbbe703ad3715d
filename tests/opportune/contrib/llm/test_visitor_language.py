"""Answers in the language of the visitor, and translated lines of an answer."""

from datetime import UTC, datetime

import pytest

from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.limits import Limit, LimitMessages
from opportune.contrib.llm.language_model import LanguageModel
from opportune.contrib.llm.providers.fake import FakeProvider
from opportune.i18n import use_language

GERMAN = "The language of the user is German. Answer in it, unless the question is in another language or asks for one."


@pytest.mark.parametrize(
    ("language", "system", "rules"),
    [
        ("de", "", [GERMAN]),
        ("de", "Be short.", [f"Be short.\n\n{GERMAN}"]),
        ("zh-Hans", "", [GERMAN.replace("German", "Chinese (Simplified)")]),
        ("en", "", []),
        ("xx", "Be short.", ["Be short."]),
    ],
)
async def test_model_answers_in_language_of_visitor(language: str, system: str, rules: list[str]) -> None:
    provider = FakeProvider("Ja.")
    with use_language(language):
        assert [text async for text in LanguageModel(lambda: provider).stream("Is it?", system=system)] == ["Ja."]
    assert [turn.content for turn in provider.received[0] if turn.role == "system"] == rules


async def test_complete_and_setting_omit_the_language() -> None:
    model = LanguageModel(lambda: provider)
    provider = FakeProvider("Ja.")
    with use_language("de"):
        await model.complete("Is this spam? Answer yes or no.")
        model.answers_in_visitor_language = False
        assert [text async for text in model.stream("Is it?")] == ["Ja."]
    assert [turn.role for turns in provider.received for turn in turns] == ["user", "user"]


def test_limits_are_explained_in_language_of_visitor() -> None:
    limit = Limit("llm_max_tokens_per_person_per_month", "person", "tokens", "month", 2_000)
    with use_language("de"):
        message = LimitMessages(AnswersSettings(), "UTC").used_up(limit, datetime(2026, 11, 3, tzinfo=UTC))
    assert (
        message == "Sie haben Ihre 2.000 Tokens für diesen Monat aufgebraucht. Sie können ab 01.12.2026 wieder fragen."
    )
