"""Habits of endpoints, collected from public bug reports: the body of a response, and the answer that it means."""

import json
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.events import MAX_LINE_BYTES
from opportune.contrib.llm.providers.marks import BAR
from opportune.contrib.llm.providers.tool_calls import CUT
from tests.opportune.contrib.llm.providers.endpoint import DONE, STOP, event, text
from tests.opportune.contrib.llm.vendors.recordings import ANTHROPIC, ARGUMENTS, GOOGLE, OPENAI

Call = tuple[str, str]
Typed = tuple[str, dict[str, Any]]
"""Type and other fields of an event."""


class Answer(NamedTuple):
    """An answer: its text, reasoning, calls as (name, arguments), code of its error, and token counts."""

    text: str = "Yes"
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    error: str = ""
    tokens: tuple[int | None, int | None] = (None, None)
    truncated: bool = False


class Habit(NamedTuple):
    body: bytes
    answer: Answer


END = event(STOP) + DONE
YES = text("Yes")
HUGE = 10**400
LONG = b"9" * 5_000


def delta(**fields: Any) -> bytes:
    return choice(delta=fields)


def escaped(content: bytes) -> bytes:
    """Return an event with a text that is not escaped again."""
    return b'data: {"choices": [{"delta": {"content": "' + content + b'"}}]}\n\n'


def choice(**fields: Any) -> bytes:
    return chunk({"index": 0, **fields})


def chunk(*choices: object, **fields: Any) -> bytes:
    return event({"choices": choices, **fields})


def finish(reason: object, **fields: Any) -> bytes:
    return choice(delta={}, finish_reason=reason, **fields)


def piece(**fields: Any) -> bytes:
    """Return a piece of a tool call. `name` and `arguments` are those of its function."""
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    return delta(tool_calls=[{**fields, **({"function": function} if function else {})}])


def found(arguments: object) -> bytes:
    """Return the beginning of a call of `find`."""
    return piece(index=0, id="a", name="find", arguments=arguments)


def usage(counts: object) -> bytes:
    return event({"choices": [], "usage": counts})


def error(*error: object, **fields: object) -> bytes:
    """Return an event with an error: an object with these fields, or another value."""
    return event({"error": error[0] if error else fields})


def document(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def says(*pieces: bytes, **expected: Any) -> Habit:
    """Return a habit before the usual end of an answer."""
    return Habit(b"".join(pieces) + END, Answer(**expected))


def ends(*pieces: bytes, **expected: Any) -> Habit:
    """Return a habit of a whole response."""
    return Habit(b"".join(pieces), Answer(**expected))


def calls(*pieces: bytes, calls: list[Call] | None = None) -> Habit:
    expected = [("find", ARGS)] if calls is None else calls
    return Habit(b"".join(pieces) + finish("tool_calls") + DONE, Answer("", calls=tuple(expected)))


def thinks(*pieces: bytes, reasoning: str = "Hm.", answer: str = "Yes") -> Habit:
    return Habit(b"".join(pieces) + END, Answer(answer, reasoning))


def fails(error: str, *pieces: bytes, text: str = "") -> Habit:
    return Habit(b"".join(pieces), Answer(text, error=error))


def message(content: object = "Yes", **fields: Any) -> dict[str, Any]:
    body = {"index": 0, "message": {"role": "assistant", "content": content, **fields}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [body], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


ARGS = '{"q": 1}'
FINDS = (("find", ARGS),)
TWO = [*FINDS, ("open", '{"id": 2}')]
FIND, OPEN = {"name": "find", "arguments": ARGS}, {"name": "open", "arguments": '{"id": 2}'}
BEGINNING, REST = {"name": "find", "arguments": '{"q"'}, {"arguments": ": 1}"}
"""Two parts of the call `FIND`."""
CALL = {"id": "a", "function": FIND}
FOUND = piece(index=0, id="a", **FIND)
SAYS_YES, SAYS_NO = {"delta": {"content": "Yes"}}, {"delta": {"content": "No"}}
IN_TWO = {"delta": {"content": "Ye"}}, {"delta": {"content": "s"}}
COUNTED = {"usage": {"prompt_tokens": 7, "completion_tokens": 3}}
USAGE = usage(COUNTED["usage"])
YES_IN_TWO = text("Ye"), text("s")
IT_IS = {"content": "It is."}
CUMULATIVE = ("Ye", None), ("Yes", "stop")
RECORDED = (("weather", ARGUMENTS),)


def typed(*events: Typed) -> bytes:
    """Return events with a type in their data."""
    return b"".join(event({"type": type_, **fields}) for type_, fields in events)


def response_is(status: str, **fields: object) -> bytes:
    """Return the end of an answer of OpenAI's responses."""
    return typed((f"response.{status}", {"response": {"status": status, "output": [], **fields}}))


EVENTS = {
    "empty data": says(b"data:\n\ndata: \n\n", YES),
    "no space after data": says(YES.replace(b"data: ", b"data:")),
    "space before data": says(YES.replace(b"data", b"  data")),
    "tabs": says(YES.replace(b"data: ", b"data:\t")),
    "data twice": says(YES.replace(b"data: ", b"data: data: ")),
    "data over lines": says(b'data: {"choices":\ndata: [{"delta": {"content": "Yes"}}]}\n\n'),
    "one line break between events": says(text("Ye").strip() + b"\n" + text("s").strip() + b"\n"),
    "comments": says(b": OPENROUTER PROCESSING\n\n", YES, b":\n\n:keep-alive\n"),
    "fields alone": says(b"retry: 3000\n\nid: 1\n\nevent: ping\n\n", YES, b"id\nretry: x\nfoo: bar\n\n"),
    "fields before data": says(b"event: completion\nid: 4\n", YES),
    "ping event": says(b'event: ping\ndata: {"type": "ping"}\n\n', YES),
    "ping without name": says(b'data: {"type": "ping"}\n\ndata: {}\n\n', YES),
    "error field": fails("rate_limited", YES, b'error: {"code": 429, "message": "Slow down"}\n\n', text="Yes"),
    "byte order mark": says(b"\xef\xbb\xbf", YES),
    "CRLF": Habit((text("Ye") + text("s") + END).replace(b"\n", b"\r\n"), Answer()),
    "CR": Habit((text("Ye") + text("s") + END).replace(b"\n", b"\r"), Answer()),
    "CRLF within an event": says(b'data: {"choices":\r\ndata: [{"delta": {"content": "Yes"}}]}\r\n\r\n'),
    "no blank line at the end": ends(YES, event(STOP).strip()),
    "no line break at the end": ends(YES, b"data: [DONE]"),
    "done without space": ends(YES, b"data:[DONE]\n\n"),
    "done in quotes": ends(YES, b'data: "[DONE]"\n\n'),
    "done without data": ends(YES, b"[DONE]\n"),
    "done in lower case": ends(YES, b"data: [done]\n\n"),
    "done event": ends(YES, b"event: done\ndata: {}\n\n"),
    "text after done": ends(YES, END, text("No")),
    "two events in one line": says(YES_IN_TWO[0].strip() + YES_IN_TWO[1]),
    "two objects in one line": says(YES_IN_TWO[0].strip() + YES_IN_TWO[1].removeprefix(b"data:")),
    "escaped line breaks": says(YES_IN_TWO[0].strip() + rb"\n\n" + YES_IN_TWO[1].strip() + rb"\n\n", b"\n\n"),
    "byte order mark before each event": says(*(b"\xef\xbb\xbf" + part for part in YES_IN_TWO)),
    "field in capitals": says(YES.replace(b"data", b"Data")),
    "zero bytes": says(b"\0\n\n", YES, b"\0\0\n\n"),
    "brace after done": ends(YES, b"data: [DONE]}\n\n"),
    "junk": says(b"data: hello\n\ndata: {nonsense\n\ndata: <p>\n\n", YES),
    "half a chunk": says(b'data: {"choices": [{"del\n\n', YES),
    "JSON of other types": says(b"data: null\n\ndata: 1e999\n\ndata: true\n\n", event("text"), event([]), YES),
    "events in a list": says(event([{"choices": [{"delta": {"content": "Yes"}}]}])),
    "event encoded twice": says(event(json.dumps({"choices": [{"delta": {"content": "Yes"}}]}))),
    "half surrogate": says(escaped(b"Yes \\ud83d"), text="Yes �"),
    "surrogate of a thought in two events": says(
        *(part.replace(b"content", b"reasoning") for part in (escaped(b"\\ud83d"), escaped(b"\\ude00"))),
        YES,
        reasoning="😀",
    ),
    "half surrogate in a call": calls(found("x").replace(b'"x"', b'"\\ud83d"'), calls=[("find", "�")]),
    "surrogate in two events": says(escaped(b"Yes \\ud83d"), escaped(b"\\ude00"), text="Yes 😀"),
    "encoding of Windows": says(escaped(b"\x93caf\xe9\x94"), text="“café”"),
    "half a character": says(escaped("é".encode() + b"\xc3"), text="é�"),
    "line break in a text": says(escaped(b"Yes\t"), text="Yes\t"),
    "NaN": says(b'data: {"created": NaN, "choices": [{"delta": {"content": "Yes"}}]}\n\n'),
    "deep list": says(f'data: {{"choices": {"[" * 9_000 + "]" * 9_000}}}\n\n'.encode(), YES),
    "JSON lines": ends(*(part.removeprefix(b"data: ") for part in (YES, event(STOP)))),
    "JSON lines of Ollama": ends(
        b'{"message": {"content": "Yes"}, "done": false}\n{"done": true, "done_reason": "stop"}\n'
    ),
    "JSON text sequence": ends(*(part.replace(b"data: ", b"\x1e") for part in (YES, event(STOP)))),
    "one JSON line of Ollama": fails("interrupted", b'{"message": {"content": "Ye"}, "done": false}\n', text="Ye"),
    "one JSON line": fails("interrupted", YES.removeprefix(b"data: "), text="Yes"),
    "list over lines": ends(b"[", b"\n,\n".join(part[6:].strip() for part in (*YES_IN_TWO, event(STOP))), b"\n]\n"),
    "commas between lines": ends(b",\n".join(part[6:].strip() for part in (*YES_IN_TWO, event(STOP)))),
    "nothing": fails("interrupted"),
    "only done": fails("empty", DONE),
    "interrupted": fails("interrupted", text("Ye"), text="Ye"),
    "interrupted in a chunk": fails("interrupted", text("Ye"), b'data: {"choices": [{"delta": {"con', text="Ye"),
    "no finish reason but done": ends(YES, DONE),
    "web page": fails("malformed", b"\n<!doctype html>\n<title>Sign in</title>"),
    "UTF-16": fails("interrupted", YES.decode().encode("utf-16")),
    "endless line": fails("malformed", YES, b"data: " + b"x" * (MAX_LINE_BYTES + 1), text="Yes"),
    "endless event": fails("malformed", YES, b"data: x\n" * (MAX_LINE_BYTES + 1), text="Yes"),
    "done in a list": ends(YES, b'data: ["DONE"]\n\n'),
    "done twice in a line": ends(YES, b"data: [DONE]data: [DONE]\n\n"),
    "keep-alives": says(b": ping - 12:00\r\n\r\n", YES, b"event: keepalive\r\ndata: \r\n\r\n", b"data: ping\n\n"),
    "error event with a reason": fails("rate_limited", b"event: error\ndata: rate limit exceeded\n\n", END),
    "huge id": says(b'data: {"id": %s, "choices": [{"delta": {"content": "Yes"}}]}\n\n' % LONG),
}
DOCUMENTS = {
    "whole answer": ends(document(message()), tokens=(7, 3)),
    "whole answer in one line": ends(json.dumps(message()).encode(), tokens=(7, 3)),
    "whole answer after blank lines": ends(b"\n\n \n", document(message()), tokens=(7, 3)),
    "whole answer as event": ends(event(message()), tokens=(7, 3)),
    "whole answer without reason": ends(document({"choices": [{"message": {"content": "Yes"}}]})),
    "whole answer as event without reason": ends(chunk({"message": {"content": "Yes"}})),
    "interrupted messages": fails("interrupted", *(chunk({"message": {"content": part}}) for part in "Ye"), text="Ye"),
    "whole answer with reasoning": ends(document(message(reasoning_content="Hm.")), reasoning="Hm.", tokens=(7, 3)),
    "whole answer with tags": ends(document(message("<think>Hm.</think>Yes")), reasoning="Hm.", tokens=(7, 3)),
    "whole answer with calls": ends(document(message(None, tool_calls=[CALL])), text="", calls=FINDS, tokens=(7, 3)),
    "whole answer with a closing tag": ends(document(message("Hm.\n</think>\nYes")), reasoning="Hm.\n", tokens=(7, 3)),
    "text of old completions": ends(document({"choices": [{"text": "Yes", "finish_reason": "stop"}]})),
    "chunk in an object": says(event({"result": {"choices": [{"delta": {"content": "Yes"}}]}})),
    "usage beside the object": says(event({"output": {"choices": [SAYS_YES]}, **COUNTED}), tokens=(7, 3)),
    "error document": fails("rate_limited", document({"error": {"message": "Slow down", "code": 429}})),
    "error in a list": fails("rate_limited", document([{"error": {"status": "RESOURCE_EXHAUSTED"}}])),
    "log line after the answer": ends(document(message()) + b"\nINFO: 200 OK\n", tokens=(7, 3)),
    "text of DashScope": ends(document({"output": {"text": "Yes", "finish_reason": "stop"}, **COUNTED}), tokens=(7, 3)),
    "responses of Workers AI": ends(event({"response": "Ye", "p": "ab"}), event({"response": "s"}), DONE),
    "JSON of Workers AI": ends(document({"result": {"response": {"q": 1}}, "success": True}), text=ARGS),
    "parsed JSON": ends(document(message(None, parsed={"q": 1})), text=ARGS, tokens=(7, 3)),
    "code alone": fails("unauthorised", document({"error_code": 110, "error_msg": "Access token invalid"})),
    "title and status": fails("rate_limited", document({"status": 429, "title": "Too Many Requests"})),
    "fault of Apigee": fails("rate_limited", document({"fault": {"faultstring": "Rate limit quota violation."}})),
}
CHOICES = {
    "no choices": says(event({"choices": None}), event({"choices": []}), YES),
    "choices as object": says(event({"choices": {"index": 0, "delta": {"content": "Yes"}}})),
    "choices by index": says(event({"choices": {"0": {"delta": {"content": "Yes"}}}})),
    "null choice": says(event({"choices": [None, 5]}), YES),
    "choice without index": says(event({"choices": [{"delta": {"content": "Yes"}}]})),
    "choice index as text": says(event({"choices": [{"index": "0", "delta": {"content": "Yes"}}]})),
    "huge index": says(event({"choices": [{"index": HUGE, "delta": {"content": "Yes"}}]})),
    "second choice": says(
        chunk({"index": 0, **SAYS_YES}, {"index": 1, **SAYS_NO}), chunk({"index": 1, "finish_reason": "length"})
    ),
    "another index in each chunk": says(chunk({"index": 0, **IN_TWO[0]}), chunk({"index": 1, **IN_TWO[1]})),
    "text and calls in choices without index": ends(
        document({"choices": [{"message": {"content": "Yes"}}, {"message": {"tool_calls": [CALL]}}]}), calls=FINDS
    ),
    "second choice without index": says(chunk(SAYS_YES, SAYS_NO)),
    "parts of a choice in a list": says(chunk({"index": 0, **SAYS_YES}, {"index": 0, **SAYS_NO}), text="YesNo"),
    "odd created, model and logprobs": says(chunk({**SAYS_YES, "logprobs": [1]}, id=5, created="now", model=None)),
    "null delta": says(choice(delta=None), YES),
    "delta as text": says(choice(delta="Yes")),
    "delta as list": says(choice(delta=["Ye", "s"])),
    "delta of an answer without list": says(event({"delta": {"content": "Yes"}})),
    "message instead of delta": says(choice(message={"content": "Ye"}), choice(message={"content": "s"})),
    "whole message at the end": ends(*YES_IN_TWO, choice(message={"content": "Yes\n"}, finish_reason="stop")),
    "growing message beside delta": says(
        choice(delta={"content": "Ye"}, message={"content": "Ye"}),
        choice(delta={"content": "s"}, message={"content": "Yes"}),
    ),
    "message alone grows": says(choice(message={"content": "Ye"}), choice(message={"content": "Yes"})),
    "whole text in each piece": says(*map(text, ["It is", "It is so", "It is so", "It is so."]), text="It is so."),
    "whole short text in each piece": says(*map(text, ["I", "I a", "I am"]), text="I am"),
    "piece like the one before": says(*map(text, ["1", "10", ".", "ha", "ha", "haha"]), text="110.hahahaha"),
    "repetition at the end": says(text("1"), text("10"), text="110"),
    "content parts": says(delta(content=[{"type": "text", "text": "Ye"}, {"type": "text", "text": "s"}, None])),
    "content as object": says(delta(content={"type": "text", "text": "Yes"})),
    "content as number": says(delta(content=5), text="5"),
    "content as truth value": says(delta(content=True), YES),
    "role in each chunk": says(delta(role="assistant", content="Ye"), delta(role=None, content="s")),
    "unknown fields": says(delta(content="Yes", audio={"data": "x"}, annotations=[{}], images=None, padding="xxx")),
    "error object without error": says(chunk(SAYS_YES, error={"code": 0, "message": ""})),
    "null error": says(chunk(SAYS_YES, error=None)),
    "filter results of Azure": says(chunk(prompt_filter_results=[{"content_filter_results": {}}]), YES),
    "deep content": says(delta(content=json.loads("[" * 900 + "]" * 900)), YES),
    "text in the delta": says(delta(text="Ye"), delta(type="text_delta", text="s")),
    "refusal as part": says(delta(content=[{"type": "refusal", "refusal": "I cannot."}]), text="I cannot."),
    "text as object": says(delta(content=[{"type": "text", "text": {"value": "Yes"}}])),
    "whole text at the end": ends(text("It "), text("is."), choice(delta=IT_IS, finish_reason="stop"), text="It is."),
    "header of the answer": says(text("<|im_start|>assis"), text("tant\nYes")),
    "token at the end": says(text("Yes"), text("<|im_"), text("end|>")),
    "token in the text": says(text("Write <|im_end|>."), text="Write <|im_end|>."),
    "success beside no choices": says(event({"code": 200, "message": "Success", "data": None}), YES),
    "refusal": says(delta(refusal="I cannot "), delta(refusal="do that."), text="I cannot do that."),
    "code of the vendor": says(event({"type": "response.code_interpreter_call_code.delta", "delta": "1 + 1"}), YES),
    "delta beside another text": says(
        event({"type": "x", "start": "2026-01-01", "delta": "Ye"}), event({"type": "x", "item": "m1", "delta": "s"})
    ),
    "results of tools": says(
        *(event({"type": type_, "name": "web", "content": "No"}) for type_ in ("tool_result", "tool-output-available")),
        YES,
    ),
    "word again at the end": ends(event({"response": "no"}), event({"response": " no", "done": True}), text="no no"),
    "short text at the end": ends(text("Yes"), event({"text": "Yes", "is_finished": True})),
    "whole answer with audio": ends(document(message(None, audio={"data": "x", "transcript": "Yes"})), tokens=(7, 3)),
    "transcript of audio": says(delta(audio={"transcript": "Ye"}), delta(audio={"transcript": "s"})),
    "refusal beside null": says(delta(content=None, refusal="I cannot."), text="I cannot."),
    "message in the delta": says(event({"type": "content-delta", "delta": {"message": {"content": {"text": "Yes"}}}})),
    "error object with success": says(chunk(SAYS_YES, error={"code": "Success"})),
    "filter result with an error": says(chunk({**SAYS_YES, "content_filter_result": {"error": {"code": "x"}}})),
}
FINISHES = {
    "stop in each chunk": ends(choice(delta={"content": "Ye"}, finish_reason="stop"), text("s"), DONE),
    "text with the reason": ends(choice(delta={"content": "Yes"}, finish_reason="stop")),
    "reason in capitals": ends(YES, finish("STOP")),
    "other reason": ends(YES, finish("eos_token")),
    "reason as number": ends(YES, finish(7)),
    "reason in camel case": ends(YES, choice(delta={}, finishReason="stop")),
    "stop_reason": ends(YES, choice(delta={}, stop_reason="stop")),
    "reason as details": ends(YES, choice(delta={}, finish_details={"type": "stop", "stop": "<|im_end|>"})),
    "reason in the delta": ends(choice(delta={"content": "Yes", "finish_reason": "stop"})),
    "reason beside no choices": ends(YES, event({"choices": [], "finish_reason": "stop"})),
    "not_finished": fails("interrupted", choice(delta={"content": "Ye"}, finish_reason="not_finished"), text="Ye"),
    "token_limit": ends(YES, finish("token_limit"), truncated=True),
    "guardrail_intervened": fails("filtered", text("Ye"), finish("guardrail_intervened"), text="Ye"),
    "ERROR_TOXIC": fails("filtered", text("Ye"), finish("ERROR_TOXIC"), text="Ye"),
    "unfinished as text": fails("interrupted", choice(delta={"content": "Ye"}, finish_reason="null"), text="Ye"),
    "unfinished as empty text": fails("interrupted", choice(delta={"content": "Ye"}, finish_reason=""), text="Ye"),
    "length": ends(YES, finish("length"), truncated=True),
    "MAX_TOKENS": ends(YES, finish("MAX_TOKENS"), truncated=True),
    "context window": ends(YES, finish("model_context_window_exceeded"), truncated=True),
    "repetition": ends(YES, finish("repetition_truncation"), truncated=True),
    "overloaded": fails("unavailable", finish("engine_overloaded"), DONE),
    "content filter": fails("filtered", text("Ye"), finish("content_filter"), DONE, text="Ye"),
    "content filter without text": fails("filtered", finish("content_filter"), DONE),
    "content filter with a cause": fails("filtered", finish("content_filter: PROHIBITED_CONTENT"), DONE),
    "SAFETY": fails("filtered", text("Ye"), finish("SAFETY"), DONE, text="Ye"),
    "sensitive": fails("filtered", text("Ye"), finish("sensitive"), DONE, text="Ye"),
    "error": fails("interrupted", text("Ye"), finish("error"), DONE, text="Ye"),
    "lack of resources": fails("interrupted", text("Ye"), finish("insufficient_system_resource"), DONE, text="Ye"),
    "abort": fails("interrupted", text("Ye"), finish("abort"), text="Ye"),
    "network error": fails("interrupted", text("Ye"), finish("network_error"), text="Ye"),
    "malformed call": fails("unavailable", finish("function_call_filter: MALFORMED_FUNCTION_CALL"), DONE),
    "only white space": fails("empty", text("\n"), END, text="\n"),
    "only reasoning": fails("out_of_tokens", finish("length")),
    "MODEL_ARMOR": fails("filtered", finish("MODEL_ARMOR"), DONE),
    "policy violation": fails("filtered", finish("policy_violation"), DONE),
    "incomplete": ends(YES, finish("incomplete"), truncated=True),
    "reason as object": fails("interrupted", text("Ye"), finish({"type": "abort"}), DONE, text="Ye"),
}
ERRORS = {
    "code as number": fails("rate_limited", YES, error(code=429), text="Yes"),
    "code as text": fails("rate_limited", error(code="429")),
    "rate_limit_exceeded": fails("rate_limited", error(code="rate_limit_exceeded")),
    "RESOURCE_EXHAUSTED": fails("rate_limited", error(status="RESOURCE_EXHAUSTED")),
    "type of the error": fails("rate_limited", error(type="rate_limit_error")),
    "insufficient_quota": fails("unauthorised", error(code="insufficient_quota")),
    "insufficient balance": fails("unauthorised", error(message="Insufficient Balance", code=402)),
    "invalid_api_key": fails("unauthorised", error(code="invalid_api_key")),
    "model_not_found": fails("not_configured", error(code="model_not_found")),
    "overloaded_error": fails("unavailable", event({"type": "error", "error": {"type": "overloaded_error"}})),
    "DEADLINE_EXCEEDED": fails("timeout", error(code="DEADLINE_EXCEEDED")),
    "context_length_exceeded": fails("context_too_long", error(code="context_length_exceeded")),
    "context of llama.cpp": fails("context_too_long", error(code=400, message="exceeds the available context size")),
    "content filter as error": fails("filtered", error(code="content_filter")),
    "own code": fails("unavailable", error(code=50603)),
    "odd codes": fails("unavailable", error(code=[True, HUGE, {}, -1, 4.5])),
    "error as text": fails("unavailable", YES, error("upstream says"), text="Yes"),
    "error as sentence": fails("rate_limited", error("Rate limit reached. Try again later.")),
    "error as list": fails("unavailable", error(["a", 5])),
    "error as truth value": fails("unavailable", event({"error": True, "message": "Service is busy"})),
    "status beside the error": fails("rate_limited", event({"error": "Slow down", "status": 429})),
    "error of vLLM": fails("rejected", event({"object": "error", "type": "Bad", "message": "x", "code": 400})),
    "message and code": fails("rate_limited", event({"message": "Slow down", "code": "too_many_requests"})),
    "progress": says(event({"type": "", "message": "You are number 3", "position": 3}), YES),
    "message alone": fails("unavailable", event({"message": "Internal Server Error"})),
    "detail": fails("unauthorised", event({"detail": "Unauthorized"})),
    "detail as list": fails("rejected", event({"detail": [{"loc": ["body"], "msg": "x", "type": "missing"}]})),
    "errors of Cloudflare": fails("rate_limited", event({"success": False, "errors": [{"message": "rate limit"}]})),
    "base_resp of MiniMax": fails("rate_limited", event({"base_resp": {"status_code": 1, "status_msg": "rate limit"}})),
    "base_resp beside choices": fails(
        "unauthorised", event({"choices": None, "base_resp": {"status_code": 8, "status_msg": "insufficient balance"}})
    ),
    "header of Spark": fails("unavailable", event({"header": {"code": 10013, "message": "x"}})),
    "detail as object": fails("rate_limited", event({"detail": {"message": "Slow down", "code": 429}})),
    "exception of AWS": fails("rate_limited", event({"throttlingException": {"message": "Too many requests"}})),
    "type of AWS": fails("rate_limited", event({"__type": "ThrottlingException", "message": "Too many requests"})),
    "too long, in Chinese": fails("context_too_long", error(code="1261", message="Prompt 超长")),
    "filter, in Chinese": fails("filtered", error(code="1301", message="系统检测到输入内容可能包含敏感内容")),
    "rate limit, in Chinese": fails("rate_limited", error(code="1302", message="并发数过高")),
    "no credit, in Chinese": fails("unauthorised", error(code="1113", message="您的账户已欠费")),
    "error event": fails("unavailable", YES, b'event: error\ndata: {"message": "overloaded"}\n\n', text="Yes"),
    "error event with text": fails("unavailable", YES, b"event: error\ndata: overloaded\n\n", END, text="Yes"),
    "error event with error": fails("rate_limited", b'event: error\ndata: {"error": {"code": 429}}\n\n'),
    "error in a choice": fails("rate_limited", text("Ye"), finish("error", error={"code": 429}), DONE, text="Ye"),
    "error beside choices": fails("unavailable", chunk({"delta": {}, "finish_reason": "error"}, error={"code": 502})),
    "error of a proxy": fails("rate_limited", error(message="litellm: Error code: 429 - {}", code="429")),
    "nested error": fails("rate_limited", error(error={"code": 429})),
    "error after the reason": says(YES, event(STOP), error(code=500)),
    "failed call of Groq": fails(
        "unavailable", error(message="Failed to call a function.", code="tool_use_failed", failed_generation="safety")
    ),
    **{
        f"{code}: {words}": fails(code, error(message=words))
        for code, words in (
            ("unauthorised", "Authorization Token非法"),
            ("unauthorised", "身份验证失败。"),
            ("unauthorised", "用户额度不足"),
            ("not_configured", "模型不存在"),
            ("rejected", "messages 参数非法。请检查文档。"),
            ("rate_limited", "当前API请求过多"),
            ("context_too_long", "token数量超过上限"),
            ("context_too_long", "the max input characters is 20000"),
            ("context_too_long", "prompt token count of 70000 exceeds the limit of 64000"),
            ("context_too_long", "the input token count is 40000 but the model only supports up to 32768."),
            ("context_too_long", "Input exceeds maximum sequence length of 4096"),
            ("filtered", "The prompt was blocked: PROHIBITED_CONTENT"),
            ("not_configured", "foo/bar is not a valid model ID"),
            ("not_configured", "Model Not Exist"),
            ("context_too_long", "max_tokens (8192) plus prompt (5000) exceeds model context 8192"),
            ("unauthorised", "The security token included in the request is invalid."),
        )
    },
}
REASONING = {
    "reasoning_content": thinks(delta(content=None, reasoning_content="Hm."), YES),
    "reasoning": thinks(delta(content="", reasoning="Hm."), YES),
    "reasoning twice": thinks(delta(reasoning="Hm.", reasoning_content="Hm."), YES),
    "thinking": thinks(delta(thinking="Hm."), YES),
    "reasoning as object": thinks(delta(reasoning={"text": "Hm."}), YES),
    "reasoning as list": thinks(delta(reasoning_content=[{"text": "H"}, {"text": "m."}]), YES),
    "reasoning of other types": thinks(delta(reasoning={"effort": "low"}, reasoning_content=None), YES, reasoning=""),
    "reasoning_details": thinks(delta(reasoning_details=[{"type": "reasoning.text", "text": "Hm."}]), YES),
    "summary": thinks(delta(reasoning_details=[{"type": "reasoning.summary", "summary": "Hm."}]), YES),
    "encrypted": thinks(delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}]), YES, reasoning=""),
    "parts of Mistral": thinks(delta(content=[{"type": "thinking", "thinking": [{"text": "Hm."}]}]), YES),
    "part with reasoning": thinks(delta(content=[{"type": "reasoning", "text": "Hm."}, {"text": "Yes"}])),
    "part with a summary": thinks(
        delta(content=[{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}]), YES
    ),
    "thinking_blocks": thinks(delta(thinking_blocks=[{"type": "thinking", "thinking": "Hm."}]), YES),
    "cot_summary": thinks(delta(cot_summary="Hm."), YES),
    "reasoning beside the delta": thinks(choice(delta={"content": ""}, reasoning_content="Hm."), YES),
    "whole reasoning in each piece": thinks(
        *(delta(reasoning_content=thought) for thought in ("It is", "It is raining")), YES, reasoning="It is raining"
    ),
    "text and reasoning in a chunk": thinks(delta(reasoning="Hm.", content="Yes")),
    "tags": thinks(text("<think>Hm.</think>\n\nYes")),
    "thought tags": thinks(text("<thought>Hm."), text("</thought>Yes")),
    "tags of MiniMax": thinks(text("<mm:think>"), text("Hm."), text("</mm:think>Yes")),
    "tags of Cohere": thinks(text("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Yes<|END_RESPONSE|>")),
    "brackets": thinks(text("[THINK]Hm.[/THINK]Yes")),
    "tag with an attribute": thinks(text('<THINK duration="3'), text('">Hm.</THINK>Yes')),
    "tags of OpenThinker": thinks(
        text("<|begin_of_thought|>Hm.<|end_of_thought|>\n\n<|begin_of_solution|>Yes<|end_of_solution|>")
    ),
    "tags of LongCat": thinks(text("<longcat_think>Hm.</longcat_think>Yes")),
    "thought between tokens": thinks(text("<|begin_of_thought|>Hm.<|end_of_thought|>Yes")),
    "two thoughts": thinks(text("<think>H</think>\n<think>m.</think>Yes")),
    "phrase of a thought after a thought": thinks(
        text("<think>Hm.</think>Here is my thought process: no."), answer="Here is my thought process: no."
    ),
    "empty thought": thinks(text("<think>\n\n</think>\n\nYes"), reasoning=""),
    "white space around a thought": thinks(text("\n <think>\nHm.</think>\n\nYes\n"), answer="Yes\n"),
    "marks in a thought": thinks(text("<think>1</2 </thing></think>Yes"), reasoning="1</2 </thing>"),
    "tag after a thought": thinks(text("<think>Hm.</think><b>"), text("Use <think>."), answer="<b>Use <think>."),
    "beginning of a tag": thinks(text("  <thin"), reasoning="", answer="  <thin"),
    "thought without an end": ends(text("<think>Hm.</thin"), END, text="", reasoning="Hm.</thin", error="empty"),
    "closing tag at the start": thinks(text("</think>\n\n"), YES, reasoning=""),
    "closing tag in the text": thinks(text("Use </think>."), reasoning="", answer="Use </think>."),
    "tag in the text": thinks(text("Write <think>x</think>."), reasoning="", answer="Write <think>x</think>."),
    "Harmony": thinks(
        text("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes<|return|>")
    ),
    "Harmony without start": thinks(text("<|channel|>analysis<|message|>Hm.<|channel|>final<|message|>Yes")),
    "Harmony preamble": thinks(
        text("<|start|>assistant<|channel|>commentary<|message|>Y<|end|><|channel|>final<|message|>es"), reasoning=""
    ),
    "Harmony then text": thinks(text("<|channel|>analysis<|message|>Hm.<|end|>Yes")),
    "Harmony without marks": thinks(text("analysis"), text("Hm.assistantfi"), text("nalYes")),
    "word of Harmony": thinks(text("analysis"), text(" is fun"), reasoning="", answer="analysis is fun"),
    "call of Harmony without marks": ends(
        text(f"analysisHm.assistantcommentary to=functions.find json{ARGS}"), END, text="", reasoning="Hm.", calls=FINDS
    ),
    "Harmony call": calls(text(f"<|channel|>commentary to=functions.find <|constrain|>json<|message|>{ARGS}<|call|>")),
    **{
        name: thinks(delta(**{name: "Hm."}), YES)
        for name in ("reasoningContent", "thinking_content", "reasoning_summary_text", "thought")
    },
    "reasoningContent of Bedrock": thinks(delta(reasoningContent={"reasoningText": {"text": "Hm."}}), YES),
    "tags around the answer": thinks(text("<think>Hm.</think>\n<answer>\nYes</answer>")),
    "response tags": thinks(text("<think>Hm.</think>\n\n<response>\nYes\n</response>\n"), answer="Yes\n"),
}
CALLS = {
    "one piece": calls(piece(index=0, id="a", type="function", **FIND)),
    "call without a name": calls(piece(index=0, arguments=ARGS), calls=[("", ARGS)]),
    "arguments in pieces": calls(found(""), piece(index=0, arguments='{"q"'), piece(index=0, **REST)),
    "two calls": calls(FOUND, piece(index=1, id="b", **OPEN), calls=TWO),
    "two calls, interleaved": calls(
        *(found('{"q"'), piece(index=1, id="b", name="open", arguments='{"id"')),
        *(piece(index=0, **REST), piece(index=1, arguments=": 2}")),
        calls=TWO,
    ),
    "index always 0": calls(FOUND, piece(index=0, id="b", **OPEN), calls=TWO),
    "index always 0, same tool": calls(*(piece(index=0, id=id_, **FIND) for id_ in "ab"), calls=[("find", ARGS)] * 2),
    "empty ids beside those of calls": calls(
        *(delta(tool_calls=[{"id": id_, "function": {"id": None, **FIND}}]) for id_ in "ab"), calls=[("find", ARGS)] * 2
    ),
    "empty name beside that of the call": calls(
        delta(tool_calls=[{**FIND, "function": {"name": "", "arguments": ARGS}}])
    ),
    "empty function beside the call": calls(delta(tool_calls=[{**FIND, "function": {"name": None, "arguments": ""}}])),
    "index always 0, in pieces": calls(
        *(found(""), piece(index=0, arguments=ARGS)),
        *(piece(index=0, id="b", name="open", arguments=""), piece(index=0, arguments='{"id": 2}')),
        calls=TWO,
    ),
    "no index": calls(piece(id="a", **FIND), piece(id="b", **OPEN), calls=TWO),
    "no index, in pieces": calls(piece(id="a", **BEGINNING), piece(**REST), piece(id="b", **OPEN), calls=TWO),
    "null index": calls(piece(index=None, id="a", name="find"), piece(index=None, arguments=ARGS)),
    "index as text": calls(piece(index="0", id="a", name="find"), piece(index="0", arguments=ARGS)),
    "index from 1": calls(piece(index=1, id="a", name="find"), piece(index=1, arguments=ARGS)),
    "negative and huge index": calls(piece(index=-1, id="a", **FIND), piece(index=HUGE, id="b", **OPEN), calls=TWO),
    "neither index nor id": calls(piece(**FIND), piece(**OPEN), calls=TWO),
    "neither, in pieces": calls(piece(**BEGINNING), piece(**REST), piece(**OPEN), calls=TWO),
    "two calls in a list": calls(delta(tool_calls=[{"function": FIND}, {"function": OPEN}]), calls=TWO),
    "id in each piece": calls(found('{"q"'), piece(index=0, id="a", **REST)),
    "id and name in each piece": calls(found('{"q"'), found(": 1}")),
    "new id in each piece": calls(found('{"q"'), piece(index=0, id="b", **REST)),
    "id later": calls(piece(index=0, name="find"), piece(index=0, id="a", arguments=ARGS)),
    "empty id later": calls(found(""), piece(index=0, id="", name="", arguments=ARGS)),
    "same id and index for all": calls(FOUND, piece(index=0, id="a", **OPEN), calls=TWO),
    "index of each piece": calls(found(""), piece(index=1, arguments='{"q"'), piece(index=2, **REST)),
    "same id for all": calls(FOUND, piece(index=1, id="a", **OPEN), calls=TWO),
    "call repeated at another index": calls(found(""), piece(index=1, id="a", arguments=ARGS)),
    "id as number": calls(piece(index=0, id=5, name="find"), piece(index=0, id=5, arguments=ARGS)),
    "odd id": calls(piece(index=0, id=[], **FIND)),
    "name in pieces": calls(piece(index=0, id="a", name="fi"), piece(index=0, name="nd", arguments=ARGS)),
    "name in each piece": calls(piece(index=0, **BEGINNING), piece(index=0, name="find", **REST)),
    "name later": calls(piece(index=0, id="a", arguments=""), piece(index=0, name="find", arguments=ARGS)),
    "arguments as object": calls(found({"q": 1})),
    "arguments as null": calls(found(None), calls=[("find", "")]),
    "arguments as text null": calls(found("null"), calls=[("find", "")]),
    "no arguments": calls(piece(index=0, id="a", name="find"), calls=[("find", "")]),
    "empty object": calls(found({}), calls=[("find", "")]),
    "empty object at the end": calls(FOUND, piece(index=0, arguments="{}")),
    "object that grows": calls(piece(id="a", name="find", arguments={"r": 1}), piece(id="a", arguments={"q": 1})),
    "empty object first": calls(found("{}"), piece(index=0, arguments=ARGS)),
    "arguments as list of pieces": calls(found(['{"q"', ": 1}"])),
    "arguments encoded twice": calls(found(json.dumps(ARGS))),
    "arguments repeated at the end": calls(FOUND, piece(index=0, arguments=ARGS)),
    "whole arguments in each piece": calls(*(found(arguments) for arguments in ("", '{"q', '{"q": ', ARGS))),
    "whole arguments in each piece, without name": calls(
        found('{"q"'), piece(index=0, arguments='{"q": '), piece(index=0, arguments=ARGS)
    ),
    "call repeated at the end": calls(FOUND, FOUND),
    "white space at the end": calls(FOUND, piece(index=0, arguments="\n")),
    "empty piece at the end": calls(FOUND, piece(index=0), delta(tool_calls=[None, {}])),
    "invalid arguments": calls(found("q=1"), calls=[("find", "q=1")]),
    "parameters": calls(delta(tool_calls=[{"id": "a", "function": {"name": "find", "parameters": {"q": 1}}}])),
    "name with a channel": calls(piece(index=0, id="a", name="find<|channel|>commentary", arguments=ARGS)),
    "name of Kimi": calls(piece(index=0, id="a", name=" functions.find:0", arguments=ARGS)),
    "arguments twice in a piece": calls(found(ARGS + ARGS)),
    "empty object before the arguments": calls(found("{}" + ARGS)),
    "brace after the arguments": calls(found(ARGS + "}")),
    "arguments in a fence": calls(found(f"```json\n{ARGS}\n```")),
    "arguments as text None": calls(found("None"), calls=[("find", "")]),
    "calls by index": calls(delta(tool_calls={"0": CALL})),
    "call as tool_call": calls(delta(tool_call=CALL)),
    "call as delta": calls(delta(type="tool_use", name="find"), delta(type="tool_use", input=ARGS)),
    "calls beside the delta": calls(choice(delta={}, tool_calls=[CALL])),
    "written calls": calls(
        *(text('<tool_call>\n{"name": "find", "argu'), text('ments": {"q": 1}}</tool_call>')),
        *(text('<tool_call>{"name": "open", "arguments": '), text('{"id": 2}}</tool_call>')),
        calls=TWO,
    ),
    "written call after a thought": ends(
        text(f"<think>Hm.</think>[TOOL_CALLS]{json.dumps([FIND])}"), END, text="", reasoning="Hm.", calls=FINDS
    ),
    "written call after text": ends(YES, text(f"<tool_call>{json.dumps(FIND)}</tool_call>"), END, calls=FINDS),
    "written call of Gemma": calls(
        text('<|tool_call>call:find{q:<|"|>a<|"|>}<tool_call|>'), calls=[("find", '{"q": "a"}')]
    ),
    "written call between texts": ends(
        text(f"Ye<tool_call>{json.dumps(FIND)}</tool_call>s"), finish("tool_calls"), calls=FINDS
    ),
    "JSON that is no call": says(text('{"name": "Ann"}'), text='{"name": "Ann"}'),
    "written and sent call": calls(text(f"<tool_call>{json.dumps(FIND)}</tool_call>"), FOUND),
    "written call in a thought": ends(
        *(delta(reasoning_content="Hm.<tool_call>"), delta(reasoning_content=f"{json.dumps(FIND)}</tool_call>"), END),
        text="",
        reasoning=f"Hm.<tool_call>{json.dumps(FIND)}</tool_call>",
        calls=FINDS,
    ),
    "quoted call": says(
        *(text("Write `<tool_call>"), text(f"{json.dumps(FIND)}</tool_call>`.")),
        text=f"Write `<tool_call>{json.dumps(FIND)}</tool_call>`.",
    ),
    "call in quoted code": says(
        *(text("It says:\n``"), text("`\n[TOOL_CALLS]"), text(f"{json.dumps([FIND])}\n```")),
        text=f"It says:\n```\n[TOOL_CALLS]{json.dumps([FIND])}\n```",
    ),
    "call after quoted code": ends(
        *(text("A `b`: "), text(f"<tool_call>{json.dumps(FIND)}</tool_call>"), END), text="A `b`: ", calls=FINDS
    ),
    "explained marks": says(text("Write <tool_call> and [TOOL_CALLS]."), text="Write <tool_call> and [TOOL_CALLS]."),
    "written call that is none": says(text("<tool_call>Yes</tool_call>")),
    "without function": calls(delta(tool_calls=[{"id": "a", "name": "find", "arguments": ARGS}])),
    "function as text": calls(delta(tool_calls=[{"id": "a", "function": "find", "arguments": ARGS}])),
    "calls as object": calls(delta(tool_calls={"id": "a", "function": FIND})),
    "calls of other types": says(delta(tool_calls="find"), delta(tool_calls=[5, "find"]), YES),
    "function_call": calls(delta(function_call=BEGINNING), delta(function_call=REST)),
    "null function_call": calls(delta(function_call=None, tool_calls=[CALL])),
    "calls in message": calls(choice(message={"tool_calls": [CALL]})),
    "calls repeated in message": calls(FOUND, choice(delta={}, message={"tool_calls": [CALL]})),
    "calls with reason stop": ends(FOUND, END, text="", calls=FINDS),
    "text and a call": ends(YES, FOUND, finish("tool_calls"), calls=FINDS),
    "text in pieces, calls in the message": ends(
        YES, choice(message={"content": "Yes", "tool_calls": [CALL]}), END, calls=FINDS
    ),
    "many calls": calls(
        *(piece(index=number, id=f"a{number}", **FIND) for number in range(20)), calls=[("find", ARGS)] * 20
    ),
    "huge index and id": calls(found("").replace(b"0", LONG).replace(b'"a"', LONG), piece(arguments=ARGS)),
    "calls in camel case": calls(delta(toolCalls=[CALL])),
    "call as part": calls(delta(content=[{"type": "tool_use", "id": "a", "name": "find", "input": {"q": 1}}])),
    "Python call with a dictionary": calls(text("[find(q={'a': [1]})]"), calls=[("find", '{"q": {"a": [1]}}')]),
    "call as part of Gemini": calls(delta(content=[{"functionCall": {"name": "find", "args": {"q": 1}}}])),
    "ids without index, interleaved": calls(
        *(piece(id="a", **BEGINNING), piece(id="b", name="open", arguments='{"id"')),
        *(piece(id="a", **REST), piece(id="b", arguments=": 2}")),
        calls=TWO,
    ),
    "written calls in Python, in pieces": calls(
        *map(text, ("[fi", 'nd(q="a, b)", x=[True, None]), fi', "nd()]")),
        calls=[("find", '{"q": "a, b)", "x": [true, null]}'), ("find", "{}")],
    ),
    "written calls in lines": calls(
        text("<function_calls>\nfind(q=1)\nfind(q=2)\n</function_calls>"), calls=[*FINDS, ("find", '{"q": 2}')]
    ),
    **{
        f"written call of {name}": calls(text(written), calls=[("find", '{"q": "cats"}')])
        for name, written in {
            "MiniMax M3": "<tool_call><invoke name='find'><q>cats</q></invoke></tool_call>".replace(
                "<", "]<]minimax[>[<"
            ),
            "LM Studio": '[TOOL_REQUEST]{"name": "find", "arguments": {"q": "cats"}}[END_TOOL_REQUEST]',
            "MiniMax M2 at LM Studio": '[TOOL_CALL] {"tool": "find", "args": {"q": "cats"}} [/TOOL_CALL]',
            "Apertus": '<|tools_prefix|>[{"find": {"q": "cats"}}]<|tools_suffix|>',
        }.items()
    },
    **{
        f"no call in Python: {written}": says(text(written), text=written)
        for written in ("[Find](https://x.example) it.", "[find, open] are tools.", "[find(q=1", "[find(q=import)]")
    },
}
REPAIRS = {
    **{
        f"arguments of another language: {arguments}": calls(found(arguments))
        for arguments in (
            "{'q': 1}",
            '{"q": 1,}',
            '{"q": 1 // row\n}',
            '{/* row */ "q": 1}',
            "{q: 1} # row",
            "{“q”: 1}",
        )
    },
    **{
        f"arguments {name}": calls(found(arguments), calls=[("find", json.dumps(meaning))])
        for name, arguments, meaning in (
            ("of Python", "{'q': (None, True, \"it's\")}", {"q": [None, True, "it's"]}),
            ("with NaN", '{"q": NaN}', {"q": None}),
            ("with a bad escape", r'{"q": "\d"}', {"q": r"\d"}),
            ("with an escaped backslash", r'{"q": "\\d",}', {"q": r"\d"}),
            ("with a backslash in Python", r"{'q': 'C:\\x', 'r': '\"\'\u0041\\'}", {"q": r"C:\x", "r": "\"'A\\"}),
            ("with a line break", '{"q": "a\nb"}', {"q": "a\nb"}),
            ("without their end", '{"q": ["a"', {"q": ["a"]}),
        )
    },
    **{
        f"arguments of two meanings: {arguments}": calls(found(arguments), calls=[("find", arguments)])
        for arguments in ('{"q": a b}', '{"q": 1', '{"a": {"b": 1}, "c": ', '"{')
    },
    **{f"no arguments: {empty}": calls(found(empty), calls=[("find", "")]) for empty in (" ", "undefined", "[]")},
    "arguments as text, twice": calls(found(json.dumps(json.dumps(ARGS)))),
    "arguments that grow once": calls(found('{"q"'), found(ARGS)),
    "name of Gemini": calls(piece(index=0, id="a", name="default_api.find", arguments=ARGS)),
    "calls as text": calls(delta(tool_calls=json.dumps([CALL]))),
}
WRITTEN = {
    **{
        f"written call: {written}": calls(*map(text, written.partition("find")))
        for written in (
            "<tool_call>\n<function=find>\n<parameter=q>\n1\n</parameter></function></tool_call>",
            "<tool_call>find\n<arg_key>q</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
            '{"name": "find", "parameters": {"q": 1}}',
            f"<function=find>{ARGS}</function>",
            f"[TOOL_CALLS]find[ARGS]{ARGS}",
            '<minimax:tool_call><invoke name="find"><parameter name="q">1</parameter></invoke></minimax:tool_call>',
            f"<|tool_calls_section_begin|><|tool_call_begin|>functions.find:0<|tool_call_argument_begin|>{ARGS}"
            "<|tool_call_end|><|tool_calls_section_end|>",
            f"<{BAR}tool▁calls▁begin{BAR}><{BAR}tool▁call▁begin{BAR}>function<{BAR}tool▁sep{BAR}>find\n```json\n{ARGS}\n```"
            f"<{BAR}tool▁call▁end{BAR}><{BAR}tool▁calls▁end{BAR}>",
            '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "find", "parameters": {"q": 1}}]<|END_ACTION|>',
            '<steptml:invoke name="find"><steptml:parameter name="q">1</steptml:parameter></steptml:invoke>',
            *(f"```json\n{written}\n```" for written in (json.dumps(FIND), json.dumps([FIND]))),
            *(f"{mark}{json.dumps([FIND])}{end}" for mark, end in (("functools", ""), ("<TOOLCALL>", "</TOOLCALL>"))),
            *(
                '<tool_call>{name: "find", "arguments": {"q": 1}}</tool_call>',
                f"<tool_call>{json.dumps(FIND)[:-1]}</tool_call>",
            ),
            *(
                "[find(q=1)]",
                "\n\n[find(q=1)]\n",
                "<|python_start|>[find(q=1)]<|python_end|>",
                "<|python_tag|>find(q=1)",
            ),
            *("```tool_code\nfind(q=1)\n```", "<|tool_call_start|>[find(q=1)]<|tool_call_end|>"),
            "<tool_call>\n{'name': 'find', 'arguments': {'q': 1}}\n</tool_call>",
            f"function call<|role_sep|>\n{json.dumps(FIND)}",
            f"<function(find){ARGS}</function>",
            "<function=find>\n<parameter=q>\n1\n</parameter>\n</function>\n</tool_call>",
            "<tool_call><function=find><parameter=q>1</function></tool_call>",
            f"<|tool_call_begin|>functions.find:0<|tool_call_argument_begin|>{ARGS}<|tool_call_end|>",
            f"<{BAR}tool_calls_begin{BAR}><{BAR}tool_call_begin{BAR}>function<{BAR}tool_sep{BAR}>"
            f'<steptml:invoke name="find"><steptml:parameter name="q">1</steptml:parameter></steptml:invoke>'
            f"<{BAR}tool_call_end{BAR}>",
            f'{{"tool_calls": [{json.dumps(CALL)}]}}',
            f'{{"function_call": {json.dumps(FIND)}}}',
            '{"tool": "find", "parameters": {"q": 1}}',
            '{"action": "find", "action_input": {"q": 1}}',
            'Action: ```json\n[\n  {\n    "tool_name": "find",\n    "parameters": {"q": 1}\n  }\n]```',
            f"```tool_call\n{json.dumps(FIND)}\n```",
            f"<TOOL_CALL>{json.dumps(FIND)}</TOOL_CALL>",
            "<|tool_call>call:find(q: 1)<tool_call|>",
            "<|tool_call>call:find:find{q: 1,}<tool_call|>",
            f'<function name="find">{ARGS}</function>',
            *(
                f'<{bar}DSML{bar}tool_calls><{bar}DSML{bar}invoke name="find"><{bar}DSML{bar}parameter name="q">1'
                f"</{bar}DSML{bar}parameter></{bar}DSML{bar}invoke></{bar}DSML{bar}tool_calls>"
                for bar in ("|", BAR * 2, "‖")
            ),
        )
    },
    **{
        f"call after a line: {written}": ends(text("Yes\n"), text(written), END, text="Yes\n", calls=FINDS)
        for written in ("[find(q=1)]", json.dumps(FIND), '{"name":"find","arguments":{"q":1}}')
    },
    **{
        f"text after a call in its own line: {written}{after}": ends(
            text("Yes\n\n"), text(f"{written}{after}"), END, text="Yes\n\nfor it.", calls=FINDS
        )
        for written in ("[find(q=1)]", json.dumps(FIND), '{"name":"find","arguments":{"q":1}}')
        for after in ("\n\nfor it.", "\nfor it.", " for it.")
    },
    "brackets in the text of a call in its own line": ends(
        text("Yes\n"), text('[find(q="}) \'")]\nfor it.'), END, text="Yes\nfor it.", calls=(("find", '{"q": "}) \'"}'),)
    ),
    "call in its own line without its last bracket": ends(
        text("Yes\n"), text(json.dumps(FIND)[:-1]), END, text="Yes\n", calls=FINDS
    ),
    "link in its own line": says(text("Yes\n[find(1)](/page) it."), text="Yes\n[find(1)](/page) it."),
    "call of GigaChat after text": ends(
        YES, text(f"<|message_sep|>\n\nfunction call<|role_sep|>\n{json.dumps(FIND)}"), END, calls=FINDS
    ),
    "text after whole calls": ends(text(json.dumps(FIND)), text("\n\nYes"), END, calls=FINDS),
    "other object in a fence": says(
        text('```json\n{"name": "Ann"}\n```\nYes'), text='```json\n{"name": "Ann"}\n```\nYes'
    ),
    "text after a fence": ends(text(f"```json\n{json.dumps(FIND)}\n```\nYes"), END, calls=FINDS),
    "mark without its end": ends(FOUND, YES, text(f"\n<{BAR}DSML{BAR}tool_calls"), END, text="Yes\n", calls=FINDS),
    "call in a line": says(text(f"Send {json.dumps(FIND)}."), text=f"Send {json.dumps(FIND)}."),
    "text argument of DeepSeek": calls(
        text(f'<{BAR}DSML{BAR}function_calls><{BAR}DSML{BAR}invoke name="find">'),
        text(f'<{BAR}DSML{BAR}parameter name="q" string="true">1</{BAR}DSML{BAR}parameter></{BAR}DSML{BAR}invoke>'),
        calls=[("find", '{"q": "1"}')],
    ),
    **{
        f"cut {name}": ends(answer, finish("length"), text="", calls=(("find", arguments),), truncated=True)
        for name, answer, arguments in (
            ("arguments", found('{"q": ["a"'), '{"q": ["a"'),
            ("call without arguments", piece(index=0, id="a", name="find"), CUT),
            ("written call", text('<tool_call>{"name": "find", "arguments": {"q": "a'), CUT),
            ("written call in tags", text("<tool_call><function=find><parameter=q>a"), CUT),
        )
    },
    **{
        f"thought: {written}": thinks(*map(text, written.partition("m.")))
        for written in (
            "<THINK>Hm.</THINK>Yes",
            "<unused94>thought\nHm.<unused95>Yes",
            "<|think|>Hm.<|end|><|begin|>assistant<|content|>Yes",
            "Here's my thought process:\nHm.Here is my response:\nYes",
            "Here are my reasoning steps:\nHm.[BEGIN FINAL RESPONSE]\nYes[END FINAL RESPONSE]",
        )
    },
    "mark in the field of a thought": thinks(delta(reasoning="<think>Hm."), delta(reasoning="\n</think>\n"), YES),
}
NATIVE = {
    "text of Gemini": says(
        event({"candidates": [{"content": {"parts": [{"text": "Hm.", "thought": True}, {"text": "Yes"}]}}]}),
        reasoning="Hm.",
    ),
    "call of Gemini": calls(
        event(
            {
                "candidates": [
                    {"content": {"parts": [{"functionCall": FIND | {"args": {"q": 1}}, "thoughtSignature": "x"}]}}
                ]
            }
        )
    ),
    "blocked prompt of Gemini": fails("filtered", event({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})),
    "whole answer of Cloudflare": ends(
        document({"result": {"response": "Yes", **COUNTED}, "success": True}), tokens=(7, 3)
    ),
    "call of Cloudflare": ends(
        document({"result": {"response": None, "tool_calls": [FIND]}, "success": True}), text="", calls=FINDS
    ),
    "text of Hugging Face": ends(document([{"generated_text": "Yes"}])),
    "whole answer of Anthropic": ends(
        document({"content": [{"type": "text", "text": "Yes"}], "stop_reason": "end_turn"})
    ),
    "text of watsonx": says(event({"results": [{"generated_text": "Yes"}]})),
    "message of Reka": ends(document({"responses": [{"message": {"content": "Yes"}, "finish_reason": "stop"}]})),
    "stream of Reka": ends(
        *(event({"responses": [{"chunk": {"content": text}, "finish_reason": end}]}) for text, end in CUMULATIVE)
    ),
    "tensors of KServe": ends(document({"outputs": [{"name": "output_0", "datatype": "BYTES", "data": [["Yes"]]}]})),
    "stream of Yandex": ends(
        *(
            document({"result": {"alternatives": [{"message": {"text": text}, "status": f"ALTERNATIVE_STATUS_{end}"}]}})
            for text, end in (("Ye", "PARTIAL"), ("Yes", "TRUNCATED_FINAL"))
        ),
        truncated=True,
    ),
    "calls of Yandex": ends(
        document(
            {"result": {"alternatives": [{"message": {"toolCallList": {"toolCalls": [{"functionCall": FIND}]}}}]}}
        ),
        text="",
        calls=FINDS,
    ),
    "JSON object": ends(document(message({"title": "Emma"}) | {"usage": None}), text='{"title": "Emma"}'),
    "list of JSON objects": ends(
        document(message([{"a": 1}, {"a": 2}]) | {"usage": None}), text='[{"a": 1}, {"a": 2}]'
    ),
    "tensors without text": fails("empty", document({"outputs": [{"datatype": "FP32", "data": [1.0]}, {"name": "x"}]})),
    "JSON in pieces of an output": says(event({"output": "{}"}), event({"output": "[1]"}), text="{}[1]"),
    "JSON again": says(text("{"), text("}"), choice(message={"content": {"a": 1}, "parsed": {}}), text="{}"),
    "failure with success": fails("unavailable", document({"success": True, "code": "500", "message": "Server error"})),
    "call of Bedrock beside a capital": ends(
        document({"output": {"message": {"content": [{"toolUse": FIND}]}}, "stopReason": "tool_use", "Metadata": {}}),
        text="",
        calls=FINDS,
    ),
    "ids of tokens": says(event({"content": "", "tokens": [9468]}), YES),
    "outputs beside a delta": says(choice(delta={"role": "assistant"}, outputs={"x": 5}), YES),
    "text with a language": says(event({"response": {"text": "Yes", "language": "en"}})),
    "text in a chunk": says(event({"chunk": {"response": "Yes"}})),
    "parts of an output": says(event({"output": [{"type": "text", "text": "Yes"}], "finish_reason": "stop"})),
    **{
        f"recorded {name}": ends(body, text="One moment.", reasoning="Look it up.", calls=RECORDED, tokens=(9, 12))
        for name, body in (("Anthropic", ANTHROPIC), ("Google", GOOGLE), ("responses", OPENAI))
    },
    "tool of Anthropic itself": ends(
        typed(
            *(
                ("content_block_start", {"index": 0, "content_block": {"type": "server_tool_use", "name": "search"}}),
                ("content_block_delta", {"index": 0, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
                ("content_block_start", {"index": 1, "content_block": {"type": "search_result", "content": IT_IS}}),
                ("content_block_start", {"index": 2, "content_block": {"type": "text", "text": "Y"}}),
                ("content_block_delta", {"index": 2, "delta": {"type": "text_delta", "text": "es"}}),
                ("message_stop", {}),
            )
        )
    ),
    **{
        f"end of Anthropic: {code}": fails(
            code, typed(("content_block_delta", {"delta": {"type": "text_delta", "text": "Yes"}}), *end), text="Yes"
        )
        for code, end in (
            ("unavailable", [("error", {"error": {"type": "overloaded_error"}})]),
            ("interrupted", []),
            ("filtered", [("message_delta", {"delta": {"stop_reason": "refusal"}})]),
        )
    },
    **{
        f"beginning of Anthropic: {number} events": fails(
            "interrupted",
            typed(("message_start", {"message": {"content": [], "role": "assistant"}}), ("ping", {}))[:length],
        )
        for number, length in ((1, -len(typed(("ping", {})))), (2, None))
    },
    "other ids of responses": ends(
        typed(
            (
                "response.output_item.added",
                {"output_index": 0, "item": {"type": "function_call", "call_id": "a", "name": "find"}},
            ),
            *(
                ("response.function_call_arguments.delta", {"output_index": 0, "item_id": id_, "delta": part})
                for id_, part in (("x", '{"q"'), ("y", ": 1}"))
            ),
        ),
        response_is("completed", output=[{"type": "function_call", "id": "z", "call_id": "a", **FIND}]),
        text="",
        calls=FINDS,
    ),
    "incomplete responses": ends(
        typed(("response.output_text.delta", {"delta": "Yes"})), response_is("incomplete"), truncated=True
    ),
    "filtered responses": fails("filtered", response_is("incomplete", incomplete_details={"reason": "content_filter"})),
    "failed responses": fails("rate_limited", response_is("failed", error={"code": "rate_limit_exceeded"})),
    "whole answer of responses": ends(
        document({"object": "response", "status": "completed", "output": [{"type": "message", **IT_IS}]}), text="It is."
    ),
    "whole text of responses": ends(document({"object": "response", "status": "completed", "output_text": "Yes"})),
    "whole text of responses at the end": ends(response_is("completed", output_text="Yes")),
    "content beside other names": says(
        event({"token": "x", "delta": {"content": "Y"}}),
        event({"token": {"id": 5, "text": "x"}, "delta": {"content": "e"}}),
        event({"answer": "x", "content": "s", "token": {"id": 6, "text": "x"}}),
    ),
    "text beside the number of its token": says(
        event({"token": {"id": 5}, "response": "Y"}),
        event({"response": "e", "token": {"id": 5}}),
        choice(token=6, text="s"),
    ),
    "tokens of TGI": ends(
        event({"token": {"text": "Yes"}, "generated_text": None}),
        event(
            {"token": {"text": "</s>", "special": True}, "generated_text": "Yes", "details": {"finish_reason": "eos"}}
        ),
    ),
    "answer of Bedrock": ends(
        document({"output": {"message": {"content": [{"text": "Yes"}]}}, "stopReason": "end_turn"})
    ),
    "stream of Bedrock": ends(
        *map(
            event,
            (
                {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Hm."}}}},
                {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "Yes"}}},
                {
                    "contentBlockStart": {
                        "contentBlockIndex": 2,
                        "start": {"toolUse": {"toolUseId": "a", "name": "find"}},
                    }
                },
                *(
                    {"contentBlockDelta": {"contentBlockIndex": 2, "delta": {"toolUse": {"input": arguments}}}}
                    for arguments in ('{"q"', ": 1}")
                ),
                {"messageStop": {"stopReason": "tool_use"}},
            ),
        ),
        reasoning="Hm.",
        calls=FINDS,
    ),
    "end of Dify": ends(
        event({"event": "message", "answer": "Yes"}),
        event({"event": "workflow_finished", "data": {"outputs": {"answer": "Yes"}}}),
        event({"event": "tts_message", "audio": "AAAA"}),
        event({"event": "message_end", "metadata": COUNTED}),
        tokens=(7, 3),
    ),
    **{
        f"answer in another list: {answer}": ends(document(answer))
        for answer in (
            {"predictions": ["Yes"]},
            {"predictions": [{"candidates": [{"content": "Yes"}]}]},
            {"output": ["Ye", "s"]},
            {"result": {"alternatives": [{"message": {"role": "assistant", "text": "Yes"}}]}},
        )
    },
    "completion of llama.cpp": ends(
        *(event({"content": "Yes", "stop": False}), event({"content": "", "stop": True, "tokens_predicted": 3})),
        tokens=(None, 3),
    ),
    "text of Qianfan": ends(event({"result": "Ye", "is_end": False}), event({"result": "s", "is_end": True})),
    "result of a tool": says(delta(role="tool", content="5 rows"), delta(role="assistant", content="Yes")),
    "interrupted Cohere": fails("interrupted", event({"delta": {"message": {"content": {"text": "Yes"}}}}), text="Yes"),
    "other APIs with other types": says(
        typed(("response.completed", {"response": "x"}), ("response.incomplete", {"incomplete_details": "x"})),
        event({"token": {"text": ""}, "details": [1]}),
        YES,
    ),
    "error with a response": fails("rate_limited", error(code=429, response={"finish_reason": "stop"})),
    "first event cut within a character": fails("interrupted", escaped(b"\xc3").partition(b'"}}')[0]),
    "text instead of an answer": fails("unavailable", b"Internal Server Error"),
}
COUNTS = {
    "tokens of the cache, of Anthropic": says(
        YES, usage({"input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 3}), tokens=(7, 3)
    ),
    **{
        f"arguments like counts: {name}": Habit(body, Answer("", "", (("find", json.dumps(counts)),), "", (7, 3)))
        for counts in ({"total_tokens": 5_000}, {"usage": {"output_tokens": 99}})
        for name, body in (
            (
                f"answer with {[*counts]}",
                document(
                    {
                        "content": [{"type": "tool_use", "name": "find", "input": counts}],
                        "usage": {"input_tokens": 7, "output_tokens": 3},
                        "stop_reason": "tool_use",
                    }
                ),
            ),
            (
                f"event with {[*counts]}",
                typed(
                    ("message_delta", {"usage": {"input_tokens": 7, "output_tokens": 3}}),
                    ("content_block_start", {"content_block": {"type": "tool_use", "name": "find", "input": counts}}),
                    ("message_stop", {}),
                ),
            ),
        )
    },
    "usage as text": says(YES, usage(json.dumps(COUNTED["usage"])), tokens=(7, 3)),
    "total without the answer": says(YES, usage({"prompt_tokens": 7, "total_tokens": 10}), tokens=(7, 3)),
    "spaces around counts": says(YES, usage({"prompt_tokens": " 7 ", "completion_tokens": "3.0"}), tokens=(7, 3)),
    "usage": says(YES, USAGE, tokens=(7, 3)),
    "usage after the reason": ends(YES, event(STOP), USAGE, DONE, tokens=(7, 3)),
    "usage in each chunk": says(YES, usage({"prompt_tokens": 7}), usage({"completion_tokens": 3}), tokens=(7, 3)),
    "null usage": says(YES, USAGE, usage(None), usage({}), tokens=(7, 3)),
    "counts of Cohere": says(YES, event({"response": {"meta": {"tokens": {"input_tokens": 7}}}}), tokens=(7, None)),
    "usage of Groq": says(YES, event({"choices": [], "x_groq": {"usage": {"prompt_tokens": 7}}}), tokens=(7, None)),
    "usage in the delta": says(YES, delta(content="", **COUNTED), tokens=(7, 3)),
    "usage of Google": says(event({"choices": [SAYS_YES], "usageMetadata": {"promptTokenCount": 7}}), tokens=(7, None)),
    "timings of llama.cpp": says(
        YES, event({"timings": {"cache_n": 2, "prompt_n": 5, "predicted_n": 3}}), tokens=(7, 3)
    ),
    "usage as list": says(YES, usage([COUNTED["usage"]]), tokens=(7, 3)),
    "zeros after usage": says(YES, USAGE, usage({"prompt_tokens": 0, "completion_tokens": 0}), tokens=(7, 3)),
    "reasoning beside the answer": says(YES, usage({**COUNTED["usage"], "total_tokens": 15}), tokens=(7, 8)),
    "usage in a choice": says(YES, choice(delta={}, usage={"prompt_tokens": 7, "completion_tokens": 3}), tokens=(7, 3)),
    "camel case": says(YES, usage({"promptTokens": 7, "completionTokens": 3}), tokens=(7, 3)),
    "other names": says(YES, usage({"input_tokens": 7, "output_tokens": 3}), tokens=(7, 3)),
    "counts of Ollama": ends(YES, event({"done": True, "prompt_eval_count": 7, "eval_count": 3}), tokens=(7, 3)),
    "counts as text": says(YES, usage({"prompt_tokens": "7", "completion_tokens": 3.0}), tokens=(7, 3)),
    "details of other types": says(
        YES, usage({"prompt_tokens": 7, "prompt_tokens_details": [1], "completion_tokens_details": 5}), tokens=(7, None)
    ),
    "usage of other types": says(YES, usage([]), usage("7"), usage(5), usage(True)),
    "odd counts": says(YES, usage({"prompt_tokens": True, "completion_tokens": -1}), usage({"prompt_tokens": "x"})),
    "fractions": says(YES, usage({"prompt_tokens": 1.5, "completion_tokens": {}})),
    "NaN and infinity": says(YES, usage({"prompt_tokens": float("nan"), "completion_tokens": float("inf")})),
    "metrics of Bedrock": says(
        YES, event({"invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3}}), tokens=(7, 3)
    ),
    "usage in another object": says(YES, event({"choices": [], "meta": COUNTED}), tokens=(7, 3)),
    "huge count": says(YES, usage({"prompt_tokens": 7}).replace(b"7", LONG)),
}
HABITS = EVENTS | DOCUMENTS | CHOICES | FINISHES | ERRORS | REASONING | CALLS | REPAIRS | WRITTEN | NATIVE | COUNTS
