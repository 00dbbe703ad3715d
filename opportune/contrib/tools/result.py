"""Results of tool calls: texts for the model, of limited length and without internals."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_core import from_json

from opportune.contrib.tools.source import Source

MAX_RESULT_LENGTH = 20_000
"""Maximum number of characters of a result for the model."""
JSON = "application/json"
TOOL_FAILED = "The tool failed."
REFUSALS = {
    401: "The user has to sign in first.",
    403: "The user is not allowed to do this.",
    404: "Nothing was found that the user may see.",
}
"""Short messages for the model, instead of those for pages."""


@dataclass(frozen=True)
class ToolResult:
    """Result of a tool call.

    Attributes:
        text: Text for the model.
        is_error: True if the call failed or was refused.
        sources: Sources that the answer may cite.
        data: Returned value as JSON data.
        body: Returned value as bytes.
        media_type: Content type of the body, without parameters.
    """

    text: str
    is_error: bool = False
    sources: tuple[Source, ...] = ()
    data: Any = field(default=None, compare=False)
    body: bytes = field(default=b"", compare=False)
    media_type: str = field(default="", compare=False)

    @property
    def is_file(self) -> bool:
        """True for a picture, sound or another file, which is not text."""
        return not self.media_type.startswith(("text/", JSON)) and bool(self.media_type)


def read_result(status: int, body: bytes, media_type: str = JSON) -> ToolResult:
    """Return the response of a tool's route as a result, without messages that are for pages or contain internals."""
    try:
        data = from_json(body) if body else None
    except ValueError:
        data = body.decode(errors="replace")
    if status >= 500 and status != 503:  # the message of a 503 is for users
        return ToolResult(TOOL_FAILED, is_error=True)
    if status >= 400:
        if message := REFUSALS.get(status):
            return ToolResult(message, is_error=True)
        if isinstance(data, dict):
            data = data.get("errors") or data.get("detail", data)
        return ToolResult(_cut_result(_as_text(data)), is_error=True)
    result = ToolResult(_cut_result(_as_text(data)), data=data, body=body, media_type=media_type.partition(";")[0])
    return replace(result, text=f"A file: {result.media_type}, {len(body):,} bytes.") if result.is_file else result


def read_sources(body: bytes) -> tuple[Source, ...]:
    data = from_json(body) or []
    return tuple(map(Source.model_validate, data if isinstance(data, list) else [data]))


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut_result(text: str) -> str:
    return text if len(text) <= MAX_RESULT_LENGTH else f"{text[:MAX_RESULT_LENGTH]}… (cut)"
