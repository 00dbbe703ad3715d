"""Parameters and headers of requests to an endpoint, and endpoints that refuse one of them."""

import logging
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from opportune.config.settings import Settings
from opportune.contrib.llm import LlmError, LlmModel
from opportune.contrib.llm.providers import refused_parameters
from opportune.contrib.llm.providers.factory import make_provider
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.providers.endpoint import (
    DONE,
    EVENTS,
    STOP,
    FakeEndpoint,
    event,
    response,
    serve_endpoint,
    text,
)
from tests.opportune.contrib.llm.providers.model_answers import provider_at, read_answer, serve_provider

USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
ANSWER = (EVENTS, text("Because."), event(STOP), USAGE, DONE)


@pytest.fixture(autouse=True)
def no_remembered_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_parameters, "REMEMBERED", {})


def settings_with(endpoint: FakeEndpoint, **model: Any) -> Settings:
    settings = settings_for("sqlite://")
    models = [LlmModel(name="Tuned", base_url=endpoint.address, api_key=SecretStr("key"), **model)]
    return Settings(**{**settings.model_dump(exclude_unset=True), "llm_models": models})


async def read_answer_with(endpoint: FakeEndpoint, **model: Any) -> tuple[str, object]:
    provider = make_provider(settings_with(endpoint, **model))
    assert isinstance(provider, OpenAICompatible)
    try:
        return await read_answer(provider)
    finally:
        await provider.close()


async def test_refused_usage_option_is_left_out() -> None:
    async with serve_provider(*ANSWER, refused_parameter="stream_options") as (provider, endpoint):
        answer, outcome = await read_answer(provider)
    assert answer == "Because."
    assert not isinstance(outcome, LlmError)
    assert outcome.prompt_tokens == 7
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False]


async def test_refused_usage_option_is_remembered_per_endpoint() -> None:
    async with serve_provider(*ANSWER, refused_parameter="stream_options") as (provider, endpoint):
        await read_answer(provider)
        other = provider_at(endpoint.address)
        assert (await read_answer(other))[0] == "Because."
        await other.close()
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False, False]


async def test_vague_first_refusal_is_retried_without_usage_option() -> None:
    async with serve_provider(response("400 Bad Request", b"{}")) as (provider, endpoint):
        _, outcome = await read_answer(provider)
    assert isinstance(outcome, LlmError)
    assert outcome.code == "rejected"
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False]


async def test_refusal_for_another_reason_is_not_retried() -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        await read_answer(provider)
        endpoint.steps = (response("400 Bad Request", b"too long"),)
        await read_answer(provider)
        endpoint.steps = ANSWER
        await read_answer(provider)
    assert ["stream_options" in body for body in endpoint.bodies] == [True, True, True]


async def test_model_sends_its_own_parameters_and_headers() -> None:
    model = {
        "top_p": 0.9,
        "reasoning_effort": "low",
        "extra_body": {"safe_prompt": True, "max_tokens": 5},
        "headers": {"X-Title": "Clinic"},
    }
    async with serve_endpoint(*ANSWER) as endpoint:
        assert (await read_answer_with(endpoint, **model))[0] == "Because."
    body = endpoint.bodies[0]
    assert (body["top_p"], body["reasoning_effort"], body["safe_prompt"], body["max_tokens"]) == (0.9, "low", True, 5)
    assert b"X-Title: Clinic\r\n" in endpoint.headers[0]
    assert b"Authorization: Bearer key\r\n" in endpoint.headers[0]


async def test_header_replaces_the_bearer_key() -> None:
    async with serve_endpoint(*ANSWER) as endpoint:
        await read_answer_with(endpoint, headers={"Authorization": "Basic abc"})
    assert b"Authorization: Basic abc\r\n" in endpoint.headers[0]
    assert b"Bearer" not in endpoint.headers[0]


async def test_error_names_the_refused_parameter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serve_endpoint(*ANSWER, refused_parameter="top_p") as endpoint:
        _, outcome = await read_answer_with(endpoint, top_p=0.5)
    assert isinstance(outcome, LlmError)
    assert str(outcome) == "The model's endpoint rejects the parameter top_p."
    assert "responded with 422 and rejects top_p" in caplog.text


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ({"extra_body": {"messages": []}}, "extra_body may not contain messages"),
        ({"extra_body": {"stream": False}}, "extra_body may not contain stream"),
        ({"headers": {"Host": "elsewhere"}}, "headers may not contain Host"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "is not a valid header"),
        ({"headers": {"X A": "1"}}, "is not a valid header"),
        ({"top_p": 0}, "greater than 0"),
    ],
)
def test_unusable_options_of_a_model_are_refused(model: dict[str, Any], answer: str) -> None:
    with pytest.raises(ValidationError, match=answer):
        LlmModel(name="Tuned", **model)


def test_headers_of_a_model_are_not_in_its_repr() -> None:
    assert "secret" not in repr(LlmModel(name="Tuned", headers={"api-key": "secret"}))
