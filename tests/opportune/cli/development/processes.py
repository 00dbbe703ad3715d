"""Commands' work in processes of their own, most of them killed. They import little: each starts in milliseconds."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from opportune.config.project import settings_class
from opportune.config.settings import Settings, forget_settings, get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.url.database_url import DatabaseURL
from opportune.ops.backup import create, postgresql
from opportune.ops.backup.restore import Target, restore_backup
from opportune.ops.copydb import copy
from opportune.runtime.atomic_files import private_file, replacement, temporary
from tests.opportune.forked import PROCESSES
from tests.opportune.ops.copydb.two_databases import tables_of

TOUCHING = {"open", "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "sqlite3.connect"}
TIMEOUT_SECONDS = 60
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Work:
    """A backup into `file`, or a restore from it."""

    settings: Settings
    features: tuple[str, ...]
    file: Path
    touched: tuple[str, ...]
    """The folders in which steps are counted."""
    path: str
    """Where programs are."""
    temporary: str

    def back_up(self) -> None:
        create.create_backup(self.settings, MigrationGraph(self.features), self.file, notify=lambda _line: None)

    def bring_back(self) -> None:
        restore_backup(
            self.file, Target(self.settings, MigrationGraph(self.features), tables=()), confirm=lambda _manifest: None
        )


def at_each_step(act: Callable[[Work], None], work: Work) -> Iterator[None]:
    """Let processes do the same, each killed one step further than the one before it, until one gets through.

    A step is whatever changes a file below the folders of the work.
    """
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        code = _exit_code(_until, step, act, work)
        yield
    assert code == 0
    assert step > 10


def before_the_commit(work: Work) -> None:
    """Be killed with all its children when PostgreSQL has everything of a restore but the COMMIT."""
    assert _exit_code(_until_commit, work) == -signal.SIGKILL


def migrate_at_once(url: str, number: int) -> list[int]:
    """Run `migrate` in several processes, and give their exit codes."""
    processes = [PROCESSES.Process(target=_migrate, args=(url,)) for _ in range(number)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode or 0 for process in processes]


@contextmanager
def copying_to(names: Sequence[str], source: str, *targets: str) -> Iterator[BaseProcess]:
    """A process that copies what these features have in a database into others, which are all in the middle of it.

    It copies on when the block ends.
    """
    ours, theirs = PROCESSES.Pipe()
    with ours, theirs:
        process = PROCESSES.Process(target=_copy, args=(theirs, names, source, targets))
        process.start()
        theirs.close()
        for _ in targets:
            ours.recv()
        yield process
    process.join()


def serve_site(listener: socket.socket, app: str, environ: dict[str, str], options: dict[str, Any]) -> None:
    """Serve it until a signal comes, with these settings; what reloads or has workers starts them in no time, too."""
    os.environ.update(environ)
    forget_settings()
    cast("Any", _subprocess).spawn = PROCESSES
    serve(listener, get_settings(), app=app, **options)


class Running(NamedTuple):
    """A command that goes on until a signal ends it."""

    process: BaseProcess
    output: IO[str]

    def end(self) -> tuple[int | None, str]:
        """Its exit code at SIGTERM, and what it has said meanwhile."""
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGTERM)
        self.process.join(TIMEOUT_SECONDS)
        return self.process.exitcode, self.output.read()


@contextmanager
def running(folder: Path, *words: str, **environ: str) -> Iterator[Running]:
    """Run a command until the block ends, for which `.env` and a certificate are in that folder."""
    ours, theirs = PROCESSES.Pipe(duplex=False)
    with ours, os.fdopen(os.dup(ours.fileno()), encoding="utf-8") as output:
        process = PROCESSES.Process(target=_run, args=(theirs, folder, words, environ))
        process.start()
        theirs.close()
        try:
            yield Running(process, output)
        finally:
            process.kill()
            process.join()


def _run(output: Connection, folder: Path, words: Sequence[str], environ: dict[str, str]) -> None:
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    os.environ.update(environ)
    output.close()
    settings_class().model_config["env_file"] = folder / ".env"
    cast("Any", quickstart).PROJECT = folder
    for module in (quickstart, demo):
        cast("Any", module).installed_features = list  # whose demonstration data takes longer than all else
    cast("Any", certificate).certificate_for = partial(certificate.certificate_for, path=folder / "https.pem")
    sys.exit(main([*words]))


@contextmanager
def writing(path: Path) -> Iterator[BaseProcess]:
    """A process that writes a file, and a part of it beside it, until the block ends or it is killed."""
    ours, theirs = PROCESSES.Pipe()
    with ours:
        process = PROCESSES.Process(target=_write, args=(theirs, path))
        process.start()
        theirs.close()
        ours.recv()
        yield process
        process.kill()
        process.join()


def _write(waiting: Connection, path: Path) -> None:
    with replacement(path), private_file(temporary(path, "part"), lock=False):
        waiting.send("in the middle")
        waiting.poll(None)


def _migrate(url: str) -> None:
    os.environ["DATABASE_URL"] = url
    settings_class().model_config["env_file"] = None
    sys.exit(main(["migrate"]))


def _copy(waiting: Connection, names: Sequence[str], source: str, targets: Sequence[str]) -> None:
    os.setsid()
    speaking = Lock()

    def stop(_rows: int) -> None:
        with speaking:
            waiting.send("in the middle")
        waiting.poll(None)

    def copy_to(target: str) -> None:
        addresses = DatabaseURL.parse(source), DatabaseURL.parse(target)
        copy(*addresses, MigrationGraph(names), force=True, progress=stop, metadata=tables_of(names))

    for target in targets:
        Thread(target=copy_to, args=(target,)).start()


def _exit_code(act: Callable[..., None], *arguments: Any) -> int:
    process = PROCESSES.Process(target=act, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _until(last: int, act: Callable[[Work], None], work: Work) -> None:
    os.setsid()
    steps = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in TOUCHING and str(arguments[0]).startswith(work.touched) and _changes(event, arguments):
            steps += 1
            if steps == last:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(count)
    act(work)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it may: who is killed before a look leaves what the next step finds.

    What is there already is no matter: with it the number of a step would change from process to process.
    """
    return event != "open" or bool(arguments[2] & WRITING)


def _until_commit(work: Work) -> None:
    os.setsid()
    os.environ["PATH"] = work.path
    tempfile.tempdir = work.temporary
    pass_on = postgresql.copy_script

    def pass_on_and_die(script: IO[bytes], statements: IO[bytes]) -> None:
        pass_on(script, statements)
        statements.write(b"\\! kill -KILL 0\n")  # done by psql, after all that comes before it

    postgresql.copy_script = pass_on_and_die
    work.bring_back()
