"""Provider for a model with another dialect than OpenAI's chat completions."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.compaction import compacted_answer
from opportune.contrib.llm.providers.provider import Chunk, LlmError, Message, Provider, Timeouts, ToolSchema
from opportune.i18n import gettext_lazy as _l

if TYPE_CHECKING:
    from opportune.contrib.llm.vendors.endpoint import Endpoint

LIBRARIES = {
    "anthropic": "anthropic",
    "bedrock": "boto3",
    "google": "google.genai",
    "openai-responses": "openai",
}
"""By dialect: the library that Pydantic AI uses."""
NOT_INSTALLED = _l("The packages of this language model are not installed.")
NO_KEY = _l("This language model has no key.")
NO_KEY_ADVICE = "Set LLM_API_KEY, or api_key_setting of this model in LLM_MODELS."
INSTALL = "python3 oppman.py install llm-vendors"


class VendorModel(Provider):
    """Provider for one model. It does not retry."""

    def __init__(self, model: LlmModel, timeouts: Timeouts) -> None:
        self.name, self.context_budget, self.sees_images = model.name, model.max_prompt_tokens, model.sees_images
        self._model = model
        self._timeouts = timeouts
        self._endpoint: Endpoint | None = None
        self._open_lock = asyncio.Lock()
        if not (find_spec("pydantic_ai") and find_spec(LIBRARIES[model.dialect].partition(".")[0])):
            self.fault = f"{model.name} needs more packages. Install them: {INSTALL}"

    async def close(self) -> None:
        if self._endpoint:
            await self._endpoint.close()
            self._endpoint = None

    def stream(self, messages: Sequence[Message], *, temperature: float | None = None) -> AsyncGenerator[Chunk, None]:
        return self.stream_with_tools(messages, (), temperature=temperature)

    async def stream_with_tools(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        endpoint = await self._open()
        answer = compacted_answer(lambda turns: endpoint.stream(turns, tools, temperature), messages)
        async with aclosing(answer) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _open(self) -> "Endpoint":
        if self.fault:
            raise LlmError("not_configured", NOT_INSTALLED, advice=self.fault)
        if not self._model.api_key.get_secret_value():  # the libraries would look for one in the environment
            raise LlmError("not_configured", NO_KEY, advice=NO_KEY_ADVICE)
        async with self._open_lock:
            if self._endpoint is None:
                self._endpoint = await asyncio.to_thread(self._make_endpoint)
            return self._endpoint

    def _make_endpoint(self) -> "Endpoint":
        from opportune.contrib.llm.vendors.endpoint import Endpoint  # takes 2 s and 50 MB

        return Endpoint(self._model, self._timeouts)
