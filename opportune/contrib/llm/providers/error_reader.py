"""Errors in responses and events of endpoints, recognised by their statuses, codes and words."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from opportune.contrib.llm.providers.errors import FILTER_REASONS, FILTERED, REASONS, UNAVAILABLE, Reason
from opportune.contrib.llm.providers.loose_json import json_in, object_in, plain_key
from opportune.contrib.llm.providers.provider import LlmError
from opportune.contrib.llm.providers.retry_waits import seconds_to_wait

MAX_DEPTH = 5
"""Levels of an error object that are read."""
MAX_TEXT_LENGTH = 2_000
"""Characters of each text that are read."""
_MIXED = (None, 400, 401, 403, 412, 413, 422, 429, 498, 500)
"""Statuses whose bodies are searched for the specific reasons. None is status 200."""
_VAGUE = (None, 400, 500, 502)
"""Statuses that a code in the body makes more precise."""
_CODE_FIELDS = ("code", "status", "statuscode", "errorcode", "type", "name", "reason")
_MESSAGE_FIELDS = "errors", "errormsg", "errormessage", "detail", "message", "msg", "statusmsg", "title", "faultstring"
_ANSWER_FIELDS = ("choices", "delta", "finish_reason")
_IGNORED_FIELDS = frozenset(
    {"input", "messages", "prompt", "body", "choices", "failed_generation", "warning", "prompt_filter_results"}
)
"""Fields with texts of the request or the answer, and Azure's report on a filter that failed and stopped nothing."""
_NO_FAILURE = ("", "0", "200", "ok", "success", "status", "queued", "pending", "processing", "in_progress", "starting")


def error_for_status(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> LlmError:
    """Return the error for the HTTP status of a response. The body distinguishes the reasons that share a status."""
    is_page = body.lstrip().startswith(b"<")  # of a proxy, which knows nothing of models
    content = body.decode(errors="replace")
    value = {} if is_page else json_in(body) or content
    texts = [(name.lower(), text.lower()) for name, text in (headers or {}).items()]
    # Retry-After-Ms of OpenAI and Azure comes first, because it is more precise than Retry-After.
    texts.sort(key=lambda header: not header[0].endswith("ms"))
    error = _describe(value, status, texts)
    error.report = content if is_page else error.report
    return error


def error_in(event: Mapping[str, Any], *, is_error: bool = False) -> LlmError | None:
    """Return the error that an event of the stream reports; None for other events.

    Args:
        event: The event, such as `{"error": {"code": 429}}`, `{"message": "Model not found"}` or
            `{"success": false, "errors": [{"code": 7009, "message": "Upstream timeout"}]}`.
        is_error: True if the event is called an error.
    """
    error = event.get("error") or object_in(event.get("x_groq")).get("error")
    is_error = is_error or _has_content(error)  # some endpoints add an empty error to each chunk
    is_answer = any(map(event.get, _ANSWER_FIELDS))
    if is_error or (not is_answer and _is_unmarked_error(event)):
        return _describe(event)
    return filter_error(event.get("promptFeedback"))


def error_in_choice(choice: Mapping[str, Any]) -> LlmError | None:
    """Return the error that a choice of an event reports; None for other choices."""
    return _describe(choice) if _has_content(choice.get("error")) else None


def _has_content(error: object) -> bool:
    if isinstance(error, dict):
        return any(text not in _NO_FAILURE for _, text in _texts_in(error))
    return bool(error)


def filter_error(value: object) -> LlmError | None:
    """Return the error of a whole response whose content was withheld; None for other responses."""
    reasons = [text for field, text in _texts_in(value) if field in ("finishreason", "blockreason")]
    return FILTERED.error() if FILTER_REASONS.search(" ".join(reasons)) else None


def _is_unmarked_error(value: Mapping[str, Any]) -> bool:
    """Return True for a message alone, or with a failure. Endpoints put them into objects with various names."""
    texts = [(field, text) for field, text in _texts_in(value) if text]
    others = [(field, text) for field, text in texts if field not in _MESSAGE_FIELDS]
    if len(others) == len(texts):
        return False
    is_failure = value.get("object") == "error" or value.get("success") is False
    return is_failure or not others or any(field in _CODE_FIELDS and text not in _NO_FAILURE for field, text in others)


def _describe(error: object, status: int | None = None, headers: Sequence[tuple[str, str]] = ()) -> LlmError:
    texts = [*_texts_in(error)]
    codes = [text for field, text in texts if field in _CODE_FIELDS]
    everything = " ".join(text for _, text in texts)
    if status in _VAGUE:
        status = _status_in(codes, everything) or status
    reason = _find_reason(status, " ".join(codes), everything)
    seconds = seconds_to_wait([*headers, *texts], is_limited=reason.code == "rate_limited")
    return reason.error(seconds, report=json.dumps(error, ensure_ascii=False))


def _status_in(codes: Iterable[str], everything: str) -> int | None:
    """Return the HTTP status that the body of an error names."""
    numbers = [re.match(r"([45]\d\d)(?!\d)", code) for code in codes]
    numbers.append(re.search(r"(?:code|status|http|error)\D{0,20}([45]\d\d)\b", everything))
    return next((int(number[1]) for number in numbers if number), None)


def _find_reason(status: int | None, codes: str, everything: str) -> Reason:
    if status in _MIXED:
        for reason in REASONS:
            if re.search(reason.specific, everything):
                return reason
    texts = [codes] if status in _VAGUE else []
    texts.append(f"status {status}" if status else everything)
    for text in texts:
        for reason in REASONS:
            if re.search(reason.general, text):
                return reason
    return UNAVAILABLE


def _texts_in(value: object, field: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each text and number of an error in lower case, with the plain name of its field."""
    if isinstance(value, list | dict) and depth < MAX_DEPTH:
        items = value.items() if isinstance(value, dict) else ((field, item) for item in value)
        for name, item in items:
            if name not in _IGNORED_FIELDS:
                yield from _texts_in(item, field if name == "seconds" else plain_key(name), depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield field, str(value)[:MAX_TEXT_LENGTH].lower()
