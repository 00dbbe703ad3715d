"""Processes that run commands and are killed in the middle. They are forked, so each starts in milliseconds."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any, NamedTuple, cast

from uvicorn import _subprocess

from opportune.cli.database import demo
from opportune.cli.development import certificate
from opportune.cli.development.server import serve
from opportune.cli.main import main
from opportune.cli.project import quickstart
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.contrib.backup import create, pg_restore
from opportune.contrib.backup.restore import Target, restore_backup
from opportune.contrib.copydb.copy import copy
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseUrl
from opportune.project.atomic_files import open_replacement, private_file, temporary_path
from opportune.project.modules import settings_class
from tests.opportune.contrib.copydb.two_databases import copy_tables
from tests.opportune.forked import PROCESSES

FILE_EVENTS = {"open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect"}
TIMEOUT_SECONDS = 60
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Work:
    """A backup into `file`, or a restore from it."""

    settings: Settings
    features: tuple[str, ...]
    file: Path
    watched_folders: tuple[str, ...]
    """Folders in which file changes are counted."""
    path: str
    """PATH of programs."""
    temporary: str

    def back_up(self) -> None:
        create.create_backup(self.settings, MigrationGraph(self.features), self.file, notify=lambda _line: None)

    def restore(self) -> None:
        restore_backup(self.file, Target(self.settings, MigrationGraph(self.features)), confirm=lambda _manifest: None)


def kill_at_each_step(act: Callable[[Work], None], work: Work) -> Iterator[None]:
    """Repeat the work in processes, each killed one step later than the previous one, until one finishes.

    A step is a change of a file in the watched folders.
    """
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        code = _exit_code(_run_until_step, step, act, work)
        yield
    assert code == 0
    assert step > 10


def restore_until_commit(work: Work) -> None:
    """Run a restore in a process that is killed with its children before the COMMIT on PostgreSQL."""
    assert _exit_code(_restore_and_kill, work) == -signal.SIGKILL


def run_concurrent_migrations(url: str, number: int) -> list[int]:
    """Run `migrate` in several processes at the same time, and return their exit codes."""
    processes = [PROCESSES.Process(target=_migrate, args=(url,)) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode or 0 for process in processes]


@contextmanager
def paused_copy(names: Sequence[str], source: str, *targets: str) -> Iterator[BaseProcess]:
    """Start a process that copies the rows of features to several databases, and pause it in the middle.

    It continues at the end of the block.
    """
    parent_end, child_end = PROCESSES.Pipe()
    with parent_end, child_end:
        process = PROCESSES.Process(target=_copy, args=(child_end, names, source, targets))
        process.start()
        child_end.close()
        for _ in targets:
            parent_end.recv()
        yield process
    process.join()


def serve_site(listener: socket.socket, app: str, environ: dict[str, str], options: dict[str, Any]) -> None:
    """Serve the application until a signal, with these settings. Workers are forked from this process."""
    os.environ.update(environ)
    clear_settings_cache()
    cast("Any", _subprocess).spawn = get_context("fork")  # a second forkserver would import everything again
    os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
    serve(listener, get_settings(), app=app, **options)


class RunningCommand(NamedTuple):
    """A running command."""

    process: BaseProcess
    output: IO[str]

    def end(self) -> tuple[int | None, str]:
        """Send SIGTERM, and return the exit code and the remaining output."""
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(TIMEOUT_SECONDS)
        return self.process.exitcode, self.output.read()


@contextmanager
def running(folder: Path, *arguments: str, **environ: str) -> Iterator[RunningCommand]:
    """Run a command until the end of the block, with `.env` and the certificate in this folder."""
    parent_end, child_end = PROCESSES.Pipe(duplex=False)
    with parent_end, os.fdopen(os.dup(parent_end.fileno()), encoding="utf-8") as output:
        process = PROCESSES.Process(target=_run, args=(child_end, folder, arguments, environ))
        process.start()
        child_end.close()
        try:
            yield RunningCommand(process, output)
        finally:
            process.kill()
            process.join()


def _run(output: Connection, folder: Path, arguments: Sequence[str], environ: dict[str, str]) -> None:
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    os.environ.update(environ)
    output.close()
    settings_class().model_config["env_file"] = folder / ".env"
    cast("Any", quickstart).PROJECT = folder
    for module in (quickstart, demo):
        cast("Any", module).installed_features = list  # demonstration data would take long
    cast("Any", certificate).certificate_for = partial(certificate.certificate_for, path=folder / "https.pem")
    sys.exit(main([*arguments]))


@contextmanager
def temporary_files_open(path: Path) -> Iterator[BaseProcess]:
    """Start a process that keeps temporary files of a path open until it is killed or the block ends."""
    parent_end, child_end = PROCESSES.Pipe()
    with parent_end:
        process = PROCESSES.Process(target=_write, args=(child_end, path))
        process.start()
        child_end.close()
        parent_end.recv()
        yield process
        process.kill()
        process.join()


def _write(connection: Connection, path: Path) -> None:
    with open_replacement(path), private_file(temporary_path(path, "part"), lock=False):
        connection.send("in the middle")
        connection.poll(None)


def _migrate(url: str) -> None:
    os.environ["DATABASE_URL"] = url
    settings_class().model_config["env_file"] = None
    sys.exit(main(["migrate"]))


def _copy(connection: Connection, names: Sequence[str], source: str, targets: Sequence[str]) -> None:
    os.setsid()
    lock = Lock()

    def pause(_rows: int) -> None:
        with lock:
            connection.send("in the middle")
        connection.poll(None)

    def copy_to(target: str) -> None:
        addresses = DatabaseUrl.parse(source), DatabaseUrl.parse(target)
        copy(*addresses, MigrationGraph(names), force=True, progress=pause, metadata=copy_tables(names))

    for target in targets:
        Thread(target=copy_to, args=(target,)).start()


def _exit_code(act: Callable[..., None], *arguments: Any) -> int:
    process = PROCESSES.Process(target=act, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run_until_step(last_step: int, act: Callable[[Work], None], work: Work) -> None:
    os.setsid()
    steps = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in FILE_EVENTS and str(arguments[0]).startswith(work.watched_folders) and _may_write(event, arguments):
            steps += 1
            if steps == last_step:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(count)
    act(work)


def _may_write(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return True if the event may change a file. Existing files do not matter, so that steps keep their numbers."""
    return event != "open" or bool(arguments[2] & WRITE_FLAGS)


def _restore_and_kill(work: Work) -> None:
    os.setsid()
    os.environ["PATH"] = work.path
    tempfile.tempdir = work.temporary
    copy_script = pg_restore.copy_script

    def copy_and_kill(script: IO[bytes], statements: IO[bytes]) -> None:
        copy_script(script, statements)
        statements.write(b"\\! kill -KILL 0\n")  # run by psql after all statements

    pg_restore.copy_script = copy_and_kill
    work.restore()
