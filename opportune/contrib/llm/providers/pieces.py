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
from opportune.contrib.llm.providers.loose_json import object_in, objects_in, plain_key, text_in
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
