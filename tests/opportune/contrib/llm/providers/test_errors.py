"""Errors of endpoints: refusals, invalid chunks, timeouts and lost connections."""

import asyncio
import json
import logging
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from opportune.contrib.llm import Done, LlmError
from opportune.contrib.llm.providers.openai_stream import MAX_ANSWER_LENGTH
from tests.opportune.contrib.llm.providers.endpoint import (
    DONE,
    EVENTS,
    EVENTS_TO_BE_CUT,
    Step,
    event,
    response,
    serve_endpoint,
    text,
)
from tests.opportune.contrib.llm.providers.model_answers import (
    KEY,
    LONG_TIMEOUTS,
    provider_at,
    read_answer,
    read_answer_of,
    read_error_of,
    serve_provider,
)


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        ("400 Bad Request", "rejected", False),
        ("401 Unauthorized", "unauthorised", False),
        ("402 Payment Required", "unauthorised", False),
        ("403 Forbidden", "unauthorised", False),
        ("404 Not Found", "not_configured", False),
        ("429 Too Many Requests", "rate_limited", True),
        ("500 Internal Server Error", "unavailable", True),
        ("503 Service Unavailable", "unavailable", True),
        ("504 Gateway Timeout", "timeout", True),
        ("307 Temporary Redirect", "unavailable", True),
    ],
)
async def test_status_determines_the_error_code(status: str, code: str, retryable: bool) -> None:
    error = await read_error_of(response(status, b'{"error": {"message": "upstream says"}}'))
    assert (error.code, error.retryable) == (code, retryable)
    assert "upstream says" not in str(error)


REFUSALS: list[tuple[str, object, str]] = [
    ("400 Azure", {"error": {"code": "content_filter", "message": "x"}}, "filtered"),
    ("400 DashScope", {"error": {"code": "data_inspection_failed", "message": "x"}}, "filtered"),
    ("403 OpenRouter", {"error": {"message": "Input was flagged by moderation", "code": 403}}, "filtered"),
    ("429 OpenAI", {"error": {"message": "x", "code": "insufficient_quota"}}, "unauthorised"),
    ("429 Gemini", [{"error": {"status": "RESOURCE_EXHAUSTED", "message": "your current quota"}}], "rate_limited"),
    ("400 Gemini", [{"error": {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}], "unauthorised"),
    ("400 Anthropic", {"error": {"message": "Your credit balance is too low"}}, "unauthorised"),
    ("529 Anthropic", {"error": {"type": "overloaded_error"}}, "unavailable"),
    ("400 OpenAI", {"error": {"code": "model_not_found", "message": "x"}}, "not_configured"),
    ("500 LiteLLM", {"error": {"message": "RateLimitError", "code": "429"}}, "rate_limited"),
    ("400 Bedrock", {"message": "Input is too long for requested model."}, "context_too_long"),
    ("422 Together", {"error": "`inputs` tokens + `max_new_tokens` must be <= 8193."}, "context_too_long"),
    ("400 Cohere", {"message": "too many tokens: size limit exceeded by 9 tokens"}, "context_too_long"),
    ("400 xAI", {"error": "This model's maximum prompt length is 9 but the request has 10."}, "context_too_long"),
    ("400 LM Studio", {"error": "when context the overflows. It has a context length of 9."}, "context_too_long"),
    ("400 echo", {"detail": "x", "input": {"messages": [{"content": "content filter"}]}}, "rejected"),
]


@pytest.mark.parametrize(("status", "body", "code"), REFUSALS)
async def test_body_distinguishes_reasons(status: str, body: object, code: str) -> None:
    assert (await read_error_of(response(status, json.dumps(body).encode()))).code == code


async def test_body_may_say_when_to_retry() -> None:
    body = {"error": {"details": [{"retryDelay": "34s"}]}}
    assert (await read_error_of(response("429 Busy", json.dumps(body).encode()))).retry_after == 34


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", 3600), ("soon", None), ("-3", None)])
async def test_retry_after_is_read_and_bounded(header: str, seconds: float | None) -> None:
    error = await read_error_of(response("429 Too Many Requests", b"", f"Retry-After: {header}"))
    assert error.retry_after == seconds


async def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    error = await read_error_of(response("503 Service Unavailable", b"", f"Retry-After: {date}"))
    assert error.retry_after
    assert 0 < error.retry_after <= 600


async def test_web_page_is_malformed() -> None:
    error = await read_error_of(response("200 OK", b"<html>Welcome</html>", "Content-Type: text/html"))
    assert error.code == "malformed"
    assert "LLM_" not in str(error)
    assert error.advice == "Check LLM_BASE_URL."


async def test_closed_port_is_an_error() -> None:
    async with serve_endpoint() as endpoint:
        address = endpoint.address
    _, outcome = await read_answer(provider_at(address))
    assert isinstance(outcome, LlmError)
    assert (outcome.code, outcome.retryable) == ("refused", True)


async def test_endpoint_without_tls_is_an_error() -> None:
    async def serve_without_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(serve_without_tls, "127.0.0.1", 0) as server:
        provider = provider_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        _, outcome = await read_answer(provider)
        await provider.close()
    assert isinstance(outcome, LlmError)
    assert outcome.code == "refused"


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://127.0.0.1:port/v1"])
async def test_malformed_address_is_not_configured(address: str) -> None:
    _, outcome = await read_answer(provider_at(address))
    assert isinstance(outcome, LlmError)
    assert outcome.code == "not_configured"


@pytest.mark.parametrize("key", ["kéy", "two\nlines"])
async def test_malformed_key_is_not_configured(key: str) -> None:
    async with serve_endpoint(EVENTS, DONE) as endpoint:
        provider = provider_at(endpoint.address, key=key)
        _, outcome = await read_answer(provider)
        await provider.close()
    assert isinstance(outcome, LlmError)
    assert outcome.code == "not_configured"
    assert key not in "".join(traceback.format_exception(outcome))


async def test_lost_connection_keeps_the_text() -> None:
    answer, outcome = await read_answer_of(EVENTS_TO_BE_CUT, text("Beca"))
    assert answer == "Beca"
    assert isinstance(outcome, LlmError)
    assert outcome.code == "interrupted"


async def test_silence_before_the_first_chunk_times_out() -> None:
    error = await read_error_of("hang", limits=replace(LONG_TIMEOUTS, first=0.05))
    assert error.code == "timeout"


async def test_comments_do_not_prevent_the_timeout() -> None:
    error = await read_error_of(EVENTS, b": still thinking\n\n", "hang", limits=replace(LONG_TIMEOUTS, first=0.2))
    assert error.code == "timeout"


async def test_silence_between_chunks_times_out() -> None:
    answer, outcome = await read_answer_of(EVENTS, text("Beca"), "hang", limits=replace(LONG_TIMEOUTS, idle=0.05))
    assert answer == "Beca"
    assert isinstance(outcome, LlmError)
    assert outcome.code == "timeout"


async def test_slow_answer_times_out() -> None:
    answer, outcome = await read_answer_of(EVENTS, text("Beca"), "hang", limits=replace(LONG_TIMEOUTS, whole=0.5))
    assert answer == "Beca"
    assert isinstance(outcome, LlmError)
    assert outcome.code == "timeout"


async def test_timeout_disconnects() -> None:
    async with serve_provider("hang", limits=replace(LONG_TIMEOUTS, first=0.5)) as (provider, endpoint):
        await read_answer(provider)
        await asyncio.wait_for(endpoint.disconnected.wait(), 30)


async def test_endless_answer_is_truncated() -> None:
    chunk = text("x" * 70_000)
    async with serve_provider(EVENTS, *[chunk] * 10, "hang") as (provider, endpoint):
        answer, outcome = await read_answer(provider)
        await endpoint.disconnected.wait()
    assert len(answer) == MAX_ANSWER_LENGTH
    assert outcome == Done(truncated=True)


@pytest.mark.parametrize(
    "steps",
    [
        [response("401 Unauthorized", KEY.encode())],
        [response("400 Bad Request", KEY.encode())],
        [EVENTS, event({"error": {"message": KEY}})],
        [EVENTS, f"data: {KEY}\n\n".encode()],
        [EVENTS_TO_BE_CUT],
    ],
)
async def test_errors_and_logs_hide_the_key(steps: list[Step], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await read_error_of(*steps)
    assert KEY not in "".join(traceback.format_exception(error))
    assert KEY not in caplog.text
