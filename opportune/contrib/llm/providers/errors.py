"""Errors of endpoints: a sentence for the user, and advice for operators. No text of the endpoint is shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.loose_json import json_in
from opportune.contrib.llm.providers.provider import ErrorCode, LlmError
from opportune.i18n import format_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.web.remote_responses import retry_after_seconds

CHECK_URL = "Check LLM_BASE_URL."
NO_EMBEDDING = "EMBEDDING_MODEL: the response of the endpoint is not an embedding."
NOT_ACCEPTED = _l("The model's endpoint did not accept this request.")
MAX_DEPTH, MAX_TEXT_LENGTH = 5, 2_000
"""Levels of an error object, and characters of each text, that are read."""


class _Refusal(NamedTuple):
    code: ErrorCode
    sentence: str
    advice: str = ""


_KEY_REFUSED = _Refusal("unauthorised", _l("The model's endpoint refused the key."), "Check LLM_API_KEY.")
_NO_CREDIT = _Refusal("unauthorised", _l("The account at the model's endpoint has no credit left."))
_TIMEOUT = _Refusal("timeout", _l("The model took too long to answer."))
_UNKNOWN_MODEL = _Refusal(
    "not_configured", _l("The endpoint does not know this model."), "Check LLM_MODEL and LLM_BASE_URL."
)
_NO_MODEL = _Refusal("not_configured", _l("The model's endpoint is not a language model."), CHECK_URL)
_RATE_LIMITED = _Refusal("rate_limited", _l("The model's endpoint allows no more questions for now."))
_REJECTED = _Refusal("rejected", _l("The model's endpoint did not accept this conversation."), "Check LLM_MODEL.")
UNAVAILABLE = _Refusal("unavailable", _l("The model's endpoint is not working at the moment."))
_TOO_LONG = _Refusal(
    "context_too_long", _l("This conversation is too long for the model."), "Lower context_tokens in LLM_MODELS."
)
FILTERED = _Refusal("filtered", _l("The content filter of the model's endpoint stopped this answer."))
_SPECIFIC = {
    _TOO_LONG: r"context.?(length|window|size|limit)|(prompt|input|messages?|conversation|request)\S* (is|are) too l"
    r"|too many (input )?tokens(?!, please wait)|maximum (prompt|input) length"
    r"|input (token|length).{0,40}(exceed|limit)"
    r"|exceed(s|ed)? (the )?(maximum|max|model).{0,30}tokens?|reduce the length|must have less than \d+ tokens"
    r"|tokens.{0,30}must be <=|input length should|tokens? too long|request too large|tokens must be reduced|超长",
    FILTERED: r"content.?(filter|policy|management)|responsible.?ai|inspection.?failed|moderation|\bsafety\b"
    r"|sensitive.?(content|word|info)|put.{0,5}sensitive|exists risk|usage (guideline|polic)|敏感|不安全",
    _NO_CREDIT: r"insufficient.?(quota|balance|credit|fund)|arrear|(no|any|out of|more|enough) credit|credit balance"
    r"|billing.(hard|limit|not)|payment.?required|budget.{0,20}exceeded|key limit exceeded|欠费|余额不足",
    _KEY_REFUSED: r"valid api key|incorrect api key|api key.{0,20}(invalid|not valid|incorrect)",
}
"""Words for reasons that have no HTTP status."""
_GENERAL = {
    _RATE_LIMITED: r"status 429|rate.?limit|并发|频率|too.?many.?requests|throttl|resource.?exhausted|quota|per minute",
    _TIMEOUT: r"status (408|504|524)|timed?.?out|deadline",
    _KEY_REFUSED: r"status 40[13]|unauth|authenti|api.?key|permission|forbidden|access.?denied|credentials",
    _NO_CREDIT: r"status 402",
    _UNKNOWN_MODEL: r"status (404|410)|not.?found|(model|deployment).{0,60}does not exist|no such model|unknown.?model",
    _NO_MODEL: r"status (405|[123]\d\d)",  # a redirect would send the key elsewhere
    _TOO_LONG: r"status 413",
    UNAVAILABLE: r"status (424|425|498|5\d\d)|overload|unavailable|capacity|internal|server.?error|upstream|busy"
    r"|try again",
    _REJECTED: r"status 4\d\d|invalid|bad.?request|validation|unsupported|unprocessable|malformed|missing",
}
"""HTTP statuses and words for each reason."""
_MIXED = (None, 400, 403, 413, 422, 429, 500)
"""Statuses that endpoints also use for the specific reasons. None is an error in an answer with status 200."""
_VAGUE = (None, 400, 500, 502)
"""Statuses that a code in the body makes more precise."""
_CODE_FIELDS = ("code", "status", "status_code", "statusCode", "error_code", "type", "__type", "name", "reason")
_MESSAGE_FIELDS = ("errors", "error_msg", "error_message", "errorMessage", "detail", "message", "msg", "status_msg")
WAIT_FIELD = re.compile(r"retry.?(after|delay)|estimated_time", re.IGNORECASE)
WAIT = re.compile(r"(?:again in|again after|retry in|retry after|wait|wait for) (\d[\dhm.]* ?[hms]{0,2})")
_ANSWER_FIELDS = ("choices", "delta", "usage", "finish_reason")
_SENT_FIELDS = ("input", "messages", "prompt", "body", "choices")
"""Fields in which some endpoints repeat the request."""
_SUCCESS = (None, "", 0, "0", "200", "ok", "success")


def not_a_model() -> LlmError:
    return LlmError("malformed", _NO_MODEL.sentence, advice=CHECK_URL)


def refused_parameter(name: str) -> LlmError:
    """Return the error for a parameter of LLM_MODELS that the endpoint refuses."""
    if name == "tools":
        sentence: str = _l("This model cannot call tools.")
        return LlmError("rejected", sentence, advice="Set calls_tools to false for this model in LLM_MODELS.")
    sentence = format_lazy("The model's endpoint rejects the parameter %(name)s.", name=name)
    return LlmError("rejected", sentence, advice=f"Remove {name} from this model in LLM_MODELS.")


def error_for_status(status: int, retry_after: str | None = None, body: bytes = b"") -> LlmError:
    """Return the error for the HTTP status of a response.

    Args:
        status: HTTP status of the endpoint.
        retry_after: Value of the Retry-After header.
        body: Body of the response. It distinguishes the reasons that share a status.
    """
    value = json_in(body) or body.decode(errors="replace")
    return _describe(value, status, retry_after_seconds(retry_after))


def error_in(value: Mapping[str, Any], *, is_error: bool = False, is_choice: bool = False) -> LlmError | None:
    """Return the error that an event of the stream or one of its choices reports; None for other events.

    Args:
        value: The event or the choice.
        is_error: True if the event is called an error.
        is_choice: True for a choice.
    """
    error = value.get("error")
    if is_choice or any(map(value.get, _ANSWER_FIELDS)):  # some endpoints add an empty error to each chunk
        is_empty = not error or (isinstance(error, dict) and all(code in _SUCCESS for code in error.values()))
    else:
        is_empty = not (error or _is_unmarked_error(value))
    return _describe(value) if is_error or not is_empty else None


def _is_unmarked_error(value: Mapping[str, Any]) -> bool:
    """Return True for a message alone, or with a failure. Endpoints put them into objects with various names."""
    texts = [(field, text) for field, text in _texts_in(value) if text]
    others = [(field, text) for field, text in texts if field not in _MESSAGE_FIELDS]
    if len(others) == len(texts):
        return False
    is_failure = value.get("object") == "error" or value.get("success") is False
    return is_failure or not others or any(field in _CODE_FIELDS and text not in _SUCCESS for field, text in others)


def _describe(error: object, status: int | None = None, seconds: float | None = None) -> LlmError:
    texts = [*_texts_in(error)]
    codes = [text for field, text in texts if field in _CODE_FIELDS]
    everything = " ".join(text for _, text in texts)
    if status in _VAGUE:
        status = _status_in(codes, everything) or status
    refusal = _find_refusal(status, " ".join(codes), everything)
    seconds = _seconds_in(texts) if seconds is None else seconds
    return LlmError(refusal.code, refusal.sentence, seconds, advice=refusal.advice)


def _status_in(codes: Iterable[str], everything: str) -> int | None:
    """Return the HTTP status that the body of an error names."""
    numbers = [re.match(r"([45]\d\d)(?!\d)", code) for code in codes]
    numbers.append(re.search(r"(?:code|status|http|error)\D{0,12}([45]\d\d)\b", everything))
    return next((int(number[1]) for number in numbers if number), None)


def _find_refusal(status: int | None, codes: str, everything: str) -> _Refusal:
    found = [
        _search(_SPECIFIC, everything if status in _MIXED else ""),
        _search(_GENERAL, codes if status in _VAGUE else ""),
        _search(_GENERAL, f"status {status}" if status else everything),
    ]
    return next(filter(None, found), UNAVAILABLE)


def _search(patterns: Mapping[_Refusal, str], text: str) -> _Refusal | None:
    return next((refusal for refusal, pattern in patterns.items() if re.search(pattern, text)), None)


def _texts_in(value: object, field: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each text and number of an error in lower case, with the name of its field."""
    if isinstance(value, list | dict):
        items = value.items() if isinstance(value, dict) else ((field, item) for item in value)
        for name, item in items if depth < MAX_DEPTH else ():
            if name not in _SENT_FIELDS:
                yield from _texts_in(item, name, depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield field, str(value)[:MAX_TEXT_LENGTH].lower()


def _seconds_in(texts: Iterable[tuple[str, str]]) -> float | None:
    """Return the wait that an error requests, such as `"retryDelay": "34s"` or `Please try again in 7.66s.`"""
    waits = (_wait_in(field, text) for field, text in texts)
    return next((seconds for wait in waits if (seconds := retry_after_seconds(wait)) is not None), None)


def _wait_in(field: str, text: str) -> str:
    if WAIT_FIELD.match(field):
        return f"{text}ms" if field.lower().endswith("ms") and text.isdecimal() else text
    wait = WAIT.search(text)
    return wait[1].rstrip(".") if wait else ""
