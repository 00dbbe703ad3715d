"""Models of Pydantic AI for each dialect, without settings of the environment and without retries."""

import re
from collections.abc import Callable, Mapping

from pydantic_ai.models import Model

from opportune.contrib.llm import LlmModel, Timeouts
from opportune.contrib.llm_vendors.http_client import VendorHttpClient


def _anthropic(model: LlmModel, client: VendorHttpClient) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    sdk = AsyncAnthropic(api_key=client.key, base_url=model.base_url, http_client=client, max_retries=0)
    return AnthropicModel(model.endpoint_name, provider=AnthropicProvider(anthropic_client=sdk))


def _openai_responses(model: LlmModel, client: VendorHttpClient) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
    from pydantic_ai.providers.openai import OpenAIProvider

    sdk = AsyncOpenAI(api_key=client.key, base_url=model.base_url, http_client=client, max_retries=0)
    # Conversations are stored here, not at the vendor. Reasoning is then sent back encrypted.
    settings = OpenAIResponsesModelSettings(openai_store=False)
    return OpenAIResponsesModel(model.endpoint_name, provider=OpenAIProvider(openai_client=sdk), settings=settings)


def _google(model: LlmModel, client: VendorHttpClient) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(api_key=client.key, base_url=model.base_url, http_client=client)
    return GoogleModel(model.endpoint_name, provider=provider)


def _bedrock(model: LlmModel, timeouts: Timeouts) -> Model:
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


HTTP_MAKERS: Mapping[str, Callable[[LlmModel, VendorHttpClient], Model]] = {
    "anthropic": _anthropic,
    "google": _google,
    "openai-responses": _openai_responses,
}
"""Functions that make a model whose library sends its requests with the given client, by dialect."""


def make_model(model: LlmModel, timeouts: Timeouts) -> tuple[Model, VendorHttpClient | None]:
    """Return the model of Pydantic AI, and its HTTP client for the caller to close. Bedrock's model has none."""
    if model.dialect == "bedrock":
        return _bedrock(model, timeouts), None
    client = VendorHttpClient(model, timeouts)
    return HTTP_MAKERS[model.dialect](model, client), client
