import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from app.core.llm import Finish, Limits, LLMError, Message
from app.core.llm.answer import MAX_CHARACTERS
from app.core.llm.openai_compatible import OpenAICompatible
from app.core.llm.upstream import MAX_LINE
from tests.core.llm.endpoint import DONE, EVENTS, STOP, Act, Endpoint, Step, event, response, serving, text

KEY = "sk-not-for-anyone"
QUESTION = [Message("user", "Why?")]
USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}})
PATIENT = Limits(connect=5, first=30, idle=30, whole=30)


def provider_at(address: str, limits: Limits = PATIENT, key: str = KEY) -> OpenAICompatible:
    return OpenAICompatible(address, SecretStr(key), "a-model", limits, max_tokens=99)


@asynccontextmanager
async def asking(*steps: Step, limits: Limits = PATIENT) -> AsyncIterator[tuple[OpenAICompatible, Endpoint]]:
    async with serving(*steps) as endpoint:
        provider = provider_at(endpoint.address, limits)
        try:
            yield provider, endpoint
        finally:
            await provider.close()


async def read(provider: OpenAICompatible) -> tuple[str, Finish | LLMError]:
    """The text of an answer, and how it ended."""
    words = ""
    try:
        async with aclosing(provider.stream(QUESTION)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finish):
                    return words, piece
                words += piece
    except LLMError as error:
        return words, error
    raise AssertionError("the stream ended without a Finish")


async def answer_of(*steps: Step, limits: Limits = PATIENT) -> tuple[str, Finish | LLMError]:
    async with asking(*steps, limits=limits) as (provider, _):
        return await read(provider)


async def failure_of(*steps: Step, limits: Limits = PATIENT) -> LLMError:
    _, end = await answer_of(*steps, limits=limits)
    assert isinstance(end, LLMError)
    return end


async def test_an_answer_is_its_pieces_and_then_its_usage() -> None:
    words, end = await answer_of(EVENTS, text("Be"), text("cause."), event(STOP), USAGE, DONE)
    assert words == "Because."
    assert end == Finish(prompt_tokens=7, completion_tokens=3, truncated=False)


async def test_the_request_names_the_model_the_limit_and_the_key() -> None:
    async with asking(EVENTS, text("Because."), DONE) as (provider, endpoint):
        await read(provider)
    assert endpoint.headers[0].startswith(b"POST /v1/chat/completions ")
    assert f"Authorization: Bearer {KEY}".encode() in endpoint.headers[0]
    assert endpoint.bodies[0] == {
        "model": "a-model",
        "messages": [{"role": "user", "content": "Why?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 99,
    }


async def test_an_endpoint_without_key_or_model_is_sent_neither() -> None:
    async with serving(EVENTS, text("Because."), DONE) as endpoint:
        provider = OpenAICompatible(endpoint.address, SecretStr(""), "", PATIENT)
        await read(provider)
        await provider.close()
    assert b"authorization" not in endpoint.headers[0].lower()
    assert "model" not in endpoint.bodies[0]


async def test_a_piece_arrives_before_the_next_is_written() -> None:
    goes_on = asyncio.Event()
    async with (
        asking(EVENTS, text("One"), goes_on, text(" two"), DONE) as (provider, _),
        aclosing(provider.stream(QUESTION)) as pieces,
    ):
        assert await anext(pieces) == "One"
        goes_on.set()
        assert await anext(pieces) == " two"


async def test_characters_split_between_packets_stay_whole() -> None:
    whole = text("héllo 🌍")
    # One byte a packet, as far as the network lets them be told apart.
    steps = [whole[i : i + 1] for i in range(len(whole))]
    words, end = await answer_of(EVENTS, *steps, DONE)
    assert words == "héllo 🌍"
    assert isinstance(end, Finish)


async def test_comments_carriage_returns_and_other_fields_are_passed_over() -> None:
    crlf = text("Because.").replace(b"\n", b"\r\n")
    words, end = await answer_of(EVENTS, b": waiting\n\nevent: message\nid: 1\nretry: 5\n", crlf, DONE)
    assert words == "Because."
    assert isinstance(end, Finish)


async def test_a_limit_of_the_model_is_told_as_truncated() -> None:
    length = {"choices": [{"delta": {}, "finish_reason": "length"}]}
    _, end = await answer_of(EVENTS, text("Because"), event(length), DONE)
    assert end == Finish(truncated=True)


async def test_an_answer_with_its_finish_reason_needs_no_done() -> None:
    assert await answer_of(EVENTS, text("Because."), event(STOP)) == ("Because.", Finish())


async def test_a_cut_after_the_finish_reason_costs_only_the_usage() -> None:
    goes_on = asyncio.Event()
    async with (
        asking(EVENTS, text("Because."), event(STOP), goes_on, Act.RESET) as (provider, _),
        aclosing(provider.stream(QUESTION)) as pieces,
    ):
        assert await anext(pieces) == "Because."
        goes_on.set()
        assert await anext(pieces) == Finish()


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
async def test_a_refusal_has_its_own_code(status: str, code: str, retryable: bool) -> None:
    error = await failure_of(response(status, b'{"error": {"message": "upstream says"}}'))
    assert (error.code, error.retryable) == (code, retryable)
    assert "upstream says" not in str(error)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("999999", 3600), ("soon", None), ("-3", None)])
async def test_retry_after_is_read_and_bounded(header: str, seconds: float | None) -> None:
    error = await failure_of(response("429 Too Many Requests", b"", f"Retry-After: {header}"))
    assert error.retry_after == seconds


async def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    error = await failure_of(response("503 Service Unavailable", b"", f"Retry-After: {date}"))
    assert error.retry_after
    assert 0 < error.retry_after <= 600


async def test_a_web_page_is_no_answer() -> None:
    error = await failure_of(response("200 OK", b"<html>Welcome</html>", "Content-Type: text/html"))
    assert error.code == "malformed"
    assert "LLM_BASE_URL" in str(error)


async def test_a_port_that_nobody_listens_on_is_refused() -> None:
    async with serving() as endpoint:
        address = endpoint.address
    _, end = await read(provider_at(address))
    assert isinstance(end, LLMError)
    assert (end.code, end.retryable) == ("refused", True)


async def test_an_endpoint_without_the_tls_it_promises_is_refused() -> None:
    async def speak_plainly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response("400 Bad Request"))
        writer.close()

    async with await asyncio.start_server(speak_plainly, "127.0.0.1", 0) as server:
        provider = provider_at(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        _, end = await read(provider)
        await provider.close()
    assert isinstance(end, LLMError)
    assert end.code == "refused"


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://127.0.0.1:port/v1"])
async def test_a_malformed_address_is_a_matter_of_settings(address: str) -> None:
    _, end = await read(provider_at(address))
    assert isinstance(end, LLMError)
    assert end.code == "not_configured"


@pytest.mark.parametrize("key", ["kéy", "two\nlines"])
async def test_a_key_that_no_header_takes_is_a_matter_of_settings(key: str) -> None:
    async with serving(EVENTS, DONE) as endpoint:
        provider = provider_at(endpoint.address, key=key)
        _, end = await read(provider)
        await provider.close()
    assert isinstance(end, LLMError)
    assert end.code == "not_configured"
    assert key not in "".join(traceback.format_exception(end))


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        pytest.param([], "interrupted", id="ends without a finish"),
        pytest.param([Act.RESET], "interrupted", id="connection reset"),
        pytest.param([b'data: {"choices": [{"del'], "interrupted", id="ends within a chunk"),
        pytest.param([b"data: {nonsense}\n\n"], "malformed", id="not JSON"),
        pytest.param([b"data: [1, 2]\n\n"], "malformed", id="not an object"),
        pytest.param([event({"choices": [{"delta": {"content": ["no", "text"]}}]})], "malformed", id="not text"),
        pytest.param([b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'], "malformed", id="not UTF-8"),
        pytest.param([b'data: {"choices": [{"delta": {"content": "\\ud83d"}}]}\n\n'], "malformed", id="surrogate"),
        pytest.param([event({"error": {"code": 429, "message": "upstream says"}})], "rate_limited", id="error 429"),
        pytest.param([event({"error": {"code": "oops", "message": "x"}})], "unavailable", id="error without status"),
        pytest.param([event({"error": "upstream says"})], "unavailable", id="error as text"),
        pytest.param([b"data: " + b"x" * (MAX_LINE + 1)], "malformed", id="endless line"),
    ],
)
async def test_nonsense_in_the_middle_keeps_the_text_and_is_never_an_end(steps: list[Step], code: str) -> None:
    words, end = await answer_of(EVENTS, text("Beca"), *steps)
    assert words == "Beca"
    assert isinstance(end, LLMError)
    assert end.code == code
    assert "upstream says" not in str(end)


async def test_an_empty_answer_is_an_error() -> None:
    error = await failure_of(EVENTS, event({"choices": []}), event({"choices": None}), event(STOP), DONE)
    assert error.code == "malformed"


async def test_silence_before_the_first_piece_ends_in_a_timeout() -> None:
    error = await failure_of(Act.HANG, limits=Limits(first=0.05))
    assert error.code == "timeout"


async def test_comments_alone_are_silence() -> None:
    error = await failure_of(EVENTS, b": still thinking\n\n", Act.HANG, limits=Limits(first=0.2))
    assert error.code == "timeout"


async def test_silence_in_the_middle_ends_in_a_timeout() -> None:
    words, end = await answer_of(EVENTS, text("Beca"), Act.HANG, limits=Limits(first=30, idle=0.05))
    assert words == "Beca"
    assert isinstance(end, LLMError)
    assert end.code == "timeout"


async def test_an_answer_that_takes_too_long_as_a_whole_ends_in_a_timeout() -> None:
    words, end = await answer_of(EVENTS, text("Beca"), Act.HANG, limits=Limits(first=30, idle=30, whole=0.5))
    assert words == "Beca"
    assert isinstance(end, LLMError)
    assert end.code == "timeout"


async def test_a_timeout_hangs_up() -> None:
    async with asking(Act.HANG, limits=Limits(first=0.05)) as (provider, endpoint):
        await read(provider)
        await endpoint.hung_up.wait()


async def test_an_endless_answer_is_cut_and_told_as_truncated() -> None:
    piece = text("x" * 50_000)
    async with asking(EVENTS, *[piece] * 10, Act.HANG) as (provider, endpoint):
        words, end = await read(provider)
        await endpoint.hung_up.wait()
    assert len(words) == MAX_CHARACTERS
    assert end == Finish(truncated=True)


async def test_closing_the_stream_hangs_up() -> None:
    async with asking(EVENTS, text("Beca"), Act.HANG) as (provider, endpoint):
        async with aclosing(provider.stream(QUESTION)) as pieces:
            assert await anext(pieces) == "Beca"
        await endpoint.hung_up.wait()


async def test_cancelling_the_reader_hangs_up() -> None:
    async with asking(EVENTS, text("Beca"), Act.HANG) as (provider, endpoint):
        started = asyncio.Event()

        async def reader() -> None:
            async with aclosing(provider.stream(QUESTION)) as pieces:
                async for _ in pieces:
                    started.set()

        task = asyncio.create_task(reader())
        await started.wait()
        task.cancel()
        await endpoint.hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_cancelling_before_the_first_piece_hangs_up() -> None:
    async with asking(Act.HANG) as (provider, endpoint):
        task = asyncio.create_task(read(provider))
        await endpoint.asked.wait()
        task.cancel()
        await endpoint.hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "steps",
    [
        [response("401 Unauthorized", KEY.encode())],
        [response("400 Bad Request", KEY.encode())],
        [EVENTS, event({"error": {"message": KEY}})],
        [EVENTS, f"data: {KEY}\n\n".encode()],
        [EVENTS, Act.RESET],
    ],
)
async def test_the_key_is_in_no_error_and_no_log(steps: list[Step], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await failure_of(*steps)
    assert KEY not in "".join(traceback.format_exception(error))
    assert KEY not in caplog.text
