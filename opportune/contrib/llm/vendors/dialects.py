"""Models of Pydantic AI for each dialect, without settings of the environment and without retries.

Their HTTP client has limits that the libraries of the vendors lack.
"""

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from pydantic_ai.models import Model

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers import events
from opportune.contrib.llm.providers.errors import error_in
from opportune.contrib.llm.providers.loose_json import object_in, objects_in, plain_key, text_in
from opportune.contrib.llm.providers.provider import Timeouts, not_a_model
from opportune.web.bounded_responses import is_compressed, limit_body

Event = dict[str, Any]

MAX_EVENT_BYTES = 5_000_000
"""Maximum bytes without a line break, which the libraries would collect in memory."""


@dataclass
class EventStream(httpx2.AsyncByteStream):
    """Server-sent events, each with one line of data.

    Raises:
        LlmError: The body is an error in JSON, or a line is too long.
    """

    stream: Any

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader, last = events.EventReader(MAX_EVENT_BYTES), events.DONE
        async for chunk in self.stream:
            for event in reader.feed(chunk):
                last = event
                yield self._mended(event)
        for event in reader.finish():
            if event is events.END_OF_DOCUMENT and (error := error_in(last.value)):
                raise error
            last = event
            yield self._mended(event)

    async def aclose(self) -> None:
        await self.stream.aclose()

    def _mended(self, event: events.Event) -> bytes:
        if event.value.get("error") and (error := error_in(event.value)):
            raise error
        named = {"type": event.name, **event.value} if event.name else event.value
        return b"".join(map(_to_lines, self.events_for(named))) if event.value else b""

    def events_for(self, event: Event) -> Iterator[Event]:
        """Yield the events to read instead of one."""
        yield event


def _to_lines(event: Event) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""  # Google's library expects none
    return f"{name}data: {json.dumps(event)}\n\n".encode()


class AnthropicEvents(EventStream):
    """Events with their token counts, without which the library fails. Those of the end replace those of the start."""

    def events_for(self, event: Event) -> Iterator[Event]:
        if event.get("type") == "message_start" and isinstance(message := event.get("message"), dict):
            message["usage"] = {"input_tokens": 0, "output_tokens": 0} | object_in(message.get("usage"))
        if event.get("type") == "message_delta":
            event["usage"] = {"output_tokens": 0} | object_in(event.get("usage"))
        yield event


PARTS = {"functioncall": "name", "inlinedata": "data", "executablecode": "code", "codeexecutionresult": "outcome"}
"""Field that the library requires in each type of part. Texts have none."""


class GoogleEvents(EventStream):
    """Events without parts of unknown types, at which the library fails."""

    def events_for(self, event: Event) -> Iterator[Event]:
        for candidate in objects_in(event.get("candidates")):
            content = object_in(candidate.get("content"))
            content["parts"] = [part for part in objects_in(content.get("parts")) if _is_known(part)]
        yield event


def _is_known(part: Event) -> bool:
    fields = {plain_key(name): value for name, value in part.items()}
    return isinstance(fields.get("text"), str) or any(object_in(fields.get(name)).get(PARTS[name]) for name in PARTS)


TEXT_TYPE = "response.output_text.delta"


@dataclass
class ResponsesEvents(EventStream):
    """Events with deltas also of a text that comes only with its whole item, or with the whole response."""

    _has_delta: bool = False  # since the last item
    _has_text: bool = False

    def events_for(self, event: Event) -> Iterator[Event]:
        is_text, is_item = (event.get("type") == type_ for type_ in (TEXT_TYPE, "response.output_item.done"))
        items = objects_in(event.get("item") if is_item else object_in(event.get("response")).get("output"))
        text = text_in([item.get("content") for item in items if item.get("type") == "message"])
        if text and not (self._has_delta if is_item else self._has_text):
            yield {"type": TEXT_TYPE, "delta": text, "item_id": items[0].get("id"), "content_index": 0}
        self._has_delta = is_text or (self._has_delta and not is_item)
        self._has_text |= is_text or text != ""
        yield event


STREAMS = {"anthropic": AnthropicEvents, "google": GoogleEvents, "openai-responses": ResponsesEvents}
"""Streams by the dialect of the model. Bedrock's client has another protocol."""


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
