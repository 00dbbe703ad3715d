"""Odd responses of endpoints: each ends in an answer or in an error for the user."""

import gzip

import pytest

from opportune.contrib.llm import Done
from tests.opportune.contrib.llm.providers.endpoint import STOP, event, response, text
from tests.opportune.contrib.llm.providers.model_answers import read_answer_of

TRUNCATED_GZIP = gzip.compress(text("Be"))[:-9]
JSON = "Content-Type: application/json"
EVENT_STREAM = "Content-Type: text/event-stream"

RESPONSES = {
    "no_content_type": response("200 OK", text("Yes")),
    "capitals": response("200 OK", text("Yes") + event(STOP), "content-TYPE: Text/Event-Stream; Charset=UTF-8"),
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


@pytest.mark.parametrize("step", RESPONSES.values(), ids=RESPONSES)
async def test_odd_response_ends_in_answer_or_llm_error(step: bytes) -> None:
    _, outcome = await read_answer_of(step)
    assert isinstance(outcome, Done) or str(outcome)
