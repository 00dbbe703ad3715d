"""Errors of endpoints: refusals, invalid responses, timeouts and lost connections."""

import asyncio
import gzip
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from opportune.contrib.llm import Done, LlmError
from opportune.contrib.llm.providers.openai_stream import MAX_ANSWER_LENGTH
from opportune.contrib.llm.providers.retry_waits import seconds_to_wait
from tests.opportune.contrib.llm.providers import model_answers
from tests.opportune.contrib.llm.providers.endpoint import Step, response, serve_endpoint
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, EVENTS_TO_BE_CUT, event, text
from tests.opportune.contrib.llm.providers.habits import delta

LONG = "x" * 70_000
EVENT_STREAM, GZIP = "Content-Type: text/event-stream", "Content-Encoding: gzip"
write_http_date = partial(format_datetime, usegmt=True)


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        ("400 Bad Request", "rejected", False),
        ("401 Unauthorized", "unauthorised", False),
        ("402 Payment Required", "unauthorised", False),
        ("404 Not Found", "not_configured", False),
        ("429 Too Many Requests", "rate_limited", True),
        ("503 Service Unavailable", "unavailable", True),
        ("504 Gateway Timeout", "timeout", True),
        ("307 Temporary Redirect", "not_configured", False),
        ("498 Flex Tier Capacity Exceeded", "unavailable", True),
        ("451 Unavailable For Legal Reasons", "filtered", False),
    ],
)
async def test_status_determines_the_error_code(status: str, code: str, retryable: bool) -> None:
    error = await model_answers.read_error_of(response(status, b'{"error": {"message": "upstream says"}}'))
    assert (error.code, error.retryable) == (code, retryable)
    assert "upstream says" not in str(error)


REFUSALS: list[tuple[str, object, str]] = [
    ("400 Azure", {"error": {"code": "content_filter", "message": "x"}}, "filtered"),
    ("429 OpenAI", {"error": {"message": "x", "code": "insufficient_quota"}}, "unauthorised"),
    ("429 Gemini", [{"error": {"status": "RESOURCE_EXHAUSTED", "message": "your current quota"}}], "rate_limited"),
    ("400 Gemini", [{"error": {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}], "unauthorised"),
    ("400 Anthropic", {"error": {"message": "Your credit balance is too low"}}, "unauthorised"),
    ("500 LiteLLM", {"error": {"message": "RateLimitError", "code": "429"}}, "rate_limited"),
    ("400 Bedrock", {"message": "Input is too long for requested model."}, "context_too_long"),
    ("400 OpenAI", {"error": {"message": "This model's maximum context length is 9 tokens."}}, "context_too_long"),
    ("413 proxy", "", "context_too_long"),
    ("400 DeepSeek", {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}}, "filtered"),
    ("429 Bedrock", {"message": "Too many tokens, please wait before trying again."}, "rate_limited"),
    ("429 OpenAI", {"error": {"message": "Request too large for gpt-4o: Limit 9, Requested 10."}}, "context_too_long"),
    ("403 OpenRouter", {"error": {"message": "Key limit exceeded (total limit)", "code": 403}}, "unauthorised"),
    ("400 Groq", {"error": {"message": "The model `x` has been decommissioned."}}, "not_configured"),
    ("403 OpenRouter", {"error": {"message": "Your input was flagged", "metadata": {"reasons": ["x"]}}}, "filtered"),
    ("400 Gemini", [{"error": {"message": "User location is not supported for the API use."}}], "unauthorised"),
    ("400 Anthropic", {"error": {"message": "You have reached your specified API usage limits."}}, "unauthorised"),
    ("403 Azure", {"message": "Out of call volume quota. Quota will be replenished in 01:12:34."}, "rate_limited"),
    ("400 Cloudflare", {"errors": [{"message": "AiError: No such model @cf/x", "code": 5007}]}, "not_configured"),
    ("400 LiteLLM", {"error": {"message": "Invalid model 'x'. Permitted models: m."}}, "not_configured"),
    ("401 New API", {"error": {"message": "该令牌额度已用尽"}}, "unauthorised"),
    ("400 Bedrock", {"message": "on-demand throughput isn't supported. Use an inference profile."}, "not_configured"),
    ("400 LM Studio", {"error": "The model has crashed without additional information."}, "unavailable"),
    ("412 Fireworks", {"error": {"message": "Account x is suspended, possibly due to its spending."}}, "unauthorised"),
    ("498 Cohere", {"message": "invalid api token"}, "unauthorised"),
    ("400 vLLM", {"message": "The prompt (length 9) is longer than the maximum model length."}, "context_too_long"),
    ("400 ExLlama", {"detail": "Prompt length 9000 is greater than max_seq_len 8192"}, "context_too_long"),
    ("400 echo", {"detail": "x", "input": {"messages": [{"content": "content filter"}]}}, "rejected"),
]


@pytest.mark.parametrize(("status", "body", "code"), REFUSALS)
async def test_body_distinguishes_reasons(status: str, body: object, code: str) -> None:
    assert (await model_answers.read_error_of(response(status, json.dumps(body).encode()))).code == code


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("Retry-After: 7", b"", 7),
        ("Retry-After: 999999", b"", 3600),
        ("Retry-After: 7.5", b"", 7.5),
        ("X-Other: 7", b'{"message": "Try again in 5 minutes."}', 300),
        ("Retry-After-Ms: 1500", b"", 1.5),
        ("X-Other: 7", b'{"error": {"message": "Please try again in 1m26.4s. Visit us."}}', 86.4),
        ("X-RateLimit-Reset-Tokens: 1m30s", b"", 90),
        ('RateLimit: "default";r=0;t=30', b"", 30),
        ("X-RateLimit-Reset: 1000000000", b"", None),
        ("X-RateLimit-Reset-Day: 900\r\nX-RateLimit-Remaining-Day: 0\r\nX-RateLimit-Reset-Minute: 9", b"", 900),
        ("X-Other: 7", b'{"error": {"metadata": {"headers": {"X-RateLimit-Reset": "30"}}}}', 30),
        ("Retry-After: -3", b"", None),
        ("Retry-After: Mon, 01 Jan 2029 00:00:00 +99999999999999", b"", None),
        ("X-Other: 7", b'{"error": {"details": [{"retryDelay": "34s"}]}}', 34),
    ],
)
async def test_wait_before_a_retry_is_read_and_bounded(header: str, body: bytes, seconds: float | None) -> None:
    assert (await model_answers.read_error_of(response("429 Too Many Requests", body, header))).retry_after == seconds


@pytest.mark.parametrize("write", [write_http_date, datetime.isoformat, lambda date: f"{int(date.timestamp())}000"])
@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
async def test_wait_may_be_a_date(write: Callable[[datetime], str], header: str) -> None:
    date = write(datetime.now(UTC) + timedelta(minutes=10))
    error = await model_answers.read_error_of(response("429 Too Many Requests", b"", f"{header}: {date}"))
    assert error.retry_after
    assert 0 < error.retry_after <= 600


def test_long_header_is_read_in_linear_time() -> None:
    assert seconds_to_wait([("x-ratelimit-reset", ";" * 10**6)], is_limited=True) is None


@pytest.mark.parametrize(
    "page", [b"<html>Welcome</html>", b'Welcome\n{"text": "Yes"}\n<p>Sign in</p>', b'{"text": "Yes"}\n<p>Sign in</p>']
)
async def test_web_page_is_malformed(page: bytes) -> None:
    error = await model_answers.read_error_of(response("200 OK", page, "Content-Type: text/html"))
    assert error.code == "malformed"
    assert "LLM_" not in str(error)
    assert error.advice == "Check LLM_BASE_URL."


@pytest.mark.parametrize(
    ("address", "code", "retryable"),
    [
        pytest.param("http://127.0.0.1:9/v1", "refused", True, id="closed port"),
        ("ftp://127.0.0.1/v1", "not_configured", False),
        ("127.0.0.1/v1", "not_configured", False),
        ("http://127.0.0.1:port/v1", "not_configured", False),
    ],
)
async def test_unusable_address_is_an_error(address: str, code: str, retryable: bool) -> None:
    error = await model_answers.read_error(model_answers.provider_at(address))
    assert (error.code, error.retryable) == (code, retryable)


@pytest.mark.parametrize("key", ["kéy", "two\nlines"])
async def test_malformed_key_is_not_configured(key: str) -> None:
    async with serve_endpoint(EVENTS, DONE) as endpoint:
        error = await model_answers.read_error(model_answers.provider_at(endpoint.address, key=key))
    assert error.code == "not_configured"
    assert key not in "".join(traceback.format_exception(error))


async def test_lost_connection_keeps_the_text() -> None:
    answer, error = await model_answers.read_answer_of(EVENTS_TO_BE_CUT, text("Beca"))
    assert isinstance(error, LlmError)
    assert (answer, error.code) == ("Beca", "interrupted")


@pytest.mark.parametrize(
    ("limit", "steps", "answer"),
    [
        pytest.param({"first": 0.2}, [], "", id="before the first chunk"),
        pytest.param({"first": 0.2}, [EVENTS, b": still thinking\n\n"], "", id="with comments alone"),
        pytest.param({"idle": 0.05}, [EVENTS, text("Beca")], "Beca", id="between two chunks"),
        pytest.param({"whole": 0.5}, [EVENTS, text("Beca")], "Beca", id="of the whole answer"),
    ],
)
async def test_silence_times_out_and_disconnects(limit: dict[str, float], steps: list[Step], answer: str) -> None:
    limits = replace(model_answers.LONG_TIMEOUTS, **limit)
    async with model_answers.serve_provider(*steps, "hang", limits=limits) as (provider, endpoint):
        received, error = await model_answers.read_answer(provider)
        await asyncio.wait_for(endpoint.disconnected.wait(), 30)
    assert isinstance(error, LlmError)
    assert (received, error.code) == (answer, "timeout")


@pytest.mark.parametrize(("chunk", "end"), [(text(LONG), Done(truncated=True)), (delta(thought=LONG), "out_of_tokens")])
async def test_endless_answer_is_truncated(chunk: bytes, end: object) -> None:
    async with model_answers.serve_provider(EVENTS, *[chunk] * 10, "hang") as (provider, endpoint):
        reasoning, answer, outcome = await model_answers.read_chunks(provider)
        await endpoint.disconnected.wait()
    assert (len(reasoning + answer), getattr(outcome, "code", outcome)) == (MAX_ANSWER_LENGTH, end)


async def test_endless_events_without_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.llm.providers.events.MAX_BODY_BYTES", 5_000)
    answer, error = await model_answers.read_answer_of(EVENTS, text("Beca"), *[event({"choices": []})] * 1_000, "hang")
    assert isinstance(error, LlmError)
    assert (answer, error.code) == ("Beca", "malformed")


@pytest.mark.parametrize(
    "steps",
    [
        [response("401 Unauthorized", model_answers.KEY.encode())],
        [response("400 Bad Request", model_answers.KEY.encode())],
        [EVENTS, event({"error": {"message": model_answers.KEY}})],
        [EVENTS, f"data: {model_answers.KEY}\n\n".encode()],
        [EVENTS_TO_BE_CUT],
    ],
)
async def test_errors_and_logs_hide_the_key(steps: list[Step], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await model_answers.read_error_of(*steps)
    assert model_answers.KEY not in "".join(traceback.format_exception(error))
    assert model_answers.KEY not in caplog.text


async def test_decompressed_bomb_times_out() -> None:
    bomb = response("200 OK", gzip.compress(b"\n" * 3_000_000), EVENT_STREAM, GZIP)
    limits = replace(model_answers.LONG_TIMEOUTS, first=0.1)
    async with model_answers.serve_provider(bomb, limits=limits) as (provider, _):
        assert (await model_answers.read_error(provider)).code == "timeout"


TRUNCATED_GZIP = gzip.compress(text("Be"))[:-9]
ODD_RESPONSES = {
    "truncated gzip": response("200 OK", TRUNCATED_GZIP, EVENT_STREAM, GZIP),
    "no gzip": response("200 OK", text("Yes"), EVENT_STREAM, GZIP),
    "redirect": response("307 Temporary Redirect", b"", "Location: http://[/"),
    "unknown status": response("799 Odd"),
    "retry after": response("429 Too Many Requests", b"", f"Retry-After: {'9' * 5000}"),
    "retry after a date": response("503 Busy", b"", "Retry-After: Mon, 99 Foo 99999 99:99:99 GMT"),
    "refusal in gzip": response("400 Bad Request", TRUNCATED_GZIP, GZIP),
    "no HTTP": b"Yes\r\n\r\n",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: x\r\n\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "latin header": response("200 OK", text("Yes"), "Content-Type: text/event-stream; name=\xe9"),
}


@pytest.mark.parametrize("step", ODD_RESPONSES.values(), ids=ODD_RESPONSES)
async def test_odd_response_ends_in_answer_or_llm_error(step: bytes) -> None:
    _, end = await model_answers.read_answer_of(step)
    assert isinstance(end, Done) or str(end)
