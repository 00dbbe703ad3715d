"""Errors of endpoints: a sentence for the user, and advice for operators."""

from typing import NamedTuple

from opportune.contrib.llm.providers.provider import ErrorCode, LlmError
from opportune.i18n import gettext_lazy as _l
from opportune.web.remote_responses import retry_after_seconds

NO_EMBEDDING = "EMBEDDING_MODEL: the response of the endpoint is not an embedding."


class _Refusal(NamedTuple):
    code: ErrorCode
    sentence: str
    advice: str = ""


_KEY_REFUSED = _Refusal("unauthorised", _l("The model's endpoint refused the key."), "Check LLM_API_KEY.")
_TIMEOUT = _Refusal("timeout", _l("The model took too long to answer."))
_BY_STATUS = {
    401: _KEY_REFUSED,
    402: _Refusal("unauthorised", _l("The account at the model's endpoint has no credit left.")),
    403: _KEY_REFUSED,
    404: _Refusal("not_configured", _l("The endpoint does not know this model."), "Check LLM_MODEL and LLM_BASE_URL."),
    408: _TIMEOUT,
    429: _Refusal("rate_limited", _l("The model's endpoint allows no more questions for now.")),
    504: _TIMEOUT,
}
_REJECTED = _Refusal("rejected", _l("The model's endpoint did not accept this conversation."), "Check LLM_MODEL.")
_UNAVAILABLE = _Refusal("unavailable", _l("The model's endpoint is not working at the moment."))


def error_for_status(status: int, retry_after: str | None = None) -> LlmError:
    """Return the error for an HTTP status, of the response or of an error event in the stream.

    Args:
        status: HTTP status of the endpoint.
        retry_after: Value of the Retry-After header.
    """
    refusal = _BY_STATUS.get(status, _REJECTED if 400 <= status < 500 else _UNAVAILABLE)
    return LlmError(refusal.code, refusal.sentence, retry_after_seconds(retry_after), advice=refusal.advice)
