"""Servers in separate processes, started as their guides recommend, and their processor time."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 60
"""Seconds in which a server must start."""
IDLE_CPU_SECONDS, IDLE_WINDOW_SECONDS = 0.02, 1.5
"""Processor time of an idle server in a window, which is longer than pauses in the work after its start."""
KEY = "a key for benchmarks that opens nothing"


@dataclass(frozen=True)
class Server:
    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """Return user and system time of the process and its children, including ended threads."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in _process_tree(self.pid))

    def wait_until_idle(self) -> None:
        """Wait until the work after a start has ended, such as hashing static files and indexing documents."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        before = -1.0
        while (now := self.cpu_seconds()) - before > IDLE_CPU_SECONDS and time.monotonic() < deadline:
            before = now
            time.sleep(IDLE_WINDOW_SECONDS)

    def memory_kb(self) -> int:
        """Return the resident memory of the process in KiB."""
        return _kilobytes(self.pid, "status", "VmRSS:")

    def resident_mb(self, program: str = "") -> float:
        """Return the resident memory in MiB of those processes of the server whose command contains a text."""
        processes = [pid for pid in _process_tree(self.pid) if program in _read(pid, "cmdline")]
        return sum(_kilobytes(pid, "status", "VmRSS:") for pid in processes) / 1024

    def proportional_mb(self) -> float:
        """Return the memory of the process and its children in MB, with a share of the pages that others also use."""
        return sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in _process_tree(self.pid)) / 1000


@contextmanager
def serve(arguments: Sequence[str], environ: Mapping[str, str], log: Path, folder: Path = PROJECT) -> Iterator[Server]:
    """Run `python <arguments>` in a folder until the block ends. {port} and the variable PORT are a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    environ = {**environ, "PORT": str(port)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_until_listening(process, port, log)
            yield Server(process.pid, port)
        finally:
            process.terminate()


def run(arguments: Sequence[str], environ: Mapping[str, str], folder: Path = PROJECT) -> str:
    """Run `python <arguments>` in a folder and return its output."""
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {result.returncode}")
    return result.stdout.strip()


def environment(**changes: str) -> dict[str, str]:
    """Return the environment with changes, with bytecode caching enabled."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **changes}


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_clock(pid: int) -> int:
    # Clock id of a process as from clock_getcpuclockid(), which Python has only for threads. /proc counts in 10 ms.
    return ~pid << 3 | 2


def _read(pid: int, file: str) -> str:
    """Return the text of a file about a process; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _kilobytes(pid: int, file: str, name: str) -> int:
    lines = _read(pid, file).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


def _process_tree(pid: int) -> list[int]:
    parents = {int(path.name): _parent(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    family = [pid]
    for member in family:  # grows during the loop
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _parent(pid: int) -> int:
    # The second field is a name in parentheses, which may contain any character.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else 0


@dataclass(frozen=True)
class Peer:
    prepare: str
    """Module that creates tables and rows, and prints the cookie of a signed-in user."""
    serve: tuple[str, ...]
    """Arguments for Python. {port} is replaced."""
    environ: dict[str, str] = field(default_factory=dict)
    variable: str = "BENCH_DATABASE_URL"
    """Environment variable with the database URL."""
    drivers: dict[str, str] = field(default_factory=dict)
    """URL schemes of SQLAlchemy."""

    def environ_for(self, url: str) -> dict[str, str]:
        scheme, location = url.split("://", 1)
        return {**self.environ, self.variable: f"{self.drivers.get(scheme, scheme)}://{location}"}


def django_peer(settings: str) -> Peer:
    return Peer(
        prepare="bench.peers.django_site.prepare",
        serve=("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", "bench.peers.django_site.wsgi"),
        environ={"DJANGO_SETTINGS_MODULE": f"bench.peers.django_site.{settings}"},
    )


PEERS = {
    "ours": Peer(
        prepare="bench.peers.ours.prepare",
        serve=("-m", "bench.peers.ours.serve"),
        variable="DATABASE_URL",
        environ={
            "ENVIRONMENT": "production",
            "DEBUG": "false",
            "SECRET_KEY": KEY,
            "HOST": "127.0.0.1",
            "ALLOWED_HOSTS": "127.0.0.1",
            "LLM_BASE_URL": "http://127.0.0.1:9/v1",  # do not load the local model
        },
    ),
    "plain": Peer(
        prepare="bench.peers.plain",
        serve=("-m", "uvicorn", "bench.peers.plain:app", "--port", "{port}"),
        drivers={"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"},
    ),
    "django": django_peer("settings"),
    "rest": django_peer("rest_settings"),
    "bare": Peer(
        prepare="bench.peers.bare",
        serve=("-m", "uvicorn", "bench.peers.bare:app", "--port", "{port}", "--no-access-log"),
    ),
}
