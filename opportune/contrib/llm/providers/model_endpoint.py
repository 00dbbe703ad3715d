"""Endpoint of a model that answers as a whole, such as one for embeddings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.errors import NOT_ACCEPTED
from opportune.contrib.llm.providers.provider import ErrorCode, LlmError, Timeouts
from opportune.contrib.llm.providers.refused_parameters import RefusedParameters
from opportune.contrib.llm.providers.remote import connect


class ModelEndpoint:
    """Endpoint of one model."""

    def __init__(self, setting: str, model: LlmModel, timeouts: Timeouts, read_seconds: float) -> None:
        """`setting`: name for the advice in errors. `read_seconds`: maximum wait for the response."""
        self._setting = setting
        self._url = model.base_url.rstrip("/")
        timeouts = replace(timeouts, first=read_seconds, idle=read_seconds)
        self._client = connect(model, timeouts)

    async def close(self) -> None:
        await self._client.close()

    async def post(
        self, path: str, max_bytes: int, *, json: Mapping[str, Any] | None = None, **form: Any
    ) -> tuple[str, bytes]:
        """Send JSON or a form, and return the media type and the body of the response.

        Raises:
            LlmError: The request failed.
        """
        client, parameters = await self._client.open(), RefusedParameters(f"{self._url}{path}", json or {})
        try:
            content_type, body = await client.read(parameters, max_bytes, **form)
        except LlmError as error:
            # A batch of texts that is too long is divided like another one that is rejected.
            code: ErrorCode = "rejected" if error.code == "context_too_long" else error.code
            sentence = NOT_ACCEPTED if code == "rejected" else error.args[0]
            raise LlmError(code, sentence, error.retry_after, advice=f"Check {self._setting}.") from None
        if body is None:
            raise LlmError("malformed", f"{self._setting}: the response of the endpoint is too long.")
        return content_type, body
