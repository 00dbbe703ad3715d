"""HTTP client of endpoints that answer as a whole. Imported with the first request: importing httpx2 takes 0.2 s."""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

import httpx2

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.errors import NOT_ACCEPTED, error_for_status
from opportune.contrib.llm.providers.http_client import MAX_REFUSAL_BYTES, translate_errors
from opportune.contrib.llm.providers.provider import LlmError, Timeouts
from opportune.web.remote_responses import read_body

REPLACED = {"response_format": "", "documents": "texts"}
"""New names (empty: leave it out) of parameters, for endpoints that refuse them or require the new ones."""
REFUSAL_STATUSES = (400, 422)

logger = logging.getLogger(__name__)


class ModelClient:
    """Client of one endpoint, with its connection pool. It follows no redirect."""

    def __init__(self, setting: str, model: LlmModel, limits: Timeouts, read_seconds: float) -> None:
        """`setting`: name for the advice in errors. `read_seconds`: maximum wait for the response."""
        self._setting = setting
        self._url = model.base_url.rstrip("/")
        self._timeouts = limits
        self._replaced: dict[str, str] = {}
        api_key = model.api_key.get_secret_value().strip()
        headers = {"Accept-Encoding": "identity"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx2.AsyncClient(
            headers=headers | model.headers,
            timeout=httpx2.Timeout(read_seconds, connect=limits.connect, pool=limits.connect),
            verify=self._url.startswith("https:"),  # reading the certificates takes 80 ms
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(
        self, path: str, max_bytes: int, *, json: Mapping[str, Any] | None = None, **content: Any
    ) -> tuple[str, bytes]:
        """Return the media type and the body of the response. Send JSON again without a refused parameter.

        Raises:
            LlmError: The request failed.
        """
        replaced = dict(self._replaced)
        while True:
            body = {replaced.get(name, name): value for name, value in (json or {}).items()}
            body.pop("", None)
            status, header, response = await self._send(path, max_bytes, json=body or None, **content)
            if status == httpx2.codes.OK:
                self._replaced = replaced
                return header, response
            refusal = response.decode(errors="replace") if status in REFUSAL_STATUSES else ""
            refused = next((name for name in REPLACED if name in body and _is_named(name, refusal)), "")
            if not refused:
                logger.warning("the endpoint of %s responded with %s", self._setting, status)
                raise self._advise(error_for_status(status, header, response))
            replaced[refused] = REPLACED[refused]

    async def _send(self, path: str, max_bytes: int, **content: Any) -> tuple[int, str, bytes]:
        """Return status and body, and between them the media type, or Retry-After of a refusal."""
        stream = self._client.stream("POST", f"{self._url}{path}", **content)
        try:
            with translate_errors():
                async with asyncio.timeout(self._timeouts.whole), stream as response:
                    is_ok = response.status_code == httpx2.codes.OK
                    body = await read_body(response.aiter_raw(), max_bytes if is_ok else MAX_REFUSAL_BYTES)
                    header = response.headers.get("Content-Type" if is_ok else "Retry-After", "")
        except LlmError as error:
            raise self._advise(error) from None
        if body is None and is_ok:
            raise LlmError("malformed", f"{self._setting}: the response of the endpoint is too long.")
        return response.status_code, header, body or b""

    def _advise(self, error: LlmError) -> LlmError:
        """Name the setting in the advice, instead of the settings of the chat endpoint."""
        sentence = NOT_ACCEPTED if error.code == "rejected" else error.args[0]
        return LlmError(error.code, sentence, error.retry_after, advice=f"Check {self._setting}.")


def _is_named(name: str, refusal: str) -> bool:
    names = "|".join(filter(None, (name, REPLACED[name])))
    return bool(re.search(rf"\b({names})\b", refusal))
