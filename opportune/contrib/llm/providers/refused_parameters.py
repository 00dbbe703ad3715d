"""Parameters that endpoints refuse: left out or renamed, and remembered per endpoint and model."""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.errors import refused_parameter
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE, LlmError
from opportune.contrib.llm.providers.returned_fields import RETURNED_FIELDS

logger = logging.getLogger(__name__)

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


LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
LIMIT_WORDS = "maximum tokens you requested|max tokens must be|maxOutputTokens"
OTHER_NAMES = {**LIMITS, "documents": "texts"}
"""Names for other endpoints. Rerankers of TEI need `texts`."""
FORMAT_OPTION = "response_format"
FORMAT_WORDS = "(?i:grammar|schema|generate json|requested parameters|data policy)"
OTHER_WORDS = {**dict.fromkeys(LIMITS, LIMIT_WORDS), FORMAT_OPTION: FORMAT_WORDS}
"""Words of refusals that do not name the parameter."""
OPTIONAL = frozenset({*OTHER_NAMES, *RETURNED_FIELDS, USAGE_OPTION, FORMAT_OPTION, "temperature"})
REFUSAL_STATUSES = (400, 404, 405, 422, 500, 501)
VAGUE_STATUSES = (400, 422)
LISTS = ("messages", "tool_calls")
"""Parts of a request that contain fields which endpoints may refuse."""
NEEDED_BACK = r"(?i)passed back|missing|required|must be (present|provided)"
LIMIT_OF_MODEL = r"(?i)max[_ ](completion_)?tokens\W{1,3}must be (<|less|at most)"
"""Refusal of Groq and Cohere, whose limit belongs to each conversation."""
ANSWER_MENTIONED = r"max_new_tokens|\b(the|or) completion\b"
"""Refusals of a context that includes the maximum answer."""
TOOLS_REFUSED = (
    r"(?i)(not|n't) support.{0,40}(tool|function)|(tool|function).{0,40}not (support|enable)|tool use"
    r"|tool.?choice.{0,10}requires|tools param|\"tools\"\]"
)
MAX_REMEMBERED = 500

REMEMBERED: dict[tuple[str, str], dict[str, str]] = {}
"""New name (empty: leave it out) by parameter, by URL and model. Has an entry for each that has answered."""


class RefusedParameters:
    """Parameters of one request, until the endpoint accepts them.

    Attributes:
        url: URL of the request.
    """

    def __init__(self, url: str, body: Body, owner_parameters: Collection[str] = ()) -> None:
        self.url = url
        self._key = (url, str(body.get("model", "")))
        self._body = body
        self._owner_parameters = owner_parameters
        self._changes = dict(REMEMBERED.get(self._key, {}))
        self._temporary = set[str]()

    def accepted(self) -> Body:
        """Return the body without refused parameters."""
        changes = {name: new for name, new in self._changes.items() if name not in self._owner_parameters}
        body = _change_names(self._body, changes) if changes else self._body
        for name, form in FORMS.items():
            body = form.change(body) if name in changes else body
        return body

    def change(self, status: int, error: LlmError) -> bool:
        """Change the parameters that the endpoint names in an error. Return False if there are none.

        Raises:
            LlmError: It refuses a parameter of LLM_MODELS.
        """
        logger.warning("the LLM endpoint responded with %s", status)
        refusal = error.report
        names = self._named(refusal) if status in REFUSAL_STATUSES else set()
        is_too_long = error.code == "context_too_long"
        if is_too_long:
            names = self._excessive_limits(names, refusal)
        elif not names and "tools" in self._body and re.search(TOOLS_REFUSED, refusal):
            raise refused_parameter("tools")
        elif status in VAGUE_STATUSES and not names and error.code == "rejected":
            self._require_owner_parameters(refusal)
            names = self._often_refused()
        for name in names:
            is_renamed = name in OTHER_NAMES and name not in self._changes and not is_too_long
            self._changes[name] = OTHER_NAMES[name] if is_renamed else ""
        return bool(names)

    def _named(self, refusal: str) -> set[str]:
        """Return what the endpoint refuses: forms of the request, and names of sent parameters."""
        forms = {name for name in FORMS.keys() - self._changes if FORMS[name].is_needed(self._body, refusal)}
        sent = OPTIONAL & {*_names_in(self._body)} - {*self._owner_parameters}
        return forms | {name for name in sent if self._is_named(name, refusal)}

    def _is_named(self, name: str, refusal: str) -> bool:
        sent_as = self._changes.get(name, name)
        if not sent_as or (name in RETURNED_FIELDS and re.search(NEEDED_BACK, refusal)):
            return False
        words = rf"(?a:\b({name}|{sent_as}|{OTHER_NAMES.get(name, name)})\b)|{OTHER_WORDS.get(name, '(?!)')}"
        return bool(re.search(words, refusal))

    def _excessive_limits(self, names: set[str], refusal: str) -> set[str]:
        """Return the limits of the answer that make this conversation too long."""
        if re.search(ANSWER_MENTIONED, refusal):
            names |= LIMITS.keys() & self._body.keys()
        limits = names & LIMITS.keys() - self._temporary
        if not re.search(LIMIT_OF_MODEL, refusal):  # the limit may only be too large for this conversation
            self._temporary |= limits
        return limits

    def _require_owner_parameters(self, refusal: str) -> None:
        for name in self._owner_parameters:
            if re.search(rf"(?a)\b{re.escape(name)}\b", refusal):
                raise refused_parameter(name)

    def _often_refused(self) -> set[str]:
        """Return parameters of a chat that a refusal without names may mean."""
        if "messages" not in self._body:
            return set()
        names = {FORMAT_OPTION} if self._key in REMEMBERED else {FORMAT_OPTION, USAGE_OPTION}
        return names & self._body.keys() - self._changes.keys()

    def remember(self) -> None:
        """Remember the changes for later requests to this endpoint and model."""
        changes = {name: new for name, new in self._changes.items() if name not in self._temporary}
        if REMEMBERED.get(self._key) == changes:
            return
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
