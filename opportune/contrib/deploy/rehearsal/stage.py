"""Simulated host with the site, its services and its visitors."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from opportune.contrib.deploy.rehearsal.fakes import Services
from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.contrib.deploy.rehearsal.instance import POLL_SECONDS, Instance
from opportune.contrib.deploy.rehearsal.network import DatabaseGate, SiteRelay
from opportune.contrib.deploy.rehearsal.process import Launcher
from opportune.contrib.deploy.rehearsal.visitor import Visitor

VISITOR_ADDRESS = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"
"""On Linux it differs from the proxy's address, to detect a site that uses that. Other systems have one address."""
KILLED = -9
"""Code of a process that the limit of memory has ended."""
MEMORY_FIX = "use a larger machine, or fewer features (app/installed.py)"
MAX_RESTARTS = 5
HEALTH_TIMEOUT_SECONDS = 5.0
"""Timeout of health checks on Render and Fly."""


class Outcome(Enum):
    PASSED = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Result:
    """Result of one step."""

    step: str
    outcome: Outcome
    text: str
    fix: str = ""


class StepFailed(Exception):
    """The site has an error."""

    def __init__(self, text: str, fix: str) -> None:
        super().__init__(text)
        self.text = text
        self.fix = fix


class StepSkipped(Exception):
    """The step does not apply to the site or this machine."""


@dataclass(frozen=True)
class QuestionEndpoint:
    """Endpoint for questions as JSON."""

    path: str
    fields: tuple[str, ...]
    """Required text fields."""


@dataclass
class Stage:
    """Simulated host with the site, its services and its visitors."""

    rules: HostRules
    launcher: Launcher
    gate: DatabaseGate
    services: Services
    base_url: str
    certificate: Path
    endpoint: QuestionEndpoint | None = None
    """Endpoint of the site for questions to a language model."""
    router: SiteRelay = field(init=False)
    instance: Instance | None = None
    email: str = "rehearsal@example.com"
    password: str = field(default_factory=lambda: token_urlsafe(18))
    admin_email: str = "admin@example.com"
    restarts: int = 0
    upload_path: str = ""
    """Page on which the visitor has uploaded a picture."""
    visitor: Visitor = field(init=False)
    superuser: Visitor = field(init=False)

    def __post_init__(self) -> None:
        self.router = SiteRelay(self._wake, self.freeze, self.rules.total_seconds)

    @asynccontextmanager
    async def open_visitors(self) -> AsyncIterator[None]:
        """Open the HTTP clients of a visitor and a superuser."""
        async with (
            Visitor(self.base_url, self.certificate, VISITOR_ADDRESS) as self.visitor,
            Visitor(self.base_url, self.certificate) as self.superuser,
        ):
            yield

    async def start(self) -> Instance:
        """Start a process and restart it after failures, until its health check succeeds.

        Raises:
            StepFailed: The start takes too long or fails too often.
        """
        start = time.monotonic()
        failures = 0
        instance = self.launcher.start_server()
        while time.monotonic() - start < self.rules.start_seconds:
            if not instance.is_running:
                failures += 1
                if failures > MAX_RESTARTS:
                    break
                self.restarts += 1
                instance = self.launcher.start_server()
            if await self._is_healthy(instance.port):
                return instance
            await asyncio.sleep(POLL_SECONDS)
        instance.kill()
        raise start_error(self.rules, instance, failures)

    async def _is_healthy(self, port: int) -> bool:
        """Send a health check like hosts do: plain HTTP without the proxy, with an IP address as the host."""
        request = f"GET {self.rules.host.health_path} HTTP/1.0\r\nHost: 10.0.0.7:{port}\r\n\r\n"
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(HEALTH_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request.encode())
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

    def freeze(self, is_frozen: bool) -> None:
        if self.instance and not self.rules.host.runs_between_requests:
            self.instance.measure_memory()
            self.instance.freeze(is_frozen)

    async def sleep(self) -> None:
        """Stop the site and let its database sleep, like a host after a while without requests."""
        instance = self.instance
        self.instance = None
        self.router.site_port = None
        if instance:
            await instance.stop(self.rules.host.stop_signal, self.rules.stop_seconds)
        self.launcher.deploy()
        await self.gate.sleep()


def start_error(rules: HostRules, instance: Instance, failures: int) -> StepFailed:
    if failures <= MAX_RESTARTS:
        return StepFailed(
            f"{rules.host.health_path} did not return 200 within {rules.start_seconds:g} s: {instance.last_line}",
            "do less before the port opens, or allow the health check more time",
        )
    if instance.process.returncode == KILLED:
        return StepFailed(f"killed {failures} times: it needs more memory than {rules.host.title} has", MEMORY_FIX)
    return StepFailed(f"it ended {failures} times: {instance.last_line}", suggest_fix(instance))


def suggest_fix(instance: Instance | None) -> str:
    """Return what to do about an error of the site, from its log and how its process ended."""
    log = instance.output if instance else ""
    if "Read-only file system" in log or "PermissionError" in log or "Permission denied" in log:
        return "the disk is read-only: write temporary files to tempfile's folder, and others to STORAGE_URL"
    if "sqlite" in log.lower() or "unable to open database file" in log:
        return "set DATABASE_URL to PostgreSQL: this host has no disk for a SQLite file"
    if "MemoryError" in log or (instance and instance.process.poll() == KILLED):
        return MEMORY_FIX
    return "read the whole log with --keep"


def require_instance(stage: Stage) -> Instance:
    if stage.instance is None:
        raise StepFailed("the site is not running", "see above")
    return stage.instance


def find_question_endpoint(app: FastAPI) -> QuestionEndpoint | None:
    """Return the first POST route without path parameters that responds with 202 and a `stream_url`."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = context.path or ""
        if not isinstance(route, APIRoute) or "{" in path or "POST" not in (context.methods or ()):
            continue
        fields: dict[str, Any] = getattr(route.response_model, "model_fields", {})
        if route.status_code == 202 and "stream_url" in fields:
            body = route.body_field.field_info.annotation if route.body_field else None
            body_fields: dict[str, Any] = getattr(body, "model_fields", {})
            return QuestionEndpoint(path, tuple(name for name, info in body_fields.items() if info.is_required()))
    return None
