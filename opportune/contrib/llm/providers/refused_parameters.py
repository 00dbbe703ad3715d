"""Parameters that endpoints refuse: left out or exchanged, and remembered per endpoint and model."""

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from opportune.contrib.llm.providers.errors import refused_parameter
from opportune.contrib.llm.providers.provider import LlmError
from opportune.contrib.llm.providers.returned_fields import RETURNED_FIELDS

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]

LIMITS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""Names of the maximum length. OpenAI's newer models refuse the first one, other endpoints the second one."""
USAGE_OPTION = "stream_options"
"""Parameter that requests token counts. Some endpoints, such as Mistral's, always report them and refuse it."""
SCHEMA_OPTION = "response_format"
OPTIONAL = frozenset({*LIMITS, *RETURNED_FIELDS, USAGE_OPTION, SCHEMA_OPTION, "temperature"})
REFUSAL_STATUSES, VAGUE_STATUSES = (400, 404, 405, 422, 500, 501), (400, 422)
NEEDED_BACK = re.compile(r"passed back|missing|required|must be (present|provided)", re.IGNORECASE)
TOOLS_REFUSED = re.compile(
    r"(not|n't) support.{0,40}(tool|function)|(tool|function).{0,40}not (support|enable)|tool use"
    r"|tool choice requires|tools param",
    re.IGNORECASE,
)
MAX_REMEMBERED = 500

REMEMBERED: dict[tuple[str, str], dict[str, str]] = {}
"""New name (empty: leave it out) by parameter, by URL and model. Has an entry for each that has answered."""


class RefusedParameters:
    """Parameters of one request, until the endpoint accepts them."""

    def __init__(self, url: str, body: Body, owner_parameters: Collection[str]) -> None:
        self._key = url, str(body.get("model", ""))
        self._body = body
        self._owner_parameters = owner_parameters
        self._changes = dict(REMEMBERED.get(self._key, {}))
        self._temporary = set[str]()

    def accepted(self) -> Body:
        """Return the body without refused parameters."""
        if not self._changes:
            return self._body
        changes = {name: new for name, new in self._changes.items() if name not in self._owner_parameters}
        body = {changes.get(name, name): value for name, value in self._body.items()}
        body["messages"] = [self._without_refused(message) for message in body["messages"]]
        body.pop("", None)
        return body

    def _without_refused(self, message: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in message.items() if name not in self._changes}
        if calls := kept.get("tool_calls"):
            kept["tool_calls"] = [self._without_refused(call) for call in calls]
        return kept

    def change(self, status: int, error: LlmError, refusal: str) -> bool:
        """Change the parameters that the endpoint names. Return False if there are none.

        Raises:
            LlmError: It refuses a parameter of LLM_MODELS.
        """
        names = [*self._named(refusal)] if status in REFUSAL_STATUSES else []
        is_too_long = error.code == "context_too_long"
        if is_too_long:  # the limit may only be too large for this conversation
            names = [name for name in names if name in LIMITS and name not in self._temporary]
            self._temporary.update(names)
        elif status in VAGUE_STATUSES and not names and error.code == "rejected":
            self._require_owner_parameters(status, refusal)
            names = self._often_refused()
        logger.warning("the LLM endpoint responded with %s", status)
        if not names and "tools" in self._body and TOOLS_REFUSED.search(refusal):
            raise refused_parameter("tools")
        for name in names:
            is_renamed = name in LIMITS and name not in self._changes and not is_too_long
            self._changes[name] = LIMITS[name] if is_renamed else ""
        return bool(names)

    def _require_owner_parameters(self, status: int, refusal: str) -> None:
        for name in self._owner_parameters:
            if re.search(rf"\b{re.escape(name)}\b", refusal):
                logger.warning("the LLM endpoint responded with %s and rejects %s", status, name)
                raise refused_parameter(name)

    def _often_refused(self) -> list[str]:
        """Return parameters that a refusal without names may mean."""
        names = [SCHEMA_OPTION] if self._key in REMEMBERED else [SCHEMA_OPTION, USAGE_OPTION]
        return [name for name in names if name in self._body and name not in self._changes]

    def change_by_event(self, error: LlmError, event: Mapping[str, Any]) -> bool:
        """Change the parameters that an event of an answer with status 200 names, as `change`."""
        is_refusal = error.code in ("rejected", "context_too_long")
        return is_refusal and self.change(400, error, json.dumps(event, ensure_ascii=False))

    def _named(self, refusal: str) -> Iterator[str]:
        """Yield the names in the body of the sent parameters that the endpoint names."""
        parts = (part for message in self._body["messages"] for part in (message, *message.get("tool_calls", ())))
        sent = set(self._body).union(*parts) - set(self._owner_parameters)
        for name in OPTIONAL & sent:
            sent_as = self._changes.get(name, name)
            is_needed = name in RETURNED_FIELDS and NEEDED_BACK.search(refusal)
            if sent_as and not is_needed and re.search(rf"\b{sent_as}\b", refusal):
                yield name

    def remember(self) -> None:
        """Remember the changes for later requests to this endpoint and model."""
        changes = {name: new for name, new in self._changes.items() if name not in self._temporary}
        if REMEMBERED.get(self._key) != changes:
            if changes:
                logger.info("the LLM endpoint refuses %s; later requests omit or rename them", ", ".join(changes))
            while len(REMEMBERED) >= MAX_REMEMBERED:
                del REMEMBERED[next(iter(REMEMBERED))]
            REMEMBERED[self._key] = changes
