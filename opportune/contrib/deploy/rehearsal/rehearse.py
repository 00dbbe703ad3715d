"""Set up the host, the site and its services, and run the steps of a rehearsal."""

import os
import re
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import make_url

from opportune.contrib.deploy.env_production import ENV_PRODUCTION, read_env
from opportune.contrib.deploy.recipes import RECIPES
from opportune.contrib.deploy.rehearsal import fakes
from opportune.contrib.deploy.rehearsal.certificates import make_certificate
from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.contrib.deploy.rehearsal.limits import resource_limits
from opportune.contrib.deploy.rehearsal.network import DatabaseGate, ProxyConfig, find_caddy, run_proxy
from opportune.contrib.deploy.rehearsal.process import RUNSERVER, Launcher, remove_folder
from opportune.contrib.deploy.rehearsal.stage import QuestionEndpoint, Result, Stage
from opportune.contrib.deploy.rehearsal.steps import run_steps
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.project.current import OPPMAN
from opportune.project.layout import PROJECT
from opportune.testing.services.ports import free_port
from opportune.testing.services.postgres import Postgres, postgres

INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "OPPORTUNE_PROJECT", "OPPORTUNE_TEST_RUN_FOLDER")
# URLs of any scheme, also behind text that was copied along, folders outside, and references to a host's services.
LEADS_OUT = re.compile(r"://|^\s*(?:\$|file:(?:/|(?:.*/)?\.\.(?:/|$)))", re.IGNORECASE)
MISSING = f"A rehearsal needs the PostgreSQL of the tests. Install it with: {OPPMAN} test --version"
NO_POOLER = "install PgBouncer (apt install pgbouncer) to rehearse with a pooler like that of most providers"


@contextmanager
def rehearsal_server() -> Iterator[Postgres]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres())
        except RuntimeError as error:
            raise OperatorError(f"{error}. {MISSING}") from None
        yield server


@contextmanager
def pooled_database(server: Postgres, name: str) -> Iterator[tuple[str, bool]]:
    """Create an empty database for the block. Yield its URL, and whether it leads through PgBouncer with TLS."""
    from opportune.contrib.deploy.rehearsal.pgbouncer import PROGRAM, pgbouncer  # imports pytest

    url = server.create_database(name)
    try:
        if PROGRAM:
            with pgbouncer(url, connections=20) as pooled_url:
                yield pooled_url, True
        else:
            yield url, False
    finally:
        server.drop_database(name)


@dataclass(frozen=True)
class Rehearsal:
    """Rehearsal of a deployment to one host."""

    rules: HostRules
    project: Path
    server: Postgres
    endpoint: QuestionEndpoint | None = None
    """Endpoint of the site for questions to a language model."""
    keeps_files: bool = False
    command: Sequence[str] = RUNSERVER

    async def run(self, notify: Callable[[str], None]) -> AsyncIterator[Result]:
        """Run all steps and clean up. `notify` is called with a description of the set-up."""
        async with AsyncExitStack() as stack:
            stage = await self._set_up(stack, notify)
            async for result in run_steps(stage):
                yield result

    async def _set_up(self, stack: AsyncExitStack, notify: Callable[[str], None]) -> Stage:
        rules = self.rules
        find_caddy()  # before anything is started
        folder = Path(tempfile.mkdtemp(prefix=f"opportune-rehearsal-{rules.host.name}-"))
        if self.keeps_files:
            stack.callback(notify, f"Kept: {folder}")
        else:
            stack.callback(remove_folder, folder)
        certificate = make_certificate(folder, fakes.MAIL_HOST)
        cpu_cores = rules.host.cpu_cores if rules.is_full else None
        limits = stack.enter_context(resource_limits(rules.host.memory_bytes, cpu_cores))
        database_name = f"rehearsal_{secrets.token_hex(4)}"
        database_url, is_pooled = stack.enter_context(pooled_database(self.server, database_name))
        gate = DatabaseGate(make_url(database_url).port or 5432, rules.database_wake_seconds)
        await stack.enter_async_context(gate.listening())
        services = await stack.enter_async_context(fakes.run_services(certificate))
        services.silence_seconds = rules.silence_seconds
        services.pace_seconds = rules.word_seconds
        front_port = free_port()
        base_url = f"https://127.0.0.1:{front_port}"
        environ = self.environment(base_url, database_url, gate.port, services, certificate)
        launcher = Launcher(rules, limits, self.project, folder, environ, self.command)
        stack.callback(launcher.kill_all)
        stage = Stage(rules, launcher, gate, services, base_url, certificate, self.endpoint)
        await stack.enter_async_context(stage.router.listening())
        config = ProxyConfig(rules, front_port, stage.router.port, certificate, folder / "proxy")
        stack.enter_context(run_proxy(config))
        await stack.enter_async_context(stage.open_visitors())
        pooler = "behind PgBouncer (transactions, TLS)" if is_pooled else f"without a pooler: {NO_POOLER}"
        system = "SQLite" if stage.is_on_sqlite else f"PostgreSQL {pooler}"
        notify(f"{limits.description}; {launcher.tree_description}; Caddy with TLS; {system}")
        return stage

    def environment(
        self, base_url: str, database_url: str, gate_port: int, services: fakes.Services, certificate: Path
    ) -> dict[str, str]:
        """Return the site's environment: values of the host, of `.env.production`, and of the rehearsal."""
        settings = self._production_settings()
        trusted = settings.get("TRUSTED_PROXIES", "")
        environ = {  # later values replace earlier ones
            **{name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ},
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "STORAGE_URL": f"s3://rehearsal:secret@127.0.0.1:{services.port}/{fakes.BUCKET}?tls=false",
            **settings,
            "HOST": "127.0.0.1",
            "SECRET_KEY": secrets.token_urlsafe(48),
            "BASE_URL": base_url,
            "MAIL_URL": "resend://rehearsal",
            "MAIL_FROM": "Rehearsal <site@example.com>",
            "LLM_BASE_URL": f"http://127.0.0.1:{services.port}/v1",
            "LLM_API_KEY": "rehearsal",
            "LLM_MODELS": '[{"name": "Rehearsal", "model": "rehearsal", "continues": true}]',
            # The proxy leads to the mail provider's stand-in, whose certificate is trusted.
            "HTTPS_PROXY": f"http://127.0.0.1:{services.proxy_port}",
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(certificate),
        }
        if self.rules.host.variable:
            environ.setdefault(self.rules.host.variable, "rehearsal")
        if trusted and trusted != "*":
            environ["TRUSTED_PROXIES"] = f"{trusted},127.0.0.1"  # the proxy is on this machine
        if not self.rules.is_full:
            environ["ANSWER_GRACE_SECONDS"] = f"{self.rules.grace_seconds:g}"
        if "DATABASE_URL" not in settings:
            url = make_url(database_url).set(host="127.0.0.1", port=gate_port)
            environ["DATABASE_URL"] = url.render_as_string(hide_password=False)
        return environ

    def _production_settings(self) -> dict[str, str]:
        """Return the settings of the host's files and `.env.production` without URLs of external services."""
        recipe = RECIPES[self.rules.host.name]
        file = self.project / ENV_PRODUCTION
        written = read_env(file) if file.exists() else {}
        values = {**recipe.defaults, **recipe.sets, **written}
        settings = {name: value for name, value in values.items() if value and not LEADS_OUT.search(unquote(value))}
        if file_url := _copied_file(values.get("DATABASE_URL", "")):
            settings["DATABASE_URL"] = file_url
        return settings


def _copied_file(url: str) -> str:
    """Return the URL of a SQLite file in the copied project; empty for PostgreSQL."""
    if not url or url.startswith("$"):
        return ""
    database = DatabaseUrl.parse(url)
    if database.kind == "postgresql":
        return ""
    path = database.path.resolve()  # a site on this machine may use another file, also through a link
    file = path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else "data/app.db"
    return f"{'sqlite+memory' if database.kind == 'memory' else 'sqlite'}:///{file}"
