"""Other forms of a request, for endpoints that refuse the usual one: without a stream, pictures or system messages."""

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE

Body = Mapping[str, Any]

USAGE_OPTION = "stream_options"
"""Option that requests token counts. Some endpoints always report them and refuse it."""
SIGHT = r"(images|image.?(input|url|content|modality|\(s\))|vision|multimodal)"
NO_TEXT = "[No text]"
SHORT_ID = re.compile(r"[A-Za-z0-9]{9}")


class Form(NamedTuple):
    """Another form of a request.

    Attributes:
        refusal: Words of endpoints that refuse the usual form.
        change: Returns a request in this form.
    """

    refusal: str
    change: Callable[[Body], Body]

    def is_needed(self, body: Body, refusal: str) -> bool:
        return "messages" in body and bool(re.search(self.refusal, refusal)) and self.change(body) != body


def _without_stream(body: Body) -> Body:
    """Ask for the answer as a whole."""
    return {name: value for name, value in body.items() if name not in ("stream", USAGE_OPTION)}


def _without_pictures(body: Body) -> Body:
    """Replace pictures by a note, for models without vision."""
    return {**body, "messages": [{**turn, "content": _text_of(turn["content"])} for turn in body["messages"]]}


def _text_of(content: str | Sequence[Body]) -> str:
    return content if isinstance(content, str) else "\n\n".join(part.get("text", UNSEEN_PICTURE) for part in content)


def _without_system(body: Body) -> Body:
    """Move the system messages to the beginning of the question, for models without that role."""
    turns: Sequence[Body] = body["messages"]
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    others = [turn for turn in turns if turn["role"] != "system"]
    if not (system and others):
        return body
    content = others[0]["content"]
    joined = f"{system}\n\n{content}" if isinstance(content, str) else [{"type": "text", "text": system}, *content]
    return {**body, "messages": [{**others[0], "content": joined}, *others[1:]]}


def _with_short_ids(body: Body) -> Body:
    """Replace the ids of calls by nine letters and digits, as Mistral needs them."""
    turns = [_shorten_id(turn, "tool_call_id") for turn in body["messages"]]
    for turn in turns:
        if calls := turn.get("tool_calls"):
            turn["tool_calls"] = [_shorten_id(call, "id") for call in calls]
    return {**body, "messages": turns}


def _shorten_id(part: Body, field: str) -> dict[str, Any]:
    id_ = str(part.get(field, ""))
    if not id_ or SHORT_ID.fullmatch(id_):
        return {**part}
    return {**part, field: sha256(id_.encode()).hexdigest()[:9]}


def _without_empty_texts(body: Body) -> Body:
    return {**body, "messages": [{**turn, "content": turn["content"] or NO_TEXT} for turn in body["messages"]]}


FORMS = {
    "a stream": Form(
        r"(?i)verified to stream|stream(ing|=true)?( with tools)?\W{1,2}(is |does )?not (support|allow)"
        r"|(not support|unsupported for) stream|in streaming mode",
        _without_stream,
    ),
    "system messages": Form(
        r"(?i)system\W* (role|message|prompt|instruction)s?.{0,40}not|(not|n't) support.{0,30}(system|developer)"
        r"|developer instruction|roles must alternate|(unexpected|unsupported|invalid) role\W+(system|developer)"
        r"|user'? (and|or) '?assistant",
        _without_system,
    ),
    "pictures": Form(
        rf"(?i)(\b(no|not|cannot|missing|unknown|at most 0)|n't)\b.{{0,40}}{SIGHT}"
        rf"|{SIGHT}.{{0,40}}(not|cannot|only|expected)|content.type.{{0,80}}'text'|expected a string"
        r"|content\W{1,6}(value )?must be a string|content\W.{0,40}valid string",
        _without_pictures,
    ),
    "messages without text": Form(
        r"(?i)content.{0,60}(empty|non-whitespace|blank|must be set)|(non-?empty|at least one) content|not be empty",
        _without_empty_texts,
    ),
    "ids of calls": Form(
        r"(?i)tool.?(call|use).{0,40}\bid\b.{0,100}(length|pattern|must be|too long)"
        r"|tool(_call_|use)id.{0,100}(length|pattern)",
        _with_short_ids,
    ),
}
