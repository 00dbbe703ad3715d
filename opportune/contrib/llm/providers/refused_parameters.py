"""Parameters that endpoints refuse: left out or renamed, and remembered per endpoint and model."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from opportune.contrib.llm.providers.errors import refused_parameter
from opportune.contrib.llm.providers.provider import LlmError
from opportune.contrib.llm.providers.request_forms import FORMS, USAGE_OPTION, Body
from opportune.contrib.llm.providers.returned_fields import RETURNED_FIELDS

logger = logging.getLogger(__name__)

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
