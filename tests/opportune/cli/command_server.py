"""Commands, or `pytest`, one after another in a copy of the project, in processes that find their imports done.

This file is also the program that they are forked from: it reads the words of a command as a line of JSON, and answers
with its exit code and what it said.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

MODULES = ("app.main", "opportune.cli.migrate", "opportune.cli.makemigrations", "opportune.data.backup.create")
"""What commands take longest to import, and nothing that a test changes."""
THIRD_PARTY = ("pytest", "fastapi", "sqlmodel", "sqladmin", "alembic.autogenerate")
"""What knows no model, for tests that change the users'."""


class RunCommand(Protocol):
    def __call__(self, *words: str) -> tuple[int, str]:
        """Run a command, and give its exit code and what it said. Words such as `NAME=value` may come before it."""


@contextmanager
def command_server(folder: Path, *modules: str) -> Iterator[RunCommand]:
    """Run commands of the project in that folder, on a SQLite database there, with these modules imported before."""
    environ = {
        "DATABASE_URL": f"sqlite:///{folder}/data/app.db",
        "ENVIRONMENT": "test",
        "PYTHONPATH": str(folder),
        # Two versions of a file in one second and of one length would be the same to what Python has compiled.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        [sys.executable, __file__, *(modules or MODULES)],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        questions, answers = process.stdin, process.stdout
        assert questions
        assert answers

        def run(*words: str) -> tuple[int, str]:
            print(json.dumps(words), file=questions, flush=True)
            code, said = json.loads(answers.readline())
            return code, said

        answers.readline()  # it has imported all: what changes from here on is found anew each time
        yield run
        questions.close()


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
    program, words = ("pytest", words[1:]) if words[0] == "pytest" else ("opportune.cli.main", words)
    code = int(import_module(program).main(words))
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    for name in sys.argv[1:]:
        import_module(name)
    print(flush=True)  # noqa: T201 - ready
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201 - the answer
