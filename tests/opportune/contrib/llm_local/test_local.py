"""The local model: its process and its answers."""

import asyncio
import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from opportune.contrib.llm import Done, LlmError, Message, Timeouts
from opportune.contrib.llm_local import local
from opportune.contrib.llm_local.local import MODEL, SERVER_PROGRAM, LocalModel, find_weights
from opportune.testing.services.missing_programs import INSTALL_MODEL, skip_for_missing
from tests.opportune.contrib.llm.providers.model_answers import read_answer

pytestmark = pytest.mark.model

LONG_QUESTION = [Message("user", "Write a long story about a dog and a cat.")]


@pytest.fixture(scope="module")
def weights() -> Path:
    found = find_weights()
    if found is None:
        skip_for_missing("The local model", INSTALL_MODEL)
    return found


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights for the real program with a replaced library, which starts immediately.

    For tests of the process; the real model takes half a second to start.
    """
    library = tmp_path / "library"
    library.mkdir()
    shutil.copy(Path(__file__).with_name("stand_in_model.py"), library / "xllamacpp.py")
    monkeypatch.setenv("PYTHONPATH", str(library))
    return library / "weights.gguf"


@pytest.fixture
async def model(stand_in: Path) -> AsyncIterator[LocalModel]:
    model = LocalModel(stand_in, Timeouts())
    yield model
    await model.close()


@pytest.fixture(scope="module")
async def local_model(weights: Path) -> AsyncIterator[LocalModel]:
    """A local model on a system without OpenMP. Tests do not end its process."""
    model = LocalModel(weights, Timeouts())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "is_installed", lambda _: False)
        await model.setup()
    yield model
    await model.close()


def program_of(model: LocalModel) -> subprocess.Popen[str]:
    assert model._process
    assert model._process.program
    return model._process.program


async def request_slots(model: LocalModel, **headers: str) -> httpx2.Response:
    assert model._client
    async with httpx2.AsyncClient(trust_env=False, headers=headers) as client:
        return await client.get(model._client._url.replace("/v1/chat/completions", "/slots"))


async def wait_for_token_count(model: LocalModel) -> int:
    assert model._process
    key = model._process.key
    async with asyncio.timeout(60):
        while True:
            found: list[dict[str, Any]] = (await request_slots(model, Authorization=f"Bearer {key}")).json()
            if not any(slot["is_processing"] for slot in found):
                return max(int(slot.get("n_prompt_tokens", 0)) for slot in found)


async def test_local_model_answers_in_parallel(local_model: LocalModel, caplog: pytest.LogCaptureFixture) -> None:
    async with aclosing(local_model.stream(LONG_QUESTION)) as first:
        assert await anext(first)
        answer, done = await read_answer(local_model, messages=[Message("user", "What is the capital of France?")])
        assert answer.strip()
        assert isinstance(done, Done)
        assert (bool(done.prompt_tokens), bool(done.completion_tokens), done.truncated) == (True, True, False)
        assert isinstance(await anext(first), str)
    assert await wait_for_token_count(local_model) < MODEL.max_answer_tokens / 2
    # The program prints nothing but its URL, although its library prints.
    output = program_of(local_model).stdout
    assert output
    assert select.select([output], [], [], 0)[0] == [output]
    assert os.read(output.fileno(), 1) == b"", "the program closes its standard output"
    log_lines = [record.message for phase in ("setup", "call") for record in caplog.get_records(phase)]
    assert [line for line in log_lines if line.startswith("the local model: ")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels for other systems bring their own")
async def test_local_model_uses_bundled_openmp(local_model: LocalModel) -> None:
    mapped = await asyncio.to_thread(Path(f"/proc/{program_of(local_model).pid}/maps").read_text)
    assert "/pykdtree.libs/libgomp" in mapped


async def test_local_model_requires_its_key(local_model: LocalModel) -> None:
    assert (await request_slots(local_model)).status_code == httpx2.codes.UNAUTHORIZED


async def test_concurrent_setups_start_one_process(model: LocalModel) -> None:
    cancelled_setup = asyncio.create_task(model.setup())
    await asyncio.sleep(0)  # let it start waiting
    cancelled_setup.cancel()
    await asyncio.gather(model.setup(), model.setup())
    first = model._process
    await model.setup()
    assert first
    assert model._process is first


async def test_dead_local_model_is_restarted(model: LocalModel) -> None:
    await model.setup()
    dead = program_of(model)
    dead.kill()
    await asyncio.to_thread(dead.wait)
    answer, _ = await read_answer(model)
    assert answer


async def test_dying_local_model_ends_the_answer(model: LocalModel) -> None:
    async with aclosing(model.stream(LONG_QUESTION)) as chunks:
        assert await anext(chunks)
        program_of(model).kill()
        with pytest.raises(LlmError) as caught:
            [chunk async for chunk in chunks]
    assert caught.value.code == "interrupted"


async def test_closed_model_leaves_no_process(model: LocalModel) -> None:
    await model.setup()
    process = program_of(model)
    await model.close()
    assert process.returncode is not None


async def test_failed_start_is_logged_and_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "program.py"
    program.write_text("raise ImportError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.setattr(local, "SERVER_PROGRAM", program)
    model = LocalModel(tmp_path / "weights.gguf", Timeouts())
    with pytest.raises(LlmError) as caught:
        await model.setup()
    await model.close()
    assert "libgomp" not in str(caught.value)
    assert "the local model: ImportError: libgomp.so.1: cannot open shared object file" in caplog.messages
    assert "apt install libgomp1" in model.fault


def test_program_exits_with_its_parent(stand_in: Path) -> None:
    command = [sys.executable, "-P", str(SERVER_PROGRAM), str(stand_in)]
    with local.environment() as environ:
        completed = subprocess.run(command, env=environ, input="key\n", capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stderr) == (0, "")
    (line,) = completed.stdout.splitlines()
    assert line.startswith("http://127.0.0.1:")


async def test_close_during_the_start_ends_the_program(stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, gate = threading.Event(), threading.Event()
    closed = threading.Event()
    programs: list[subprocess.Popen[str]] = []
    start, close = subprocess.Popen, local.LocalProcess.close

    def start_late(*arguments: Any, **options: Any) -> subprocess.Popen[str]:
        started.set()
        assert gate.wait(30)
        programs.append(start(*arguments, **options))
        return programs[-1]

    def close_first(process: local.LocalProcess) -> None:
        close(process)
        closed.set()

    model = LocalModel(stand_in, Timeouts())
    monkeypatch.setattr(subprocess, "Popen", start_late)
    monkeypatch.setattr(local.LocalProcess, "close", close_first)
    starting = asyncio.create_task(model.setup())
    assert await asyncio.to_thread(started.wait, 30)
    closing = asyncio.create_task(model.close())
    assert await asyncio.to_thread(closed.wait, 30)  # no program is running yet
    gate.set()
    outcome, _ = await asyncio.gather(starting, closing, return_exceptions=True)
    assert isinstance(outcome, LlmError), "the program is not loaded"
    assert [program.poll() is None for program in programs] == [False]
