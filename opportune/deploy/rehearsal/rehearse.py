"""Puts the host, the site and what lies around them together, and walks through it."""

import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from opportune.deploy.rehearsal import fakes, proxy
from opportune.deploy.rehearsal.limits import limited
from opportune.deploy.rehearsal.process import Launcher, free_port
from opportune.deploy.rehearsal.router import DatabaseGate
from opportune.deploy.rehearsal.rules import Rules
from opportune.deploy.rehearsal.services import PooledDatabase, Server, make_certificate
from opportune.deploy.rehearsal.walk import VISITOR_ADDRESS, Result, Stage, walk

PRODUCTION_FILE = ".env.production"
"""What `deploy init` writes: the settings of production, without secrets."""
GIVEN = ("PATH", "LANG", "LC_ALL", "OPPORTUNE_PROJECT", "OPPORTUNE_TEST_RUN_FOLDER")
"""What the site has of our own environment."""


@dataclass(frozen=True)
class Rehearsal:
    """One host, and what it is rehearsed with."""

    rules: Rules
    project: Path
    server: Server
    keeps_files: bool = False
    command: tuple[str, ...] = ()
    """In place of `oppman.py runserver`, for tests."""

    async def run(self, tell: Callable[[str], None]) -> AsyncIterator[Result]:
        """Walk through it; `tell` is given what the set-up is. Nothing is left behind, whatever happens."""
        async with AsyncExitStack() as stack:
            stage = await stack.enter_async_context(self._set_up(stack, tell))
            async for result in walk(stage):
                yield result

    @asynccontextmanager
    async def _set_up(self, stack: AsyncExitStack, tell: Callable[[str], None]) -> AsyncIterator[Stage]:
        rules, host = self.rules, self.rules.host
        folder = Path(tempfile.mkdtemp(prefix=f"opportune-rehearsal-{host.name}-"))
        kind = proxy.installed_proxy()
        certificate, key = make_certificate(folder / "tls", fakes.MAIL_HOST)
        cores = host.cpu_cores if rules.has_own_clocks else None
        limits = stack.enter_context(limited(host.memory_bytes, cores))
        database = stack.enter_context(self.server.database(f"rehearsal_{secrets.token_hex(4)}"))
        gate = DatabaseGate(database.port, rules.database_wake_seconds)
        await stack.enter_async_context(gate.listening())
        beyond = await stack.enter_async_context(fakes.outside(certificate, key))
        beyond.silence_seconds = (rules.idle_seconds or 0) * 1.2
        port = free_port()
        base_url = f"https://127.0.0.1:{port}"
        environ = self.environment(base_url, database, gate.port, beyond, certificate)
        launcher = Launcher(rules, limits, self.project, folder, environ)
        if self.command:
            launcher.command = self.command
        stage = Stage(rules, launcher, gate, beyond, base_url, certificate)
        await stack.enter_async_context(stage.router.listening())
        front_folder = folder / "proxy"
        front_folder.mkdir()
        front = proxy.Front(rules, port, stage.router.port, certificate, key, front_folder)
        await stack.enter_async_context(proxy.running(kind, front))
        await stack.enter_async_context(stage.visited(_visitor_address()))
        pooled = "behind PgBouncer (transactions, TLS)" if database.is_pooled else "without a pooler"
        tell(f"{limits.description}; {launcher.tree_description}; {kind} with TLS; PostgreSQL {pooled}")
        try:
            yield stage
        finally:
            if self.keeps_files:
                tell(f"Kept: {folder}")
                for instance in launcher.instances:
                    await instance.kill()
            else:
                await launcher.clean_up()

    def environment(
        self, base_url: str, database: PooledDatabase, gate_port: int, beyond: fakes.Outside, certificate: Path
    ) -> dict[str, str]:
        """The site's environment: what the host sets, what `.env.production` says, and the rehearsal's addresses."""
        import os  # noqa: PLC0415

        host = self.rules.host
        given = self._given()
        names = {
            **{name: os.environ[name] for name in GIVEN if name in os.environ},
            **({host.variable: "rehearsal"} if host.variable else {"ENVIRONMENT": "production"}),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "TRUSTED_PROXIES": "*",
            "STORAGE_URL": f"s3://rehearsal:secret@127.0.0.1:{beyond.port}/{fakes.BUCKET}?tls=false",
            "ANSWER_GRACE_SECONDS": f"{self.rules.grace_seconds:g}",
            **given,
            "HOST": "127.0.0.1",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "BASE_URL": base_url,
            "MAIL_URL": "resend://rehearsal",
            "MAIL_FROM": "Rehearsal <site@example.com>",
            "LLM_BASE_URL": f"http://127.0.0.1:{beyond.port}/v1",
            "LLM_API_KEY": "rehearsal",
            "LLM_MODELS": '[{"name": "Rehearsal", "model": "rehearsal", "continues": true}]',
            # The way out leads to the mail provider's stand-in, and the certificate is known.
            "HTTPS_PROXY": f"http://127.0.0.1:{beyond.proxy_port}",
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(certificate),
        }
        if not given.get("DATABASE_URL", "").startswith("sqlite"):
            names["DATABASE_URL"] = _at(database.url, gate_port)
        return names

    def _given(self) -> Mapping[str, str]:
        """What `.env.production` says, but for the addresses of servers that are not here."""
        values = dotenv_values(self.project / PRODUCTION_FILE, interpolate=False)
        away = ("s3:", "redis", "http", "postgres")
        return {name: value for name, value in values.items() if value and not value.startswith(away)}


def _at(url: str, port: int) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


def _visitor_address() -> str:
    """Another address of this machine: on Linux all of 127.0.0.0/8 are."""
    return VISITOR_ADDRESS if sys.platform == "linux" else "127.0.0.1"
