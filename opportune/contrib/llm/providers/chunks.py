"""Chunks of an answer, in a form that no longer depends on the endpoint.

Endpoints put the fields of a chunk into various objects, give them other names, or pass on events of other APIs:
Anthropic's messages, OpenAI's responses, and those of Bedrock, Dify, Ollama, TGI, llama.cpp, Cohere and others.
"""

import re
from typing import Any

from opportune.contrib.llm.providers.loose_json import object_in, objects_in
from opportune.contrib.llm.providers.pieces import CALL_TYPE, THOUGHT_TYPE, Fields, normal_name

CHOICES_FIELDS = ("choices", "candidates", "results", "outputs", "predictions")
WRAPPED_FIELDS = {"choices", "candidates", "predictions", "finish_reason", "delta", "start", "response"}
PART_FIELDS = ("content_block", "item", "start", "delta")
MAX_DEPTH = 3
"""Levels of objects and lists around choices."""
WHOLE_FIELDS = {"delta", "finish_reason", "tool_calls"}
"""Normal names of fields of a chunk without choices."""
FIELDS_BY_TYPE = {
    "": re.compile(r"audio(?!_transcript)|image|code|mcp"),
    "thinking": THOUGHT_TYPE,
    "tool_calls": re.compile(r"arguments|tool|input"),
    "content": re.compile(""),
}
"""Fields of a chunk by the type of an event whose addition is a text. An empty name ignores it."""
STATUSES = {"completed": "stop", "incomplete": "length", "failed": "error", "cancelled": "abort"}
"""Reasons for the end of an answer, by its status in OpenAI's responses."""


def as_chunk(event: Fields, depth: int = MAX_DEPTH) -> Fields:
    """Return an event of any API as a chunk of OpenAI's chat completions, without objects of gateways around it."""
    if event.get("choices"):
        return event
    for read in (_read_part, _read_response, _read_token):
        if (chunk := read(event)) is not None:
            return chunk
    wrapper = next((name for name, item in event.items() if isinstance(item, dict) and _is_wrapped(name, item)), None)
    if wrapper is None or not depth:
        return event
    others = {name: item for name, item in event.items() if name != wrapper}
    return as_chunk(others | event[wrapper], depth - 1)


def _is_wrapped(name: str, item: Fields) -> bool:
    """Return True for a chunk in an object of a gateway."""
    has_fields = not WRAPPED_FIELDS.isdisjoint({*item, *map(normal_name, item)})
    return name not in ("delta", "error") and (has_fields or isinstance(item.get("message"), dict))


def _read_part(event: Fields) -> Fields | None:
    """Return a part of the content or an addition to it, in an event of Anthropic, Bedrock, Dify or the responses."""
    type_ = _type_of(event)
    if type_ in ("message_start", "message_stop", "message_end"):
        return {"usage": objects_in([*event.values()]), "done": type_ != "message_start"}
    index = event.get("output_index", event.get("index", event.get("item_id")))
    delta = event.get("delta")
    if isinstance(delta, str):
        field = next(field for field, pattern in FIELDS_BY_TYPE.items() if pattern.search(type_))
        value = [{"index": index, "arguments": delta}] if field == "tool_calls" else delta
        return _chunk({field: value}) if field else {}
    part = next(filter(None, (object_in(event.get(name)) for name in PART_FIELDS)), {})
    if part.keys().isdisjoint({"type", "toolUse"}):
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


def choices_of(chunk: Fields, depth: int = MAX_DEPTH) -> list[dict[str, Any]]:
    """Return the choices of a chunk, which itself is one if it has none. Those of predictions are in another list."""
    if choices := chunk.get("choices"):
        return objects_in(choices)
    choices = next(filter(None, (objects_in(chunk.get(name)) for name in CHOICES_FIELDS)), [])
    if not choices:
        return [dict(chunk)] if _is_choice(chunk) else []
    return [part for choice in choices for part in (choices_of(choice, depth - 1) if depth else ()) or [choice]]


def is_part(chunk: Fields) -> bool:
    """Return True for a chunk that belongs to a stream."""
    is_named = chunk.get("object") == "chat.completion.chunk" or "done" in chunk
    return is_named or any("delta" in choice for choice in choices_of(chunk))


def _is_choice(chunk: Fields) -> bool:
    texts = {normal_name(name) for name, value in chunk.items() if isinstance(value, str) or _has_texts(value)}
    has_fields = "content" in texts or not WHOLE_FIELDS.isdisjoint(map(normal_name, chunk))
    return has_fields or isinstance(chunk.get("message"), dict)


def _has_texts(value: object) -> bool:
    return isinstance(value, list) and isinstance(next(iter(value), None), str)
