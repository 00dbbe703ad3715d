"""Errors of endpoints: a sentence for the user, advice for operators, and the words by which they are recognised."""

import re
from typing import NamedTuple

from opportune.contrib.llm.providers import provider
from opportune.contrib.llm.providers.provider import Done, ErrorCode, LlmError
from opportune.i18n import format_lazy
from opportune.i18n import gettext_lazy as _l

NOT_ACCEPTED = _l("The model's endpoint did not accept this request.")
NO_TOOLS = _l("This model cannot call tools.")
OUT_OF_TOKENS = _l(
    "The model used up the length of its answer for thinking, before it began to write. Ask for less, or try again."
)
ONLY_REASONING = _l("The model thought, but gave no answer. Try again.")


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

    def error(self, seconds: float | None = None, *, done: Done | None = None, report: str = "") -> LlmError:
        return LlmError(self.code, self.sentence, seconds, done=done, advice=self.advice, report=report)


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
    specific=r"tool_use_failed|failed to call a function|model (has crashed|(is )?unloaded)|degraded function",
    general=r"status (409|42[45]|49[89]|5\d\d)|overload|unavailable|capacity|internal|server.?error|upstream|busy"
    r"|try again",
)
REASONS = (
    Reason(
        "rate_limited",
        _l("The model's endpoint allows no more questions for now."),
        specific=r"(?s)^(?!.*request too large).*(per (minute|day|hour)|please wait|throttl|call volume)",
        general=r"status 429|rate.?limit|too.?many.?requests|throttl|resource.?exhausted|quota"
        r"|limit.{0,10}(reached|exceed)|(request|usage|conn).?limit|并发|频率|请求过多|访问量|次数",
    ),
    Reason(
        "context_too_long",
        _l("This conversation is too long for the model."),
        "Lower context_tokens in LLM_MODELS.",
        r"(context|sequence).?(length|window|size|limit)|exceeds.{0,20}context|too many (input )?tokens|max_seq_len"
        r"|tokens? too long|(prompt|input|messages?|conversation|request)\S*[ _](is |are |length |body )?too.l"
        r"|more than max tokens|(maximum (allowed|prompt|input|model)|the max|total) length|reduce the length"
        r"|(input|prompt) (token|length).{0,40}(exceed|limit|only supports|no more)|must have less than \d+ tokens"
        r"|exceed(s|ed)? (the )?(maximum|max|model).{0,30}tokens?|tokens (exceeds|must be reduced|(in|of).{0,40}exceed)"
        r"|tokens.{0,30}must be <=|input length should|max input char|token limit exceeded"
        r"|超长|超过.{0,4}(上限|限制|长度)",
        "status 413",
    ),
    FILTERED,
    Reason("timeout", _l("The model took too long to answer."), general=r"status (408|504|524)|timed?.?out|deadline"),
    Reason(
        "unauthorised",
        _l("The account at the model's endpoint has no credit left."),
        specific=r"insufficient.{0,25}(quota|balance|credit|fund)|(no|any|out of|more|enough|available) credit"
        r"|(credit|enough) balance|arrear|overdue|billing.(hard|limit|not)|payment.?required|budget.{0,20}exceeded"
        r"|key limit exceeded|account.{0,40}suspended|spending limit|specified api usage|provider.quota"
        r"|(balance|quota) is insufficient|free tier.{0,40}exhausted|欠费|余额不足|额度",
        general="status 402",
    ),
    Reason(
        "unauthorised",
        _l("The model's endpoint refused the key."),
        "Check LLM_API_KEY.",
        r"valid api (key|token)|incorrect api key|api key.{0,20}(invalid|not valid|incorrect)|been restricted"
        r"|requires terms|location is not supported",
        r"status 40[13]|auth(enti|oriz|.?fail)|no.?auth|login fail|api.?key|permission|forbidden|access.?denied"
        r"|(access|security).?token|credentials|身份",
    ),
    Reason(
        "not_configured",
        _l("The endpoint does not know this model."),
        "Check LLM_MODEL and LLM_BASE_URL.",
        r"model.{0,60}(decommissioned|no longer|not supported by)|model_not_supported|not a valid model|unknown.model"
        r"|models? (are )?loaded|work with the specified|model (not exist|identifier|disabled)|(invalid|such).model"
        r"|model.not.available|non-serverless|on-demand throughput|provider not provided|configure ai gateway"
        r"|access to (the )?model",
        r"status (404|410)|not.?found|(model|deployment).{0,60}does not exist|unknown.?model|模型不存在",
    ),
    # A redirect would send the key elsewhere.
    Reason(
        "not_configured", provider.NOT_A_MODEL, provider.CHECK_URL, "unexpected endpoint", r"status (405|[123]\d\d)"
    ),
    UNAVAILABLE,
    Reason(
        "rejected",
        _l("The model's endpoint did not accept this conversation."),
        "Check LLM_MODEL.",
        "invalid params",
        r"status 4\d\d|invalid|not.{0,20} valid|bad.?(request|input)|template|validation|unsupported"
        r"|unprocessable|malformed|missing|参数",
    ),
)
FILTER_REASONS = re.compile(
    r"(?<!call_)filter|safety|sensitive|recitation|prohibited|block|refusal|guardrail|toxic|spii|policy|armor|moderat|language|risk"
)
FAILURE_REASONS = re.compile(
    r"error(?!_limit)|abort|insufficient|malformed|unexpected|fail|cancel|overload|timeout|exception|preempt|other$"
)


def refused_parameter(name: str) -> LlmError:
    """Return the error for a parameter of LLM_MODELS that the endpoint refuses."""
    if name == "tools":
        return LlmError("rejected", NO_TOOLS, advice="Set calls_tools to false for this model in LLM_MODELS.")
    sentence = format_lazy("The model's endpoint rejects the parameter %(name)s.", name=name)
    return LlmError("rejected", sentence, advice=f"Remove {name} from this model in LLM_MODELS.")


def failure_of(reason: str, done: Done, *, has_text: bool, has_reasoning: bool) -> LlmError | None:
    """Return why a finished answer is none. Some models count their reasoning but never send it.

    `reason`: why the answer ended, in lower case and in the words of the endpoint.
    """
    if FILTER_REASONS.search(reason):
        return FILTERED.error(done=done)
    if FAILURE_REASONS.search(reason):
        return LlmError("interrupted", provider.INTERRUPTED, done=done) if has_text else UNAVAILABLE.error(done=done)
    if has_text or done.tool_calls:
        return None
    if done.truncated:
        return LlmError("out_of_tokens", OUT_OF_TOKENS, done=done)
    return LlmError("empty", ONLY_REASONING if has_reasoning or done.reasoning_tokens else provider.EMPTY, done=done)
