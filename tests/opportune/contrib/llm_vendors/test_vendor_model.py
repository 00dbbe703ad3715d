"""Models of vendors with their own protocols, played back by an endpoint on this machine."""

import json
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from opportune.config import Settings
from opportune.contrib.deploy.rehearsal.certificates import make_certificate
from opportune.contrib.llm import Done, LlmError, LlmModel, Message, Picture, Provider, ToolSchema
from opportune.contrib.llm_vendors import vendor_model
from opportune.contrib.llm_vendors.vendor_model import VendorModel
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, response, serve
from tests.opportune.contrib.llm.providers.model_answers import read_chunks, read_error
from tests.opportune.contrib.llm_vendors.recordings import ANSWERS, ARGUMENTS, MODELS, SIGNATURE, candidate, events

Serve = Callable[..., AbstractAsyncContextManager[tuple[FakeEndpoint, VendorModel]]]

DIALECTS = [*ANSWERS]
HTTP_DIALECTS = [dialect for dialect in DIALECTS if dialect != "bedrock"]
QUESTION = [Message("system", "Be brief."), Message("user", "What is the weather?")]
TOOLS = [ToolSchema("weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}})]
SETTINGS = settings_for("sqlite://")
KEY = "the-key-of-the-model"
VARIABLES = {
    **dict.fromkeys(("ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_ORG_ID"), "a-secret"),
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "a-secret"),
    **dict.fromkeys(("ANTHROPIC_CUSTOM_HEADERS", "OPENAI_CUSTOM_HEADERS"), "X-Secret: a-secret"),
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
}
"""Keys and organisations in the environment, which no endpoint may get."""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def model_of(dialect: str, url: str, key: str = KEY) -> LlmModel:
    endpoint = {"dialect": dialect, "base_url": url, "api_key": SecretStr(key)}
    return LlmModel.model_validate({"name": "Vendor", "model": MODELS[dialect], "reasoning_effort": "low", **endpoint})


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Plays an answer. Bedrock's client sends keys over TLS only."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))

    @asynccontextmanager
    async def serve_answer(dialect: str, *steps: Any) -> AsyncIterator[tuple[FakeEndpoint, VendorModel]]:
        context = None
        if dialect == "bedrock":
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        async with serve(FakeEndpoint(*steps or [played(dialect)]), ssl=context) as endpoint:
            url = f"http{'s' if context else ''}://127.0.0.1:{endpoint.port}"
            provider = VendorModel(SETTINGS, model_of(dialect, url))
            try:
                yield endpoint, provider
            finally:
                await provider.close()

    return serve_answer


def played(dialect: str) -> bytes:
    kind = "application/vnd.amazon.eventstream" if dialect == "bedrock" else "text/event-stream"
    return response("200 OK", ANSWERS[dialect], f"Content-Type: {kind}")


async def done_of(provider: Provider, messages: Sequence[Message] = QUESTION) -> Done:
    _, _, done = await read_chunks(provider, TOOLS, messages)
    assert isinstance(done, Done)
    return done


def later_question(done: Done) -> list[Message]:
    (call,) = done.tool_calls
    answer = Message("assistant", "One moment.", tool_calls=done.tool_calls)
    return [*QUESTION, answer, Message("tool", "21 degrees", tool_call_id=call.id)]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_answer_needs_only_its_own_key(dialect: str, served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    async with served(dialect) as (endpoint, provider):
        reasoning, text, done = await read_chunks(provider, TOOLS, QUESTION)
    assert isinstance(done, Done)
    assert (reasoning, text) == ("Look it up.", "One moment.")
    assert [(call.name, json.loads(call.arguments)) for call in done.tool_calls] == [("weather", json.loads(ARGUMENTS))]
    assert (done.prompt_tokens, done.completion_tokens, done.cached_tokens) == (9, 12, 3)
    sent = endpoint.headers[0].decode() + json.dumps(endpoint.bodies[0])
    assert KEY in sent
    assert "secret" not in sent


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_signature_returns_to_its_endpoint_alone(dialect: str, served: Serve) -> None:
    async with served(dialect) as (endpoint, provider):
        done = await done_of(provider)
        stored = json.loads(json.dumps([dict(call.returned) for call in done.tool_calls]))  # as in the database
        calls = tuple(replace(call, returned=fields) for call, fields in zip(done.tool_calls, stored, strict=True))
        await done_of(provider, later_question(replace(done, tool_calls=calls)))
    async with served(dialect) as (other, provider):
        await done_of(provider, later_question(done))
    bodies = [json.dumps(each.bodies[-1]) for each in (endpoint, other)]
    assert [SIGNATURE in body for body in bodies] == [True, False]
    assert ["21 degrees" in body for body in bodies] == [True, True]


async def test_picture_is_sent(served: Serve) -> None:
    async with served("anthropic") as (endpoint, provider):
        await done_of(provider, [Message("user", "What?", pictures=(Picture(b"\x89PNG\r\n\x1a\n", "image/png"),))])
    assert "iVBORw0KGgo=" in json.dumps(endpoint.bodies[0])


EVENT_STREAM = "Content-Type: text/event-stream"
TOO_LONG = b'{"error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}'
FAILURES: dict[str, tuple[bytes, str]] = {
    "limit": (response("429 Too Many Requests", b"{}", "Retry-After: 7"), "rate_limited"),
    "key": (response("401 Unauthorized", b'{"error": {"message": "bad key"}}'), "unauthorised"),
    "length": (response("400 Bad Request", TOO_LONG, "Content-Type: application/json"), "context_too_long"),
    "redirect": (response("307 Temporary Redirect", b"", "Location: http://127.0.0.1:9/"), "malformed"),
    "bomb": (response("200 OK", b"\x1f\x8b", EVENT_STREAM, "Content-Encoding: gzip"), "malformed"),
    "JSON": (response("200 OK", b'{\n"error": {"message": "Overloaded"}}\n', EVENT_STREAM), "unavailable"),
    "endless line": (response("200 OK", b"data: " + b"x" * 6_000_000, EVENT_STREAM), "malformed"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("dialect", HTTP_DIALECTS)
async def test_failure_is_one_request_and_a_sentence(dialect: str, failure: str, served: Serve) -> None:
    answer, code = FAILURES[failure]
    async with served(dialect, answer) as (endpoint, provider):
        error = await read_error(provider)
    assert (error.code, len(endpoint.bodies)) == (code, 1)
    assert KEY not in f"{error}{error.advice}"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_cut_answer_keeps_its_text(dialect: str, served: Serve) -> None:
    whole = played(dialect)
    cut = whole[: whole.index(b"moment.") + 60]
    async with served(dialect, cut) as (_endpoint, provider):
        _, text, error = await read_chunks(provider, TOOLS, QUESTION)
    assert isinstance(error, LlmError)
    assert (text[:4], error.code in ("interrupted", "unavailable")) == ("One ", True)


ANTHROPIC, GOOGLE, OPENAI = (ANSWERS[dialect] for dialect in HTTP_DIALECTS)
DEVIATIONS = {
    "pause": ("anthropic", ANTHROPIC.replace(b'"tool_use"}', b'"pause_turn"}'), ""),
    "no names of events": ("anthropic", ANTHROPIC.replace(b"event: ", b"id: "), ""),
    "other": ("google", GOOGLE.replace(b'"STOP"', b'"OTHER"'), "interrupted"),
    "unknown part": ("google", events(candidate({"newPart": {}})) + GOOGLE, ""),
    "bad call": ("google", events(candidate({"text": ""}, finishReason="MALFORMED_FUNCTION_CALL")), "unavailable"),
    "refusal": ("openai-responses", OPENAI.replace(b"output_text", b"refusal"), ""),
    "nothing": ("anthropic", events({"type": "ping"}), "interrupted"),
    "text only in its item": ("openai-responses", OPENAI.replace(b"output_text.delta", b"content_part.added"), ""),
    "cut": (
        "openai-responses",
        OPENAI.partition(b"event: response.completed")[0].replace(b'"gpt-5"', b'"gpt-5", "status": "in_progress"'),
        "interrupted",
    ),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
async def test_deviation_is_understood(deviation: str, served: Serve) -> None:
    dialect, body, code = DEVIATIONS[deviation]
    async with served(dialect, response("200 OK", body, EVENT_STREAM)) as (_, provider):
        _, text, outcome = await read_chunks(provider, TOOLS, QUESTION)
    assert (getattr(outcome, "code", ""), code or text) == (code, code or "One moment.")


ONLY_THOUGHTS = {
    "anthropic": ANSWERS["anthropic"].partition(b"event: ping")[0]
    + events({"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 12}}),
    "google": events(candidate({"text": "Hm.", "thought": True}, finishReason="MAX_TOKENS")),
}


@pytest.mark.parametrize("dialect", ONLY_THOUGHTS)
async def test_answer_that_ends_while_thinking_is_out_of_tokens(dialect: str, served: Serve) -> None:
    async with served(dialect, response("200 OK", ONLY_THOUGHTS[dialect], EVENT_STREAM)) as (_, provider):
        assert (await read_error(provider)).code == "out_of_tokens"


async def test_endless_reasoning_is_cut(served: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.llm_vendors.endpoint.MAX_ANSWER_LENGTH", 5)
    async with served("anthropic") as (_, provider):
        assert (await done_of(provider)).truncated


async def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_model, "find_spec", lambda _name: None)
    monkeypatch.setitem(sys.modules, "opportune.contrib.llm_vendors.endpoint", None)
    provider = VendorModel(SETTINGS, model_of("anthropic", "https://api.anthropic.com"))
    assert "python3 oppman.py install llm-vendors" in provider.fault
    assert "are not installed" in str(await read_error(provider))


async def test_vendor_is_bound_to_the_schema(served: Serve) -> None:
    """The other vendors, which may refuse it, are below."""
    async with served("bedrock") as (endpoint, provider):
        async for _ in provider.stream(QUESTION, schema=SCHEMA):
            pass
    assert "required" in json.dumps(endpoint.bodies[0])


@pytest.mark.parametrize("dialect", HTTP_DIALECTS)
async def test_refused_schema_is_left_out(dialect: str, served: Serve) -> None:
    refusal = response("400 Bad Request", b'{"error": {"message": "Invalid schema"}}', "Content-Type: application/json")
    async with served(dialect) as (endpoint, provider):
        endpoint.refuse = lambda body: refusal if '"city"' in json.dumps(body) else None
        *_, last = [chunk async for chunk in provider.stream(QUESTION, schema=SCHEMA)]
    assert isinstance(last, Done)
    assert len(endpoint.bodies) == 2


async def test_no_other_key_replaces_a_missing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "anthropic-secret")
    provider = VendorModel(SETTINGS, model_of("anthropic", "http://127.0.0.1:9", key=""))
    assert "has no key" in str(await read_error(provider))


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"llm_dialect": "anthropic"}, "needs LLM_MODEL"),
        ({"llm_dialect": "bedrock", "llm_model": "amazon.nova-lite-v1:0"}, "LLM_BASE_URL of a region"),
        ({"llm_models": '[{"name": "Claude", "dialect": "claude"}]'}, "'anthropic'"),
    ],
)
def test_incomplete_settings_are_refused(values: dict[str, str], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Settings.model_validate(values)
