"""The host as it stands on this machine, with the site on it and those who visit it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from secrets import token_urlsafe

from opportune.ops.deploy.rehearsal.fakes import Outside
from opportune.ops.deploy.rehearsal.process import POLL_SECONDS, Instance, Launcher
from opportune.ops.deploy.rehearsal.questions import Asking
from opportune.ops.deploy.rehearsal.router import DatabaseGate, Router
from opportune.ops.deploy.rehearsal.rules import Rules
from opportune.ops.deploy.rehearsal.visitor import Visitor

VISITOR_ADDRESS = "127.0.0.2"
"""Another one than the proxy's, so that a site that takes the proxy for its visitor is found out."""
MAX_RESTARTS = 5
HEALTH_TIMEOUT_SECONDS = 5.0
"""As Render and Fly give it."""


class Outcome(Enum):
    PASSED = "ok"
    FAILED = "FAILED"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Result:
    """What became of one step."""

    step: str
    outcome: Outcome
    text: str
    mend: str = ""


class StepFailed(Exception):
    """The site did not do what it should, and what would mend it."""

    def __init__(self, text: str, mend: str) -> None:
        super().__init__(text)
        self.text, self.mend = text, mend


class StepLeftOut(Exception):
    """The site, or this machine, has nothing of the kind."""


@dataclass
class Stage:
    """The host as it stands here, with the site on it and those who visit it."""

    rules: Rules
    launcher: Launcher
    gate: DatabaseGate
    outside: Outside
    base_url: str
    certificate: Path
    asking: Asking | None = None
    """Where the site takes a question for a language model."""
    router: Router = field(init=False)
    instance: Instance | None = None
    email: str = "rehearsal@example.com"
    password: str = field(default_factory=lambda: token_urlsafe(18))
    admin_email: str = "admin@example.com"
    restarts: int = 0
    upload_path: str = ""
    """The page on which the visitor has sent a picture."""
    visitor: Visitor = field(init=False)
    superuser: Visitor = field(init=False)

    def __post_init__(self) -> None:
        self.router = Router(self._wake, self.freeze, self.rules.total_seconds)

    @asynccontextmanager
    async def visited(self, address: str = VISITOR_ADDRESS) -> AsyncIterator[None]:
        """With somebody who visits the site, and somebody else who looks after it."""
        async with (
            Visitor(self.base_url, self.certificate, address) as self.visitor,
            Visitor(self.base_url, self.certificate) as self.superuser,
        ):
            yield

    async def start(self) -> Instance:
        """Start a process as the host does: again when it has failed, until its health check is content.

        Raises:
            StepFailed: it takes too long, or ends again and again.
        """
        begun = time.monotonic()
        failures = 0
        instance = self.launcher.start()
        while time.monotonic() - begun < self.rules.start_seconds:
            if not instance.is_running:
                failures += 1
                if failures > MAX_RESTARTS:
                    break
                self.restarts += 1
                instance = self.launcher.start()
            if await self._is_healthy(instance.port):
                return instance
            await asyncio.sleep(POLL_SECONDS)
        instance.kill()
        raise why_it_does_not_start(self.rules, instance, failures)

    async def _is_healthy(self, port: int) -> bool:
        """As a host asks: by plain HTTP, past its own proxy, with a name that is not the site's."""
        question = f"GET {self.rules.host.health_path} HTTP/1.0\r\nHost: 10.0.0.7:{port}\r\n\r\n"
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(question.encode())
                status = await reader.readline()
                writer.close()
                return status.split(b" ", 2)[1:2] == [b"200"]
        return False

    async def _wake(self) -> int:
        self.instance = await self.start()
        return self.instance.port

    @property
    def is_on_sqlite(self) -> bool:
        return self.launcher.environ["DATABASE_URL"].startswith("sqlite")

    @property
    def loses_rows(self) -> bool:
        """Whether a deploy throws the database away."""
        return self.is_on_sqlite and not self.rules.host.keeps_disk

    def freeze(self, is_still: bool) -> None:
        if self.instance and not self.rules.host.runs_between_requests:
            self.instance.measure()
            self.instance.freeze(is_still)

    async def sleep(self) -> Instance | None:
        """What a host does after a while without visitors, to the site and to its database."""
        asleep, self.instance, self.router.site_port = self.instance, None, None
        if asleep:
            await asleep.stop(self.rules.host.stop_signal, self.rules.stop_seconds)
        self.launcher.deploy()
        await self.gate.sleep()
        return asleep


def why_it_does_not_start(rules: Rules, instance: Instance, failures: int) -> StepFailed:
    said = instance.last_words
    if failures > MAX_RESTARTS:
        if instance.process.returncode == -9:
            return StepFailed(
                f"it was killed {failures} times: it wanted more memory than {rules.host.title} has",
                "take a larger machine, or fewer features (app/installed.py)",
            )
        return StepFailed(f"it ends again and again. Its last words: {said}", mend_for(instance.said))
    return StepFailed(
        f"{rules.host.health_path} did not answer 200 within {rules.start_seconds:g} s. Its last words: {said}",
        "have less done before the port opens, or a health check that waits for longer",
    )


def mend_for(log: str) -> str:
    """What mends a fault that the log tells of."""
    if "Read-only file system" in log or "PermissionError" in log or "Permission denied" in log:
        return "write to tempfile's folder what may be lost, to STORAGE_URL what is kept: this host's tree is read-only"
    if "sqlite" in log.lower() or "unable to open database file" in log:
        return "set DATABASE_URL to PostgreSQL: this host has no disk for a SQLite file"
    if "MemoryError" in log:
        return "take a larger machine, or fewer features (app/installed.py)"
    return "its last words tell; --keep leaves the whole log"


def running(stage: Stage) -> Instance:
    if stage.instance is None:
        raise StepFailed("the site does not run", "see above")
    return stage.instance
