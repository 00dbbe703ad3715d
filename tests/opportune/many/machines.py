"""Machines of a site as processes, each with its own folder, clock and network to the database and Redis."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from opportune.contrib.deploy.rehearsal.network import Relay
from opportune.project.layout import PROJECT
from opportune.testing.services.ports import free_port
from tests.opportune.db.drivers.faulty_proxy import FaultyProxy

STOP_TIMEOUT_SECONDS = 30.0
CHECK_SECONDS = 0.3
"""Pause between two health checks of the balancer."""
ADD_LEDGER = """
from tests.opportune.many.ledger import ledger

INSTALLED = (*INSTALLED, ledger)
"""
MIGRATIONS = Path("migrations", "versions")
NEXT_MIGRATION = Path(__file__).with_name("next_migration.py")


@dataclass
class Machine:
    name: str
    folder: Path
    command: tuple[str, ...]
    environ: Mapping[str, str]
    cables: list[FaultyProxy]
    """Networks to the pooler, to PostgreSQL and to Redis."""
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def install(self) -> None:
        """Create the folder of the machine: a copy of the project with the feature of the tests."""
        self.folder.mkdir()
        for name in ("opportune", "tests", "templates", "static", "locale", "migrations"):
            (self.folder / name).symlink_to(PROJECT / name)
        shutil.copytree(PROJECT / "app", self.folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("oppman.py", "alembic.ini", "pyproject.toml"):
            shutil.copy(PROJECT / name, self.folder)
        with (self.folder / "app" / "installed.py").open("a", encoding="utf-8") as installed:
            installed.write(ADD_LEDGER)
        (self.folder / "tmp").mkdir()

    def install_next_release(self) -> None:
        """Replace the code of the stopped machine: the ledger has another migration, job and route."""
        installed = self.folder / "app" / "installed.py"
        text = installed.read_text(encoding="utf-8").replace("many.ledger import", "many.next_release import")
        installed.write_text(text, encoding="utf-8")
        (self.folder / "migrations").unlink()
        shutil.copytree(PROJECT / MIGRATIONS, self.folder / MIGRATIONS)
        (self.folder / MIGRATIONS / "ledger").mkdir()
        shutil.copy(NEXT_MIGRATION, self.folder / MIGRATIONS / "ledger" / "0001_note.py")

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "oppman.py", *arguments]
        result = subprocess.run(
            command, cwd=self.folder, env=self._environ(), check=True, timeout=120, stdout=subprocess.PIPE, text=True
        )
        return result.stdout

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "oppman.py", *self.command],
                cwd=self.folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _environ(self) -> dict[str, str]:
        own = {"PORT": str(self.port), "TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder)}
        return {**self.environ, **own}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def client(self, **options: float) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.url, timeout=options.get("seconds", 15.0), headers={"Origin": self.url})

    async def wait_until_ready(self) -> None:
        async with asyncio.timeout(60.0), health_client() as client:
            while not await is_ready(client, self.port):
                assert self.is_running, self.log
                await asyncio.sleep(0.1)

    def signal(self, number: int) -> None:
        assert self.process
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def kill(self) -> None:
        if self.process:
            self.signal(signal.SIGKILL)
            self.process.wait()

    async def stop(self) -> None:
        assert self.process
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_SECONDS)

    def cut_off(self) -> None:
        """Close all connections to services, and refuse new ones."""
        for cable in self.cables:
            cable.cut(next_connections=1_000_000)

    async def reconnect(self) -> None:
        for cable in self.cables:
            await cable.restore()


def health_client() -> httpx2.AsyncClient:
    """Client for several checks, because creating one takes longer than a check: it loads all certificates."""
    return httpx2.AsyncClient(timeout=1, headers={"Connection": "close"})


async def is_ready(client: httpx2.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
    except httpx2.HTTPError:
        return False


class Balancer(Relay):
    """Sends each connection to the next machine that is ready, without stickiness."""

    def __init__(self, machines: list[Machine]) -> None:
        super().__init__()
        self.machines = machines
        self.ready = list(machines)
        self.drained: list[Machine] = []
        """Machines of a release, which get no new connections."""
        self._turns: Iterator[int] = itertools.count()

    async def target(self) -> int | None:
        # If no machine is ready, all get requests, and respond 503.
        targets = [machine for machine in self.ready or self.machines if machine not in self.drained]
        return targets[next(self._turns) % len(targets)].port

    def drain(self, machine: Machine) -> None:
        self.drained.append(machine)

    def resume(self, machine: Machine) -> None:
        self.drained.remove(machine)
        self.ready = [*self.ready, machine]

    async def check_health(self) -> None:
        async with health_client() as client:
            while True:
                states = await asyncio.gather(*(is_ready(client, machine.port) for machine in self.machines))
                self.ready = [machine for machine, state in zip(self.machines, states, strict=True) if state]
                await asyncio.sleep(CHECK_SECONDS)
