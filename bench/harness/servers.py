"""Servers in processes of their own, and the processor time that they have used."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 30
"""Seconds in which a server must have started."""


@dataclass(frozen=True)
class Server:
    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """User and system time of the process and all below it, of threads that have ended too."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in _family(self.pid))

    def memory_kb(self) -> int:
        """Resident memory of the process itself, in units of 1,024 bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def resident_mb(self) -> float:
        """Resident memory of the process and all below it, in MB of 1,048,576 bytes."""
        return sum(_resident_kb(pid) for pid in _family(self.pid)) / 1024


@contextmanager
def serve(arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[Server]:
    """Run `python <arguments>` until the block ends; {port} stands for a free port, PORT tells it too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    command = [sys.executable, *(argument.format(port=port) for argument in arguments)]
    environ = {**environ, "PORT": str(port)}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=PROJECT, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, port, log)
            yield Server(process.pid, port)
        finally:
            process.terminate()


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run `python <arguments>` to its end and return what it printed."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}")
    return done.stdout.strip()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"{process.args!r} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_clock(pid: int) -> int:
    # What clock_getcpuclockid() gives for a process; Python has only the one for threads. /proc counts in 10 ms.
    return ~pid << 3 | 2


def _resident_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _family(pid: int) -> list[int]:
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    family = [pid]
    for member in family:  # grows while it is walked
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _parent(process: Path) -> int:
    try:
        # The second field is a name in brackets, which may hold anything.
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0


def environment(**changes: str) -> dict[str, str]:
    """Ours with these changes, and bytecode is kept."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **changes}
