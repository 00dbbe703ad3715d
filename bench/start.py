"""Time to the first page of the site and of a plain FastAPI app, and to the first word of the local model.

    .venv/bin/python -m bench.start [--rounds 7]

Whole processes, one of each in turn, on the interpreter that runs this file, from the start of the process to the last
byte of the first page. Every server has its own migrated database. Quickstart begins each time without one.
"""

import asyncio
import http.client
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from statistics import median

from bench.harness.databases import migrate
from bench.harness.medians import medians_in_turn
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PROJECT, environment
from opportune.config.settings import Settings
from opportune.contrib.llm import Message, make_provider
from opportune.testing.services.ports import free_port

COPIED_PATHS = ("app", "opportune", "migrations", "static", "templates", "oppman.py")
PRODUCTION = {
    "ENVIRONMENT": "production",
    "DEBUG": "false",  # quickstart writes its own value into .env
    "SECRET_KEY": "a key for benchmarks that opens nothing",
    "HOST": "127.0.0.1",
    "LLM_BASE_URL": "http://127.0.0.1:9/v1",  # production does not load a local model
}
MAX_RATIO = 2.0
MAX_QUICKSTART_SECONDS = 5.0
MAX_FIRST_WORD_SECONDS = 1.0


def main() -> int:
    options = BenchmarkParser(__doc__, 7).read()
    with tempfile.TemporaryDirectory() as folder:
        site, plain, quickstart = measure(Path(folder), options.rounds)
    first_word = median(asyncio.run(seconds_to_first_word()) for _ in range(options.rounds))
    print(f"{'':34}median  limit   ({options.rounds} rounds)")
    print(f"{'plain app, first page':32}{plain:6.2f} s")
    print(f"{'oppman.py runserver, first page':32}{site:6.2f} s")
    print(f"{'  ratio':32}{site / plain:6.2f}   {MAX_RATIO:.2f}")
    print(f"{'oppman.py quickstart, first page':32}{quickstart:6.2f} s {MAX_QUICKSTART_SECONDS:.2f} s")
    print(f"{'local model, first word':32}{first_word:6.2f} s {MAX_FIRST_WORD_SECONDS:.2f} s")
    exceeded = (site / plain > MAX_RATIO, quickstart > MAX_QUICKSTART_SECONDS, first_word > MAX_FIRST_WORD_SECONDS)
    return int(options.is_judged and any(exceeded))


def measure(folder: Path, rounds: int) -> list[float]:
    """Return the medians of our server, the plain app and quickstart."""
    project = copy_project(folder / "copy")
    base_environ = environment(BENCH_DATABASE_URL=f"sqlite+aiosqlite:///{folder}/plain.db")
    environ = {**base_environ, **PRODUCTION, "DATABASE_URL": f"sqlite:///{folder}/site.db"}
    migrate(environ["DATABASE_URL"])
    measurements: list[Callable[[], float]] = [
        lambda: seconds_to_page(["oppman.py", "runserver", "--no-reload"], project, environ),
        lambda: seconds_to_page(["-m", "uvicorn", "bench.peers.plain:app"], PROJECT, base_environ, "/items"),
        lambda: seconds_to_page(["oppman.py", "quickstart", "--no-input"], reset_project(project), base_environ),
    ]
    return medians_in_turn(measurements, rounds)


def copy_project(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED_PATHS:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name)
        else:
            shutil.copy(PROJECT / name, folder)
    return folder


def reset_project(project: Path) -> Path:
    """Restore the project to its state before the first quickstart."""
    (project / ".env").unlink(missing_ok=True)
    shutil.rmtree(project / "data", ignore_errors=True)
    return project


def seconds_to_page(arguments: Sequence[str], folder: Path, environ: dict[str, str], path: str = "/") -> float:
    port = free_port()
    command = [sys.executable, *arguments, "--port", str(port)]
    started = time.perf_counter()
    devnull = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=environ, stdin=devnull, stdout=devnull, stderr=devnull) as server:
        while not page_is_served(port, path):
            if server.poll() is not None:
                sys.exit(f"{' '.join(command)} ended with {server.returncode}")
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        server.terminate()
    return seconds


def page_is_served(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with suppress(OSError):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status == 200
    return False


async def seconds_to_first_word() -> float:
    """Measure a loaded model, as when a user has opened the page and typed a question."""
    provider = make_provider(Settings(_env_file=None, environment="development"))
    if provider is None:
        sys.exit("No local model is installed: python3 oppman.py quickstart does it.")
    try:
        await provider.setup()
        started = time.perf_counter()
        async with aclosing(provider.stream([Message("user", "What is the capital of France?")])) as chunks:
            await anext(chunks)
        return time.perf_counter() - started
    finally:
        await provider.close()


if __name__ == "__main__":
    sys.exit(main())
