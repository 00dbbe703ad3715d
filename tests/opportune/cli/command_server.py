"""Commands, `pytest`, or code after `-c`, one by one in copies of the project; their processes find imports done.

This file is also the program that they are forked from. It imports what knows nothing of a project, and forks a process
for each folder, which imports what is the project's. That one forks a process for each command: it reads the words as a
line of JSON, and answers with the exit code and what was said. Another one is a server of `multiprocessing`.
"""

import atexit
import gc
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol, cast

MODULES = (
    "app.main",
    "opportune.cli.database.migrate",
    "opportune.cli.database.makemigrations",
    "opportune.ops.backup.create",
)
"""What commands take longest to import, and nothing that a test changes."""
TESTING = (
    *(
        "opportune.testing.fixtures",
        "opportune.cli.development.check",
        "opportune.cli.database.makemigrations",
        "opportune.cli.database.migrate",
    ),
    "opportune.crud",
)
"""The same where tests run, of which some change what is installed."""
FEATURES = (
    "opportune.accounts.feature",
    "opportune.admin.feature",
    "opportune.llm.answers.feature",
    "opportune.jobs.feature",
    "opportune.contrib.mcp.feature",
    "opportune.contrib.teams.feature",
)
"""And where all of the framework's are installed."""
NEEDED_FEATURES = tuple(f"opportune.{name}.feature" for name in ("accounts", "admin", "jobs"))
"""And where there are those alone that no project goes without."""
THIRD_PARTY = (
    *("alembic.autogenerate", "argon2", "fastapi.openapi.utils", "httpx", "jinja2", "psycopg", "pydantic_settings"),
    *("pytest", "pytest_asyncio.plugin", "sqladmin", "sqlalchemy.ext.asyncio", "sqlmodel", "typer"),
)
"""What takes longest of the rest."""
PYTEST_OPTIONS = ("--assert=plain", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin")
"""To rewrite asserts takes longer than many a test."""


COMMAND_TIMEOUT_SECONDS = 280.0
"""Seconds for a command, which may be a `pytest`."""
RUN_FOLDER = "OPPORTUNE_TEST_RUN_FOLDER"
"""As `opportune.testing` calls it."""
PROCESSES = "processes"
"""The server for other processes than commands, in the same folder."""
KEY = bytes(32)
"""What whoever asks that server for a process has to know; none but us reaches the folder."""
MAX_ADDRESS_LENGTH = 90
"""Systems bear a hundred characters or so."""
PROJECT = Path(__file__).parents[3]
"""Not by `opportune`, which this program must not import."""


class Closing(Protocol):
    def close(self) -> None: ...


class RunCommand(Protocol):
    def __call__(self, *words: str) -> tuple[int, str]:
        """Run a command, and give its exit code and what it said. Words such as `NAME=value` may come before it.

        After `&&` comes another one, as in a shell, but in the same process: what it imports is as the first has it.
        """


@contextmanager
def command_server(folder: Path, *modules: str) -> Iterator[RunCommand]:
    """Run commands of the project in that folder, on a SQLite database there, with these modules imported before."""
    environ = {
        "DATABASE_URL": f"sqlite:///{folder}/data/app.db",
        "ENVIRONMENT": "test",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(folder),
        # Two versions of a file in one second and of one length would be the same to what Python has compiled.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "",  # as on most machines: what is said comes in another order
    }
    bring_compiled(folder)
    ours, theirs = socket.socketpair()
    with theirs:
        # What goes wrong there is to be said here, whichever process of this run has started the program.
        socket.send_fds(_program(), [b"\n"], [theirs.fileno(), 1, 2])
    ours.settimeout(COMMAND_TIMEOUT_SECONDS)
    with ours, ours.makefile("rw", encoding="utf-8") as stream:

        def run(*words: str) -> tuple[int, str]:
            print(json.dumps(words), file=stream, flush=True)
            code, said = json.loads(stream.readline())
            return code, said

        print(json.dumps([str(folder), {**os.environ, **environ}, modules]), file=stream, flush=True)
        assert stream.readline(), "What could not be imported stands on standard error."
        yield run  # it has imported all: what changes from here on is found anew each time


def server_of_processes(*modules: str) -> str:
    """The address of `multiprocessing`'s server for all processes of this run, which has imported these modules."""
    folder = Path(_program().getpeername()).parent
    address = str(folder / PROCESSES)
    with (folder / "commands.lock").open("w") as lock:
        _wait_for(lock)
        if not Path(address).exists():
            ours, theirs = socket.socketpair()
            held, watched = socket.socketpair()
            with ours, theirs, held, watched, socket.socket(socket.AF_UNIX) as listener:
                listener.bind(address)
                listener.listen()
                passed = [theirs.fileno(), 1, 2, listener.fileno(), watched.fileno(), held.fileno()]
                socket.send_fds(_program(), [b"\n"], passed)
                ours.sendall(f"{json.dumps([str(PROJECT), dict(os.environ), modules])}\n".encode())
    return address


def bring_compiled(folder: Path) -> None:
    """Let Python find there what it has compiled here: it is good for files of the same age and length."""
    for part in ("app", "opportune", "tests"):
        for compiled in (PROJECT / part).rglob("__pycache__"):
            there = folder / compiled.relative_to(PROJECT)
            if there.parent.is_dir() and not there.exists():
                ignored = shutil.ignore_patterns("*.pyc.*", "*-pytest-*")
                shutil.copytree(compiled, there, ignore=ignored, copy_function=link)


def link(source: str, destination: str) -> None:
    """Let a file that nobody writes into be in two places: a copy takes twenty times as long."""
    try:
        os.link(source, destination)
    except OSError:  # another disk
        shutil.copy2(source, destination)


@cache
def _program() -> socket.socket:
    """What the program listens to that all are forked from. It ends when no process of this run holds such a thing."""
    folder = os.environ.get(RUN_FOLDER, "")
    if not 0 < len(folder) < MAX_ADDRESS_LENGTH:
        folder = tempfile.mkdtemp()
    with Path(folder, "commands.lock").open("w") as lock:
        _wait_for(lock)
        address = f"{folder}/commands"
        try:
            others = _connected(address)
            atexit.register(others.close)
            return others
        except (ConnectionError, FileNotFoundError):  # none has started it yet, or it has ended
            Path(address).unlink(missing_ok=True)
            Path(folder, PROCESSES).unlink(missing_ok=True)  # which has ended with it
        # We must not hold it: where nobody does, those who come are refused, and do not wait.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            process = subprocess.Popen([sys.executable, __file__], stdin=listener.fileno())
        ours = _connected(address)

    def end() -> None:
        ours.close()
        process.poll()  # others of this run may hold it yet

    atexit.register(end)
    return ours


def _wait_for(lock: IO[str]) -> None:
    import fcntl  # noqa: PLC0415 - Windows has no such module

    fcntl.flock(lock, fcntl.LOCK_EX)


def _connected(address: str) -> socket.socket:
    """Connect to the program there, and wait until it has greeted: it may be about to end."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        if connection.recv(1):
            return connection
    except OSError:
        connection.close()
        raise
    connection.close()
    raise ConnectionError(address)


def serve(connection: socket.socket) -> None:
    """Run the commands that come along it, in the folder that it begins with."""
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        begin(stream)
        print(file=stream, flush=True)
        for line in stream:
            print(json.dumps(answer(json.loads(line))), file=stream, flush=True)


def begin(stream: IO[str]) -> None:
    """Be a process of the project in the folder that the first line names."""
    folder, environ, modules = json.loads(stream.readline())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0] = folder
    sys.dont_write_bytecode = True
    for name in modules:
        import_module(name)
    gc.freeze()  # what each process that is forked would else look through, and copy by that


def fork_processes(connection: socket.socket, listener: int, alive: int) -> None:
    """Fork those that `multiprocessing` asks for there, until the program has ended that holds the other end."""
    from multiprocessing import forkserver  # noqa: PLC0415 - for this process alone

    with connection, connection.makefile(encoding="utf-8") as stream:
        begin(stream)
    keyed: dict[str, Any] = {}
    if hasattr(forkserver._forkserver, "_forkserver_authkey"):  # from Python 3.14 on
        keyed["authkey_r"], writing = os.pipe()
        os.write(writing, KEY)
        os.close(writing)
    forkserver.main(listener, alive, [], **keyed)


def answer(words: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+") as output:
        if child := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            return code, output.read()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        os._exit(carry_out(words))


def carry_out(words: list[str]) -> int:
    if "&&" in words:
        end = words.index("&&")
        return carry_out(words[:end]) or carry_out(words[end + 1 :])
    while "=" in words[0]:  # as in a shell, for this command alone
        name, _, value = words.pop(0).partition("=")
        os.environ[name] = value
    sys.modules.pop("app.installed", None)  # it may have changed since
    if words[0] == "-c":
        sys.argv = words
        exec(words[1], {})  # noqa: S102 - what a test wants to know of a process
        sys.stdout.flush()
        return 0
    program = "opportune.cli.main"
    if words[0] == "pytest":
        program, words = "pytest", [*PYTEST_OPTIONS, *words[1:]]
    code = int(import_module(program).main(words))
    sys.stdout.flush()
    return code


def main() -> None:
    gc.disable()  # imports leave no garbage, commands end soon, and a site that is served collects its own
    for name in THIRD_PARTY:
        import_module(name)
    with (
        socket.socket(fileno=os.dup(0)) as listener,
        Path(os.devnull).open() as nothing,
        selectors.DefaultSelector() as waiting,
    ):
        os.dup2(nothing.fileno(), 0)  # commands find nobody to ask
        waiting.register(listener, selectors.EVENT_READ)
        holders: set[socket.socket] = set()
        held: list[socket.socket] = []
        while True:
            for key, _ in waiting.select():
                if key.fileobj is listener:
                    holder = listener.accept()[0]
                    with suppress(OSError):  # it has ended meanwhile, as it will tell
                        holder.send(b"\n")
                    waiting.register(holder, selectors.EVENT_READ)
                    holders.add(holder)
                elif received := wanted_by(holder := cast("socket.socket", key.fileobj)):
                    held += start(received, [waiting, listener, *holders, *held])
                else:
                    waiting.unregister(holder)
                    holder.close()
                    holders.remove(holder)
                    if not holders:
                        return


def wanted_by(holder: socket.socket) -> list[int]:
    """A connection for a process, and where that is to say what goes wrong; nothing from a holder that has ended."""
    try:
        return socket.recv_fds(holder, 1, 6)[1]
    except OSError:
        return []


def start(received: list[int], of_this_process: Sequence[Closing]) -> list[socket.socket]:
    """Fork a process for a project; give what tells it, for as long as it is held, that this program has not ended."""
    own, held = received[:5], [socket.socket(fileno=number) for number in received[5:]]
    if os.fork() == 0:
        for each in (*of_this_process, *held):
            each.close()
        connection, *said = own[:3]
        for number, of_whoever_asks in enumerate(said, 1):
            os.dup2(of_whoever_asks, number)
            os.close(of_whoever_asks)
        with suppress(SystemExit):
            (fork_processes if held else serve)(socket.socket(fileno=connection), *own[3:])
        os._exit(0)
    for number in own:
        os.close(number)
    return held


if __name__ == "__main__":
    main()
