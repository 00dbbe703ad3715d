"""Models of Pydantic AI for each dialect, without settings of the environment and without retries.

Their HTTP client has limits that the libraries of the vendors lack.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
from pydantic_ai.models import Model

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.provider import Timeouts, not_a_model
from opportune.contrib.llm.vendors.event_streams import STREAMS
from opportune.web.bounded_responses import is_compressed, limit_body

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


def _anthropic(model: LlmModel, client: VendorHttpClient, _timeouts: Timeouts) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(api_key=client.key, base_url=model.base_url, http_client=client, max_retries=0)
    return AnthropicModel(model.endpoint_name, provider=AnthropicProvider(anthropic_client=sdk))


def _openai_responses(model: LlmModel, client: VendorHttpClient, _timeouts: Timeouts) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = AsyncOpenAI(api_key=client.key, base_url=model.base_url, http_client=client, max_retries=0)
    # Conversations are stored here, not at the vendor. Reasoning is then sent back encrypted.
    settings = OpenAIResponsesModelSettings(openai_store=False)
    return OpenAIResponsesModel(model.endpoint_name, provider=OpenAIProvider(openai_client=sdk), settings=settings)


def _google(model: LlmModel, client: VendorHttpClient, _timeouts: Timeouts) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(api_key=client.key, base_url=model.base_url, http_client=client)
    return GoogleModel(model.endpoint_name, provider=provider)


def _bedrock(model: LlmModel, _client: VendorHttpClient, timeouts: Timeouts) -> Model:
    """Use AWS's own HTTP client, which reads events in another thread. Its frames are limited to 24 MB."""
    from botocore.config import Config
    from botocore.session import Session
    from botocore.tokens import FrozenAuthToken
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    class Token:
        """Source of the model's key, instead of the environment."""

        def load_token(self, **_options: object) -> FrozenAuthToken:
            return FrozenAuthToken(model.api_key.get_secret_value())

    region = re.search(r"\b[a-z]{2}(?:-[a-z]+)+-\d\b", model.base_url)  # such as eu-central-1
    session = Session()
    session.register_component("token_provider", Token())
    client = session.create_client(
        "bedrock-runtime",
        region_name=region[0] if region else "us-east-1",
        endpoint_url=model.base_url,
        config=Config(
            signature_version="bearer",
            connect_timeout=timeouts.connect,
            read_timeout=timeouts.whole,
            retries={"total_max_attempts": 1},
            ignore_configured_endpoint_urls=True,
        ),
    )
    return BedrockConverseModel(model.endpoint_name, provider=BedrockProvider(bedrock_client=client))


MAKERS: Mapping[str, Callable[[LlmModel, VendorHttpClient, Timeouts], Model]] = {
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "google": _google,
    "openai-responses": _openai_responses,
}
