"""Fast processes for commands, `pytest` and code in copies of the project, forked after the imports.

This file is also the program from which they are forked. It imports third-party packages, and forks a process for each
folder, which imports the project. That process forks another one for each command. It reads the arguments as a line of
JSON, and writes the exit code and the output. Another child is a fork server of `multiprocessing`.
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

COMMAND_MODULES = (
    "app.main",
    "opportune.cli.database.migrate",
    "opportune.cli.database.makemigrations",
    "opportune.contrib.backup.create",
)
"""Modules that are slow to import and that tests do not change."""
TEST_MODULES = (
    *(
        "opportune.admin.site",
        "opportune.testing.fixtures",
        "opportune.testing.migrations",
        "opportune.testing.app",
        "opportune.cli.development.check",
        "opportune.cli.database.makemigrations",
        "opportune.cli.database.migrate",
    ),
    "opportune.crud",
)
"""Modules for running tests, some of which change the installed features."""
FEATURE_MODULES = (
    "opportune.accounts.feature",
    "opportune.admin.feature",
    "opportune.contrib.answers.feature",
    "opportune.jobs.feature",
    "opportune.contrib.mcp.feature",
    "opportune.contrib.teams.feature",
)
"""Modules for all features of the framework."""
REQUIRED_FEATURE_MODULES = tuple(f"opportune.{name}.feature" for name in ("accounts", "admin", "jobs"))
"""Modules for the required features."""
THIRD_PARTY = (
    *("alembic.autogenerate", "argon2", "fastapi.openapi.utils", "httpx2", "jinja2", "psycopg", "pydantic_settings"),
    *("pytest", "pytest_asyncio.plugin", "sqladmin", "sqlalchemy.ext.asyncio", "sqlmodel", "typer"),
)
"""Slow third-party packages."""
PYTEST_OPTIONS = ("--assert=plain", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin")
"""Assertion rewriting would take longer than many tests."""


COMMAND_TIMEOUT_SECONDS = 280.0
"""Timeout of a command, which may be a run of pytest."""
RUN_FOLDER = "OPPORTUNE_TEST_RUN_FOLDER"
"""Environment variable of `opportune.testing` with the folder of this test run."""
PROCESSES = "processes"
"""Socket of the fork server of `multiprocessing`, in the same folder."""
AUTHENTICATION_KEY = bytes(32)
"""Authentication key of that server. The folder is private, so it need not be secret."""
MAX_URL_LENGTH = 90
"""Maximum length of socket paths, with a margin. Systems allow about 100 characters."""
PROJECT = Path(__file__).parents[3]
"""Root folder. This program must not import `opportune`, which has the same constant."""


class Closing(Protocol):
    def close(self) -> None: ...


class RunCommand(Protocol):
    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Run a command, and return its exit code and output.

        As in a shell, `NAME=value` before the command sets a variable, and `&&` starts another command. Both commands
        run in the same process and share their imports.
        """


@contextmanager
def command_server(folder: Path, *modules: str) -> Iterator[RunCommand]:
    """Run commands of the project in a folder, with a SQLite database there and these modules preloaded."""
    environ = {
        "DATABASE_URL": f"sqlite:///{folder}/data/app.db",
        "ENVIRONMENT": "test",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        # Projects of `startproject` do not contain the framework.
        "PYTHONPATH": os.pathsep.join(map(str, [folder, *([] if (folder / "opportune").is_dir() else [PROJECT])])),
        # Bytecode would be stale if a test changes a file twice within a second without changing its size.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "",  # the default, which affects the order of output
    }
    link_bytecode(folder)
    client_end, server_end = socket.socketpair()
    with server_end:
        # Errors go to this process, even if another process of this test run started the program.
        socket.send_fds(_connect_to_program(), [b"\n"], [server_end.fileno(), 1, 2])
    client_end.settimeout(COMMAND_TIMEOUT_SECONDS)
    with client_end, client_end.makefile("rw", encoding="utf-8") as stream:

        def run(*arguments: str) -> tuple[int, str]:
            print(json.dumps(arguments), file=stream, flush=True)
            code, output = json.loads(stream.readline())
            return code, output

        print(json.dumps([str(folder), {**os.environ, **environ}, modules]), file=stream, flush=True)
        assert stream.readline(), "An import failed. See the standard error."
        yield run  # later changes of files affect each command


def start_fork_server(*modules: str) -> str:
    """Return the address of the fork server of `multiprocessing` for this test run, with these modules preloaded."""
    folder = Path(_connect_to_program().getpeername()).parent
    address = str(folder / PROCESSES)
    with (folder / "commands.lock").open("w") as lock:
        _lock(lock)
        if not Path(address).exists():
            client_end, server_end = socket.socketpair()
            writer, alive = socket.socketpair()
            with client_end, server_end, writer, alive, socket.socket(socket.AF_UNIX) as listener:
                listener.bind(address)
                listener.listen()
                descriptors = [server_end.fileno(), 1, 2, listener.fileno(), alive.fileno(), writer.fileno()]
                socket.send_fds(_connect_to_program(), [b"\n"], descriptors)
                environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # of one test
                client_end.sendall(f"{json.dumps([str(PROJECT), environ, modules])}\n".encode())
    return address


def link_bytecode(folder: Path) -> None:
    """Link the bytecode of the project, which is valid for unchanged copies of the files."""
    for part in ("app", "opportune", "tests"):
        for compiled in (PROJECT / part).rglob("__pycache__"):
            target = folder / compiled.relative_to(PROJECT)
            if target.parent.is_dir() and not target.exists():
                ignored = shutil.ignore_patterns("*.pyc.*", "*-pytest-*")
                shutil.copytree(compiled, target, ignore=ignored, copy_function=link)


def link(source: str, destination: str) -> None:
    """Create a hard link, which is twenty times faster than a copy."""
    try:
        os.link(source, destination)
    except OSError:  # another disk
        shutil.copy2(source, destination)


@cache
def _connect_to_program() -> socket.socket:
    """Return a connection to the program, started on first use. It ends when all connections are closed."""
    folder = os.environ.get(RUN_FOLDER, "")
    if not 0 < len(folder) < MAX_URL_LENGTH:
        folder = tempfile.mkdtemp()
    with Path(folder, "commands.lock").open("w") as lock:
        _lock(lock)
        address = f"{folder}/commands"
        try:
            connection = _connect(address)
            atexit.register(connection.close)
            return connection
        except (ConnectionError, FileNotFoundError):  # not started yet, or already ended
            Path(address).unlink(missing_ok=True)
            Path(folder, PROCESSES).unlink(missing_ok=True)  # ended with the program
        # Close the listener here, so that connections are refused after the program has ended.
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            process = subprocess.Popen([sys.executable, __file__], stdin=listener.fileno())
        client_end = _connect(address)

    def disconnect() -> None:
        client_end.close()
        process.poll()  # other processes may still be connected

    atexit.register(disconnect)
    return client_end


def _lock(lock: IO[str]) -> None:
    import fcntl  # Windows has no such module

    fcntl.flock(lock, fcntl.LOCK_EX)


def _connect(address: str) -> socket.socket:
    """Connect to the program and wait for its greeting, because it may be about to end."""
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
    """Run the commands of a connection, in the folder named in its first line."""
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        set_up(stream)
        print(file=stream, flush=True)
        for line in stream:
            print(json.dumps(run_forked(json.loads(line))), file=stream, flush=True)


def set_up(stream: IO[str]) -> None:
    """Set up this process for the folder, environment and modules named in the first line."""
    folder, environ, modules = json.loads(stream.readline())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:1] = environ["PYTHONPATH"].split(os.pathsep) if "PYTHONPATH" in environ else [folder]
    sys.dont_write_bytecode = True
    for name in modules:
        import_module(name)
    gc.freeze()  # avoids copying memory in forked processes


def fork_processes(connection: socket.socket, listener: int, alive: int) -> None:
    """Run the fork server of `multiprocessing` until the program has ended."""
    from multiprocessing import forkserver  # only for this process

    with connection, connection.makefile(encoding="utf-8") as stream:
        set_up(stream)
    options: dict[str, Any] = {}
    if hasattr(forkserver._forkserver, "_forkserver_authkey"):  # from Python 3.14 on
        options["authkey_r"], writer = os.pipe()
        os.write(writer, AUTHENTICATION_KEY)
        os.close(writer)
    forkserver.main(listener, alive, [], **options)


def run_forked(arguments: list[str]) -> tuple[int, str]:
    with tempfile.TemporaryFile("w+") as output:
        if child := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            return code, output.read()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        os._exit(run_command(arguments))


def run_command(arguments: list[str]) -> int:
    if "&&" in arguments:
        end = arguments.index("&&")
        return run_command(arguments[:end]) or run_command(arguments[end + 1 :])
    while "=" in arguments[0]:  # only for this command
        name, _, value = arguments.pop(0).partition("=")
        os.environ[name] = value
    sys.modules.pop("app.installed", None)  # may have changed
    if arguments[0] == "-c":
        sys.argv = arguments
        exec(arguments[1], {})  # noqa: S102 - code of a test
        sys.stdout.flush()
        return 0
    program = "opportune.cli.main"
    if arguments[0] == "pytest":
        program, arguments = "pytest", [*PYTEST_OPTIONS, *arguments[1:]]
    code = int(import_module(program).main(arguments))
    sys.stdout.flush()
    return code


def main() -> None:
    gc.disable()  # not needed for imports and short commands
    for name in THIRD_PARTY:
        import_module(name)
    with (
        socket.socket(fileno=os.dup(0)) as listener,
        Path(os.devnull).open() as null,
        selectors.DefaultSelector() as selector,
    ):
        os.dup2(null.fileno(), 0)  # commands have no input
        selector.register(listener, selectors.EVENT_READ)
        clients: set[socket.socket] = set()
        alive: list[socket.socket] = []
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    client = listener.accept()[0]
                    with suppress(OSError):  # a closed connection is noticed below
                        client.send(b"\n")
                    selector.register(client, selectors.EVENT_READ)
                    clients.add(client)
                elif received := receive_descriptors(client := cast("socket.socket", key.fileobj)):
                    alive += start(received, [selector, listener, *clients, *alive])
                else:
                    selector.unregister(client)
                    client.close()
                    clients.remove(client)
                    if not clients:
                        return


def receive_descriptors(client: socket.socket) -> list[int]:
    """Return the file descriptors of a request; empty if the client has disconnected."""
    try:
        return socket.recv_fds(client, 1, 6)[1]
    except OSError:
        return []


def start(received: list[int], inherited: Sequence[Closing]) -> list[socket.socket]:
    """Fork a process for a project. Return sockets that must stay open while this program is alive."""
    descriptors, alive = received[:5], [socket.socket(fileno=number) for number in received[5:]]
    if os.fork() == 0:
        for resource in (*inherited, *alive):
            resource.close()
        connection, *outputs = descriptors[:3]
        for number, output in enumerate(outputs, 1):
            os.dup2(output, number)
            os.close(output)
        with suppress(SystemExit):
            (fork_processes if alive else serve)(socket.socket(fileno=connection), *descriptors[3:])
        os._exit(0)
    for number in descriptors:
        os.close(number)
    return alive


if __name__ == "__main__":
    main()
