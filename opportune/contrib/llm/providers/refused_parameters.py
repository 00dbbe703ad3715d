"""Parameters that endpoints refuse: left out or exchanged, and remembered per endpoint and model."""

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from opportune.contrib.llm.providers.errors import refused_parameter
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE, LlmError
from opportune.contrib.llm.providers.returned_fields import RETURNED_FIELDS

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
LIMIT_WORDS = "|maximum tokens you requested|max tokens must be|maxOutputTokens"
"""Other names of limits in refusals."""
OTHER_NAMES = {**LIMITS, "documents": "texts"}
"""Names for other endpoints. Rerankers of TEI need `texts`."""
USAGE_OPTION = "stream_options"
"""Option that requests token counts. Some endpoints always report them and refuse it."""
FORMAT_OPTION = "response_format"
OPTIONAL = frozenset({*OTHER_NAMES, *RETURNED_FIELDS, USAGE_OPTION, FORMAT_OPTION, "temperature"})
REFUSAL_STATUSES, VAGUE_STATUSES = (400, 404, 405, 422, 500, 501), (400, 422)
LISTS = ("messages", "tool_calls")
"""Parts of a request that contain fields which endpoints may refuse."""
NEEDED_BACK = r"(?i)passed back|missing|required|must be (present|provided)"
LIMIT_OF_MODEL = r"(?i)max_(completion_)?tokens\W{1,3}must be (<|less|at most)"
"""Refusal of Groq, whose limit belongs to each conversation."""
ANSWER_MENTIONED = r"max_new_tokens|\b(the|or) completion\b"
"""Refusals of a context that includes the maximum answer."""
TOOLS_REFUSED = (
    r"(?i)(not|n't) support.{0,40}(tool|function)|(tool|function).{0,40}not (support|enable)|tool use"
    r"|tool choice requires|tools param"
)
SIGHT = r"(images|image.?(input|url|content|\(s\))|vision|multimodal)"
MAX_REMEMBERED = 500

REMEMBERED: dict[tuple[str, str], dict[str, str]] = {}
"""New name (empty: leave it out) by parameter, by URL and model. Has an entry for each that has answered."""


class RefusedParameters:
    """Parameters of one request, until the endpoint accepts them.

    Attributes:
        url: URL of the request.
        last_event: Last event of the response to it.
    """

    def __init__(self, url: str, body: Body, owner_parameters: Collection[str] = ()) -> None:
        self.url, self._key = url, (url, str(body.get("model", "")))
        self._body, self._owner_parameters = body, owner_parameters
        self._changes = dict(REMEMBERED.get(self._key, {}))
        self._temporary = set[str]()
        self.last_event: Mapping[str, Any] | None = None

    def accepted(self) -> Body:
        """Return the body without refused parameters."""
        changes = {name: new for name, new in self._changes.items() if name not in self._owner_parameters}
        body = _change_names(self._body, changes) if changes else self._body
        for form in FORMS.keys() & changes:
            body = FORMS[form][1](body)
        return body

    def change(self, status: int, error: LlmError, refusal: str) -> bool:
        """Change the parameters that the endpoint names. Return False if there are none.

        Raises:
            LlmError: It refuses a parameter of LLM_MODELS.
        """
        names = {*self._named(refusal)} if status in REFUSAL_STATUSES else set()
        is_too_long = error.code == "context_too_long"
        if is_too_long:
            if re.search(ANSWER_MENTIONED, refusal):
                names |= LIMITS.keys() & self._body.keys()
            names = names & LIMITS.keys() - self._temporary
            if not re.search(LIMIT_OF_MODEL, refusal):  # the limit may only be too large for this conversation
                self._temporary |= names
        elif status in VAGUE_STATUSES and not names and error.code == "rejected":
            self._require_owner_parameters(status, refusal)
            names = self._often_refused()
        logger.warning("the LLM endpoint responded with %s", status)
        if not names and "tools" in self._body and re.search(TOOLS_REFUSED, refusal):
            raise refused_parameter("tools")
        for name in names:
            is_renamed = name in OTHER_NAMES and name not in self._changes and not is_too_long
            self._changes[name] = OTHER_NAMES[name] if is_renamed else ""
        return bool(names)

    def change_by_event(self, error: LlmError) -> bool:
        """Change the parameters that the last event names, as `change`, if an answer with status 200 has failed."""
        event, self.last_event = self.last_event, None
        if event is None or error.code not in ("rejected", "context_too_long"):
            return False
        return self.change(400, error, json.dumps(event, ensure_ascii=False))

    def _named(self, refusal: str) -> Iterator[str]:
        """Yield what the endpoint refuses: forms of the request, and names of sent parameters."""
        for form, (pattern, change) in FORMS.items() if "messages" in self._body else ():
            if form not in self._changes and re.search(pattern, refusal) and change(self._body) != self._body:
                yield form
        for name in OPTIONAL & {*_names_in(self._body)} - {*self._owner_parameters}:
            sent_as = self._changes.get(name, name)
            is_needed = name in RETURNED_FIELDS and re.search(NEEDED_BACK, refusal)
            words = rf"\b({name}|{sent_as}|{OTHER_NAMES.get(name, name)})\b" + LIMIT_WORDS * (name in LIMITS)
            if sent_as and not is_needed and re.search(words, refusal):
                yield name

    def _require_owner_parameters(self, status: int, refusal: str) -> None:
        for name in self._owner_parameters:
            if re.search(rf"\b{re.escape(name)}\b", refusal):
                logger.warning("the LLM endpoint responded with %s and rejects %s", status, name)
                raise refused_parameter(name)

    def _often_refused(self) -> set[str]:
        """Return parameters of a chat that a refusal without names may mean."""
        names = {FORMAT_OPTION} if self._key in REMEMBERED else {FORMAT_OPTION, USAGE_OPTION}
        return names & self._body.keys() - self._changes.keys() if "messages" in self._body else set()

    def remember(self) -> None:
        """Remember the changes for later requests to this endpoint and model."""
        changes = {name: new for name, new in self._changes.items() if name not in self._temporary}
        if REMEMBERED.get(self._key) != changes:
            if changes:
                logger.info("the LLM endpoint refuses %s; later requests omit or rename them", ", ".join(changes))
            while len(REMEMBERED) >= MAX_REMEMBERED:
                del REMEMBERED[next(iter(REMEMBERED))]
            REMEMBERED[self._key] = changes


def _names_in(part: Body) -> Iterator[str]:
    """Yield the names of the fields of a request, its messages and their calls."""
    yield from part
    for name in LISTS:
        for item in part.get(name, ()):
            yield from _names_in(item)


def _change_names(part: Body, changes: Mapping[str, str]) -> dict[str, Any]:
    """Return a request with other names, and without those whose new name is empty."""
    changed = {changes.get(name, name): value for name, value in part.items()}
    changed.pop("", None)
    for name in LISTS:
        if name in changed:
            changed[name] = [_change_names(item, changes) for item in changed[name]]
    return changed


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

    def change(part: Body, field: str) -> dict[str, Any]:
        id_ = str(part.get(field, ""))
        is_short = not id_ or re.fullmatch(r"[A-Za-z0-9]{9}", id_)
        return {**part} if is_short else {**part, field: sha256(id_.encode()).hexdigest()[:9]}

    turns = [change(turn, "tool_call_id") for turn in body["messages"]]
    for turn in turns:
        if calls := turn.get("tool_calls"):
            turn["tool_calls"] = [change(call, "id") for call in calls]
    return {**body, "messages": turns}


FORMS: Mapping[str, tuple[str, Callable[[Body], Body]]] = {
    "a stream": (
        r"(?i)verified to stream|stream(ing|=true)?\W{1,2}(is |does )?not support|not support stream|in streaming mode",
        _without_stream,
    ),
    "system messages": (
        r"(?i)system\W* (role|message|prompt|instruction)s?.{0,40}not|not support.{0,30}(system|developer)"
        r"|developer instruction|roles must alternate|un(expected|supported) role\W+(system|developer)"
        r"|user'? (and|or) '?assistant",
        _without_system,
    ),
    "pictures": (
        rf"(?i)\b(no|not|cannot|missing|at most 0)\b.{{0,40}}{SIGHT}|{SIGHT}.{{0,40}}(not|cannot|only|expected)"
        r"|content.type.{0,80}'text'|content\W{1,6}(value )?must be a string|expected a string",
        _without_pictures,
    ),
    "ids of calls": (
        r"(?i)tool.?(call|use).{0,40}\bid\b.{0,100}(length|pattern|must be|too long)"
        r"|tool_call_id.{0,60}(length|pattern)",
        _with_short_ids,
    ),
}
"""Words of endpoints that refuse a form of the request, and the request in another form."""
