"""Odd answers of endpoints: each ends in an answer or in an error for the user."""

import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from opportune.contrib.llm import Done
from opportune.contrib.llm.providers.provider import ToolSchema
from tests.opportune.contrib.llm.providers.endpoint import DONE, EVENTS, STOP, Step, event, response, text
from tests.opportune.contrib.llm.providers.model_answers import read_answer, read_answer_of, serve_provider

TOOLS = [ToolSchema("find", "Find rows.", {"type": "object", "properties": {}})]
HUGE = 10**400
TRUNCATED_GZIP = gzip.compress(text("Be"))[:-9]
JSON, HTML = "Content-Type: application/json", "Content-Type: text/html"
EVENT_STREAM = "Content-Type: text/event-stream"


def delta(**fields: Any) -> bytes:
    return event({"choices": [{"index": 0, "delta": fields}]})


def call(**fields: Any) -> bytes:
    return delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "find", "arguments": "{}"}, **fields}])


def function(**fields: Any) -> bytes:
    return call(function={"name": "find", "arguments": "{}", **fields})


def nested(levels: int, brackets: str = "[]") -> str:
    return brackets[0] * levels + brackets[1] * levels


def usage(value: object) -> bytes:
    return text("Yes") + event({"choices": [], "usage": value})


def variants(name: str, make: Callable[[Any], bytes], *values: object) -> dict[str, Sequence[Step]]:
    return {f"{name}_{value!r}"[:30]: [make(value)] for value in values}


EVENT_STREAMS: dict[str, Sequence[Step]] = {
    "empty_data": [b"data:\n\n", text("Yes")],
    "data_over_lines": [b'data: {"choices":\ndata: [{"delta": {"content": "Yes"}}]}\n\n'],
    "other_fields": [b"id\nretry: x\nevent: ping\n: comment\n\n", text("Yes")],
    "byte_order_mark": [b"\xef\xbb\xbf", text("Yes")],
    "carriage_returns": [text("Yes").replace(b"\n", b"\r")],
    "half_surrogate": [b'data: {"choices": [{"delta": {"content": "Yes \\ud83d"}}]}\n\n'],
    "invalid_utf8": [b'data: {"choices": [{"delta": {"content": "Yes \xff"}}]}\n\n'],
    "nul": [text("Yes\0")],
    "nothing": [],
    "only_done": [DONE],
    "json_null": [b"data: null\n\n"],
    "json_list": [event([{"choices": []}])],
    "json_number": [b"data: 1e999\n\n"],
    "no_json": [b"data: <html>\n\n"],
    "not_a_number": [b'data: {"choices": [{"index": NaN, "delta": {"content": "Yes"}}]}\n\n'],
    "huge_number": [b'data: {"choices": [{"index": %d, "delta": {"content": "Yes"}}]}\n\n' % HUGE],
    "deep_list": [f'data: {{"choices": {nested(100_000)}}}\n\n'.encode()],
    "deep_reasoning": [f'data: {{"choices": [{{"delta": {{"reasoning": {nested(150)}}}}}]}}\n\n'.encode()],
    "deep_error": [f'data: {{"error": {nested(150)}}}\n\n'.encode()],
    "null_choices": [event({"choices": None}), text("Yes")],
    "choices_object": [event({"choices": {"0": {}}})],
    "null_choice": [event({"choices": [None]})],
    "null_delta": [event({"choices": [{"index": 0, "delta": None}]}), text("Yes")],
    "delta_list": [event({"choices": [{"index": 0, "delta": ["Yes"]}]})],
    "message_instead_of_delta": [event({"choices": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]})],
    "content_number": [delta(content=5)],
    "content_object": [delta(content={"text": "Yes"})],
    "content_parts": [delta(content=[{"text": ["Yes", 5, None, {"text": {}}]}, {}])],
    "null_part": [delta(content=[None])],
    "refusal": [delta(refusal="I cannot do that.")],
    "reasoning_numbers": [delta(reasoning_content=5, reasoning={"text": []}), text("Yes")],
    "finish_reason_number": [event({"choices": [{"delta": {"content": "Yes"}, "finish_reason": 7}]})],
    "event_error": [b'event: error\ndata: {"message": "overloaded"}\n\n'],
    "error_object": [event({"object": "error", "message": "overloaded"})],
    "null_call": [delta(tool_calls=[None])],
    "call_object": [delta(tool_calls={"id": "a"})],
    "call_without_function": [delta(tool_calls=[{}])],
    "many_calls": [delta(tool_calls=[{"index": index, "function": {"name": "find"}} for index in range(40)])],
    "call_in_message": [event({"choices": [{"message": {"tool_calls": [{"function": {"name": "find"}}]}}]})],
    **variants("index", lambda value: call(index=value), None, -1, 16, 10**9, HUGE, "1", 1.5, []),
    **variants("id", lambda value: call(id=value), 5, None, [], "\0"),
    **variants("arguments", lambda value: function(arguments=value), {"a": 1}, [], 5, None, "\0", "["),
    **variants("name", lambda value: function(name=value), 5, None, "", "\0", {}),
    **variants("function", lambda value: call(function=value), "find", [], 5),
    **variants("code", lambda value: event({"error": {"code": value}}), 401, "401", "busy", True, 4.5, HUGE, [], -1),
    **variants("error", lambda value: event({"error": value}), "overloaded", ["a"], 5, True),
    **variants("usage", usage, [], "7", {}),
    **variants("tokens", lambda value: usage({"prompt_tokens": value}), -1, "x", 1.5, HUGE, None, {}, float("nan")),
    "usage_details": [usage({"prompt_tokens_details": [1]})],
}
RESPONSES = {
    "no_content_type": response("200 OK", text("Yes")),
    "capitals": response("200 OK", text("Yes") + event(STOP), "content-TYPE: Text/Event-Stream; Charset=UTF-8"),
    "json_answer": response("200 OK", json.dumps({"choices": [{"message": {"content": "Yes"}}]}).encode(), JSON),
    "json_error": response("200 OK", b'{"error": {"code": 429}}', JSON),
    "json_list": response("200 OK", b"[]", JSON),
    "html": response("200 OK", b"<!doctype html><p>Sign in", HTML),
    "html_as_events": response("200 OK", b"<!doctype html>\n<p>Sign in\n", EVENT_STREAM),
    "truncated_gzip": response("200 OK", TRUNCATED_GZIP, EVENT_STREAM, "Content-Encoding: gzip"),
    "no_gzip": response("200 OK", text("Yes"), EVENT_STREAM, "Content-Encoding: gzip"),
    "unknown_encoding": response("200 OK", text("Yes"), EVENT_STREAM, "Content-Encoding: x"),
    "no_content": response("204 No Content"),
    "redirect": response("307 Temporary Redirect", b"", "Location: http://[/"),
    "unknown_status": response("799 Odd"),
    "retry_after": response("429 Too Many Requests", b"", f"Retry-After: {'9' * 5000}"),
    "retry_after_date": response("503 Busy", b"", "Retry-After: Mon, 99 Foo 99999 99:99:99 GMT"),
    "refusal_in_gzip": response("400 Bad Request", TRUNCATED_GZIP, "Content-Encoding: gzip"),
    "refusal_list": response("400 Bad Request", b"[[]]", JSON),
    "no_http": b"Yes\r\n\r\n",
    "cut_head": b"HTTP/1.1 200 OK\r\nContent-",
    "bad_length": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: x\r\n\r\n",
    "bad_chunk": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "latin_header": response("200 OK", text("Yes"), "Content-Type: text/event-stream; name=\xe9"),
}


@pytest.mark.parametrize("steps", EVENT_STREAMS.values(), ids=EVENT_STREAMS)
async def test_odd_event_ends_in_answer_or_llm_error(steps: Sequence[Step]) -> None:
    async with serve_provider(EVENTS, *steps, event(STOP), DONE) as (provider, _):
        _, outcome = await read_answer(provider, TOOLS)
    assert isinstance(outcome, Done) or str(outcome)


@pytest.mark.parametrize("step", RESPONSES.values(), ids=RESPONSES)
async def test_odd_response_ends_in_answer_or_llm_error(step: bytes) -> None:
    _, outcome = await read_answer_of(step)
    assert isinstance(outcome, Done) or str(outcome)
