"""Fast processes for commands, `pytest` and code in copies of the project, forked after the imports.

This file is also the program from which they are forked. It imports third-party packages, and forks a process for each
folder, which imports the project. That process forks another one for each command. It reads the arguments as a line of
JSON, and writes the exit code and the output. Each test process starts the program once.
"""

import atexit
import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Protocol

COMMAND_MODULES = (
    "app.main",
    "opportune.cli.database.migrate",
    "opportune.cli.database.makemigrations",
    "opportune.contrib.backup.create",
)
"""Modules that are slow to import and that tests do not change."""
TEST_MODULES = (
    *("opportune.admin.site", "opportune.crud"),
    *("opportune.testing.fixtures", "opportune.testing.migrations", "opportune.testing.app"),
    *("opportune.cli.development.check", "opportune.cli.database.makemigrations", "opportune.cli.database.migrate"),
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
PROJECT = Path(__file__).parents[3]
"""Root folder. This program must not import `opportune`, which has the same constant."""


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
        # Errors go to the current output of this process, which pytest captures.
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


def link_bytecode(folder: Path) -> None:
    """Link the bytecode of the project, which is valid for unchanged copies of the files."""
    for part in ("app", "opportune", "tests"):
        for compiled in (PROJECT / part).rglob("__pycache__"):
            target = folder / compiled.relative_to(PROJECT)
            if target.parent.is_dir() and not target.exists():
                ignored = shutil.ignore_patterns("*.pyc.*", "*-pytest-*")
                shutil.copytree(compiled, target, ignore=ignored, copy_function=link)


def reuse_bytecode(packages: Path) -> None:
    """Give the framework in a folder of packages the bytecode of this one, because compiling it takes seconds."""
    link_bytecode(packages)
    for path in (packages / "opportune").rglob("*.py"):
        source = PROJECT / path.relative_to(packages)
        if source.exists() and source.read_bytes() == path.read_bytes():
            shutil.copystat(source, path)  # bytecode is valid for a file of the same time and size


def link(source: str, destination: str) -> None:
    """Create a hard link, which is twenty times faster than a copy."""
    try:
        os.link(source, destination)
    except OSError:  # another disk
        shutil.copy2(source, destination)


@cache
def _connect_to_program() -> socket.socket:
    """Start the program for this test process, and return the connection, at whose end it ends."""
    client_end, program_end = socket.socketpair()
    with program_end:
        process = subprocess.Popen([sys.executable, __file__], stdin=program_end.fileno())

    def disconnect() -> None:
        client_end.close()
        process.wait()

    atexit.register(disconnect)
    return client_end


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
    sys.path[:1] = environ["PYTHONPATH"].split(os.pathsep)
    sys.dont_write_bytecode = True
    for name in modules:
        import_module(name)
    gc.freeze()  # avoids copying memory in forked processes


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
    """Fork a process for each request on the standard input."""
    gc.disable()  # not needed for imports and short commands
    for name in THIRD_PARTY:
        import_module(name)
    with socket.socket(fileno=os.dup(0)) as client, Path(os.devnull).open() as null:
        os.dup2(null.fileno(), 0)  # commands have no input
        while descriptors := socket.recv_fds(client, 1, 3)[1]:
            start(client, *descriptors)


def start(client: socket.socket, connection: int, *outputs: int) -> None:
    """Fork a process for a project, with a connection and both output streams."""
    if os.fork() == 0:
        client.close()
        for number, output in enumerate(outputs, 1):
            os.dup2(output, number)
            os.close(output)
        with suppress(SystemExit):
            serve(socket.socket(fileno=connection))
        os._exit(0)
    for number in (connection, *outputs):
        os.close(number)


if __name__ == "__main__":
    main()
