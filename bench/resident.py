"""Memory of one worker of the whole site, all features installed, beside Django under gunicorn; and in development.

    .venv/bin/python -m bench.resident [--rounds 3]

Total resident memory of the server's processes: five seconds after its first page, and the maximum while twenty users
sign in concurrently (ours only: Django's hashes need no memory). On Linux as root, a control group limits ours to
512 MB, as on a small machine. Elsewhere, and with less than three rounds, nothing is judged.

The development servers, of an empty project and of the examples after `quickstart`, are measured once, without a local
model: the proportional share (PSS) of all processes 25 seconds after the first page, when the first jobs have ended.
"""

import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from bench.accounts import TEST_USERS, sign_in_requests
from bench.harness.load import drive
from bench.harness.options import BenchmarkParser
from bench.harness.servers import PEERS, PROJECT, Server, environment, run, serve
from bench.harness.tasks import user_emails
from bench.start import copy_project
from opportune.cli.environment.entry import PREPARED

FIRST_PAGE, SIGN_INS = "ours, after the first page", "ours, while twenty sign in"
EMPTY_PROJECT, QUICKSTART = "development server, empty project", "development server after quickstart"
MAX_MB = {FIRST_PAGE: 110, SIGN_INS: 170, EMPTY_PROJECT: 140, QUICKSTART: 170}
LIMIT_BYTES = 512_000_000
SETTLE_SECONDS, SETTLE_QUICKSTART_SECONDS, TEST_SETTLE_SECONDS = 5.0, 25.0, 0.5
SAMPLE_SECONDS = 0.01
COMMANDS = {"ours": ("oppman.py", "runserver", "--no-reload", "--port", "{port}")}
"""Start the site with its command, without the feature of other benchmarks."""
GROUP_PATHS = Path("/sys/fs/cgroup/memory/opportune-bench"), Path("/sys/fs/cgroup/opportune-bench")


def main() -> int:
    parser = BenchmarkParser(__doc__, 3)
    parser.add_size("users", len(user_emails()), TEST_USERS, help="who sign in")
    options = parser.read()
    with ProcessPoolExecutor(1, get_context("spawn")) as client, limited_memory_group() as group:
        ours = [measure("ours", client, group, options) for _ in range(options.rounds)]
        django_rounds = options.rounds if find_spec("django") else 0
        django = [measure("django", None, None, options) for _ in range(django_rounds)]
    start, peak = (median(column) for column in zip(*ours, strict=True))
    megabytes = {FIRST_PAGE: start, SIGN_INS: peak, **development_mb(options.is_judged)}
    for name, figure in megabytes.items():
        print(f"{name:38}{figure:6.1f} MB (at most {MAX_MB[name]})")
    if django:  # Django is not installed in the Docker image
        print(f"{'Django under gunicorn, first page':38}{median(first for first, _ in django):6.1f} MB")
    if group is None:
        print("Memory is not limited: no control group can be created here.")
    is_exceeded = any(figure > MAX_MB[name] for name, figure in megabytes.items())
    return int(group is not None and options.is_judged and is_exceeded)


def measure(name: str, client: Executor | None, group: Path | None, options: Namespace) -> tuple[float, float]:
    """Return MB after the first page, and the maximum while users sign in."""
    peer = PEERS[name]
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(**peer.environ_for(f"sqlite:///{folder}/site.db"))
        run(in_group(group, ("-m", peer.prepare)), environ)  # the memory limit decides the cost of password hashes
        with serve(in_group(group, COMMANDS.get(name, peer.serve)), environ, Path(folder) / "log") as server:
            load_page(server.port, "/" if name in COMMANDS else "/items")
            time.sleep(SETTLE_SECONDS if options.is_judged else TEST_SETTLE_SECONDS)
            first = server.resident_mb()
            return first, max(first, peak_while_signing_in(server, client, options.users)) if client else first


def development_mb(is_judged: bool) -> dict[str, float]:
    """Return MB of all processes in development. Tests of the benchmark start only the empty project."""
    settle_seconds = SETTLE_QUICKSTART_SECONDS if is_judged else TEST_SETTLE_SECONDS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = environment(LLM_BASE_URL="http://127.0.0.1:9/v1", PYTHONPATH=str(PROJECT), **{PREPARED: "1"})
        run(("oppman.py", "startproject", "empty", str(folder / "empty"), "--no-input"), environ)
        projects = {EMPTY_PROJECT: folder / "empty"}
        if is_judged:
            projects[QUICKSTART] = copy_project(folder / "examples")
        return {name: development_server_mb(project, environ, settle_seconds) for name, project in projects.items()}


def development_server_mb(project: Path, environ: dict[str, str], settle_seconds: float) -> float:
    arguments = ("oppman.py", "quickstart", "--no-input", "--no-model", "--port", "{port}")
    with serve(arguments, environ, project.with_suffix(".log"), project) as server:
        load_page(server.port, "/")
        time.sleep(settle_seconds)
        return server.proportional_mb()


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


def peak_while_signing_in(server: Server, client: Executor, users: int) -> float:
    sign_ins = client.submit(drive, server.port, sign_in_requests(), users, users)
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
