"""Provider for endpoints with OpenAI's chat completions API: OpenRouter, OpenAI, Ollama, vLLM, llama.cpp and others."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from itertools import repeat
from urllib.parse import urlsplit

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.completion.streams import first_answer
from opportune.contrib.llm.providers.loose_json import is_object
from opportune.contrib.llm.providers.provider import Chunks, LlmError, Message, Timeouts, ToolCall, ToolSchema
from opportune.contrib.llm.providers.refused_parameters import RefusedParameters
from opportune.contrib.llm.providers.remote import RemoteProvider, compacted_answer, connect, url_of
from opportune.contrib.llm.providers.request_forms import Body
from opportune.contrib.llm.providers.returned_fields import fields_for


class OpenAICompatible(RemoteProvider):
    """Provider for one endpoint with this API."""

    def __init__(self, model: LlmModel, timeouts: Timeouts) -> None:
        """Connect to the endpoint of a model.

        If the settings name no model, `model.name` is the host of the endpoint. Requests then contain no model name, so
        the endpoint uses its only model.
        """
        super().__init__(model)
        self.continues = model.continues
        host = urlsplit(model.base_url).hostname
        self._url = url_of(model.base_url, "/chat/completions")
        self._limit_name = "max_completion_tokens" if host == "api.openai.com" else "max_tokens"
        self._name_at_endpoint = model.model or ("" if model.name == host else model.name)
        self.origin = sha256(f"{self._url} {self._name_at_endpoint}".encode()).hexdigest()[:16]
        self._client = connect(model, timeouts)

    async def close(self) -> None:
        await self._client.close()

    def stream_with_tools(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        *,
        temperature: float | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> Chunks:
        options: dict[str, object] = {} if temperature is None else {"temperature": temperature}
        if schema:
            options["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        return compacted_answer(lambda turns: self._answer(self._body(turns, tools, options), tools), messages)

    async def _answer(self, body: Body, tools: Sequence[ToolSchema]) -> Chunks:
        """Yield the answer. If the endpoint refuses a parameter before the first chunk, ask again without it."""
        client = await self._client.open()
        parameters = RefusedParameters(self._url, body, self._model.parameters)

        async def can_repeat(_number: int, error: LlmError) -> bool:
            """Change the refused parameter. Return False if the error has another cause."""
            is_refusal = error.report and error.code in ("rejected", "context_too_long")
            return bool(is_refusal) and parameters.change(400, error)

        attempts = repeat(partial(client.answer, parameters, tools, self.origin))
        async with aclosing(first_answer(attempts, can_repeat)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _body(self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: Body) -> Body:
        body: dict[str, object] = {
            "messages": [self._to_json(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            # OpenAI's newer models refuse max_tokens; other endpoints may not support its successor.
            self._limit_name: self._model.max_answer_tokens,
        }
        if tools:
            body["tools"] = [{"type": "function", "function": asdict(tool)} for tool in tools]
        if self._name_at_endpoint:
            body["model"] = self._name_at_endpoint
        return body | dict(options) | dict(self._model.parameters)

    def _to_json(self, message: Message) -> dict[str, object]:
        content: object = message.content
        if message.pictures:  # many endpoints accept only plain text, so send parts only if necessary
            text = [{"type": "text", "text": message.content}] if message.content else []
            urls = (f"data:{item.content_type};base64,{b64encode(item.content).decode()}" for item in message.pictures)
            content = [*text, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]
        body: dict[str, object] = {"role": message.role, "content": content}
        if message.tool_calls:
            body["tool_calls"] = [self._call_to_json(call) for call in message.tool_calls]
        # Fields that the endpoint needs back, such as encrypted reasoning.
        for returned in (message.returned, *(call.returned for call in message.tool_calls)):
            body |= fields_for(self.origin, returned, "message")
        if message.tool_call_id:
            body["tool_call_id"] = message.tool_call_id
        return body

    def _call_to_json(self, call: ToolCall) -> dict[str, object]:
        # Some endpoints fail at arguments that are no JSON, even if their model wrote them.
        function = {"name": call.name, "arguments": call.arguments if is_object(call.arguments) else "{}"}
        returned = fields_for(self.origin, call.returned, "call")
        return {"id": call.id, "type": "function", "function": function, **returned}
