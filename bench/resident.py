"""Memory of one worker of the whole site, all features installed, beside Django under gunicorn.

    .venv/bin/python -m bench.resident [--rounds 3]

Total resident memory of the server's processes: five seconds after its first page, and the maximum while twenty users
sign in concurrently (ours only: Django's hashes need no memory). On Linux as root, a control group limits ours to
512 MB, as on a small machine. Elsewhere, and with less than three rounds, nothing is judged.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.accounts import sign_in_requests
from bench.harness.load import drive
from bench.harness.peers import PEERS
from bench.harness.servers import Server, environment, run, serve
from bench.harness.tasks import user_emails
from bench.speed import ENOUGH_ROUNDS

MAX_START_MB, MAX_SIGN_IN_MB = 110, 170
LIMIT_BYTES = 512_000_000
SETTLE_SECONDS = 5.0
SAMPLE_SECONDS = 0.01
COMMANDS = {"ours": ("oppman.py", "runserver", "--no-reload", "--port", "{port}")}
"""Start the site with its command, without the feature of other benchmarks."""
GROUP_PATHS = Path("/sys/fs/cgroup/memory/opportune-bench"), Path("/sys/fs/cgroup/opportune-bench")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with ProcessPoolExecutor(1, get_context("spawn")) as client, limited_memory_group() as group:
        ours = [measure("ours", client, group) for _ in range(rounds)]
        django = [measure("django", None, None) for _ in range(rounds)] if find_spec("django") else []
    start, peak = (median(column) for column in zip(*ours, strict=True))
    print(f"{'ours, after the first page':38}{start:6.1f} MB (at most {MAX_START_MB})")
    print(f"{'ours, while twenty sign in':38}{peak:6.1f} MB (at most {MAX_SIGN_IN_MB})")
    if django:  # Django is not installed in the Docker image
        print(f"{'Django under gunicorn, first page':38}{median(first for first, _ in django):6.1f} MB")
    if group is None:
        print("Memory is not limited: no control group can be created here.")
    is_judged = group is not None and rounds >= ENOUGH_ROUNDS
    return int(is_judged and (start > MAX_START_MB or peak > MAX_SIGN_IN_MB))


def measure(name: str, client: Executor | None, group: Path | None) -> tuple[float, float]:
    """Return MB after the first page, and the maximum while twenty users sign in."""
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(**peer.environ_for(f"sqlite:///{folder}/site.db"))
        run(in_group(group, ("-m", peer.prepare)), environ)
        if client:
            # The memory limit decides the cost of the password hashes.
            run(in_group(group, ("-m", "bench.peers.ours.users")), environ)
        with serve(in_group(group, COMMANDS.get(name, peer.serve)), environ, Path(folder) / "log") as server:
            load_page(server.port, "/" if name in COMMANDS else "/items")
            time.sleep(SETTLE_SECONDS)
            first = server.resident_mb()
            return first, max(first, peak_while_signing_in(server, client)) if client else first


def in_group(group: Path | None, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command that adds Python to a control group before it runs."""
    if group is None:
        return arguments
    code = (
        "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    return ("-c", code, str(group / "cgroup.procs"), *arguments)


def load_page(port: int, path: str) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != HTTPStatus.OK:
        sys.exit(f"{path} returned status {response.status}.")


def peak_while_signing_in(server: Server, client: Executor) -> float:
    sign_ins = client.submit(drive, server.port, sign_in_requests(), len(user_emails()), len(user_emails()))
    peak = 0.0
    while not sign_ins.done():
        peak = max(peak, server.resident_mb())
        time.sleep(SAMPLE_SECONDS)
    sign_ins.result()
    return peak


@contextmanager
def limited_memory_group() -> Iterator[Path | None]:
    """Create a control group with little memory. None if that is not possible."""
    for group, limit in zip(GROUP_PATHS, ("memory.limit_in_bytes", "memory.max"), strict=True):
        with suppress(OSError):
            if not (group.parent / limit).exists() and not (group.parent / "cgroup.controllers").exists():
                continue
            group.mkdir(exist_ok=True)
            (group / limit).write_text(str(LIMIT_BYTES))
            try:
                yield group
            finally:
                with suppress(OSError):
                    group.rmdir()
            return
    yield None


if __name__ == "__main__":
    sys.exit(main())
