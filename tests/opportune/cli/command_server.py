"""Commands, `pytest`, or code after `-c`, one by one in copies of the project; their processes find imports done.

This file is also the program that they are forked from. It imports what knows nothing of a project, and forks a process
for each folder, which imports what is the project's. That one forks a process for each command: it reads the words as a
line of JSON, and answers with the exit code and what was said.
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
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol

MODULES = ("app.main", "opportune.cli.migrate", "opportune.cli.makemigrations", "opportune.data.backup.create")
"""What commands take longest to import, and nothing that a test changes."""
TESTING = (
    *("opportune.testing.fixtures", "opportune.cli.check", "opportune.cli.makemigrations", "opportune.cli.migrate"),
    "opportune.crud",
)
"""The same where tests run, of which some change what is installed."""
FEATURES = tuple(f"opportune.{name}.feature" for name in ("accounts", "admin", "answers", "jobs", "mcp", "teams"))
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


PROJECT = Path(__file__).parents[3]
"""Not by `opportune`, which this program must not import."""


class RunCommand(Protocol):
    def __call__(self, *words: str) -> tuple[int, str]:
        """Run a command, and give its exit code and what it said. Words such as `NAME=value` may come before it."""


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
    }
    _bring_compiled(folder)
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(_program(), [b"\n"], [theirs.fileno()])
    with ours, ours.makefile("rw", encoding="utf-8") as stream:

        def run(*words: str) -> tuple[int, str]:
            print(json.dumps(words), file=stream, flush=True)
            code, said = json.loads(stream.readline())
            return code, said

        print(json.dumps([str(folder), {**os.environ, **environ}, modules]), file=stream, flush=True)
        assert stream.readline(), "What could not be imported stands on standard error."
        yield run  # it has imported all: what changes from here on is found anew each time


def _bring_compiled(folder: Path) -> None:
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
    """Start the program that all are forked from, and give what it listens to: it ends when nobody holds that."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([sys.executable, __file__], stdin=theirs.fileno())

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(connection: socket.socket) -> None:
    """Run the commands that come along it, in the folder that it begins with."""
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        folder, environ, modules = json.loads(stream.readline())
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        sys.path[0] = folder
        sys.dont_write_bytecode = True
        for name in modules:
            import_module(name)
        gc.freeze()  # what each command would else look through, and copy by that
        print(file=stream, flush=True)
        for line in stream:
            print(json.dumps(answer(json.loads(line))), file=stream, flush=True)


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
    for name in THIRD_PARTY:
        import_module(name)
    with socket.socket(fileno=os.dup(0)) as projects, Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)  # commands find nobody to ask
        while received := socket.recv_fds(projects, 1, 1)[1]:
            connection = socket.socket(fileno=received[0])
            if os.fork() == 0:
                projects.close()
                serve(connection)
                os._exit(0)
            connection.close()


if __name__ == "__main__":
    main()
