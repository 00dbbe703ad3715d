"""Additions to an answer, in a form that no longer depends on the endpoint.

Endpoints put the fields of an addition into various objects, give them other names, or pass on events of other APIs:
Anthropic's messages, OpenAI's responses, and those of Bedrock, Dify, Ollama, TGI, llama.cpp, Cohere and others.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.loose_json import TEXT_FIELDS as TEXTS_OF_PARTS
from opportune.contrib.llm.providers.loose_json import is_number, json_in, object_in, objects_in, plain_key, text_in
from opportune.contrib.llm.providers.returned_fields import RETURNED_FIELDS

Fields = Mapping[str, Any]

TEXT_FIELDS = frozenset({"index", "delta", "message", "role", "content", "finish_reason", "logprobs"})
KNOWN_FIELDS = TEXT_FIELDS | RETURNED_FIELDS | {"tool_calls", "usage"}
NORMAL_NAMES = {
    "content": re.compile(
        "text|response|refusal|transcript|generatedtext|completion|outputtext|textoutput|generation|answer|result|token|reply"
        "|messages|output|predictions"
    ),
    "tool_calls": re.compile("toolcalls?|functioncall|tooluse"),
    "finish_reason": re.compile("finishreason|donereason|finishdetails|stopreason|completionreason|stoptype"),
    "thinking": re.compile("(reasoning|thinking|thought|cot)(content|text|summary.*)?|toolplan"),
}
"""Fields of other endpoints in lower case and without underscores, by their normal names."""
ADDITION_FIELDS = ("delta", "content_block", "start", "item")
"""Fields of a choice with the addition."""
TEXT_TYPE = "response.output_text.delta"
UNFINISHED = re.compile("|null|none|not_finished|in_progress|queued|finish_reason_unspecified")
TOOL_ROLES = ("tool", "function")
CALL_TYPE = re.compile(r"tool|function|input_json|arguments")
RESULT_TYPE = re.compile(r"_(result|output|reference)$|(function|tool)[_-]?(result|response|output)", re.IGNORECASE)
THOUGHT_TYPE = re.compile(r"think|reason|'thought'")
IGNORED_TYPE = re.compile(r"audio(?!_transcript)|image|code|mcp")
"""Types of events whose additions are neither text nor calls."""
PART_FIELDS = frozenset({*TEXTS_OF_PARTS, "type", "role"})
"""Fields of the parts of an answer. An object without them is an answer in JSON."""


class Piece(NamedTuple):
    """The addition of one choice to the answer, with all its fields by their normal names."""

    content: str
    calls: Sequence[Fields]
    finish_reason: str
    fields: Fields
    is_whole: bool
    """The piece may repeat earlier text."""
    json: str = ""
    """Content of a message that is JSON instead of text."""


def read_piece(choice: Fields, *, is_last: bool = False) -> Piece:
    """Return the piece in a choice. Endpoints put its fields into the choice, an addition or a message.

    Args:
        choice: Part of a chunk.
        is_last: The chunk ends the answer, and may repeat it.
    """
    addition = _addition_of(choice)
    if choice.get("type") == TEXT_TYPE:  # most events of OpenAI's responses, which have nothing else
        return Piece(text_in(addition.get("content")), (), "", addition, is_last)
    message = choice.get("message")
    if isinstance(addition.get("message"), dict):
        addition = addition["message"]
    fields = {**choice, **addition}
    is_whole = bool(message) and not any(
        value for name, value in addition.items() if name not in ("role", "finish_reason")
    )
    if is_whole:
        fields |= message if isinstance(message, dict) else {"content": message}
    if not fields.keys() <= KNOWN_FIELDS:
        is_whole |= "token" in fields and bool(fields.get("generated_text"))  # the last token of TGI
        fields = _with_normal_names({**object_in(fields.get("audio")), **fields})
    type_ = str(fields.get("type") or "")
    is_result = fields.get("role") in TOOL_ROLES or bool(RESULT_TYPE.search(type_))
    content = "" if is_result or fields.get("content") is None else fields["content"]  # of Cloudflare: also a digit
    calls = objects_in(fields.get("tool_calls"))
    if not calls and is_call(type_):
        calls = [fields]
    if not isinstance(content, str):
        thoughts, content, part_calls = _split_parts(content)
        if thoughts:
            fields["thinking"] = thoughts
        calls += part_calls
    whole_json = "" if is_result else _json_in(object_in(message))
    reason = str(choice.get("finish_reason") or fields.get("finish_reason") or "").lower()
    reason = "" if UNFINISHED.fullmatch(reason) else reason
    return Piece(content, calls, reason, fields, is_whole or is_last, whole_json)


def _json_in(message: Fields) -> str:
    """Return an answer that is an object or a list of them, as JSON; empty for text or its parts."""
    content = message.get("content") or message.get("parsed")
    items = content if isinstance(content, list) else [content]
    is_json = all(isinstance(item, dict) and not _is_part(item) for item in items)
    return json.dumps(content, ensure_ascii=False) if content and is_json else ""


def _is_part(item: Fields) -> bool:
    is_named = len(item) <= 1 and all(isinstance(value, dict) for value in item.values())  # a part of Bedrock or Google
    return is_named or not PART_FIELDS.isdisjoint(item)


def _addition_of(choice: Fields) -> dict[str, Any]:
    """Return the addition in a choice: an object, or a text whose field depends on the type of the event."""
    addition: Any = choice.get("delta") or next(filter(None, map(choice.get, ADDITION_FIELDS)), {})
    if isinstance(addition, dict):
        return addition
    type_ = str(choice.get("type") or "")
    if IGNORED_TYPE.search(type_):
        return {"type": ""}
    if THOUGHT_TYPE.search(type_):
        return {"thinking": addition}
    return {"arguments" if is_call(type_) else "content": addition}


def is_call(type_: str) -> bool:
    """Return True for the type of a call, and False for that of its result."""
    return bool(CALL_TYPE.search(type_)) and not RESULT_TYPE.search(type_)


def _with_normal_names(fields: Fields) -> dict[str, Any]:
    """Rename fields of other endpoints. Of several that are not empty, a known name counts, or else the first text."""
    new_names = {name: new_name for name in fields if (new_name := normal_name(name)) != name}
    normal = {name: value for name, value in fields.items() if name not in new_names}
    for name in sorted(new_names, key=lambda name: not isinstance(fields[name], str)):
        normal[new_names[name]] = normal.get(new_names[name]) or fields[name]
    return normal


@lru_cache(maxsize=256)
def normal_name(name: str) -> str:
    if name in KNOWN_FIELDS:
        return name
    plain = plain_key(name)
    return next((normal for normal, pattern in NORMAL_NAMES.items() if pattern.fullmatch(plain)), name)


def _split_parts(content: object) -> tuple[str, str, list[dict[str, Any]]]:
    """Return the reasoning, the text and the calls of a list of parts, as Mistral's models send it."""
    thoughts = text = ""
    calls = list[dict[str, Any]]()
    content = content.get("parts", content) if isinstance(content, dict) else content
    for part in content if isinstance(content, list) else [content]:
        fields = object_in(part)
        type_ = str(fields.get("type") or [*fields])
        if THOUGHT_TYPE.search(f"{type_} {[*fields]}"):
            thoughts += text_in(part)
        elif is_call(type_):
            calls.append(fields)
        elif not RESULT_TYPE.search(type_):
            text += text_in(part)
    return thoughts, text, calls


ANSWER_FIELDS = frozenset(
    {"choices", "candidates", "predictions", "alternatives", "finish_reason", "delta", "start", "response"}
)
"""Normal names of fields by which an object with an answer is found in another one."""
LIST_FIELDS = ("choices", "candidates", "results", "responses", "outputs", "predictions", "alternatives")
"""Fields with a list of choices."""
WHOLE_FIELDS = frozenset({"delta", "content_block", "finish_reason", "tool_calls", "start"})
"""Normal names of fields of a choice without a list."""
MAX_DEPTH = 3
"""Levels of objects and lists around choices."""
STATUSES = {"completed": "stop", "incomplete": "length", "failed": "error", "cancelled": "abort"}
"""Reasons for the end of an answer, by its status in OpenAI's responses."""
END_FLAGS = frozenset({"done", "stop", "is_end", "is_finished"})
END_TYPES = ("message_stop", "message_end")
"""Types of the last events of Anthropic and Dify."""


def unwrap(event: Fields, depth: int = MAX_DEPTH) -> Fields:
    """Return an event without the objects of gateways around its choices."""
    delta = event.get("delta")
    if event.get("choices") or isinstance(delta, dict) or (delta and isinstance(delta, str)):
        return event
    type_ = type_of(event)
    if type_.startswith("response"):
        return _read_response(event)
    if type_ == "message_start":  # the text of the message follows in deltas
        return {"usage": object_in(event.get("message")).get("usage")}
    for wrapper, item in event.items() if depth else ():
        if inner := _wrapped_event(wrapper, item):
            others = {name: item for name, item in event.items() if name != wrapper}
            return unwrap({**others, **inner}, depth - 1)
    return event


def _wrapped_event(name: str, item: object) -> Fields:
    """Return the event that a gateway puts into a field, as an object or as JSON in a text; empty for other fields."""
    if isinstance(item, str) and name in ("body", "data"):  # such as the gateway of AWS Lambda
        return object_in(json_in(item))
    return item if isinstance(item, dict) and _has_answer(name, item) else {}


def type_of(event: Fields) -> str:
    return str(event.get("type") or event.get("event") or event.get("object"))


def ends_answer(event: Fields) -> bool:
    """Return True for the last event of an answer, also without a reason."""
    return type_of(event) in END_TYPES or any(event[flag] is True for flag in END_FLAGS & event.keys())


def _has_answer(name: str, item: Fields) -> bool:
    if name in (*ADDITION_FIELDS, "error"):
        return False
    return isinstance(item.get("message"), dict) or not ANSWER_FIELDS.isdisjoint({*item, *map(normal_name, item)})


def _read_response(event: Fields) -> Fields:
    """Return a call of OpenAI's responses, or the end with the whole text; nothing for another event."""
    if CALL_TYPE.search(type_of(object_in(event.get("item")))):  # the text of an item follows in deltas
        return event
    response = object_in(event.get("response")) or event
    chunk = {"error": response.get("error"), "usage": response.get("usage")}
    if reason := STATUSES.get(str(response.get("status"))):
        details = object_in(response.get("incomplete_details"))
        message = {"content": response.get("output") or response.get("output_text")}
        chunk["choices"] = [{"message": message, "finish_reason": details.get("reason") or reason}]
    return chunk


def choices_of(chunk: Fields, depth: int = MAX_DEPTH) -> Sequence[Fields]:
    """Return the choices of a chunk, which itself is one if it has none. Those of predictions are in another list."""
    if choices := chunk.get("choices"):
        return objects_in(choices)
    if is_number(chunk.get("response")):  # a token of digits, at Cloudflare
        chunk = {"delta": {"content": chunk["response"]}}
    if "delta" in chunk:
        return [chunk]
    if chunk.get("success") is True and isinstance(chunk.get("response"), dict):  # JSON of Cloudflare's models
        chunk = {"message": {"content": chunk["response"]}}
    choices = next(filter(None, (objects_in(chunk.get(name)) for name in LIST_FIELDS)), [])
    if not choices:
        return [chunk] if _is_choice(chunk) else []
    if not depth:
        return choices
    return [part for choice in choices for part in choices_of(choice, depth - 1) or [choice]]


def _is_choice(chunk: Fields) -> bool:
    texts = {normal_name(name) for name, value in chunk.items() if _is_text(value)}
    is_addition = "content" in texts or not WHOLE_FIELDS.isdisjoint(map(normal_name, chunk))
    return is_addition or isinstance(chunk.get("message"), dict) or isinstance(chunk.get("item"), dict)


def _is_text(value: object) -> bool:
    if isinstance(value, list):
        return isinstance(next(iter(value), None), str)
    return isinstance(value, str) or "text" in object_in(value)
