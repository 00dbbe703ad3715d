"""HTTP client of vendors' libraries, with limits that the libraries lack."""

from typing import Any

import httpx2

from opportune.config.llm_models import LlmModel
from opportune.contrib.bounded_responses import is_compressed, limit_body
from opportune.contrib.llm.providers.provider import Timeouts, not_a_model
from opportune.contrib.llm_vendors.event_streams import STREAMS

MAX_RESPONSE_BYTES = 50_000_000
"""Maximum size of one answer as it is sent. Signatures and encrypted reasoning are part of it."""
KEY_HEADERS = {"authorization", "x-api-key", "x-goog-api-key"}
HTTP_HEADERS = {"accept", "connection", "content-length", "content-type", "host"}
LIBRARY_HEADERS = KEY_HEADERS | HTTP_HEADERS | {"anthropic-beta", "anthropic-version"}
"""Headers that the libraries may send. Others would contain organisations and keys from the environment."""


class VendorHttpClient(httpx2.AsyncClient):
    """Client that sends no key but the model's, follows no redirect and ends responses that are too large."""

    def __init__(self, model: LlmModel, timeouts: Timeouts) -> None:
        super().__init__(timeout=httpx2.Timeout(timeouts.whole, connect=timeouts.connect, pool=timeouts.connect))
        self.key = model.api_key.get_secret_value()
        self._model_headers = model.headers
        self._dialect = model.dialect

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        for name, value in request.headers.items():
            if name not in LIBRARY_HEADERS or (name in KEY_HEADERS and self.key not in value):
                del request.headers[name]
        request.headers.update({"Accept-Encoding": "identity", **self._model_headers})
        response = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
        is_page = response.is_success and "html" in response.headers.get("Content-Type", "").lower()
        if is_page or response.is_redirect or is_compressed(response):
            await response.aclose()
            raise not_a_model()
        limit_body(response, MAX_RESPONSE_BYTES, not_a_model())
        if response.is_success and options.get("stream"):
            response.stream = STREAMS[self._dialect](response.stream)
        else:
            await response.aread()
        return response
