"""Choices in the chunks of an answer, also in those that gateways wrap into other objects."""

from collections.abc import Sequence

from opportune.contrib.llm.providers.loose_json import is_number, json_in, object_in, objects_in
from opportune.contrib.llm.providers.pieces import ADDITION_FIELDS, CALL_TYPE, Fields, normal_name

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
