"""Puts the host, the site and what lies around them together, and walks through it."""

import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from opportune.ops.deploy.env_production import ENV_PRODUCTION, read_env
from opportune.ops.deploy.recipes import RECIPES
from opportune.ops.deploy.rehearsal import fakes, proxy
from opportune.ops.deploy.rehearsal.limits import limited
from opportune.ops.deploy.rehearsal.process import RUNSERVER, Launcher, free_port, remove
from opportune.ops.deploy.rehearsal.questions import Asking
from opportune.ops.deploy.rehearsal.router import DatabaseGate
from opportune.ops.deploy.rehearsal.rules import Rules
from opportune.ops.deploy.rehearsal.services import NO_POOLER, PooledDatabase, Server, make_certificate
from opportune.ops.deploy.rehearsal.stage import VISITOR_ADDRESS, Result, Stage
from opportune.ops.deploy.rehearsal.walk import STEPS, Step, walk

OURS = ("PATH", "LANG", "LC_ALL", "OPPORTUNE_PROJECT", "OPPORTUNE_TEST_RUN_FOLDER")
"""What the site has of our own environment."""
ELSEWHERE = ("s3:", "redis", "http", "postgres", "$", "file:/")
"""How addresses begin of what is not in the copy of the project that is rehearsed with."""


@dataclass(frozen=True)
class Rehearsal:
    """One host, and what it is rehearsed with."""

    rules: Rules
    project: Path
    server: Server
    asking: Asking | None = None
    """Where the site takes a question for a language model."""
    keeps_files: bool = False
    steps: Mapping[str, Step] = field(default_factory=lambda: STEPS)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Those that are to be other ones than `.env.production` has."""
    command: tuple[str, ...] = ()
    """In place of `oppman.py runserver`, for tests."""

    async def run(self, tell: Callable[[str], None]) -> AsyncIterator[Result]:
        """Walk through it; `tell` is given what the set-up is. Nothing is left behind, whatever happens."""
        async with AsyncExitStack() as stack:
            stage = await self._set_up(stack, tell)
            async for result in walk(stage, self.steps):
                yield result

    async def _set_up(self, stack: AsyncExitStack, tell: Callable[[str], None]) -> Stage:
        rules, host = self.rules, self.rules.host
        program = proxy.installed_proxy()
        folder = Path(tempfile.mkdtemp(prefix=f"opportune-rehearsal-{host.name}-"))
        stack.callback(lambda: tell(f"Kept: {folder}") if self.keeps_files else remove(folder))
        certificate, key = make_certificate(folder / "tls", fakes.MAIL_HOST)
        limits = stack.enter_context(limited(host.memory_bytes, host.cpu_cores if rules.has_own_clocks else None))
        database = stack.enter_context(self.server.database(f"rehearsal_{secrets.token_hex(4)}"))
        gate = DatabaseGate(database.port, rules.database_wake_seconds)
        await stack.enter_async_context(gate.listening())
        beyond = await stack.enter_async_context(fakes.outside(certificate, key))
        beyond.silence_seconds, beyond.pace_seconds = rules.silence_seconds, rules.word_seconds
        front_port = free_port()
        base_url = f"https://127.0.0.1:{front_port}"
        environ = self.environment(base_url, database, gate.port, beyond, certificate)
        launcher = Launcher(rules, limits, self.project, folder, environ, self.command or RUNSERVER)
        stack.callback(launcher.kill_all)
        launcher.has_worker = environ.get("JOBS") == "worker"
        stage = Stage(rules, launcher, gate, beyond, base_url, certificate, self.asking)
        await stack.enter_async_context(stage.router.listening())
        front = proxy.Front(rules, front_port, stage.router.port, certificate, key, folder / "proxy")
        await stack.enter_async_context(proxy.running(program, front))
        await stack.enter_async_context(stage.visited(_visitor_address()))
        pooled = "behind PgBouncer (transactions, TLS)" if database.is_pooled else f"without a pooler: {NO_POOLER}"
        kept = "SQLite" if stage.is_on_sqlite else f"PostgreSQL {pooled}"
        tell(f"{limits.description}; {launcher.tree_description}; {program.label} with TLS; {kept}")
        return stage

    def environment(
        self, base_url: str, database: PooledDatabase, gate_port: int, beyond: fakes.Outside, certificate: Path
    ) -> dict[str, str]:
        """The site's environment: what the host sets, what `.env.production` says, and the rehearsal's addresses."""
        host = self.rules.host
        given = {**self._given(), "HOST": "127.0.0.1", "SECRET_KEY": secrets.token_urlsafe(48), "BASE_URL": base_url}
        trusted = given.get("TRUSTED_PROXIES", "")
        environ = {
            **{name: os.environ[name] for name in OURS if name in os.environ},
            **({host.variable: "rehearsal"} if host.variable else {}),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "STORAGE_URL": f"s3://rehearsal:secret@127.0.0.1:{beyond.port}/{fakes.BUCKET}?tls=false",
            **given,
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
        if trusted and trusted != "*":
            environ["TRUSTED_PROXIES"] = f"{trusted},127.0.0.1"  # the proxy is on this machine
        if not self.rules.has_own_clocks:
            environ["ANSWER_GRACE_SECONDS"] = f"{self.rules.grace_seconds:g}"
        if not given.get("DATABASE_URL", "").startswith("sqlite"):
            environ["DATABASE_URL"] = _at(database.url, gate_port)
        return environ

    def _given(self) -> dict[str, str]:
        """What the host's files and `.env.production` say, but for addresses of servers and files that are not here."""
        recipe, file = RECIPES[self.rules.host.name], self.project / ENV_PRODUCTION
        values = {**recipe.asks, **recipe.sets, **(read_env(file) if file.exists() else {}), **self.settings}
        if values.get("DATABASE_URL", "").startswith("sqlite:////"):
            values["DATABASE_URL"] = "sqlite:///data/app.db"  # the file itself may be that of a site on this machine
        return {name: value for name, value in values.items() if value and not value.startswith(ELSEWHERE)}


def _at(url: str, port: int) -> str:
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()


def _visitor_address() -> str:
    """Another address of this machine: on Linux all of 127.0.0.0/8 are."""
    return VISITOR_ADDRESS if sys.platform == "linux" else "127.0.0.1"
