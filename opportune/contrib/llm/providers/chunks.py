"""Chunks of an answer, in a form that no longer depends on the endpoint.

Endpoints put the fields of a chunk into various objects, give them other names, or pass on events of other APIs:
Anthropic's messages, OpenAI's responses, and those of Bedrock, Dify, Ollama, TGI, llama.cpp, Cohere and others.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.loose_json import object_in, objects_in, plain_key, text_in
from opportune.contrib.llm.providers.pieces import RETURNED_FIELDS

TEXT_FIELDS = frozenset({"index", "delta", "message", "role", "content", "finish_reason", "logprobs"})
KNOWN_FIELDS = TEXT_FIELDS | RETURNED_FIELDS | {"tool_calls", "usage"}
CONTENT_NAMES = (
    *("text", "response", "refusal", "audio", "generatedtext", "completion", "outputtext", "textoutput", "generation"),
    *("answer", "result", "token", "reply", "messages", "output", "predictions"),
)
OTHER_NAMES = {
    **dict.fromkeys(CONTENT_NAMES, "content"),
    **dict.fromkeys(("toolcalls", "toolcall", "functioncall", "tooluse"), "tool_calls"),
    **dict.fromkeys(("finishreason", "donereason", "finishdetails", "stopreason"), "finish_reason"),
    **dict.fromkeys(("completionreason", "stoptype"), "finish_reason"),
}
"""Normal names of fields, by those of other endpoints in lower case and without underscores."""
REASONING_NAME = re.compile(r"(reasoning|thinking|thought|cot)(content|text|summary.*)?")
CHOICES_FIELDS = ("choices", "candidates", "results", "outputs", "predictions")
WRAPPED_FIELDS = {"choices", "candidates", "predictions", "finish_reason", "delta", "start", "response"}
WHOLE_FIELDS = {"delta", "finish_reason", "tool_calls"}
"""Normal names of fields of a chunk without choices."""
UNFINISHED = ("", "null", "none", "not_finished", "in_progress", "finish_reason_unspecified")
TOOL_ROLES = ("tool", "function")
CALL_TYPE = re.compile(r"tool|function|input_json")
RESULT_TYPE = re.compile(r"_(result|output|reference)$|functionResponse")
THOUGHT_TYPE = re.compile(r"think|reason|'thought'")
FIELDS_BY_TYPE = {
    "": re.compile(r"audio(?!_transcript)|image|code|mcp"),
    "thinking": THOUGHT_TYPE,
    "tool_calls": re.compile(r"arguments|tool|input"),
    "content": re.compile(""),
}
"""Fields of a chunk by the type of an event whose addition is a text. An empty name ignores it."""
STATUSES = {"completed": "stop", "incomplete": "length", "failed": "error", "cancelled": "abort"}
"""Reasons for the end of an answer, by its status in OpenAI's responses."""

Fields = Mapping[str, Any]


class Piece(NamedTuple):
    """The addition of one choice to the answer.

    Attributes:
        fields: All fields, by their normal names.
        is_whole: The piece may repeat what was already sent.
    """

    content: str
    calls: Sequence[dict[str, Any]]
    finish_reason: str
    fields: Fields
    is_whole: bool


def as_chunk(event: Fields) -> Fields:
    """Return an event of any API as a chunk of OpenAI's chat completions, without an object of a gateway around it."""
    if event.get("choices"):
        return event
    for read in (_read_part, _read_response, _read_token):
        if (chunk := read(event)) is not None:
            return chunk
    wrapper = next((name for name, item in event.items() if isinstance(item, dict) and _is_wrapped(name, item)), None)
    if wrapper is None:
        return event
    return as_chunk({name: item for name, item in event.items() if name != wrapper} | event[wrapper])


def _is_wrapped(name: str, item: Fields) -> bool:
    """Return True for a chunk in an object of a gateway."""
    has_fields = not WRAPPED_FIELDS.isdisjoint({*item, *map(_normal_name, item)})
    return name not in ("delta", "error") and (has_fields or isinstance(item.get("message"), dict))


def _read_part(event: Fields) -> Fields | None:
    """Return a part of the content or an addition to it, in an event of Anthropic, Bedrock, Dify or the responses."""
    type_ = _type_of(event)
    if type_ in ("message_start", "message_stop", "message_end"):
        return {"usage": objects_in([*event.values()]), "done": type_ != "message_start"}
    index = event.get("output_index", event.get("index", event.get("item_id")))
    part = event.get("content_block") or event.get("item") or event.get("start") or event.get("delta")
    if isinstance(part, str) and "delta" in event:
        field = next(field for field, pattern in FIELDS_BY_TYPE.items() if pattern.search(type_))
        value = [{"index": index, "arguments": part}] if field == "tool_calls" else part
        return _chunk({field: value}) if field else {}
    if not isinstance(part, dict) or not (part.keys() & {"type", "toolUse"}):
        return None
    # The text of an item follows in deltas.
    is_added = "item" not in event or CALL_TYPE.search(_type_of(part))
    return _chunk({"content": [{**part, "index": index}]}) if is_added else {}


def _read_response(event: Fields) -> Fields | None:
    """Return the end of an answer in OpenAI's responses, with its whole text; nothing for an earlier event."""
    if not _type_of(event).startswith("response") or event.get("error"):
        return None
    response = object_in(event.get("response")) or event
    reason = STATUSES.get(str(response.get("status")))
    if response.get("error") or not reason:
        return {"error": response.get("error")}
    details = object_in(response.get("incomplete_details"))
    message = {"content": response.get("output") or response.get("output_text")}
    choice = {"message": message, "finish_reason": details.get("reason") or reason}
    return {"choices": [choice], "usage": response.get("usage")}


def _read_token(event: Fields) -> Fields | None:
    """Return a token of TGI."""
    token = event.get("token")
    details = object_in(event.get("details"))
    if not isinstance(token, dict) or "text" not in token or any(map(event.get, ("content", "delta", "message"))):
        return None
    reason = details.get("finish_reason") or ("stop" if event.get("generated_text") else None)
    return {**_chunk({"content": "" if token.get("special") else token.get("text")}, reason), "usage": details}


def _type_of(event: Fields) -> str:
    return str(event.get("type") or event.get("event") or event.get("object"))


def _chunk(delta: Fields, finish_reason: object = None) -> Fields:
    return {"choices": [{"delta": delta, "finish_reason": finish_reason}]}


def choices_of(chunk: Fields) -> list[dict[str, Any]]:
    """Return the choices of a chunk, which itself is one if it has none. Those of predictions are in another list."""
    if choices := chunk.get("choices"):
        return objects_in(choices)
    choices = next(filter(None, (objects_in(chunk.get(name)) for name in CHOICES_FIELDS)), [])
    if not choices:
        return [dict(chunk)] if _is_choice(chunk) else []
    return [part for choice in choices for part in choices_of(choice) or [choice]]


def is_part(chunk: Fields) -> bool:
    """Return True for a chunk that belongs to a stream."""
    is_named = chunk.get("object") == "chat.completion.chunk" or "done" in chunk
    return is_named or any("delta" in choice for choice in choices_of(chunk))


def _is_choice(chunk: Fields) -> bool:
    texts = {_normal_name(name) for name, value in chunk.items() if _is_text(value)}
    has_fields = "content" in texts or not WHOLE_FIELDS.isdisjoint(map(_normal_name, chunk))
    return has_fields or isinstance(chunk.get("message"), dict)


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and value != [] and isinstance(value[0], str))


def read_piece(choice: Fields) -> Piece:
    """Return the piece in a choice. Endpoints put its fields into the choice, a delta or a message."""
    delta = _to_fields(choice.get("delta") or {})
    message = choice.get("message")
    if isinstance(delta.get("message"), dict):
        delta = delta["message"]
    fields = {**choice, **delta}
    is_whole = bool(message) and not any(
        value for name, value in delta.items() if name not in ("role", "finish_reason")
    )
    if is_whole:
        fields |= _to_fields(message)
    if not fields.keys() <= KNOWN_FIELDS:
        fields = _with_normal_names(fields)
    reason = str(choice.get("finish_reason") or fields.get("finish_reason") or "").lower()
    reason = "" if reason in UNFINISHED else reason
    content = fields.get("content") or ""
    calls = objects_in(fields.get("tool_calls"))
    if "type" in fields and not calls and CALL_TYPE.match(str(fields["type"])):
        calls = [fields]
    if not isinstance(content, str):
        thoughts, content, part_calls = _split_parts(content)
        fields["thinking"] = fields.get("thinking") or thoughts
        calls += part_calls
    return Piece("" if fields.get("role") in TOOL_ROLES else content, calls, reason, fields, is_whole)


def _to_fields(part: object) -> dict[str, Any]:
    return part if isinstance(part, dict) else {"content": part}


def _with_normal_names(fields: Fields) -> dict[str, Any]:
    """Rename fields of other endpoints. Of several that are not empty, a known name counts, or else the first text."""
    normal = dict[str, Any]()
    for name, value in sorted(fields.items(), key=_rank):
        normal_name = _normal_name(name)
        if value or normal_name not in normal:
            normal[normal_name] = normal.get(normal_name) or value
    return normal


def _rank(field: tuple[str, object]) -> tuple[bool, bool]:
    return field[0] not in KNOWN_FIELDS, not isinstance(field[1], str)


def _normal_name(name: str) -> str:
    if name in KNOWN_FIELDS:
        return name
    plain = plain_key(name)
    return OTHER_NAMES.get(plain) or ("thinking" if REASONING_NAME.fullmatch(plain) else name)


def _split_parts(content: object) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the reasoning, the text and the calls of a list of parts, as Mistral's models send it."""
    thoughts, calls, texts = list[object](), list[dict[str, Any]](), list[object]()
    content = content.get("parts", content) if isinstance(content, dict) else content
    for part in content if isinstance(content, list) else [content]:
        fields = object_in(part)
        type_ = str(fields.get("type") or [*fields])
        if THOUGHT_TYPE.search(f"{type_} {[*fields]}"):
            thoughts.append(part)
        elif CALL_TYPE.search(type_) and not RESULT_TYPE.search(type_):
            calls.append(fields)
        elif not RESULT_TYPE.search(type_):
            texts.append(part)
    return text_in(thoughts), text_in(texts), calls
