"""Errors of endpoints, in words for whoever asked."""

from opportune.llm.provider import ErrorCode, LLMError
from opportune.retry_after import retry_after_seconds

_BY_STATUS: dict[int, tuple[ErrorCode, str]] = {
    401: ("unauthorised", "The model's endpoint refused the key: check LLM_API_KEY."),
    402: ("unauthorised", "The account at the model's endpoint has no credit left."),
    403: ("unauthorised", "The model's endpoint refused the key: check LLM_API_KEY."),
    404: ("not_configured", "The endpoint does not know this model: check LLM_MODEL and LLM_BASE_URL."),
    408: ("timeout", "The model took too long to answer."),
    429: ("rate_limited", "The model's endpoint allows no more questions for now."),
    504: ("timeout", "The model took too long to answer."),
}
_REJECTED: tuple[ErrorCode, str] = ("rejected", "The model's endpoint did not accept this conversation or LLM_MODEL.")
_UNAVAILABLE: tuple[ErrorCode, str] = ("unavailable", "The model's endpoint is not working at the moment.")


def error_for_status(status: int, retry_after: str | None = None) -> LLMError:
    """The error for an HTTP status, from the response or from an error inside the stream."""
    code, sentence = _BY_STATUS.get(status, _REJECTED if 400 <= status < 500 else _UNAVAILABLE)
    return LLMError(code, sentence, retry_after_seconds(retry_after))
