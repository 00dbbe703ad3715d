"""Errors of endpoints: a sentence for the user, and advice for operators. No text of the endpoint is shown."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opportune.contrib.llm.providers.loose_json import json_in, plain_key
from opportune.contrib.llm.providers.provider import CHECK_URL, NOT_A_MODEL, Done, ErrorCode, LlmError
from opportune.i18n import format_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.web.remote_responses import retry_after_seconds

NO_EMBEDDING = "EMBEDDING_MODEL: the response of the endpoint is not an embedding."
NOT_ACCEPTED = _l("The model's endpoint did not accept this request.")
NO_TOOLS = _l("This model cannot call tools.")
MAX_DEPTH, MAX_TEXT_LENGTH = 5, 2_000
"""Levels of an error object, and characters of each text, that are read."""


class Reason(NamedTuple):
    """Why an endpoint refuses a request.

    Attributes:
        specific: Words for a reason that shares its HTTP status with others.
        general: Statuses and other words for it.
    """

    code: ErrorCode
    sentence: str
    advice: str = ""
    specific: str = r"(?!)"
    general: str = r"(?!)"

    def error(self, seconds: float | None = None, *, done: Done | None = None) -> LlmError:
        return LlmError(self.code, self.sentence, seconds, done=done, advice=self.advice)


FILTERED = Reason(
    "filtered",
    _l("The content filter of the model's endpoint stopped this answer."),
    specific=r"content.?(filter|policy|management)|responsible.?ai|inspection.?failed|moderation|\bsafety\b"
    r"|sensitive.?(content|word|info)|put.{0,5}sensitive|exists risk|usage (guideline|polic)|policy.?violat"
    r"|prohibited|\bflagged\b|prompt.{0,20}blocked|敏感|不安全",
    general="status 451",
)
UNAVAILABLE = Reason(
    "unavailable",
    _l("The model's endpoint is not working at the moment."),
    # The model wrote a call that its endpoint could not read. It may do better next time.
    specific=r"tool_use_failed|failed to call a function",
    general=r"status (409|42[45]|49[89]|5\d\d)|overload|unavailable|capacity|internal|server.?error|upstream|busy"
    r"|try again",
)
REASONS = (
    Reason(
        "rate_limited",
        _l("The model's endpoint allows no more questions for now."),
        specific=r"(?s)^(?!.*request too large).*(per (minute|day|hour)|please wait|throttl)",
        general=r"status 429|rate.?limit|too.?many.?requests|throttl|resource.?exhausted|quota|并发|频率|请求过多",
    ),
    Reason(
        "context_too_long",
        _l("This conversation is too long for the model."),
        "Lower context_tokens in LLM_MODELS.",
        r"(context|sequence).?(length|window|size|limit)|exceeds.{0,20}context|too many (input )?tokens"
        r"|tokens? too long|(prompt|input|messages?|conversation|request)\S* (is |are )?too l|more than max tokens"
        r"|maximum (prompt|input) length|(input|prompt) (token|length).{0,40}(exceed|limit|only supports)"
        r"|reduce the length|tokens must be reduced"
        r"|exceed(s|ed)? (the )?(maximum|max|model).{0,30}tokens?|must have less than \d+ tokens|max input characters"
        r"|tokens.{0,30}must be <=|input length should|token limit exceeded|超长|超过.{0,4}(上限|限制|长度)",
        "status 413",
    ),
    FILTERED,
    Reason("timeout", _l("The model took too long to answer."), general=r"status (408|504|524)|timed?.?out|deadline"),
    Reason(
        "unauthorised",
        _l("The account at the model's endpoint has no credit left."),
        specific=r"insufficient.{0,6}(quota|balance|credit|fund)|(no|any|out of|more|enough|available) credit"
        r"|credit balance|arrear|billing.(hard|limit|not)|payment.?required|budget.{0,20}exceeded|key limit exceeded"
        r"|account is suspended|spending limit|balance is insufficient|欠费|余额不足|额度",
        general="status 402",
    ),
    Reason(
        "unauthorised",
        _l("The model's endpoint refused the key."),
        "Check LLM_API_KEY.",
        r"valid api key|incorrect api key|api key.{0,20}(invalid|not valid|incorrect)",
        r"status 40[13]|auth(enti|oriz)|no.?auth|login fail|api.?key|permission|forbidden|access.?denied"
        r"|(access|security).?token|credentials|身份",
    ),
    Reason(
        "not_configured",
        _l("The endpoint does not know this model."),
        "Check LLM_MODEL and LLM_BASE_URL.",
        r"model.{0,60}(decommissioned|no longer|not supported by)|model_not_supported|not work with the specified"
        r"|not a valid model|model not exist|invalid model:",
        r"status (404|410)|not.?found|(model|deployment).{0,60}does not exist|no such model|unknown.?model|模型不存在",
    ),
    # A redirect would send the key elsewhere.
    Reason("not_configured", NOT_A_MODEL, CHECK_URL, general=r"status (405|[123]\d\d)"),
    UNAVAILABLE,
    Reason(
        "rejected",
        _l("The model's endpoint did not accept this conversation."),
        "Check LLM_MODEL.",
        general=r"status 4\d\d|invalid|not.{0,20} valid|bad.?(request|input)|template|validation|unsupported"
        r"|unprocessable|malformed|missing|参数",
    ),
)
_MIXED = (None, 400, 403, 413, 422, 429, 500)
"""Statuses whose bodies are searched for the specific reasons. None is status 200."""
_VAGUE = (None, 400, 500, 502)
"""Statuses that a code in the body makes more precise."""
_CODE_FIELDS = ("code", "status", "statuscode", "errorcode", "type", "name", "reason")
_MESSAGE_FIELDS = "errors", "errormsg", "errormessage", "detail", "message", "msg", "statusmsg", "title", "faultstring"
WAIT_FIELD = re.compile(r".*retry-?(after|delay)|estimatedtime")
DURATION = r"\d[\dhms.]*+(?!-) ?[hms]{0,2}"
RESET_FIELD = re.compile(r"reset|timeremaining|ratelimit$")
RESET = re.compile(r".*\b(?:reset|t)=([^;,]+).*")
"""Wait in `RateLimit: limit=10, remaining=0, reset=30`."""
WAIT = re.compile(
    rf"(?:(?:again|retry|resets?) (?:in|after|at)|wait(?: for| until)?|请在) (\d{{4}}-[\dtz:.+-]+|{DURATION})"
)
FILTER_REASONS = re.compile(
    r"filter|safety|sensitive|recitation|prohibited|blocklist|refusal|guardrail|toxic|spii|policy|armor"
)
_ANSWER_FIELDS = ("choices", "delta", "usage", "finish_reason")
_IGNORED_FIELDS = ("input", "messages", "prompt", "body", "choices", "failed_generation")
"""Fields with texts of the request or the answer."""
_SUCCESS = ("", "0", "200", "ok", "success")


def refused_parameter(name: str) -> LlmError:
    """Return the error for a parameter of LLM_MODELS that the endpoint refuses."""
    if name == "tools":
        return LlmError("rejected", NO_TOOLS, advice="Set calls_tools to false for this model in LLM_MODELS.")
    sentence = format_lazy("The model's endpoint rejects the parameter %(name)s.", name=name)
    return LlmError("rejected", sentence, advice=f"Remove {name} from this model in LLM_MODELS.")


def error_for_status(
    status: int, retry_after: str | None = None, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> LlmError:
    """Return the error for the HTTP status of a response.

    Args:
        status: HTTP status of the endpoint.
        retry_after: Value of the Retry-After header.
        body: Body of the response. It distinguishes the reasons that share a status.
        headers: All headers, of which some endpoints use others than Retry-After.
    """
    is_page = body.lstrip().startswith(b"<")  # of a proxy, which knows nothing of models
    value = {} if is_page else json_in(body) or body.decode(errors="replace")
    waits = {"Retry-After": retry_after or "", **(headers or {})}
    texts = sorted(((name.lower(), text.lower()) for name, text in waits.items()), reverse=True)
    return _describe(value, status, texts)  # first Retry-After-Ms of OpenAI and Azure


def error_in(value: Mapping[str, Any], *, is_error: bool = False, is_choice: bool = False) -> LlmError | None:
    """Return the error that an event of the stream or one of its choices reports; None for other events.

    Args:
        value: The event or the choice.
        is_error: True if the event is called an error.
        is_choice: True for a choice.
    """
    error = value.get("error")
    if is_choice or any(map(value.get, _ANSWER_FIELDS)):  # some endpoints add an empty error to each chunk
        is_error = is_error or _has_content(error)
    else:
        is_error = is_error or bool(error) or _is_unmarked_error(value)
    return _describe(value) if is_error else filter_error(value.get("promptFeedback"))


def _has_content(error: object) -> bool:
    if isinstance(error, dict):
        return any(text not in _SUCCESS for _, text in _texts_in(error))
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
    return is_failure or not others or any(field in _CODE_FIELDS and text not in _SUCCESS for field, text in others)


def _describe(error: object, status: int | None = None, headers: Sequence[tuple[str, str]] = ()) -> LlmError:
    texts = [*_texts_in(error)]
    codes = [text for field, text in texts if field in _CODE_FIELDS]
    everything = " ".join(text for _, text in texts)
    if status in _VAGUE:
        status = _status_in(codes, everything) or status
    reason = _find_reason(status, " ".join(codes), everything)
    described = reason.error(_seconds_in([*headers, *texts], is_limited=reason.code == "rate_limited"))
    described.report = json.dumps(error, ensure_ascii=False)
    return described


def _status_in(codes: Iterable[str], everything: str) -> int | None:
    """Return the HTTP status that the body of an error names."""
    numbers = [re.match(r"([45]\d\d)(?!\d)", code) for code in codes]
    numbers.append(re.search(r"(?:code|status|http|error)\D{0,20}([45]\d\d)\b", everything))
    return next((int(number[1]) for number in numbers if number), None)


def _find_reason(status: int | None, codes: str, everything: str) -> Reason:
    specific = everything if status in _MIXED else ""
    reasons = [reason for reason in REASONS if re.search(reason.specific, specific)]
    for text in (codes if status in _VAGUE else "", f"status {status}" if status else everything):
        reasons += [reason for reason in REASONS if re.search(reason.general, text)]
    return next(iter(reasons), UNAVAILABLE)


def _texts_in(value: object, field: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield each text and number of an error in lower case, with the plain name of its field."""
    if isinstance(value, list | dict) and depth < MAX_DEPTH:
        items = value.items() if isinstance(value, dict) else ((field, item) for item in value)
        for name, item in items:
            if name not in _IGNORED_FIELDS:
                yield from _texts_in(item, field if name == "seconds" else plain_key(name), depth + 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield field, str(value)[:MAX_TEXT_LENGTH].lower()


def _seconds_in(texts: Sequence[tuple[str, str]], *, is_limited: bool) -> float | None:
    """Return the wait that an error requests, such as `"retryDelay": "34s"` or `Please try again in 7.66s.`"""
    waits = (_wait_in(field, text) for field, text in texts)
    default = _seconds_until_reset(dict(texts)) if is_limited else None
    return next((seconds for wait in waits if (seconds := retry_after_seconds(wait)) is not None), default)


def _seconds_until_reset(limits: Mapping[str, str]) -> float | None:
    """Return the wait until all exhausted limits are reset, or the shortest one if none is known to be exhausted."""
    resets = ((name, RESET.sub(r"\1", text)) for name, text in limits.items() if RESET_FIELD.search(name))
    waits = {name: retry_after_seconds(text) for name, text in resets}
    exhausted = [wait for name, wait in waits.items() if wait and limits.get(name.replace("reset", "remaining")) == "0"]
    return max(exhausted, default=min(filter(None, waits.values()), default=None))


def _wait_in(field: str, text: str) -> str:
    if WAIT_FIELD.match(field):
        if field.endswith("ms") and text.isdecimal():
            return f"{text}ms"
        wait = re.match(f"(?:pt)?({DURATION})", text)  # the first of several, also in words or of ISO 8601
        return wait[1] if wait else text
    wait = WAIT.search(text)
    return wait[1].rstrip(". ") if wait else ""
